//! The snapshot as it is before or after a change.

use super::memory::ViewMemory;
use super::table::IndexKey;
use super::{Cluster, Kind, Lookup};
use crate::model::{
    Autoscaler, Claim, ConfigMap, Coverage, DisruptionBudget, LabelSelector, Labels, Object, Pod, Service,
    StatefulSet, Workload,
};

/// A snapshot with one object replaced, added or taken away.
#[derive(Clone, Copy, Debug)]
pub struct ClusterView<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) pending: PendingChange<'a>,
    memory: Option<&'a ViewMemory>,
}

/// The most StatefulSets that one consensus group is taken to be spread over. Where more say or seem to be of one group, it is
/// not known which are.
pub(super) const MOST_OF_A_GROUP: usize = 50;
/// So many sets are looked at to find those of one group.
const MOST_LOOKED_AT: usize = 4 * MOST_OF_A_GROUP;

/// How one object differs from the snapshot. The name is given apart, because the object may be absent.
#[derive(Clone, Copy, Debug)]
pub enum PendingChange<'a> {
    /// It does not.
    Nothing,
    /// A StatefulSet with this many replicas.
    Set(&'a StatefulSet, i32),
    /// A Service as it is then.
    Service(&'a str, &'a str, Option<&'a Service>),
    /// A PodDisruptionBudget as it is then.
    Budget(&'a str, &'a str, Option<&'a DisruptionBudget>),
}

impl PendingChange<'_> {
    /// Whether a StatefulSet is pending.
    pub(crate) fn changes_set(&self) -> bool {
        matches!(self, Self::Set(..))
    }
}

impl<'a> ClusterView<'a> {
    /// `cluster`, seen through `pending`.
    pub fn new(cluster: &'a Cluster, pending: PendingChange<'a>) -> Self {
        Self { cluster, pending, memory: None }
    }

    /// Adds a memory of lookups that visit every StatefulSet to the view. A memory is for one cluster and one pending StatefulSet.
    #[must_use]
    pub fn remembering(self, memory: &'a ViewMemory) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// Whether the pending change deletes a Service or a budget.
    pub fn is_deletion(&self) -> bool {
        matches!(self.pending, PendingChange::Service(_, _, None) | PendingChange::Budget(_, _, None))
    }

    /// Whether every object of this kind is known.
    pub fn is_complete(&self, kind: Kind) -> bool {
        self.cluster.is_complete(kind)
    }

    /// Whether an object of this kind is known.
    pub fn has_any(&self, kind: Kind) -> bool {
        self.cluster.count(kind) > 0
    }

    /// A Service by name.
    pub fn service(&self, namespace: &str, name: &str) -> Lookup<&'a Service> {
        let found = match self.pending {
            PendingChange::Service(ns, n, service) if (ns, n) == (namespace, name) => service,
            _ => self.cluster.service(namespace, name),
        };
        found.map_or_else(|| self.cluster.absence(Kind::Service, namespace, name), Lookup::Present)
    }

    /// The known Services of `namespace` that select pods with these labels, by the labels they select.
    pub fn services_selecting(&self, namespace: &str, labels: &Labels) -> Vec<&'a Service> {
        self.cluster.services_selecting(namespace, labels)
    }

    /// Whether [`Self::known_budgets_selecting`] are all there are: none is missing, and none depends on labels that pods only get
    /// while they run.
    pub fn knows_budgets_selecting(&self, namespace: &str, labels: &Labels) -> bool {
        self.knows_all(Kind::DisruptionBudget, namespace)
            && self.partial_budgets(namespace, labels).is_empty()
    }

    /// The known budgets that select all pods with these labels, by name. There may be more.
    pub fn known_budgets_selecting(&self, namespace: &str, labels: &Labels) -> Vec<&'a DisruptionBudget> {
        let known = self.cluster.budgets_selecting(namespace, labels);
        let mut budgets = self.with_pending_budget(known, namespace);
        budgets.retain(|budget| budget.coverage(labels) == Coverage::All);
        budgets
    }

    /// The known budgets that may select some of the pods that are made with these labels, by name.
    pub fn partial_budgets(&self, namespace: &str, labels: &Labels) -> Vec<&'a DisruptionBudget> {
        let known = self.cluster.budgets_by_run_time_labels(namespace);
        let mut budgets = self.with_pending_budget(known, namespace);
        budgets.retain(|budget| budget.coverage(labels) == Coverage::Part);
        budgets
    }

    /// The known budgets of `namespace`, by name. There may be more.
    pub fn known_budgets(&self, namespace: &str) -> Vec<&'a DisruptionBudget> {
        self.with_pending_budget(self.cluster.budgets_in(namespace), namespace)
    }

    /// How many pods a budget expects: those of all known sets that it is about, and of all known workloads that have a scale.
    pub fn expected_pods(&self, budget: &DisruptionBudget) -> i32 {
        let count = || {
            let sets = self.sets_selected_by(budget).into_iter().map(|(_, replicas)| replicas.max(0));
            let workloads = self.workloads_selected_by(budget).into_iter().filter_map(Workload::scale);
            sets.chain(workloads).fold(0, i32::saturating_add)
        };
        match self.memory {
            Some(memory) => memory.expected_pods(budget, count),
            None => count(),
        }
    }

    /// The known workloads of other kinds whose pods a budget selects as well. Those without pods are left out, and those that
    /// another of them has made.
    pub fn workloads_selected_by(&self, budget: &DisruptionBudget) -> Vec<&'a Workload> {
        let Some(selector) = &budget.spec.selector else { return Vec::new() };
        let mut workloads = self.workloads_matching(&budget.metadata.namespace, selector);
        workloads.retain(|workload| {
            let owner = workload.metadata.owner.as_deref().and_then(|owner| Kind::named(&owner.kind));
            let is_counted_already =
                owner.is_some_and(|kind| Kind::WORKLOADS.contains(&kind) && self.is_complete(kind));
            !is_counted_already && workload.scale() != Some(0)
        });
        workloads
    }

    /// Whether all workloads of other kinds are known.
    pub fn knows_workloads(&self) -> bool {
        Kind::WORKLOADS.into_iter().all(|kind| self.is_complete(kind))
    }

    /// The StatefulSets of which a budget may select pods, each with its replica count.
    pub fn sets_covered_by(&self, budget: &DisruptionBudget) -> Vec<(&'a StatefulSet, i32)> {
        let covers = |set: &StatefulSet| budget.coverage(set.spec.template.labels()) != Coverage::None;
        self.with_pending(self.cluster.sets_covered_by(budget), &budget.metadata.namespace, covers)
    }

    /// The StatefulSets whose pods a budget is about, each with its replica count. There may be more where sets are not
    /// completely known.
    pub fn sets_selected_by(&self, budget: &DisruptionBudget) -> Vec<(&'a StatefulSet, i32)> {
        let labels = |set: &StatefulSet| budget.selects(set.spec.template.labels());
        self.with_pending(self.cluster.sets_selected_by(budget), &budget.metadata.namespace, labels)
    }

    /// The StatefulSets of `namespace` whose pods `selector` selects. There may be more where sets are not completely known.
    pub fn sets_matching(&self, namespace: &str, selector: &LabelSelector) -> Vec<(&'a StatefulSet, i32)> {
        let found = self.cluster.sets_matching(namespace, selector);
        let belongs = |set: &StatefulSet| selector.matches(set.spec.template.labels());
        self.with_pending(found, namespace, belongs)
    }

    /// The labels of a namespace; `None` where they are unknown.
    pub fn namespace_labels(&self, name: &str) -> Option<&'a Labels> {
        self.cluster.namespace(name).map(|namespace| &namespace.metadata.labels)
    }

    /// The StatefulSets that `service` governs, each with its replica count.
    pub fn sets_governed_by(&self, namespace: &str, service: &str) -> Vec<(&'a StatefulSet, i32)> {
        let governed = |set: &StatefulSet| *set.spec.service_name == *service;
        self.with_pending(self.cluster.sets_governed_by(namespace, service), namespace, governed)
    }

    /// Whether every object of this kind in this namespace is known.
    pub fn knows_all(&self, kind: Kind, namespace: &str) -> bool {
        self.cluster.knows_all(kind, namespace)
    }

    /// The StatefulSets in the namespace of `set` that are filed under `key`, each with its replica count. `belongs` says the same
    /// of a set that changes. `None` where they are so many that they are no one group.
    pub(super) fn sets_by_key(
        &self,
        set: &'a StatefulSet,
        key: IndexKey<'_>,
        belongs: impl Fn(&StatefulSet) -> bool,
    ) -> Option<Vec<(&'a StatefulSet, i32)>> {
        let namespace = &*set.metadata.namespace;
        let found = self.cluster.sets_by_key(namespace, key, MOST_OF_A_GROUP + 1);
        if found.len() > MOST_OF_A_GROUP {
            return None;
        }
        let mut sets = self.with_pending(found, namespace, &belongs);
        // Keys are filed by hash.
        sets.retain(|(other, _)| belongs(other));
        Some(sets)
    }

    /// The replica count of a known set.
    pub(super) fn replicas_of(&self, set: &StatefulSet) -> i32 {
        match self.pending {
            PendingChange::Set(changed, replicas) if std::ptr::eq(changed, set) => replicas,
            _ => self.cluster.replicas_of(set),
        }
    }

    /// The StatefulSets whose pods a Service selects; none where there are so many of them, or so many that have the rarest of its
    /// labels, that they are no one group.
    pub(super) fn group_behind(&self, service: &Service) -> Vec<(&'a StatefulSet, i32)> {
        let namespace = &*service.metadata.namespace;
        let find = || {
            let match_labels = service.spec.selector.clone();
            let selector = LabelSelector { match_labels, ..LabelSelector::default() };
            let found: Vec<_> =
                self.cluster.sets_that_may_match(namespace, &selector).take(MOST_LOOKED_AT + 1).collect();
            let belongs = |set: &StatefulSet| selector.matches(set.spec.template.labels());
            let mut sets = self.with_pending(found, namespace, belongs);
            if sets.len() > MOST_LOOKED_AT {
                return Vec::new();
            }
            sets.retain(|(set, _)| belongs(set));
            if sets.len() > MOST_OF_A_GROUP {
                sets.clear();
            }
            sets
        };
        let Some(memory) = self.memory else { return find() };
        let names = || find().into_iter().map(|(set, _)| set.metadata.name.clone()).collect();
        let names = memory.group_behind(service, names);
        let sets = names.iter().filter_map(|name| self.set(namespace, name).present());
        sets.map(|set| (set, self.replicas_of(set))).collect()
    }

    /// The known autoscalers that scale an object of a kind: HorizontalPodAutoscalers, then ScaledObjects, by name.
    pub fn autoscalers_of(&self, namespace: &str, kind: Kind, name: &str) -> Vec<&'a Autoscaler> {
        self.cluster.autoscalers_of(namespace, kind, name)
    }

    /// The known Deployments, ReplicaSets, DaemonSets, Jobs and CronJobs whose pods `selector` selects. Only manifests and audits
    /// of a live cluster have them.
    pub fn workloads_matching(&self, namespace: &str, selector: &LabelSelector) -> Vec<&'a Workload> {
        self.cluster.workloads_matching(namespace, selector)
    }

    /// The known Deployments of a namespace, by name: as many as are looked at. Only manifests and audits of a live cluster have them.
    pub fn deployments_in(&self, namespace: &str) -> impl Iterator<Item = &'a Workload> {
        self.cluster.tables.deployments.each_in_namespace(namespace).take(MOST_LOOKED_AT)
    }

    /// The known StatefulSets that a claim of this name was made for, with the ordinal of its pod. The name is
    /// `TEMPLATE-SET-ORDINAL`, and each part may hold dashes.
    pub fn sets_with_claim(&self, namespace: &str, claim: &str) -> Vec<(&'a StatefulSet, i64)> {
        let Some((rest, _)) = claim.rsplit_once('-') else { return Vec::new() };
        let names = rest.match_indices('-').map(|(dash, _)| &rest[dash + 1..]);
        let sets = names.filter_map(|name| self.set(namespace, name).present());
        sets.filter_map(|set| Some((set, set.ordinal_of_claim(claim)?))).collect()
    }

    /// A PersistentVolumeClaim, where claims are known.
    pub fn claim(&self, namespace: &str, name: &str) -> Option<&'a Claim> {
        self.cluster.claim(namespace, name)
    }

    /// A Deployment, ReplicaSet or other workload by name, where such are known.
    pub fn workload(&self, kind: Kind, namespace: &str, name: &str) -> Option<&'a Workload> {
        self.cluster.workload(kind, namespace, name)
    }

    /// A ConfigMap; only manifests have them.
    pub fn config_map(&self, namespace: &str, name: &str) -> Option<&'a ConfigMap> {
        self.cluster.config_map(namespace, name)
    }

    /// A Pod by name. Pods are only known where they were read for this review, or stand in manifests.
    pub fn pod(&self, namespace: &str, name: &str) -> Lookup<&'a Pod> {
        let found = self.cluster.pod(namespace, name);
        found.map_or_else(|| self.cluster.absence(Kind::Pod, namespace, name), Lookup::Present)
    }

    /// A StatefulSet by name.
    pub fn set(&self, namespace: &str, name: &str) -> Lookup<&'a StatefulSet> {
        let found = match self.pending {
            PendingChange::Set(set, _) if is_named(set, namespace, name) => Some(set),
            _ => self.cluster.set(namespace, name),
        };
        found.map_or_else(|| self.cluster.absence(Kind::StatefulSet, namespace, name), Lookup::Present)
    }

    /// `found` as it is in this view, by name: the changed budget in place of the snapshot's.
    fn with_pending_budget(
        &self,
        mut found: Vec<&'a DisruptionBudget>,
        namespace: &str,
    ) -> Vec<&'a DisruptionBudget> {
        if let PendingChange::Budget(ns, name, budget) = self.pending
            && ns == namespace
        {
            found.retain(|known| *known.metadata.name != *name);
            found.extend(budget);
        }
        found.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        found
    }

    /// `found` as it is in this view: the changed set in place of the snapshot's, if it still belongs.
    fn with_pending(
        &self,
        found: Vec<&'a StatefulSet>,
        namespace: &str,
        belongs: impl Fn(&StatefulSet) -> bool,
    ) -> Vec<(&'a StatefulSet, i32)> {
        let known = found.into_iter().map(|set| (set, self.cluster.replicas_of(set)));
        let PendingChange::Set(changed, replicas) = self.pending else {
            return known.collect();
        };
        if *changed.metadata.namespace != *namespace {
            return known.collect();
        }
        let mut sets: Vec<_> = known.filter(|(set, _)| set.metadata.name != changed.metadata.name).collect();
        if belongs(changed) {
            sets.push((changed, replicas));
        }
        sets
    }
}

fn is_named(set: &StatefulSet, namespace: &str, name: &str) -> bool {
    let metadata = set.metadata();
    *metadata.namespace == *namespace && *metadata.name == *name
}
