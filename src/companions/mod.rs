//! Finds companions that StatefulSets still lack a minute after the set was created or the companion was deleted.
//!
//! On creation a Service or a budget that is missing is only a warning, because it may come with the same manifests; and where one
//! is deleted, because its set may go next. The replica that leads judges the snapshot again: each set once it is a minute old,
//! until it is ten minutes old, and each set whose Service or last budget went, in the same time after that. What it then still
//! lacks is an Event, once, and a gauge as long as it lasts. A replica that leads anew finds the same of new sets; what went before
//! it led it does not know.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::change::{Action, Change, ObjectChange};
use crate::cluster::{Cluster, ClusterView, PendingChange};
use crate::evaluate::evaluate;
use crate::events::Events;
use crate::lease::Leadership;
use crate::model::StatefulSet;
use crate::policy::Policies;
use crate::process::{RepeatedErrors, warn_if_new};
use crate::verdict::{Finding, Level};

/// When a set is looked at.
#[derive(Clone, Copy, Debug)]
pub struct CompanionConfig {
    /// How often the snapshot is looked through. Default 10 s.
    pub every: Duration,
    /// How old a set is, or how long ago it lost something, when it is looked at first, in seconds. Default 60.
    pub from_age: i64,
    /// When it is not looked at any more, in seconds. Default 600.
    pub to_age: i64,
}

impl Default for CompanionConfig {
    fn default() -> Self {
        Self { every: Duration::from_secs(10), from_age: 60, to_age: 600 }
    }
}

/// Sets that are judged in one pass; the Events are fewer still.
const MOST_SETS: usize = 1_000;

/// Looks for what new sets lack, as long as its replica leads.
pub struct CompanionCheck {
    cluster: Arc<ArcSwap<Cluster>>,
    policies: Arc<ArcSwap<Policies>>,
    events: Events,
    leadership: Leadership,
    missing: Gauge,
    failed: Counter,
    config: CompanionConfig,
}

impl CompanionCheck {
    /// Creates the check, which does nothing until it is [`run`](Self::run).
    pub fn new(
        (cluster, policies): (Arc<ArcSwap<Cluster>>, Arc<ArcSwap<Policies>>),
        events: Events,
        registry: &mut Registry,
        leadership: Leadership,
        config: CompanionConfig,
    ) -> Self {
        let missing = Gauge::default();
        let help =
            "Findings about Services and budgets that StatefulSets still lack, on the replica that leads";
        registry.register("missing_companions", help, missing.clone());
        let failed = Counter::default();
        let help =
            "Passes over new StatefulSets that panicked, after which the gauge missing_companions is old";
        registry.register("missing_companions_failures", help, failed.clone());
        Self { cluster, policies, events, leadership, missing, failed, config }
    }

    /// Works whenever this replica leads.
    pub async fn run(self) -> Infallible {
        self.leadership.lead(|| self.term()).await
    }

    async fn term(&self) -> Infallible {
        let hasher = RandomState::new();
        let (mut told, mut lost, logged) =
            (HashSet::<u64>::new(), Lost::default(), RepeatedErrors::default());
        let mut older = self.cluster.load_full();
        loop {
            sleep(self.config.every).await;
            let (cluster, policies, config) =
                (self.cluster.load_full(), self.policies.load_full(), self.config);
            let (before, now, known) = (older, Timestamp::now(), lost.clone());
            older = Arc::clone(&cluster);
            // Not on a thread that answers reviews.
            let pass = spawn_blocking(move || {
                let lost = known.with(&before, &cluster, config, now);
                (still_missing(&cluster, &policies, config, &lost, now), lost)
            });
            let (found, known) = match pass.await {
                Ok(done) => done,
                Err(error) => {
                    self.failed.inc();
                    warn_if_new!(
                        logged,
                        "panic",
                        {},
                        "cannot look for Services and budgets that StatefulSets still lack: {error}"
                    );
                    continue;
                }
            };
            lost = known;
            self.missing.set(i64::try_from(found.len()).unwrap_or(i64::MAX));
            let key = |finding: &Finding| hasher.hash_one((&finding.subject, &finding.rule, &finding.path));
            for (finding, since) in found.iter().filter(|(finding, _)| !told.contains(&key(finding))) {
                self.events.queue_still_missing(finding, since.name());
            }
            told = found.iter().map(|(finding, _)| key(finding)).collect();
        }
    }
}

/// Since when something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Creation,
    Deletion,
}

impl Since {
    fn name(self) -> &'static str {
        match self {
            Self::Creation => "creation",
            Self::Deletion => "it was deleted",
        }
    }
}

/// The sets whose governing Service or last budget was deleted, by namespace and name, and when that was noticed.
#[derive(Clone, Debug, Default)]
struct Lost(BTreeMap<(Box<str>, Box<str>), i64>);

impl Lost {
    /// With what went from one snapshot to the next, and without what is too long ago or gone.
    fn with(mut self, older: &Cluster, newer: &Cluster, config: CompanionConfig, now: Timestamp) -> Self {
        let view = ClusterView::new(newer, PendingChange::Nothing);
        self.0.retain(|(namespace, name), since| {
            now.as_second() - *since < config.to_age && view.set(namespace, name).present().is_some()
        });
        // After a kind has become known or unknown, no object is known to have been deleted.
        for namespace in newer.namespaces_changed_since(older).unwrap_or_default() {
            let sets = newer.sets_in(&namespace).into_iter();
            for set in
                sets.filter(|set| has_lost(set, older, newer)).take(MOST_SETS.saturating_sub(self.0.len()))
            {
                self.0.insert((namespace.clone(), set.metadata.name.clone()), now.as_second());
            }
        }
        self
    }

