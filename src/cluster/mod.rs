//! The objects of a cluster: an immutable snapshot with indexed lookups.
//!
//! A lookup answers *present*, *absent* or *unknown*; what is unknown never leads to a denial. A snapshot can be filled
//! from manifests ([`inventory`]), by watching an API server (`crate::watch`), by reading one namespace (`crate::guard`), or left
//! empty, which knows nothing.

mod group;
pub mod inventory;
mod listing;
mod memory;
mod names;
mod object;
mod owner;
mod share;
mod strip_unused;
mod table;
mod view;

use std::collections::BTreeSet;

use imbl::OrdSet;

pub use crate::model::Kind;
use crate::model::{
    Autoscaler, Claim, ConfigMap, Coverage, DisruptionBudget, LabelSelector, Labels, Metadata, Namespace,
    Pod, PolicyDocument, Service, StatefulSet, Workload,
};
pub use group::{Group, GroupEvidence};
pub use listing::{Listing, ObjectRead, Unreadable};
pub use memory::ViewMemory;
pub use object::ClusterObject;
use object::Tables;
pub use share::SharedParts;
pub use strip_unused::ReadByCatalogue;
use table::{IndexKey, selector_key};
pub use view::{ClusterView, PendingChange};

/// The answer to a question about other objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It exists.
    Present(T),
    /// It is known not to exist.
    Absent,
    /// Not known.
    Unknown,
}

impl<T> Lookup<T> {
    /// The object, if it is present.
    pub fn present(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// A snapshot. The default one knows nothing: every lookup is unknown.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    tables: Tables,
    complete: BTreeSet<Kind>,
    /// Kind, namespace and name of objects that exist but could not be read.
    unreadable: OrdSet<(Kind, Box<str>, Box<str>)>,
}

impl Cluster {
    /// Says that all objects of a kind are in the snapshot, so that one that is not there does not exist.
    pub fn set_complete(&mut self, kind: Kind, complete: bool) {
        if complete {
            self.complete.insert(kind);
        } else {
            self.complete.remove(&kind);
        }
    }

    /// Whether every object of this kind is in the snapshot.
    pub fn is_complete(&self, kind: Kind) -> bool {
        self.complete.contains(&kind)
    }

    /// Whether it has no objects, not even such as could not be read.
    pub fn is_empty(&self) -> bool {
        self.unreadable.is_empty() && Kind::ALL.into_iter().all(|kind| self.count(kind) == 0)
    }

    /// How many objects of this kind are in the snapshot.
    pub fn count(&self, kind: Kind) -> usize {
        self.tables.len(kind)
    }

    /// Adds an object, in place of one of the same kind and name.
    pub fn insert(&mut self, object: impl Into<ClusterObject>) {
        let object = object.into();
        let Metadata { namespace, name, .. } = object.metadata();
        self.forget_unreadable(object.kind(), namespace, name);
        self.tables.insert(object);
    }

    /// Takes an object out, if it is there.
    pub fn remove(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.forget_unreadable(kind, namespace, name);
        self.tables.remove(kind, namespace, name);
    }

    /// Notes that this object exists, but not what it is: a question whose answer may depend on it has none.
    pub fn set_unreadable(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.remove(kind, namespace, name);
        self.unreadable.insert((kind, namespace.into(), name.into()));
    }

    /// How many objects of this kind could not be read.
    pub fn count_unreadable(&self, kind: Kind) -> usize {
        self.unreadable_from(kind, "").count()
    }

    /// Takes everything of this kind from `other`, and nothing else.
    pub fn replace(&mut self, kind: Kind, other: Self) {
        let kept = self.unreadable.iter().filter(|(of, _, _)| *of != kind);
        let taken = other.unreadable.iter().filter(|(of, _, _)| *of == kind);
        self.unreadable = kept.chain(taken).cloned().collect();
        self.tables.replace(kind, other.tables);
    }

