//! Judges what exists, in the background, and says what it finds as reports and metrics.
//!
//! ```text
//! snapshot, policies ─ changes ─▶ Queue ─ one namespace ─▶ list what is not watched ─ audit_namespace ─▶ findings
//!   every hour ────────────────────┘                                                       │
//!       gauges ◀───────────────────────────────────────────────────────────────────────────┤
//!       reports ◀─ write what differs ◀─ compare with the reports that are there ◀─ document ┘
//! ```
//!
//! One namespace at a time: what is listed of it and found in it is in memory only meanwhile. The evaluation is that of
//! `stateward audit --cluster`, on a thread of its own and with rests in between, so that reviews do not wait for it. The reports are
//! their own memory: what is there is compared with what should be, and only a difference is written.

mod api;
mod document;
mod metrics;
mod queue;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use self::api::ReportsApi;
pub use self::document::ReportKind;
use self::document::{document, report_name, says};
use self::metrics::{Counts, ReportMetrics, count};
use self::queue::Queue;
use crate::api_server::{ApiError, RateLimiter};
use crate::audit::audit_namespace;
use crate::cluster::{Cluster, Kind};
use crate::lease::Leadership;
use crate::model::{Object, ObjectRef};
use crate::policy::Policies;
use crate::process::{RepeatedErrors, warn_if_new};
use crate::report::Located;

/// Waits and rates of the background reports.
#[derive(Clone, Copy, Debug)]
pub struct ReportsConfig {
    /// How often a namespace is judged though nothing has changed: exemptions end, and some kinds are not watched. Default 1 hour.
    pub every: Duration,
    /// How long a change waits for others. Default 10 s.
    pub settle: Duration,
    /// How long a namespace that changes all the time rests. Default 1 minute.
    pub rest: Duration,
    /// Requests a second, reads and writes together. Default 10.
    pub requests_per_second: u32,
    /// How long an answer may take. Default 30 s.
    pub patience: Duration,
}

impl Default for ReportsConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(3600),
            settle: Duration::from_secs(10),
            rest: Duration::from_secs(60),
            requests_per_second: 10,
            patience: Duration::from_secs(30),
        }
    }
}

/// How often to look whether something has changed.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait at the start until every kind is known. One that may not be listed never is.
const SYNC_TIMEOUT: Duration = Duration::from_secs(60);

/// For each moment of judging, so many of rest.
const REST_PER_WORK: u32 = 9;

/// Judges what exists, as long as its replica leads.
pub struct Reports {
    client: Client,
    cluster: Arc<ArcSwap<Cluster>>,
    policies: Arc<ArcSwap<Policies>>,
    metrics: ReportMetrics,
    leadership: Leadership,
    /// The kinds of reports to publish: the first that the API server has.
    kinds: &'static [ReportKind],
    config: ReportsConfig,
}

impl Reports {
    /// Does nothing before it is [`run`](Self::run).
    pub fn new(
        client: Client,
        (cluster, policies): (Arc<ArcSwap<Cluster>>, Arc<ArcSwap<Policies>>),
        registry: &mut Registry,
        leadership: Leadership,
        kinds: &'static [ReportKind],
        config: ReportsConfig,
    ) -> Self {
        let metrics = ReportMetrics::register(registry);
        Self { client, cluster, policies, metrics, leadership, kinds, config }
    }

    /// Works whenever this replica leads.
    pub async fn run(self) -> Infallible {
        self.leadership.lead(|| self.term()).await
    }

    async fn term(&self) -> Infallible {
        tracing::info!("background reports started");
        let _ = timeout(SYNC_TIMEOUT, self.all_known()).await;
        let mut term = LeadershipTerm::new(self);
        loop {
            term.note_changes();
            match term.queue.next(Instant::now()) {
                Some(namespace) => term.visit(&namespace).await,
                None => sleep(POLL_INTERVAL.min(self.config.settle)).await,
            }
        }
    }

