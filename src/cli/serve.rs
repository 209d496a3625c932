//! `stateward serve`

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use clap::{ArgAction, ValueEnum};

use super::policy_keeper::PolicyKeeper;
use super::{PolicyArgs, audit, kubernetes};
use super::{access::AccessArgs, certificate::CertificateArgs, telemetry::TelemetryArgs};
use crate::certs::Provided;
use crate::certs::manager::{CertificateConfig, CertificateManager};
use crate::cluster::Cluster;
use crate::companions::{CompanionCheck, CompanionConfig};
use crate::controller::{Controller, ControllerConfig};
use crate::events::{EventSender, Events};
use crate::guard::{Confirmer, WebhookGuard, WhenOverloaded};
use crate::lease::{Elector, LeaseConfig};
use crate::model::printable;
use crate::policy_status::{PolicyStatusInputs, PolicyStatusWriter, StatusConfig};
use crate::process::{Readiness, Shutdown, descriptors};
use crate::reports::{ReportKind, Reports, ReportsConfig};
use crate::server::{self, Drain, Limits, Metrics, ServeConfig, tls};
use crate::watch::{Gauges, Live, WatchConfig};

/// Serve the admission webhooks
///
/// HTTPS: POST /validate and POST /mutate; with --metacontroller also Metacontroller's hooks. Plain HTTP on the ops port: /livez,
/// /readyz, /metrics.
///
/// Whatever reaches the port can ask, unless the API server has to prove itself: by a client certificate (--client-ca-file with
/// --client-name) or by a secret in the path of the URL (--path-token-file). Without a proof, Events are only written about
/// objects that are there.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to serve HTTPS; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
    bind: SocketAddr,
    /// Where to serve probes and metrics over plain HTTP
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    ops_bind: SocketAddr,
    #[command(flatten)]
    certificate: CertificateArgs,
    #[command(flatten)]
    access: AccessArgs,
    /// Whether a request is denied or allowed if its denial could not be confirmed by a live read because too many others were waiting
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t, conflicts_with = "standalone")]
    when_unconfirmed: WhenUnconfirmed,
    /// The bodies of all requests in flight together, in MiB; beyond it the answer is 503 with Retry-After
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..))]
    bodies_in_flight: u32,
    /// Do without an API server: other objects come from --objects
    #[arg(long)]
    standalone: bool,
    /// With --standalone: manifests of what else exists (repeatable)
    #[arg(long, value_name = "PATH", requires = "standalone")]
    objects: Vec<PathBuf>,
    /// The context of the kubeconfig to use; inside a cluster there is no need of one
    #[arg(long, value_name = "NAME", conflicts_with = "standalone")]
    context: Option<String>,
    /// Whether to create Kubernetes Events about what was refused or warned of
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true)]
    events: bool,
    /// Make a Service for each pod of the StatefulSets that ask for it; one replica at a time does, by a Lease
    #[arg(long, conflicts_with = "standalone")]
    controller: bool,
    /// Judge what exists, as metrics and as reports of this kind; one replica at a time does, by a Lease
    #[arg(long, value_enum, value_name = "KIND", default_value_t, conflicts_with = "standalone")]
    reports: ReportsKind,
    /// How long to go on serving after TERM, so that the API server stops asking first; in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    drain_seconds: u64,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum WhenUnconfirmed {
    /// Allow the change, with a warning
    #[default]
    Warn,
    /// Deny it on what the watches say
    Deny,
}

