//! The policies of a running server: those of files and those of the cluster, put in force again when one of them changes.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::policies::{Loaded, PolicySource};
use super::policy_files::{PolicyFiles, fingerprint};
use crate::cluster::{Cluster, Kind};
use crate::model::field_path;
use crate::policy::{MalformedPolicyObject, Policies, PolicyObjects, Profile};
use crate::process;

/// How often the snapshot is looked at for policies that have changed.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often the files are compared with what is in use. A change takes effect at the second look that sees it, so that a file
/// that is still being written is not used.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps the policies that are in force as files and cluster have them.
pub(super) struct PolicyKeeper {
    files: WatchedFiles,
    cluster: Option<WatchedCluster>,
    objects: Arc<ArcSwap<PolicyObjects>>,
    profile: Profile,
    policies: Arc<ArcSwap<Policies>>,
    /// Whether a policy has something added to StatefulSets; `None` before all policies are known.
    mutates_sets: watch::Sender<Option<bool>>,
    health: PolicyHealth,
}

struct WatchedFiles {
    files: PolicyFiles,
    loaded: Loaded,
    /// The policies in use, and the objects that were seen last.
    used: u64,
    seen: u64,
    last_look: Instant,
}

struct WatchedCluster {
    cluster: Arc<ArcSwap<Cluster>>,
    /// The snapshot whose policies are in use.
    used: Arc<Cluster>,
    /// Whether all policies and exemptions have been listed once. From then on the known ones stay in force.
    is_listed: bool,
}

/// The places that report whether all policies can be used.
struct PolicyHealth {
    errors_of: Family<PolicyLabels, Gauge>,
    /// Opens when all policies are known and those of files can be used, and stays open: from then on the last good versions are in
    /// force.
    gate: process::Gate,
    remark: process::Remark,
    has_been_good: bool,
    /// The messages that have been logged.
    logged: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: String,
}

impl PolicyKeeper {
    /// Reads the files for the first time. Where a policy in them cannot be used the server does not become ready, so that a rollout
    /// keeps the replicas that have the policies of before; the other policies are in force all the same.
    pub(super) fn start(
        paths: &[PathBuf],
        profile: Profile,
        readiness: &process::Readiness,
        registry: &mut Registry,
    ) -> anyhow::Result<Self> {
        let errors_of = Family::default();
        registry.register("policy_errors", "Errors in a policy", Family::clone(&errors_of));
        let (gate, remark) = (readiness.gate("policies"), readiness.remark());
        let health = PolicyHealth { errors_of, gate, remark, has_been_good: false, logged: BTreeSet::new() };
        let (files, policies) = (WatchedFiles::new(paths), Policies::new(profile, Vec::new())?);
        let (policies, objects) = (Arc::new(ArcSwap::from_pointee(policies)), Arc::default());
        let mutates_sets = watch::Sender::new(None);
        let keeper = Self { files, cluster: None, objects, profile, policies, mutates_sets, health };
        keeper.put_in_force()?;
        Ok(keeper)
    }

    /// Uses the policies and exemptions of a cluster too. The server is not ready before they have been listed.
    pub(super) fn watching(self, cluster: Arc<ArcSwap<Cluster>>) -> anyhow::Result<Self> {
        let cluster = WatchedCluster { cluster, used: Arc::default(), is_listed: false };
        let keeper = Self { cluster: Some(cluster), ..self };
        keeper.put_in_force()?;
        Ok(keeper)
    }

    /// The policies in force.
    pub(super) fn policies(&self) -> Arc<ArcSwap<Policies>> {
        Arc::clone(&self.policies)
    }

    /// Whether a policy in force has something added to StatefulSets; `None` before all policies are known.
    pub(super) fn mutates_sets(&self) -> watch::Receiver<Option<bool>> {
        self.mutates_sets.subscribe()
    }

    /// The policies and exemptions of the cluster.
    pub(super) fn objects(&self) -> Arc<ArcSwap<PolicyObjects>> {
        Arc::clone(&self.objects)
    }

    /// Looks at files and cluster again and again. To return is an error.
    pub(super) async fn run(mut self) -> anyhow::Result<Infallible> {
        self.show();
        let every = match (&self.cluster, self.files.files.may_change()) {
            (Some(_), _) => POLL_INTERVAL,
            (None, true) => LOOK_EVERY,
            (None, false) => return pending().await,
        };
        loop {
            sleep(every).await;
            self = tokio::task::spawn_blocking(move || self.look().map(|()| self)).await??;
        }
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let files = self.files.look();
        let objects = self.cluster.as_mut().is_some_and(|cluster| cluster.look(&self.objects));
        if files || objects {
            self.put_in_force()?;
            self.show();
        }
        Ok(())
    }

