//! What else exists: an immutable snapshot with indexed lookups.
//!
//! A lookup answers *present*, *absent* or *unknown*; what is unknown never leads to a denial. A snapshot can be filled
//! from manifests ([`inventory`]), by watching an API server (`crate::watch`), by reading one namespace (`crate::guard`), or left
//! empty, which knows nothing.

pub mod inventory;
mod listing;
mod memory;
mod object;
mod owner;
mod strip_unused;
mod table;
mod view;

use imbl::{OrdMap, OrdSet};

use crate::model::{
    Autoscaler, DisruptionBudget, LabelSelector, Labels, Namespace, Object, Service, StatefulSet,
};
pub use listing::{Listing, ObjectRead, Unreadable};
pub use memory::ViewMemory;
pub use object::ClusterObject;
use table::{IndexKey, Table};
pub use view::{ClusterView, PendingChange};

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
    /// `autoscaling` HorizontalPodAutoscaler.
    Autoscaler,
    /// `v1` Namespace.
    Namespace,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::StatefulSet, Self::Service, Self::DisruptionBudget, Self::Autoscaler, Self::Namespace];

    /// The kind's name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::StatefulSet => StatefulSet::KIND,
            Self::Service => Service::KIND,
            Self::DisruptionBudget => DisruptionBudget::KIND,
            Self::Autoscaler => Autoscaler::KIND,
            Self::Namespace => Namespace::KIND,
        }
    }
}

