//! What else exists: an immutable snapshot with indexed lookups.
//!
//! A lookup answers *present*, *absent* or *unknown*; what is unknown never leads to a denial. A snapshot can be filled
//! from manifests ([`files`]) or left empty, which knows nothing.

pub mod files;
mod table;
mod world;

use imbl::OrdMap;

use crate::model::{DisruptionBudget, LabelSelector, Labels, Namespace, Service, StatefulSet};
use table::{ANY_LABEL, Table, ensemble_key, label_key, service_key};
pub use world::{Overlay, World};

/// The answer to a question about other objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It exists.
    Present(T),
    /// It is known not to exist.
    Absent,
    /// Nobody could say.
    Unknown,
}

impl<T> Lookup<T> {
    /// What is present.
    pub fn present(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// The kinds of neighbours a snapshot can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `v1` Service.
    Service,
    /// `policy/v1` PodDisruptionBudget.
    DisruptionBudget,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::StatefulSet, Self::Service, Self::DisruptionBudget];

    /// The kind's name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::StatefulSet => "StatefulSet",
            Self::Service => "Service",
            Self::DisruptionBudget => "PodDisruptionBudget",
        }
    }
}

/// A snapshot. The default one knows nothing: every lookup is unknown.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    sets: Table<StatefulSet>,
    services: Table<Service>,
    budgets: Table<DisruptionBudget>,
    namespaces: OrdMap<Box<str>, Namespace>,
    complete: Vec<Kind>,
}

impl Cluster {
    /// Says that all objects of a kind are in the snapshot, so that one that is not there does not exist.
    pub fn set_complete(&mut self, kind: Kind, complete: bool) {
        self.complete.retain(|known| *known != kind);
        if complete {
            self.complete.push(kind);
        }
    }

    /// Whether every object of this kind is in the snapshot.
    pub fn is_complete(&self, kind: Kind) -> bool {
        self.complete.contains(&kind)
    }

    /// How many objects of this kind are in the snapshot.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::StatefulSet => self.sets.len(),
            Kind::Service => self.services.len(),
            Kind::DisruptionBudget => self.budgets.len(),
        }
    }

    /// Adds a StatefulSet, in place of one of the same name.
    pub fn insert_set(&mut self, set: StatefulSet) {
        self.sets.insert(set);
    }

    /// Adds a Service, in place of one of the same name.
    pub fn insert_service(&mut self, service: Service) {
        self.services.insert(service);
    }

    /// Adds a PodDisruptionBudget, in place of one of the same name.
    pub fn insert_budget(&mut self, budget: DisruptionBudget) {
        self.budgets.insert(budget);
    }

    /// Adds a Namespace, in place of one of the same name.
    pub fn insert_namespace(&mut self, namespace: Namespace) {
        self.namespaces.insert(namespace.metadata.name.clone(), namespace);
    }

    /// Takes an object out, if it is there.
    pub fn remove(&mut self, kind: Kind, namespace: &str, name: &str) {
        match kind {
            Kind::StatefulSet => self.sets.remove(namespace, name),
            Kind::Service => self.services.remove(namespace, name),
            Kind::DisruptionBudget => self.budgets.remove(namespace, name),
        }
    }

    /// Every StatefulSet, by namespace and name.
    pub fn sets(&self) -> impl Iterator<Item = &StatefulSet> {
        self.sets.iter()
    }

    /// A Namespace. One that is not in the snapshot is unknown: whatever is in it shows that it exists.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    fn absence<T>(&self, kind: Kind) -> Lookup<T> {
        if self.is_complete(kind) { Lookup::Absent } else { Lookup::Unknown }
    }

    fn set(&self, namespace: &str, name: &str) -> Option<&StatefulSet> {
        self.sets.get(namespace, name)
    }

    fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(namespace, name)
    }

    fn sets_governed_by(&self, namespace: &str, service: &str) -> Vec<&StatefulSet> {
        self.sets.by_key(namespace, &service_key(service))
    }

    fn sets_of_ensemble(&self, namespace: &str, ensemble: &str) -> Vec<&StatefulSet> {
        self.sets.by_key(namespace, &ensemble_key(ensemble))
    }

    /// The sets whose pods a budget selects.
    fn sets_selected_by(&self, budget: &DisruptionBudget) -> Vec<&StatefulSet> {
        let selector = budget.spec.selector.as_ref();
        selector.map_or_else(Vec::new, |selector| self.sets_matching(&budget.metadata.namespace, selector))
    }

    /// The sets of `namespace` whose pods `selector` selects.
    fn sets_matching(&self, namespace: &str, selector: &LabelSelector) -> Vec<&StatefulSet> {
        let key = selector.match_labels.iter().next().map_or_else(|| ANY_LABEL.to_owned(), label_key);
        let mut sets = self.sets.by_key(namespace, &key);
        sets.retain(|set| selector.matches(set.spec.template.labels()));
        sets
    }

    fn budgets_in(&self, namespace: &str) -> Vec<&DisruptionBudget> {
        self.budgets.in_namespace(namespace)
    }

    fn budgets_selecting(&self, namespace: &str, labels: &Labels) -> Vec<&DisruptionBudget> {
        let keys = labels.iter().map(label_key).chain([ANY_LABEL.to_owned()]);
        let mut budgets: Vec<_> = keys.flat_map(|key| self.budgets.by_key(namespace, &key)).collect();
        budgets.retain(|budget| budget.selects(labels));
        budgets
    }

    fn services_selecting(&self, namespace: &str, labels: &Labels) -> Vec<&Service> {
        let mut services: Vec<_> =
            labels.iter().map(label_key).flat_map(|key| self.services.by_key(namespace, &key)).collect();
        services.retain(|service| service.selects(labels));
        services
    }
}