impl From<WhenUnconfirmed> for WhenOverloaded {
    fn from(when: WhenUnconfirmed) -> Self {
        match when {
            WhenUnconfirmed::Warn => Self::Warn,
            WhenUnconfirmed::Deny => Self::Deny,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ReportsKind {
    /// Do not judge what exists
    #[default]
    Off,
    /// Whichever the cluster has, that of openreports.io first; where it has neither, metrics alone
    Auto,
    /// Report of openreports.io
    Openreports,
    /// `PolicyReport` of wgpolicyk8s.io
    Policyreport,
}

impl ReportsKind {
    /// The kinds of reports to look for, in this order; `None` where nothing is to be judged.
    fn kinds(self) -> Option<&'static [ReportKind]> {
        match self {
            Self::Off => None,
            Self::Auto => Some(&[ReportKind::OpenReports, ReportKind::PolicyReport]),
            Self::Openreports => Some(&[ReportKind::OpenReports]),
            Self::Policyreport => Some(&[ReportKind::PolicyReport]),
        }
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("cannot start the runtime")?;
        let traces = runtime.block_on(async { self.telemetry.start() })?;
        let end = runtime.block_on(self.serve());
        if let Some(traces) = traces {
            traces.end();
        }
        end.map(|()| ExitCode::SUCCESS)
    }

    async fn serve(self) -> anyhow::Result<()> {
        let mut metrics = Metrics::new();
        let readiness = Readiness::default();
        let (paths, profile) = (&self.policy.policies, self.policy.profile.unwrap_or_default().into());
        let policy_keeper = PolicyKeeper::start(paths, profile, &readiness, metrics.registry())?;
        let policies = policy_keeper.policies();
        let shutdown = Shutdown::signals().context("cannot listen for signals")?;
        if self.standalone {
            let cluster = objects(&self.objects)?;
            Gauges::register(metrics.registry()).show(&cluster);
            let cluster = Arc::new(ArcSwap::from_pointee(cluster));
            let excluded = self.access.exclude_namespace.clone();
            let guard = WebhookGuard {
                cluster,
                policies,
                confirmer: None,
                reservations: Arc::default(),
                events: None,
                excluded,
            };
            let config = self.config(None)?;
            return tokio::select! {
                end = server::serve(config, guard, readiness, metrics, shutdown) => Ok(end?),
                stopped = policy_keeper.run() => match stopped? {},
            };
        }
        let connection = kubernetes::connect(None, self.context.as_deref()).await;
        let client =
            connection.context("cannot connect to an API server (--standalone does without)")?.client;
        let gauges = Gauges::register_live(metrics.registry());
        let live = Live::new(client.clone(), WatchConfig::default(), &readiness, gauges);
        let policy_keeper = policy_keeper.watching(live.cluster())?;
        let confirmer = Confirmer::new(client.clone(), metrics.registry());
        let confirmer = Some(confirmer.when_overloaded(self.when_unconfirmed.into()));
        let (events, event_sender) = self.events(client.clone(), &mut metrics);
        let objects = policy_keeper.objects();
        let known = PolicyStatusInputs { cluster: live.cluster(), policies: Arc::clone(&policies), objects };
        let mutates_sets = policy_keeper.mutates_sets();
        let outputs = (events.clone(), &readiness);
        let (leader_tasks, provided) = self.leader_tasks(client, known, mutates_sets, outputs, &mut metrics);
        let excluded = self.access.exclude_namespace.clone();
        let guard = WebhookGuard {
            cluster: live.cluster(),
            policies,
            confirmer,
            reservations: Arc::default(),
            events,
            excluded,
        };
        let config = self.config(provided)?;
        tokio::select! {
            end = server::serve(config, guard, readiness, metrics, shutdown.clone()) => Ok(end?),
            stopped = live.run() => match stopped? {},
            stopped = policy_keeper.run() => match stopped? {},
            never = send_events(event_sender) => match never {},
            died = run_leader_tasks(leader_tasks, &shutdown) => Err(died),
        }
    }

    /// Builds the background tasks and the election of the replica that runs them. Also returns the certificate to serve.
    fn leader_tasks(
        &self,
        client: kube::Client,
        known: PolicyStatusInputs,
        mutates_sets: tokio::sync::watch::Receiver<Option<bool>>,
        (events, readiness): (Option<Events>, &Readiness),
        metrics: &mut Metrics,
    ) -> (LeaderTasks, Option<Provided>) {
        let settings = self.certificate.managed(&client).map(|settings| CertificateConfig {
            mutates_sets,
            remark: readiness.remark(),
            ..settings
        });
        let kinds = self.reports.kinds();
        let namespace = client.default_namespace().to_owned();
        let (registry, lease) = (metrics.registry(), (&*namespace, LEASE));
        let (elector, leadership) =
            Elector::new(client.clone(), lease, &instance(), LeaseConfig::default(), registry);
        let elector = elector.with_remark(readiness.remark());
        let kept = settings.map(|settings| {
            CertificateManager::new(client.clone(), settings, leadership.clone(), events.clone(), registry)
        });
        let (certificate_manager, provided) = kept.unzip();
        let companions = events.clone().map(|events| {
            let (leadership, config) = (leadership.clone(), CompanionConfig::default());
            let known = (Arc::clone(&known.cluster), Arc::clone(&known.policies));
            CompanionCheck::new(known, events, registry, leadership, config)
        });
        let reports = kinds.map(|kinds| {
            let known = (Arc::clone(&known.cluster), Arc::clone(&known.policies));
            let leadership = leadership.clone();
            Reports::new(client.clone(), known, registry, leadership, kinds, ReportsConfig::default())
        });
        let status = PolicyStatusWriter::new(
            client.clone(),
            known.clone(),
            events.clone(),
            leadership.clone(),
            StatusConfig::default(),
        );
        let controller = self.controller.then(|| {
            let known = (known.cluster, known.policies);
            Controller::new(client, known, events, registry, leadership, ControllerConfig::default())
        });
        (LeaderTasks { elector, certificate_manager, companions, status, controller, reports }, provided)
    }

    /// The queue of Events and the task that sends them, where Events are wanted.
    fn events(&self, client: kube::Client, metrics: &mut Metrics) -> (Option<Events>, Option<EventSender>) {
        if !self.events {
            return (None, None);
        }
        let (events, event_sender) =
            Events::new(client, &instance(), self.access.reviews(), metrics.registry());
        (Some(events), Some(event_sender))
    }

    fn limits(&self) -> Limits {
        let defaults = Limits::default();
        let room = descriptors::raise_limit().saturating_sub(defaults.ops_connections);
        let bodies_bytes =
            usize::try_from(self.bodies_in_flight).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        Limits { connections: defaults.connections.min(room).max(1), bodies_bytes, ..defaults }
    }

    fn config(self, provided: Option<Provided>) -> anyhow::Result<ServeConfig> {
        let limits = self.limits();
        let callers = self.access.callers()?;
        let tls = provided.map_or_else(|| self.certificate.source(), tls::CertificateSource::Provided);
        Ok(ServeConfig {
            bind: self.bind,
            ops_bind: self.ops_bind,
            tls,
            client_ca: self.access.client_ca_file,
            callers,
            metacontroller: self.access.metacontroller,
            limits,
            drain: Drain { serve_for: Duration::from_secs(self.drain_seconds), ..Drain::default() },
            ..ServeConfig::default()
        })
    }
}

/// The lease of the replica that does what only one may do.
const LEASE: &str = "stateward";

/// The name of this replica: in a cluster its pod's name.
pub(super) fn instance() -> String {
    let name = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "stateward".to_owned())
}

/// The election and the tasks of the leader.
struct LeaderTasks {
    elector: Elector,
    certificate_manager: Option<CertificateManager>,
    companions: Option<CompanionCheck>,
    status: PolicyStatusWriter,
    controller: Option<Controller>,
    reports: Option<Reports>,
}

/// Takes part in the election and runs the background tasks. To return is an error.
async fn run_leader_tasks(leader_tasks: LeaderTasks, shutdown: &Shutdown) -> anyhow::Error {
    let LeaderTasks { elector, certificate_manager, companions, status, controller, reports } = leader_tasks;
    let election = async {
        elector.run(shutdown).await;
        pending::<Infallible>().await
    };
    tokio::select! {
        never = election => match never {},
        never = run_or_wait(certificate_manager.map(CertificateManager::run)) => match never {},
        never = run_or_wait(companions.map(CompanionCheck::run)) => match never {},
        never = run_or_wait(reports.map(Reports::run)) => match never {},
        never = status.run() => match never {},
        () = run_or_wait(controller.map(Controller::run)) => anyhow::anyhow!("the controller of per-pod Services stopped working"),
    }
}

/// Runs a task; where there is none, never ends.
async fn run_or_wait<F: Future>(task: Option<F>) -> F::Output {
    match task {
        Some(task) => task.await,
        None => pending().await,
    }
}

/// Sends Events. Serving goes on when no more can come.
async fn send_events(event_sender: Option<EventSender>) -> Infallible {
    if let Some(event_sender) = event_sender {
        event_sender.run().await;
    }
    pending().await
}

/// A snapshot of the objects in manifests; manifests that cannot be read are logged.
fn objects(paths: &[PathBuf]) -> anyhow::Result<Cluster> {
    if paths.is_empty() {
        return Ok(Cluster::default());
    }
    let inventory = audit::read_objects(paths, None)?;
    for note in inventory.notes() {
        tracing::warn!("--objects: {}: {}", printable(&note.place()), note.message);
    }
    Ok(inventory.cluster())
}
