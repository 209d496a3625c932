//! Pods whose removal was asked for a moment ago.
//!
//! `kubectl drain` evicts all pods of a node at once. What is read of the others shows a pod that goes only once its
//! `deletionTimestamp` is written, which comes after the review. Reviews that one replica answers see each other here; those of other
//! replicas do not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::change::{Action, Change};
use crate::cluster::{Cluster, ClusterView, PendingChange};

/// How long it is taken for certain that the pod goes. After that it shows whether it does.
const LASTS: Duration = Duration::from_secs(3);
/// Removals that are remembered. They are few: each is of a member of a consensus group.
const MAX_DEPARTURES: usize = 512;

/// The removals that were not refused. Each has a number, and a review looks at those before its own.
#[derive(Debug, Default)]
pub(super) struct Departures(Mutex<DepartureList>);

#[derive(Debug, Default)]
struct DepartureList {
    next: u64,
    departures: Vec<Departure>,
}

#[derive(Debug)]
struct Departure {
    number: u64,
    namespace: Box<str>,
    pod: Box<str>,
    until: Instant,
}

/// The namespace and the name of the pod that goes with a change.
fn leaving(change: &Change) -> Option<(&str, &str)> {
    let metadata = match &change.action {
        Action::PodDeletion(deletion) => &deletion.pod.metadata,
        Action::Eviction(eviction) => &eviction.metadata,
        _ => return None,
    };
    (!change.dry_run).then_some((&*metadata.namespace, &*metadata.name))
}

impl Departures {
    /// Announces the removal of a pod, before the others are read. Gives its number; `None` where no pod goes.
    pub(super) fn announce(&self, change: &Change) -> Option<u64> {
        let (namespace, pod) = leaving(change)?;
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.departures.retain(|departure| departure.until > now);
        if state.departures.len() >= MAX_DEPARTURES {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let departure =
            Departure { number, namespace: namespace.into(), pod: pod.into(), until: now + LASTS };
        state.departures.push(departure);
        Some(number)
    }

    /// The removal was refused: the pod stays.
    pub(super) fn withdraw(&self, number: u64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.departures.retain(|departure| departure.number != number);
    }

    /// Marks the pods as being deleted that were announced before `number`; all that were where there is none.
    pub(super) fn mark(&self, cluster: &mut Cluster, change: &Change, number: Option<u64>) {
        let own = leaving(change);
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earlier = state.departures.iter().filter(|departure| {
            departure.until > now
                && number.is_none_or(|number| departure.number < number)
                && own != Some((&departure.namespace, &departure.pod))
        });
        for Departure { namespace, pod, .. } in earlier {
            let found = ClusterView::new(cluster, PendingChange::Nothing).pod(namespace, pod).present();
            if let Some(mut pod) = found.cloned() {
                pod.metadata.deleting = true;
                cluster.insert(pod);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Eviction, Pod};

    fn pod(name: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "ns", "name": name},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .unwrap()
    }

    fn eviction(name: &str) -> Change {
        let mut eviction = Eviction::default();
        (eviction.metadata.namespace, eviction.metadata.name) = ("ns".into(), name.into());
        Change { action: Action::Eviction(eviction), ..Change::default() }
    }

    fn serves(departures: &Departures, change: &Change, number: Option<u64>, name: &str) -> bool {
        let mut cluster = Cluster::default();
        for name in ["a", "b"] {
            cluster.insert(pod(name));
        }
        departures.mark(&mut cluster, change, number);
        let view = ClusterView::new(&cluster, PendingChange::Nothing);
        view.pod("ns", name).present().unwrap().is_serving()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_two_goes_and_the_second_sees_it() {
        let departures = Departures::default();
        let (a, b) = (eviction("a"), eviction("b"));
        let (first, second) = (departures.announce(&a), departures.announce(&b));
        assert!(serves(&departures, &a, first, "b"));
        assert!(!serves(&departures, &b, second, "a"));
        assert!(!serves(&departures, &Change::default(), None, "a"), "a scale sees it too");
        let again = departures.announce(&a);
        assert!(serves(&departures, &a, again, "a"), "it is asked for once more");
        departures.withdraw(first.unwrap());
        departures.withdraw(again.unwrap());
        assert!(serves(&departures, &b, second, "a"));
        tokio::time::advance(LASTS).await;
        assert!(serves(&departures, &Change::default(), None, "b"), "it shows by now whether it went");
    }

    #[tokio::test(start_paused = true)]
    async fn dry_runs_and_floods_are_not_remembered() {
        let departures = Departures::default();
        let tried = Change { dry_run: true, ..eviction("a") };
        assert_eq!(departures.announce(&tried), None);
        let numbers = (0..10_000).filter(|n| departures.announce(&eviction(&n.to_string())).is_some());
        assert_eq!(numbers.count(), MAX_DEPARTURES);
        tokio::time::advance(LASTS).await;
        assert!(departures.announce(&eviction("a")).is_some());
    }
}
