//! What new StatefulSets still lack a minute after they were created.
//!
//! On creation a Service or a budget that is missing is only a warning, because it may come with the same manifests. The replica
//! that leads judges the snapshot again: each set once it is a minute old, until it is ten minutes old. What it then still lacks is
//! an Event, once, and a gauge as long as it lasts. Nothing is kept beyond that: a replica that leads anew finds the same.

use std::collections::HashSet;
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::change::{Action, Change, Edit};
use crate::cluster::Cluster;
use crate::evaluate::evaluate;
use crate::events::Events;
use crate::lease::Leadership;
use crate::policy::Policies;
use crate::verdict::{Finding, Level};

/// When a set is looked at.
#[derive(Clone, Copy, Debug)]
pub struct CompanionConfig {
    /// How often the snapshot is looked through. Default 10 s.
    pub every: Duration,
    /// How old a set is when it is looked at first, in seconds. Default 60.
    pub from_age: i64,
    /// How old it is when it is not looked at any more, in seconds. Default 600.
    pub to_age: i64,
}

impl Default for CompanionConfig {
    fn default() -> Self {
        Self { every: Duration::from_secs(10), from_age: 60, to_age: 600 }
    }
}

/// New sets that are judged in one pass; the Events are fewer still.
const MOST_SETS: usize = 1_000;

/// Looks for what new sets lack, as long as its replica leads.
pub struct CompanionCheck {
    cluster: Arc<ArcSwap<Cluster>>,
    policies: Arc<ArcSwap<Policies>>,
    events: Events,
    leadership: Leadership,
    missing: Gauge,
    config: CompanionConfig,
}

impl CompanionCheck {
    /// One that does nothing before it is [`run`](Self::run).
    pub fn new(
        (cluster, policies): (Arc<ArcSwap<Cluster>>, Arc<ArcSwap<Policies>>),
        events: Events,
        registry: &mut Registry,
        leadership: Leadership,
        config: CompanionConfig,
    ) -> Self {
        let missing = Gauge::default();
        let help =
            "Findings about Services and budgets that new StatefulSets still lack, on the replica that leads";
        registry.register("missing_companions", help, missing.clone());
        Self { cluster, policies, events, leadership, missing, config }
    }

    /// Works whenever this replica leads.
    pub async fn run(self) -> Infallible {
        self.leadership.lead(|| self.term()).await
    }

    async fn term(&self) -> Infallible {
        let hasher = RandomState::new();
        let mut told: HashSet<u64> = HashSet::new();
        loop {
            sleep(self.config.every).await;
            let (cluster, policies, config) =
                (self.cluster.load_full(), self.policies.load_full(), self.config);
            // Not on a thread that answers reviews.
            let pass = spawn_blocking(move || still_missing(&cluster, &policies, config, Timestamp::now()));
            let Ok(found) = pass.await else { continue };
            self.missing.set(i64::try_from(found.len()).unwrap_or(i64::MAX));
            let key = |finding: &Finding| hasher.hash_one((&finding.subject, &finding.rule, &finding.path));
            for finding in found.iter().filter(|finding| !told.contains(&key(finding))) {
                self.events.tell_still_missing(finding);
            }
            told = found.iter().map(key).collect();
        }
    }
}

/// What the sets of that age lack.
fn still_missing(
    cluster: &Cluster,
    policies: &Policies,
    config: CompanionConfig,
    now: Timestamp,
) -> Vec<Finding> {
    let ages = config.from_age..config.to_age;
    let is_new = |created: u32| ages.contains(&(now.as_second() - i64::from(created)));
    let new = cluster.sets().filter(|set| is_new(set.metadata.created)).take(MOST_SETS);
    let findings = new.flat_map(|set| {
        let action = Action::StatefulSet(Edit::Create(set.clone()));
        let change = Change { action, has_all_objects: true, ..Change::default() };
        evaluate(&change, cluster, policies, now).findings
    });
    findings.filter(|found| found.misses_companion && found.counts() && found.level >= Level::Warn).collect()
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
            let found = still_missing(cluster, &policies, CompanionConfig::default(), now);
            found.iter().map(|found| (found.rule.to_string(), found.level)).collect()
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
}