    async fn all_known(&self) {
        while !Kind::watched().all(|kind| self.cluster.load().is_complete(kind)) {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Why a namespace has no new reports.
#[derive(Debug, thiserror::Error)]
enum VisitError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("the evaluation failed: {0}")]
    Judge(#[from] tokio::task::JoinError),
}

/// One time of leading.
struct LeadershipTerm<'a> {
    reports: &'a Reports,
    server: ReportsApi,
    queue: Queue,
    /// The objects that have been queued.
    cluster: Arc<Cluster>,
    policies: Arc<Policies>,
    counts: BTreeMap<Box<str>, Counts>,
    shown: Counts,
    /// Reads that are made at long intervals, and the time of the last one.
    last_capability_check: Option<Instant>,
    kind: Option<ReportKind>,
    refused: BTreeSet<Kind>,
    /// The namespaces whose last visit failed.
    failing: BTreeSet<Box<str>>,
    logged: RepeatedErrors,
}

impl Drop for LeadershipTerm<'_> {
    fn drop(&mut self) {
        self.reports.metrics.clear();
    }
}

impl<'a> LeadershipTerm<'a> {
    fn new(reports: &'a Reports) -> Self {
        let config = reports.config;
        let rate_limiter = RateLimiter::new(config.requests_per_second, config.requests_per_second);
        Self {
            server: ReportsApi {
                client: reports.client.clone(),
                leadership: reports.leadership.clone(),
                rate_limiter,
                patience: config.patience,
            },
            queue: Queue::new(config.every, config.settle, config.rest),
            cluster: Arc::default(),
            policies: reports.policies.load_full(),
            counts: BTreeMap::new(),
            shown: Counts::new(),
            last_capability_check: None,
            kind: None,
            refused: BTreeSet::new(),
            failing: BTreeSet::new(),
            logged: RepeatedErrors::default(),
            reports,
        }
    }

    /// Tells the queue what has changed since it was last told.
    fn note_changes(&mut self) {
        let now = Instant::now();
        let (cluster, policies) = (self.reports.cluster.load_full(), self.reports.policies.load_full());
        if !Arc::ptr_eq(&policies, &self.policies) {
            self.queue.all_changed(now);
        }
        if !Arc::ptr_eq(&cluster, &self.cluster) {
            match cluster.namespaces_changed_since(&self.cluster) {
                Some(changed) => changed.iter().for_each(|namespace| self.queue.changed(namespace, now)),
                None => self.queue.all_changed(now),
            }
            // Namespaces may be unlistable, so add those of the sets.
            let of_sets = cluster.sets().map(|set| &*set.metadata.namespace);
            cluster.namespace_names().chain(of_sets).for_each(|namespace| self.queue.add(namespace, now));
        }
        (self.cluster, self.policies) = (cluster, policies);
    }

    /// Judges one namespace and publishes what is found.
    async fn visit(&mut self, namespace: &str) {
        let seen = Instant::now();
        let exists = self.exists(namespace);
        match self.judge_and_publish(namespace).await {
            Ok(()) => {
                if self.failing.remove(namespace) && self.failing.is_empty() {
                    self.logged.over();
                }
                self.queue.judged(namespace, exists, seen);
            }
            Err(error) => {
                let key = error.to_string();
                warn_if_new!(self.logged, &key, { namespace, }, "background reports are held up: {error}");
                self.failing.insert(namespace.into());
                self.reports.metrics.count_write("failed");
                self.queue.failed(namespace, Instant::now());
            }
        }
    }

    fn exists(&self, namespace: &str) -> bool {
        self.cluster.namespace(namespace).is_some() || !self.cluster.sets_in(namespace).is_empty()
    }

    fn is_terminating(&self, namespace: &str) -> bool {
        let cluster = self.reports.cluster.load();
        cluster.namespace(namespace).is_some_and(|namespace| namespace.metadata.deleting)
    }

    async fn judge_and_publish(&mut self, namespace: &str) -> Result<(), VisitError> {
        self.ask_now_and_then().await?;
        let listed = self.server.list(namespace, &self.refused).await?;
        for (kind, reason) in &listed.refused {
            let kind = kind.name();
            tracing::warn!(
                kind,
                "unknown to the background reports, so what rests on it is not judged: {reason}"
            );
        }
        self.refused.extend(listed.refused.keys());
        let mut cluster = Cluster::clone(&self.cluster);
        cluster.add_listed(&listed.cluster);
        let findings = self.judge(namespace, cluster).await?;
        self.show(namespace, &findings);
        match self.kind {
            // Nothing can be written there, and what there is goes by itself.
            _ if self.is_terminating(namespace) => Ok(()),
            Some(kind) => Ok(self.publish(kind, namespace, &findings).await?),
            None => Ok(()),
        }
    }