    /// Takes the objects of this kind in one namespace from `listed`, which has all of them.
    pub(crate) fn replace_in_namespace(&mut self, kind: Kind, namespace: &str, listed: &Self) {
        let unreadable = self.unreadable_from(kind, namespace).map(|(_, namespace, name)| (namespace, name));
        let unreadable = unreadable.take_while(|(of, _)| ***of == *namespace).map(|(_, name)| name.clone());
        let known: Vec<_> = unreadable.chain(self.tables.names_in(kind, namespace)).collect();
        for name in known {
            self.forget_unreadable(kind, namespace, &name);
            if listed.tables.metadata(kind, namespace, &name).is_none() {
                self.tables.remove(kind, namespace, &name);
            }
        }
        self.add(listed);
        self.set_complete(kind, true);
    }

    /// Takes out the objects of this kind of which `is_there` is not true of namespace and name.
    pub(crate) fn retain(&mut self, kind: Kind, is_there: impl Fn(&str, &str) -> bool) {
        self.tables.retain(kind, &is_there);
        let gone =
            |(of, namespace, name): &(Kind, Box<str>, Box<str>)| *of == kind && !is_there(namespace, name);
        if self.unreadable.iter().any(gone) {
            self.unreadable = self.unreadable.iter().filter(|object| !gone(object)).cloned().collect();
        }
    }

    /// Adds everything from `other`, in place of what has the same name, and what is known to be unreadable.
    pub(crate) fn add(&mut self, other: &Self) {
        self.tables.add(&other.tables);
        for (kind, namespace, name) in &other.unreadable {
            self.set_unreadable(*kind, namespace, name);
        }
    }

    /// Adds all objects of the kinds that are complete in `other`, and says that they are complete here.
    pub fn add_listed(&mut self, other: &Self) {
        self.add(other);
        self.complete.extend(&other.complete);
    }

    /// Adds an object, sharing it with `older` where it is the same there.
    pub(crate) fn take_over(&mut self, older: &Self, object: ClusterObject) {
        self.tables.take_over(&older.tables, object);
    }

    /// Whether this very object is in the snapshot.
    pub(crate) fn contains(&self, object: &ClusterObject) -> bool {
        self.tables.contains(object)
    }

    fn forget_unreadable(&mut self, kind: Kind, namespace: &str, name: &str) {
        if !self.unreadable.is_empty() {
            self.unreadable.remove(&(kind, namespace.into(), name.into()));
        }
    }

    /// Whether every object of this kind in this namespace is in the snapshot.
    fn knows_all(&self, kind: Kind, namespace: &str) -> bool {
        let has_unreadable = || {
            !self.unreadable.is_empty()
                && self.unreadable_from(kind, namespace).next().is_some_and(|(_, ns, _)| **ns == *namespace)
        };
        self.is_complete(kind) && !has_unreadable()
    }

    /// The unreadable objects of this kind from this namespace on, by namespace and name.
    fn unreadable_from(
        &self,
        kind: Kind,
        namespace: &str,
    ) -> impl Iterator<Item = &(Kind, Box<str>, Box<str>)> {
        let from = (kind, namespace.into(), Box::default());
        self.unreadable.range(from..).take_while(move |(of, _, _)| *of == kind)
    }

    /// Whether this object exists and could not be read.
    pub(crate) fn is_unreadable(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        !self.unreadable.is_empty() && self.unreadable.contains(&(kind, namespace.into(), name.into()))
    }

    /// Every StatefulSet, by namespace and name.
    pub fn sets(&self) -> impl Iterator<Item = &StatefulSet> {
        self.tables.sets.iter()
    }

    /// Every Deployment and ReplicaSet, by namespace and name.
    pub fn deployments_and_replica_sets(&self) -> impl Iterator<Item = &Workload> {
        self.tables.deployments.iter().chain(self.tables.replica_sets.iter())
    }

    /// Every StatefulSetPolicy, by name.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyDocument> {
        self.tables.policies.iter()
    }

    /// Every StatefulSetExemption, by namespace and name.
    pub fn exemptions(&self) -> impl Iterator<Item = &PolicyDocument> {
        self.tables.exemptions.iter()
    }

