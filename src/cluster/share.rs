//! Keeps equal parts of many objects of a snapshot once: labels, and containers that are made from the same chart.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::ClusterObject;
use crate::model::{Container, LabelSelector, Labels, PodSpec, StatefulSet};

/// The parts that objects of a snapshot share.
#[derive(Debug, Default)]
pub struct SharedParts {
    labels: Pool<Labels>,
    containers: Pool<Arc<[Container]>>,
}

/// Values, each once.
#[derive(Debug)]
struct Pool<T> {
    known: HashSet<T, RandomState>,
    /// How many there may be before those are dropped that no object has any longer.
    room: usize,
}

/// A value whose copies are one in memory.
trait Shareable: Clone + Eq + Hash {
    /// Whether there is a copy of it.
    fn is_shared(&self) -> bool;
}

impl Shareable for Labels {
    fn is_shared(&self) -> bool {
        Self::is_shared(self)
    }
}

impl Shareable for Arc<[Container]> {
    fn is_shared(&self) -> bool {
        Self::strong_count(self) > 1
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { known: HashSet::default(), room: LEAST_ROOM }
    }
}

const LEAST_ROOM: usize = 1024;

impl<T: Shareable> Pool<T> {
    /// Puts the one that is known in place of an equal one.
    fn share(&mut self, value: &mut T) {
        if let Some(known) = self.known.get(value) {
            value.clone_from(known);
            return;
        }
        if self.known.len() >= self.room {
            self.known.retain(T::is_shared);
            // Twice as many as are in use, so that to look at all of them costs little for each that is added.
            self.room = LEAST_ROOM.max(2 * self.known.len());
        }
        self.known.insert(value.clone());
    }
}

impl SharedParts {
    /// Lets the object share what others have too.
    pub fn share(&mut self, object: &mut ClusterObject) {
        match object {
            ClusterObject::StatefulSet(set) => self.share_of_set(Arc::make_mut(set)),
            ClusterObject::Service(service) => self.labels(&mut Arc::make_mut(service).spec.selector),
            ClusterObject::DisruptionBudget(budget) => {
                let budget = Arc::make_mut(budget);
                self.labels(&mut budget.metadata.labels);
                budget.spec.selector.iter_mut().for_each(|selector| self.selector(selector));
            }
            // There are few of the others, or they are kept for one audit.
            _ => {}
        }
    }

    fn share_of_set(&mut self, set: &mut StatefulSet) {
        self.labels(&mut set.metadata.labels);
        self.selector(&mut set.spec.selector);
        self.labels(&mut set.spec.template.metadata.labels);
        let PodSpec { containers, affinity, topology_spread_constraints, .. } = &mut set.spec.template.spec;
        self.containers.share(containers);
        let terms = &mut affinity.pod_anti_affinity;
        let preferred = terms.preferred.iter_mut().map(|weighted| &mut weighted.pod_affinity_term);
        let beside = affinity.pod_affinity.iter_mut().flat_map(|affinity| &mut affinity.required);
        let of_terms =
            terms.required.iter_mut().chain(preferred).chain(beside).map(|term| &mut term.label_selector);
        let of_constraints = topology_spread_constraints.iter_mut().map(|one| &mut one.label_selector);
        of_terms.chain(of_constraints).flatten().for_each(|selector| self.selector(selector));
    }

    fn selector(&mut self, selector: &mut LabelSelector) {
        self.labels(&mut selector.match_labels);
    }

    fn labels(&mut self, labels: &mut Labels) {
        if !labels.is_empty() {
            self.labels.share(labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(number: usize) -> Labels {
        [("app", format!("db-{number}"))].into_iter().collect()
    }

    #[test]
    fn equal_values_are_one_and_unused_values_are_dropped() {
        let mut pool = Pool::default();
        let (mut one, mut other) = (labels(0), labels(0));
        pool.share(&mut one);
        assert!(one.is_shared() && !other.is_shared());
        pool.share(&mut other);
        assert_eq!((one.is_shared(), other.is_shared(), pool.known.len()), (true, true, 1));
        for number in 1..10 * LEAST_ROOM {
            pool.share(&mut labels(number));
        }
        assert!(pool.known.len() <= LEAST_ROOM && pool.known.contains(&one), "{}", pool.known.len());
    }

    #[test]
    fn objects_of_one_application_share_their_labels() {
        let json = |kind, text: &str| ClusterObject::from_json(kind, text).unwrap();
        let mut set = json(
            crate::cluster::Kind::StatefulSet,
            r#"{"spec":{"selector":{"matchLabels":{"app":"a"}},
            "template":{"metadata":{"labels":{"app":"a"}}}}}"#,
        );
        let mut service = json(crate::cluster::Kind::Service, r#"{"spec":{"selector":{"app":"a"}}}"#);
        let (before, mut parts) = (format!("{set:?}{service:?}"), SharedParts::default());
        parts.share(&mut set);
        parts.share(&mut service);
        assert_eq!(parts.labels.known.len(), 1);
        assert_eq!(before, format!("{set:?}{service:?}"));
    }
}