    /// Which reports there can be, and what may be listed, may change.
    async fn ask_now_and_then(&mut self) -> Result<(), ApiError> {
        if self.last_capability_check.is_some_and(|asked| asked.elapsed() < self.reports.config.every) {
            return Ok(());
        }
        let mut found = None;
        for kind in self.reports.kinds {
            if self.server.serves(*kind).await? {
                found = Some(*kind);
                break;
            }
        }
        if found != self.kind || self.last_capability_check.is_none() {
            let kind = found.map_or("none", ReportKind::kind);
            tracing::info!(kind, "reports that the API server has");
        }
        self.kind = found;
        self.refused.clear();
        self.last_capability_check = Some(Instant::now());
        Ok(())
    }

    /// Judges on a thread of its own, and rests.
    async fn judge(&self, namespace: &str, cluster: Cluster) -> Result<Vec<Located>, VisitError> {
        let (name, policies) = (namespace.to_owned(), Arc::clone(&self.policies));
        let start = Instant::now();
        let judged =
            spawn_blocking(move || audit_namespace(&name, &cluster, &policies, Timestamp::now())).await;
        let took = start.elapsed();
        sleep(took * REST_PER_WORK).await;
        Ok(judged?)
    }

    /// Shows the numbers once every namespace has been judged: half of them would look like a repair.
    fn show(&mut self, namespace: &str, findings: &[Located]) {
        if self.exists(namespace) {
            self.counts.insert(namespace.into(), count(findings));
        } else {
            self.counts.remove(namespace);
        }
        if self.queue.namespaces().all(|known| self.counts.contains_key(known)) {
            let mut all = Counts::new();
            for ((rule, level), number) in self.counts.values().flatten() {
                *all.entry((rule.clone(), *level)).or_default() += number;
            }
            self.reports.metrics.show(&all, &mut self.shown);
        }
    }

    /// Makes the reports in a namespace say what was found.
    async fn publish(&self, kind: ReportKind, namespace: &str, findings: &[Located]) -> Result<(), ApiError> {
        let mut present = self.server.reports(kind, namespace).await?;
        let mut failure = Ok(());
        for (of, subjects) in self.subjects(namespace, findings) {
            let uids = self.server.uids(of, namespace).await?;
            for (name, (object, found)) in subjects {
                // An object that was deleted meanwhile takes its report with it.
                let Some(uid) = uids.get(&*name) else { continue };
                let before = present.remove(&report_name(&object, uid));
                let document = document(kind, (&object, uid), &found, before.as_ref(), Timestamp::now());
                if before.is_some_and(|before| says(&before, &document)) {
                    continue;
                }
                match self.server.apply(kind, namespace, &document).await {
                    Ok(()) => self.reports.metrics.count_write("written"),
                    Err(error) if error.is_refusal() => return Err(error),
                    // An error with one report must not keep the others from being written.
                    Err(error) => failure = Err(error),
                }
            }
        }
        for report in present.values() {
            self.server.delete(kind, namespace, report).await?;
            self.reports.metrics.count_write("deleted");
        }
        failure
    }

    /// The objects that have a report, by kind and name, with their findings: every StatefulSet, and each other object with a finding.
    fn subjects<'f>(&self, namespace: &str, findings: &'f [Located]) -> BTreeMap<Kind, FindingsByObject<'f>> {
        let mut subjects: BTreeMap<Kind, FindingsByObject<'f>> = BTreeMap::new();
        for set in self.cluster.sets_in(namespace) {
            let of_kind = subjects.entry(Kind::StatefulSet).or_default();
            of_kind.insert(set.metadata.name.clone(), (set.reference(), Vec::new()));
        }
        for located in findings {
            let subject = &located.finding.subject;
            let Some(kind) = Kind::named(subject.kind) else { continue };
            let of_kind = subjects.entry(kind).or_default();
            let (_, found) =
                of_kind.entry(subject.name.clone()).or_insert_with(|| (subject.clone(), Vec::new()));
            found.push(located);
        }
        subjects
    }
}

/// Objects of one kind and namespace, by name, each with what was found about it.
type FindingsByObject<'f> = BTreeMap<Box<str>, (ObjectRef, Vec<&'f Located>)>;