    /// The Deployments and ReplicaSets of a namespace, by name.
    pub fn deployments_and_replica_sets_in(&self, namespace: &str) -> Vec<&Workload> {
        let mut workloads = self.tables.deployments.in_namespace(namespace);
        workloads.extend(self.tables.replica_sets.in_namespace(namespace));
        workloads
    }

    /// The names of the Namespaces.
    pub fn namespace_names(&self) -> impl Iterator<Item = &str> {
        self.tables.namespaces.iter().map(|namespace| &*namespace.metadata.name)
    }

    /// The StatefulSets of a namespace, by name.
    pub fn sets_in(&self, namespace: &str) -> Vec<&StatefulSet> {
        self.tables.sets.in_namespace(namespace)
    }

    /// The namespaces in which something is new, different or gone since `older`; `None` where that may be all of them, because it
    /// has become known or unknown which objects of a kind there are.
    pub fn namespaces_changed_since(&self, older: &Self) -> Option<BTreeSet<Box<str>>> {
        if self.complete != older.complete || self.unreadable != older.unreadable {
            return None;
        }
        // The key of a Namespace has no namespace before its name.
        let namespace_of = |key: &str| match key.split_once('\0') {
            Some(("", name)) => Box::from(name),
            Some((namespace, _)) => Box::from(namespace),
            None => Box::from(key),
        };
        Some(self.tables.changed_since(&older.tables).map(namespace_of).collect())
    }

    /// Whether no policy and no exemption has changed since one of the two was a copy of the other. It may be false where none has.
    pub fn has_policies_of(&self, other: &Self) -> bool {
        self.tables.policies.is_same(&other.tables.policies)
            && self.tables.exemptions.is_same(&other.tables.exemptions)
    }

