//! The snapshot as it is before or after a change.

use std::collections::BTreeSet;

use super::memory::ViewMemory;
use super::{Cluster, Kind, Lookup};
use crate::model::{
    Autoscaler, Claim, ConfigMap, DisruptionBudget, LabelSelector, Labels, Object, Service, StatefulSet,
    Workload,
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
const MOST_OF_A_GROUP: usize = 50;

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

    /// The same view, which remembers what costs a look at every StatefulSet. Not for a view in which a StatefulSet is pending.
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

    /// Whether [`Self::known_budgets_selecting`] are all there are: none is missing, and none depends on labels that the controller
    /// gives the pods.
    pub fn knows_budgets_selecting(&self, namespace: &str, labels: &Labels) -> bool {
        let undecided = |budget: &&DisruptionBudget| budget.may_select(labels) && !budget.selects(labels);
        self.cluster.knows_all(Kind::DisruptionBudget, namespace)
            && !self
                .with_pending_budget(self.cluster.budgets_apart(namespace), namespace)
                .iter()
                .any(undecided)
    }

    /// The budgets that are known to be about pods with these labels, by name. There may be more.
    pub fn known_budgets_selecting(&self, namespace: &str, labels: &Labels) -> Vec<&'a DisruptionBudget> {
        let known = self.cluster.budgets_selecting(namespace, labels);
        let mut budgets = self.with_pending_budget(known, namespace);
        budgets.retain(|budget| budget.selects(labels));
        budgets
    }

    /// The known budgets of `namespace`, by name. There may be more.
    pub fn known_budgets(&self, namespace: &str) -> Vec<&'a DisruptionBudget> {
        self.with_pending_budget(self.cluster.budgets_in(namespace), namespace)
    }

    /// How many pods a budget expects: those of all known sets that it is about.
    pub fn expected_pods(&self, budget: &DisruptionBudget) -> i32 {
        let count = || {
            let sets = self.sets_selected_by(budget);
            let counts = sets.iter().map(|(_, replicas)| (*replicas).max(0));
            counts.fold(0, i32::saturating_add)
        };
        match self.memory {
            Some(memory) => memory.expected_pods(budget, count),
            None => count(),
        }
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

    /// The StatefulSets that form one consensus group with `set`, itself first, each with its replica count: those of its
    /// namespace that name the same ensemble; where it names none, those that look like it. Unknown where others may be missing.
    pub fn ensemble_of(&self, set: &'a StatefulSet, replicas: i32) -> Lookup<Vec<(&'a StatefulSet, i32)>> {
        let Some(ensemble) = set.ensemble() else {
            return Lookup::Present(std::iter::once((set, replicas)).chain(self.kin_of(set)).collect());
        };
        let namespace = &*set.metadata.namespace;
        if !self.cluster.knows_all(Kind::StatefulSet, namespace) {
            return Lookup::Unknown;
        }
        let others = self.cluster.sets_of_ensemble(namespace, ensemble, MOST_OF_A_GROUP + 1);
        if others.len() > MOST_OF_A_GROUP {
            return Lookup::Unknown;
        }
        let others = self.with_pending(others, namespace, |other| other.ensemble() == Some(ensemble));
        let others = others.into_iter().filter(|(other, _)| other.metadata.name != set.metadata.name);
        Lookup::Present(std::iter::once((set, replicas)).chain(others).collect())
    }

    /// The StatefulSets that seem to be parts of one consensus group with `set` although no annotation says so: they run the same
    /// image, and a Service selects the pods of both. Published ensembles are split like this, to give some members other
    /// storage, and each half alone would look wrong.
    fn kin_of(&self, set: &'a StatefulSet) -> Vec<(&'a StatefulSet, i32)> {
        let namespace = &*set.metadata.namespace;
        let mut kin: Vec<(&StatefulSet, i32)> = Vec::new();
        let mut seen = BTreeSet::from([&*set.metadata.name]);
        for service in self.services_selecting(namespace, set.spec.template.labels()) {
            for (other, replicas) in self.group_behind(service) {
                if seen.insert(&*other.metadata.name) && set.resembles(other) {
                    kin.push((other, replicas));
                }
            }
            if kin.len() > MOST_OF_A_GROUP {
                return Vec::new();
            }
        }
        kin
    }

    /// The StatefulSets whose pods a Service selects; none where it selects those of so many sets that they are no one group.
    fn group_behind(&self, service: &Service) -> Vec<(&'a StatefulSet, i32)> {
        let namespace = &*service.metadata.namespace;
        let find = || {
            let match_labels = service.spec.selector.clone();
            let selector = LabelSelector { match_labels, ..LabelSelector::default() };
            let mut sets = self.sets_matching(namespace, &selector);
            if sets.len() > MOST_OF_A_GROUP {
                sets.clear();
            }
            sets
        };
        let Some(memory) = self.memory else { return find() };
        let names = || find().into_iter().map(|(set, _)| set.metadata.name.clone()).collect();
        let names = memory.group_behind(service, names);
        let sets = names.iter().filter_map(|name| self.cluster.set(namespace, name));
        sets.map(|set| (set, set.replicas())).collect()
    }

    /// The known autoscalers that scale a StatefulSet: HorizontalPodAutoscalers, then ScaledObjects, by name.
    pub fn autoscalers_of(&self, namespace: &str, set: &str) -> Vec<&'a Autoscaler> {
        self.cluster.autoscalers_of(namespace, set)
    }

    /// The known Deployments, ReplicaSets, DaemonSets, Jobs and CronJobs whose pods `selector` selects. Only manifests and audits
    /// of a live cluster have them.
    pub fn workloads_matching(&self, namespace: &str, selector: &LabelSelector) -> Vec<&'a Workload> {
        self.cluster.workloads_matching(namespace, selector)
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

    /// A ConfigMap; only manifests have them.
    pub fn config_map(&self, namespace: &str, name: &str) -> Option<&'a ConfigMap> {
        self.cluster.config_map(namespace, name)
    }

    /// A StatefulSet by name.
    pub fn set(&self, namespace: &str, name: &str) -> Lookup<&'a StatefulSet> {
        let found = match self.pending {
            PendingChange::Set(set, _) if is_named(set, namespace, name) => Some(set),
            _ => self.cluster.set(namespace, name),
        };
        found.map_or_else(|| self.cluster.absence(Kind::StatefulSet, namespace, name), Lookup::Present)
    }

    /// `found` as it is in this world, by name: the changed budget in place of the snapshot's.
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

    /// `found` as it is in this world: the changed set in place of the snapshot's, if it still belongs.
    fn with_pending(
        &self,
        found: Vec<&'a StatefulSet>,
        namespace: &str,
        belongs: impl Fn(&StatefulSet) -> bool,
    ) -> Vec<(&'a StatefulSet, i32)> {
        let known = found.into_iter().map(|set| (set, set.replicas()));
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