/// A snapshot. The default one knows nothing: every lookup is unknown.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    sets: Table<StatefulSet>,
    services: Table<Service>,
    budgets: Table<DisruptionBudget>,
    autoscalers: Table<Autoscaler>,
    namespaces: OrdMap<Box<str>, Namespace>,
    complete: Vec<Kind>,
    /// Kind, namespace and name of objects that exist but could not be read.
    unreadable: OrdSet<(Kind, Box<str>, Box<str>)>,
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
            Kind::Autoscaler => self.autoscalers.len(),
            Kind::Namespace => self.namespaces.len(),
        }
    }

    /// Adds a StatefulSet, in place of one of the same name.
    pub fn insert_set(&mut self, set: StatefulSet) {
        self.forget_unreadable(Kind::StatefulSet, &set.metadata.namespace, &set.metadata.name);
        self.sets.insert(set);
    }

    /// Adds a Service, in place of one of the same name.
    pub fn insert_service(&mut self, service: Service) {
        self.forget_unreadable(Kind::Service, &service.metadata.namespace, &service.metadata.name);
        self.services.insert(service);
    }

    /// Adds a PodDisruptionBudget, in place of one of the same name.
    pub fn insert_budget(&mut self, budget: DisruptionBudget) {
        self.forget_unreadable(Kind::DisruptionBudget, &budget.metadata.namespace, &budget.metadata.name);
        self.budgets.insert(budget);
    }

    /// Adds a HorizontalPodAutoscaler, in place of one of the same name.
    pub fn insert_autoscaler(&mut self, autoscaler: Autoscaler) {
        self.forget_unreadable(Kind::Autoscaler, &autoscaler.metadata.namespace, &autoscaler.metadata.name);
        self.autoscalers.insert(autoscaler);
    }

    /// Adds a Namespace, in place of one of the same name.
    pub fn insert_namespace(&mut self, namespace: Namespace) {
        self.forget_unreadable(Kind::Namespace, "", &namespace.metadata.name);
        self.namespaces.insert(namespace.metadata.name.clone(), namespace);
    }

    /// Takes an object out, if it is there.
    pub fn remove(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.forget_unreadable(kind, namespace, name);
        match kind {
            Kind::StatefulSet => self.sets.remove(namespace, name),
            Kind::Service => self.services.remove(namespace, name),
            Kind::DisruptionBudget => self.budgets.remove(namespace, name),
            Kind::Autoscaler => self.autoscalers.remove(namespace, name),
            Kind::Namespace => drop(self.namespaces.remove(name)),
        }
    }

    /// Notes that this object exists, but not what it is: a question whose answer may depend on it has none.
    pub fn set_unreadable(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.remove(kind, namespace, name);
        self.unreadable.insert((kind, namespace.into(), name.into()));
    }

    /// How many objects of this kind could not be read.
    pub fn count_unreadable(&self, kind: Kind) -> usize {
        self.unreadable.iter().filter(|(of, _, _)| *of == kind).count()
    }

    /// Takes everything of this kind from `other`, and nothing else.
    pub fn replace(&mut self, kind: Kind, other: Self) {
        match kind {
            Kind::StatefulSet => self.sets = other.sets,
            Kind::Service => self.services = other.services,
            Kind::DisruptionBudget => self.budgets = other.budgets,
            Kind::Autoscaler => self.autoscalers = other.autoscalers,
            Kind::Namespace => self.namespaces = other.namespaces,
        }
        let kept = self.unreadable.iter().filter(|(of, _, _)| *of != kind);
        let taken = other.unreadable.iter().filter(|(of, _, _)| *of == kind);
        self.unreadable = kept.chain(taken).cloned().collect();
    }

    /// Adds everything from `other`, in place of what has the same name, and what is known to be unreadable.
    pub(crate) fn add(&mut self, other: &Self) {
        other.sets.iter().for_each(|set| self.insert_set(set.clone()));
        other.services.iter().for_each(|service| self.insert_service(service.clone()));
        other.budgets.iter().for_each(|budget| self.insert_budget(budget.clone()));
        other.autoscalers.iter().for_each(|autoscaler| self.insert_autoscaler(autoscaler.clone()));
        other.namespaces.values().for_each(|namespace| self.insert_namespace(namespace.clone()));
        for (kind, namespace, name) in &other.unreadable {
            self.set_unreadable(*kind, namespace, name);
        }
    }

    /// Adds an object as `insert_…` does, sharing it with `older` where it is the same there.
    pub(crate) fn take_over(&mut self, older: &Self, object: ClusterObject) {
        match object {
            ClusterObject::Set(set) => self.sets.take_over(&older.sets, set),
            ClusterObject::Service(service) => self.services.take_over(&older.services, service),
            ClusterObject::Budget(budget) => self.budgets.take_over(&older.budgets, budget),
            ClusterObject::Autoscaler(autoscaler) => {
                self.autoscalers.take_over(&older.autoscalers, autoscaler);
            }
            ClusterObject::Namespace(namespace) => self.insert_namespace(namespace),
        }
    }

    /// Whether this very object is in the snapshot.
    pub(crate) fn contains(&self, object: &ClusterObject) -> bool {
        match object {
            ClusterObject::Set(set) => self.sets.contains(set),
            ClusterObject::Service(service) => self.services.contains(service),
            ClusterObject::Budget(budget) => self.budgets.contains(budget),
            ClusterObject::Autoscaler(autoscaler) => self.autoscalers.contains(autoscaler),
            ClusterObject::Namespace(namespace) => {
                self.namespace(&namespace.metadata.name) == Some(namespace)
            }
        }
    }

    fn forget_unreadable(&mut self, kind: Kind, namespace: &str, name: &str) {
        if !self.unreadable.is_empty() {
            self.unreadable.remove(&(kind, namespace.into(), name.into()));
        }
    }

    /// Whether every object of this kind in this namespace is in the snapshot.
    fn knows_all(&self, kind: Kind, namespace: &str) -> bool {
        let is_here = |(of, ns, _): &(Kind, Box<str>, Box<str>)| *of == kind && **ns == *namespace;
        self.is_complete(kind) && (self.unreadable.is_empty() || !self.unreadable.iter().any(is_here))
    }

    /// Every StatefulSet, by namespace and name.
    pub fn sets(&self) -> impl Iterator<Item = &StatefulSet> {
        self.sets.iter()
    }

    /// A Namespace. One that is not in the snapshot is unknown: whatever is in it shows that it exists.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    /// What to say of an object that is not in the snapshot.
    fn absence<T>(&self, kind: Kind, namespace: &str, name: &str) -> Lookup<T> {
        let unreadable = || {
            !self.unreadable.is_empty() && self.unreadable.contains(&(kind, namespace.into(), name.into()))
        };
        if self.is_complete(kind) && !unreadable() { Lookup::Absent } else { Lookup::Unknown }
    }

    fn set(&self, namespace: &str, name: &str) -> Option<&StatefulSet> {
        self.sets.get(namespace, name)
    }

    fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(namespace, name)
    }

    fn sets_governed_by(&self, namespace: &str, service: &str) -> Vec<&StatefulSet> {
        self.sets.by_key(namespace, IndexKey::GoverningService(service))
    }

    /// At most `most` of the sets of an ensemble.
    fn sets_of_ensemble(&self, namespace: &str, ensemble: &str, most: usize) -> Vec<&StatefulSet> {
        self.sets.each_by_key(namespace, IndexKey::Ensemble(ensemble)).take(most).collect()
    }

    fn autoscalers_of(&self, namespace: &str, set: &str) -> Vec<&Autoscaler> {
        self.autoscalers.by_key(namespace, IndexKey::Scales(set))
    }

    /// The sets whose pods a budget selects.
    fn sets_selected_by(&self, budget: &DisruptionBudget) -> Vec<&StatefulSet> {
        let selector = budget.spec.selector.as_ref();
        selector.map_or_else(Vec::new, |selector| self.sets_matching(&budget.metadata.namespace, selector))
    }

    /// The sets of `namespace` whose pods `selector` selects.
    fn sets_matching(&self, namespace: &str, selector: &LabelSelector) -> Vec<&StatefulSet> {
        let labels = selector.match_labels.iter().map(|(key, value)| IndexKey::Label(key, value));
        let mut sets = self.sets.by_rarest_key(namespace, labels);
        sets.retain(|set| selector.matches(set.spec.template.labels()));
        sets
    }

    fn budgets_in(&self, namespace: &str) -> Vec<&DisruptionBudget> {
        self.budgets.in_namespace(namespace)
    }

    fn budgets_selecting(&self, namespace: &str, labels: &Labels) -> Vec<&DisruptionBudget> {
        let keys = labels.iter().map(|(key, value)| IndexKey::Label(key, value)).chain([IndexKey::AnyLabel]);
        let mut budgets: Vec<_> = keys.flat_map(|key| self.budgets.by_key(namespace, key)).collect();
        budgets.retain(|budget| budget.selects(labels));
        budgets
    }

    /// The budgets that tell the pods of one set apart, by labels that only the controller gives them.
    fn budgets_apart(&self, namespace: &str) -> Vec<&DisruptionBudget> {
        self.budgets.by_key(namespace, IndexKey::PodsApart)
    }

    fn services_selecting(&self, namespace: &str, labels: &Labels) -> Vec<&Service> {
        let keys = labels.iter().map(|(key, value)| IndexKey::Label(key, value));
        let mut services: Vec<_> = keys.flat_map(|key| self.services.by_key(namespace, key)).collect();
        services.retain(|service| service.selects(labels));
        services
    }
}
