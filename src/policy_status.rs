//! Writes `status` of StatefulSetPolicies and StatefulSetExemptions, as long as its replica leads.
//!
//! ```text
//! snapshot, compiled policies ─▶ policy::statuses ─▶ those that differ from what the objects say ─▶ API server
//! ```
//!
//! An object is written when its status is to change: soon after policies have changed, else once in a while. Nothing reads a
//! status, so that neither a replica that leads no more nor another client can do harm by writing one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::api_server::{ApiError, RateLimiter, answered, api_resource};
use crate::cluster::{Cluster, Kind};
use crate::events::Events;
use crate::lease::Leadership;
use crate::model::{KindFacts, Object, PolicyDocument};
use crate::policy::{Policies, PolicyObjects, PolicyStatus, statuses};
use crate::process::{RepeatedErrors, warn_if_new};

/// Who owns the fields that are applied.
const MANAGER: &str = "stateward-policy-status";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Rates and waits of the writer.
#[derive(Clone, Copy, Debug)]
pub struct StatusConfig {
    /// How often to look whether policies have changed. Default 500 ms.
    pub glance: Duration,
    /// How often all statuses are compared: StatefulSets come and go, and exemptions end. Default 30 s.
    pub every: Duration,
    /// Writes a second. Default 5.
    pub writes_per_second: u32,
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self { glance: Duration::from_millis(500), every: Duration::from_secs(30), writes_per_second: 5 }
    }
}

/// The present data that statuses are made from.
#[derive(Clone)]
pub struct PolicyStatusInputs {
    pub cluster: Arc<ArcSwap<Cluster>>,
    pub policies: Arc<ArcSwap<Policies>>,
    pub objects: Arc<ArcSwap<PolicyObjects>>,
}

/// Writes statuses as long as its replica leads.
pub struct PolicyStatusWriter {
    client: Client,
    known: PolicyStatusInputs,
    events: Option<Events>,
    leadership: Leadership,
    rate_limiter: RateLimiter,
    config: StatusConfig,
}

impl PolicyStatusWriter {
    /// Creates a writer, which does nothing before it is [`run`](Self::run).
    pub fn new(
        client: Client,
        known: PolicyStatusInputs,
        events: Option<Events>,
        leadership: Leadership,
        config: StatusConfig,
    ) -> Self {
        let rate_limiter = RateLimiter::new(config.writes_per_second, 10);
        Self { client, known, events, leadership, rate_limiter, config }
    }

    /// Works whenever this replica leads; ends only when dropped.
    pub async fn run(self) -> Infallible {
        self.leadership.lead(|| self.term()).await
    }

    async fn term(&self) -> Infallible {
        let logged = RepeatedErrors::default();
        loop {
            let (cluster, policies) = (self.known.cluster.load_full(), self.known.policies.load_full());
            let is_known = cluster.is_complete(Kind::StatefulSet)
                && cluster.is_complete(Kind::Policy)
                && !policies.are_partial();
            if is_known {
                self.round(&cluster, &policies, &logged).await;
            }
            let since = Instant::now();
            let is_due = || since.elapsed() >= self.config.every || !is_known;
            while !is_due() && self.is_unchanged(&cluster, &policies) {
                sleep(self.config.glance).await;
            }
            sleep(self.config.glance).await;
        }
    }

    /// Whether policies and exemptions are what they were, apart from what this writer has written.
    fn is_unchanged(&self, cluster: &Cluster, policies: &Arc<Policies>) -> bool {
        let generations = |cluster: &Cluster| -> Vec<(Box<str>, i64)> {
            let documents = cluster.policies().chain(cluster.exemptions());
            documents.map(|document| (document.uid.clone(), document.generation)).collect()
        };
        let now = self.known.cluster.load();
        Arc::ptr_eq(policies, &self.known.policies.load())
            && (cluster.has_policies_of(&now) || generations(cluster) == generations(&now))
    }

    /// Writes what differs.
    async fn round(&self, cluster: &Cluster, policies: &Policies, logged: &RepeatedErrors) {
        let objects = self.known.objects.load_full();
        let statuses = statuses(cluster, &objects, policies, Timestamp::now());
        let mut has_failed = false;
        for (document, status) in statuses {
            let before = PolicyStatus::of(document);
            if before == status {
                continue;
            }
            self.queue_event(document, &before, &status);
            self.rate_limiter.pass().await;
            match self.write(document, &status).await {
                Ok(()) => {}
                // It is gone, or another one by now.
                Err(error) if error.is_absence() || error.is_conflict() => {}
                Err(error) => {
                    has_failed = true;
                    let (kind, key) = (document.kind.name(), error.to_string());
                    warn_if_new!(logged, &key, { kind, }, "cannot write a status: {error}");
                }
            }
        }
        if !has_failed {
            logged.over();
        }
    }

    /// An Event for a version that cannot be used, once.
    fn queue_event(&self, document: &PolicyDocument, before: &PolicyStatus, status: &PolicyStatus) {
        let Some(events) = &self.events else { return };
        if let Some(message) = status.malformed().filter(|message| before.malformed() != Some(message)) {
            events.queue_undone(document.reference(), &document.uid, "policy-malformed", message);
        }
    }

    async fn write(&self, document: &PolicyDocument, status: &PolicyStatus) -> Result<(), ApiError> {
        let KindFacts { name: kind, api_version, is_namespaced, .. } = document.kind.facts();
        let (name, namespace) = (&*document.metadata.name, &*document.metadata.namespace);
        let resource = api_resource(document.kind);
        let api: Api<DynamicObject> = if is_namespaced {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        };
        // The uid: one of the same name that was made anew is not written to.
        let change = json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": name, "uid": document.uid}, "status": status,
        });
        let params = PatchParams::apply(MANAGER).force();
        answered(PATIENCE, api.patch_status(name, &params, &Patch::Apply(change))).await.map(drop)
    }
}