    fn includes(&self, set: &StatefulSet, config: CompanionConfig, now: Timestamp) -> bool {
        let key = (set.metadata.namespace.clone(), set.metadata.name.clone());
        self.0.get(&key).is_some_and(|since| now.as_second() - since >= config.from_age)
    }
}

/// Whether a set had its governing Service, or a budget, and has none any more.
fn has_lost(set: &StatefulSet, older: &Cluster, newer: &Cluster) -> bool {
    let (namespace, labels) = (&set.metadata.namespace, set.spec.template.labels());
    let [had, has] = [older, newer].map(|cluster| {
        let view = ClusterView::new(cluster, PendingChange::Nothing);
        let service = view.service(namespace, &set.spec.service_name).present().is_some();
        (service, !view.known_budgets_selecting(namespace, labels).is_empty())
    });
    (had.0 && !has.0) || (had.1 && !has.1)
}

/// The companions that new sets lack, and that sets have lost.
fn still_missing(
    cluster: &Cluster,
    policies: &Policies,
    config: CompanionConfig,
    lost: &Lost,
    now: Timestamp,
) -> Vec<(Finding, Since)> {
    let ages = config.from_age..config.to_age;
    let since = |set: &StatefulSet| {
        let age = now.as_second() - i64::from(set.metadata.created);
        let is_new = ages.contains(&age).then_some(Since::Creation);
        is_new.or_else(|| lost.includes(set, config, now).then_some(Since::Deletion))
    };
    let sets = cluster.sets().filter_map(|set| Some((set, since(set)?))).take(MOST_SETS);
    let findings = sets.flat_map(|(set, since)| {
        let action = Action::StatefulSet(ObjectChange::Create(set.clone()));
        let change = Change { action, has_all_objects: true, ..Change::default() };
        evaluate(&change, cluster, policies, now).findings.into_iter().map(move |finding| (finding, since))
    });
    let counts = |found: &Finding| found.misses_companion && found.counts() && found.level >= Level::Warn;
    findings.filter(|(found, _)| counts(found)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::Kind;
    use crate::model::{DisruptionBudget, StatefulSet};
    use crate::policy::Profile;

    #[test]
    fn what_a_new_set_lacks_until_it_comes() {
        let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
        let mut cluster = Cluster::default();
        let set: StatefulSet = serde_json::from_value(json!({
            "metadata": {"namespace": "n", "name": "a", "creationTimestamp": "2026-11-21T12:00:00Z"},
            "spec": {"replicas": 3, "serviceName": "a", "template": {"metadata": {"labels": {"app": "a"}}}},
        }))
        .unwrap();
        cluster.insert(set);
        let found = |cluster: &Cluster, age: i64| -> Vec<(String, Level)> {
            let now = Timestamp::from_second(1_795_262_400 + age).unwrap();
            let found = still_missing(cluster, &policies, CompanionConfig::default(), &Lost::default(), now);
            found.iter().map(|(found, _)| (found.rule.to_string(), found.level)).collect()
        };
        assert_eq!(found(&cluster, 60), [], "what is unknown is not missing");
        for kind in Kind::ALL {
            cluster.set_complete(kind, true);
        }
        let both = [("service-not-found".to_owned(), Level::Deny), ("pdb-missing".to_owned(), Level::Deny)];
        assert_eq!(found(&cluster, 59), []);
        assert_eq!(found(&cluster, 60), both);
        assert_eq!(found(&cluster, 599), both);
        assert_eq!(found(&cluster, 600), []);
        let budget: DisruptionBudget = serde_json::from_value(json!({
            "metadata": {"namespace": "n", "name": "a"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "a"}}},
        }))
        .unwrap();
        cluster.insert(budget);
        assert_eq!(found(&cluster, 60), both[..1]);
    }

    #[test]
    fn what_an_old_set_lost_and_does_not_get_back() {
        let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
        let config = CompanionConfig::default();
        let mut with = Cluster::default();
        let set: StatefulSet = serde_json::from_value(json!({
            "metadata": {"namespace": "n", "name": "a", "creationTimestamp": "2020-11-21T12:00:00Z"},
            "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": "a"}}}},
        }))
        .unwrap();
        let budget: DisruptionBudget = serde_json::from_value(json!({
            "metadata": {"namespace": "n", "name": "a"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "a"}}},
        }))
        .unwrap();
        with.insert(set);
        for kind in Kind::ALL {
            with.set_complete(kind, true);
        }
        let mut without = with.clone();
        with.insert(budget);
        let at = |second: i64| Timestamp::from_second(1_795_262_400 + second).unwrap();
        let lost = Lost::default().with(&with, &without, config, at(0));
        let found = |cluster: &Cluster, lost: &Lost, second: i64| -> Vec<(String, Since)> {
            let found = still_missing(cluster, &policies, config, lost, at(second));
            found.iter().map(|(found, since)| (found.rule.to_string(), *since)).collect()
        };
        assert_eq!(found(&without, &lost, 59), []);
        assert_eq!(found(&without, &lost, 60), [("pdb-missing".to_owned(), Since::Deletion)]);
        assert_eq!(found(&with, &lost, 60), [], "it is there again");
        assert_eq!(found(&without, &Lost::default(), 60), [], "it never had one");
        let kept =
            |cluster: &Cluster, second| lost.clone().with(cluster, cluster, config, at(second)).0.len();
        assert_eq!((kept(&without, 599), kept(&without, 600)), (1, 0));
        without.remove(Kind::StatefulSet, "n", "a");
        assert_eq!(kept(&without, 60), 0, "the set went too");
    }
}