    /// A Namespace. One that is not in the snapshot is unknown: whatever is in it shows that it exists.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.tables.namespaces.get("", name)
    }

    /// The lookup result for an object that is not in the snapshot.
    fn absence<T>(&self, kind: Kind, namespace: &str, name: &str) -> Lookup<T> {
        if self.is_complete(kind) && !self.is_unreadable(kind, namespace, name) {
            Lookup::Absent
        } else {
            Lookup::Unknown
        }
    }

    fn set(&self, namespace: &str, name: &str) -> Option<&StatefulSet> {
        self.tables.sets.get(namespace, name)
    }

    fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.tables.services.get(namespace, name)
    }

    fn sets_governed_by(&self, namespace: &str, service: &str) -> Vec<&StatefulSet> {
        self.tables.sets.by_key(namespace, IndexKey::GoverningService(service))
    }

    /// At most `most` of the sets that are filed under a key.
    fn sets_by_key(&self, namespace: &str, key: IndexKey<'_>, most: usize) -> Vec<&StatefulSet> {
        self.tables.sets.each_by_key(namespace, key).take(most).collect()
    }

    /// How many replicas a set has, or will have as soon as its autoscaler looks at it. An autoscaler leaves a set without replicas alone.
    pub fn replicas_of(&self, set: &StatefulSet) -> i32 {
        let written = set.replicas();
        if written < 1 || self.tables.autoscalers.len() + self.tables.scaled_objects.len() == 0 {
            return written;
        }
        let Metadata { namespace, name, .. } = &set.metadata;
        let scalers = self.autoscalers_of(namespace, Kind::StatefulSet, name).into_iter();
        scalers.map(Autoscaler::min_replicas).fold(written, i32::max)
    }

    /// HorizontalPodAutoscalers, then ScaledObjects.
    fn autoscalers_of(&self, namespace: &str, kind: Kind, name: &str) -> Vec<&Autoscaler> {
        let key = IndexKey::Scales(name);
        let tables = [&self.tables.autoscalers, &self.tables.scaled_objects];
        let named = tables.into_iter().flat_map(|table| table.each_by_key(namespace, key));
        named.filter(|autoscaler| autoscaler.scaled(kind) == Some(name)).collect()
    }

    /// The workloads of other kinds whose pods `selector` selects.
    fn workloads_matching(&self, namespace: &str, selector: &LabelSelector) -> Vec<&Workload> {
        let tables = self.tables.workloads().into_iter().filter(|table| table.len() > 0);
        let found = tables.flat_map(|table| table.by_key(namespace, selector_key(&selector.match_labels)));
        let mut workloads: Vec<_> = found.collect();
        workloads.retain(|workload| selector.matches(workload.labels()));
        workloads
    }

    fn workload(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Workload> {
        let index = Kind::WORKLOADS.iter().position(|workload| *workload == kind)?;
        self.tables.workloads()[index].get(namespace, name)
    }

    fn claim(&self, namespace: &str, name: &str) -> Option<&Claim> {
        self.tables.claims.get(namespace, name)
    }

    /// A ConfigMap.
    pub fn config_map(&self, namespace: &str, name: &str) -> Option<&ConfigMap> {
        self.tables.config_maps.get(namespace, name)
    }

    fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.tables.pods.get(namespace, name)
    }

    /// The sets of which a budget may select pods.
    fn sets_covered_by(&self, budget: &DisruptionBudget) -> Vec<&StatefulSet> {
        let Some(selector) = &budget.spec.selector else { return Vec::new() };
        let is_open = selector.depends_on_run_time();
        let key = if is_open { IndexKey::AnyLabel } else { selector_key(&selector.match_labels) };
        let mut sets = self.tables.sets.by_key(&budget.metadata.namespace, key);
        sets.retain(|set| budget.coverage(set.spec.template.labels()) != Coverage::None);
        sets
    }

    /// The sets whose pods a budget selects.
    fn sets_selected_by(&self, budget: &DisruptionBudget) -> Vec<&StatefulSet> {
        let selector = budget.spec.selector.as_ref();
        selector.map_or_else(Vec::new, |selector| self.sets_matching(&budget.metadata.namespace, selector))
    }

    /// The sets of `namespace` whose pods `selector` selects.
    fn sets_matching(&self, namespace: &str, selector: &LabelSelector) -> Vec<&StatefulSet> {
        let matches = |set: &&StatefulSet| selector.matches(set.spec.template.labels());
        self.sets_that_may_match(namespace, selector).filter(matches).collect()
    }

    /// The sets that have one of the labels, found one after the other.
    fn sets_that_may_match(
        &self,
        namespace: &str,
        selector: &LabelSelector,
    ) -> impl Iterator<Item = &StatefulSet> {
        let labels = selector.match_labels.iter().map(|(key, value)| IndexKey::Label(key, value));
        self.tables.sets.each_by_rarest_key(namespace, labels)
    }

    fn budgets_in(&self, namespace: &str) -> Vec<&DisruptionBudget> {
        self.tables.budgets.in_namespace(namespace)
    }

    fn budgets_selecting(&self, namespace: &str, labels: &Labels) -> Vec<&DisruptionBudget> {
        let keys = labels.iter().map(|(key, value)| IndexKey::Label(key, value)).chain([IndexKey::AnyLabel]);
        let mut budgets: Vec<_> = keys.flat_map(|key| self.tables.budgets.by_key(namespace, key)).collect();
        budgets.retain(|budget| budget.selects(labels));
        budgets
    }

    /// The budgets that ask for labels that pods only get while they run.
    fn budgets_by_run_time_labels(&self, namespace: &str) -> Vec<&DisruptionBudget> {
        self.tables.budgets.by_key(namespace, IndexKey::RunTimeLabels)
    }

    fn services_selecting(&self, namespace: &str, labels: &Labels) -> Vec<&Service> {
        let keys = labels.iter().map(|(key, value)| IndexKey::Label(key, value));
        let mut services: Vec<_> = keys.flat_map(|key| self.tables.services.by_key(namespace, key)).collect();
        services.retain(|service| service.selects(labels));
        services
    }
}