    fn put_in_force(&self) -> anyhow::Result<()> {
        let (loaded, objects) = (&self.files.loaded, self.objects.load());
        let policies = loaded.policies.iter().cloned().chain(objects.policies());
        let exemptions = loaded.exemptions.iter().cloned().chain(objects.exemptions());
        let policies = Policies::with_exemptions(self.profile, policies, exemptions)?;
        let policies = policies.with_unread(objects.per_pod_unread());
        let is_known = self.health.has_been_good || (loaded.errors.is_empty() && self.is_listed());
        self.policies.store(Arc::new(if is_known { policies } else { policies.partial() }));
        Ok(())
    }

    fn is_listed(&self) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.is_listed)
    }

    fn show(&mut self) {
        let is_known = self.is_listed();
        self.health.show(&self.files.loaded, &self.objects.load(), is_known);
        let mutates_sets = self.health.has_been_good.then(|| self.policies.load().add_to_sets());
        self.mutates_sets.send_if_modified(|known| mem::replace(known, mutates_sets) != mutates_sets);
    }
}

impl WatchedFiles {
    fn new(paths: &[PathBuf]) -> Self {
        let mut files = PolicyFiles::new(paths);
        let sources = files.read();
        let seen = fingerprint(&sources);
        let loaded = load(&mut files, &sources);
        Self { files, loaded, used: seen, seen, last_look: Instant::now() }
    }

    /// Reads the files anew if they have changed; whether they have.
    fn look(&mut self) -> bool {
        if !self.files.may_change() || self.last_look.elapsed() < LOOK_EVERY {
            return false;
        }
        self.last_look = Instant::now();
        let sources = self.files.read();
        let now = fingerprint(&sources);
        let is_changed = now != self.used && now == self.seen;
        self.seen = now;
        if is_changed {
            self.used = now;
            self.loaded = load(&mut self.files, &sources);
            tracing::info!(files = sources.len(), "policy files changed");
        }
        is_changed
    }
}

fn load(files: &mut PolicyFiles, sources: &[PolicySource]) -> Loaded {
    let loaded = files.load(sources, Timestamp::now());
    for warning in &loaded.warnings {
        tracing::warn!(policy = warning.policy, "no effect: {warning}");
    }
    loaded
}

impl WatchedCluster {
    /// Compiles the policies and exemptions of the snapshot that are new or different; whether there are any, or all are known for
    /// the first time.
    fn look(&mut self, objects: &ArcSwap<PolicyObjects>) -> bool {
        let now = self.cluster.load_full();
        let is_complete = now.is_complete(Kind::Policy) && now.is_complete(Kind::Exemption);
        if self.used.has_policies_of(&now) && (self.is_listed || !is_complete) {
            return false;
        }
        self.is_listed |= is_complete;
        objects.store(Arc::new(objects.load().updated(&now)));
        self.used = now;
        true
    }
}

impl PolicyHealth {
    fn show(&mut self, loaded: &Loaded, objects: &PolicyObjects, is_known: bool) {
        self.errors_of.clear();
        let names = loaded.policies.iter().map(|policy| policy.name()).chain(objects.names());
        for name in names {
            drop(self.errors_of.get_or_create(&PolicyLabels { policy: name.to_owned() }));
        }
        let in_files = loaded.errors.iter().map(|error| (error.policy.clone(), error.to_string()));
        let in_objects =
            objects.malformed().into_iter().map(|malformed| (label(&malformed), describe(&malformed)));
        let (in_files, in_objects): (Vec<_>, Vec<_>) = (in_files.collect(), in_objects.collect());
        for (policy, _) in in_files.iter().chain(&in_objects) {
            self.errors_of.get_or_create(&PolicyLabels { policy: policy.clone() }).inc();
        }
        if in_files.is_empty() && is_known {
            self.has_been_good = true;
            self.gate.open();
        }
        for (_, text) in in_files.iter().filter(|(_, text)| !self.logged.contains(text)) {
            tracing::error!("policy not used: {text}");
        }
        for (_, text) in in_objects.iter().filter(|(_, text)| !self.logged.contains(text)) {
            tracing::warn!("policy not used: {text}");
        }
        let is_held = !in_files.is_empty() && !self.has_been_good;
        let texts: Vec<String> = in_files.into_iter().chain(in_objects).map(|(_, text)| text).collect();
        if texts.is_empty() {
            self.remark.clear();
        } else {
            let consequence = if is_held {
                "not ready until all policies can be used"
            } else {
                "the last good versions are in force, where there are any"
            };
            self.remark.set(format!("policies: {}; {consequence}", texts.join("; ")));
        }
        self.logged = texts.into_iter().collect();
    }
}

/// Exemptions together: their names are their users' choice, and may be many.
fn label(malformed: &MalformedPolicyObject) -> String {
    if malformed.object.kind == Kind::Policy.name() {
        malformed.object.name.to_string()
    } else {
        malformed.object.kind.to_owned()
    }
}

fn describe(MalformedPolicyObject { object, error }: &MalformedPolicyObject) -> String {
    match field_path(&error.pointer) {
        place if place.is_empty() => format!("{object}: {}", error.message),
        place => format!("{object}: {place}: {}", error.message),
    }
}
