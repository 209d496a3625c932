//! Which pods a review is about, to be read by their names: no snapshot has them.

use jiff::Timestamp;

use super::{Evaluator, Memories};
use crate::change::{Action, Change, Edit};
use crate::cluster::{Cluster, ClusterView, PendingChange};
use crate::model::{Class, Eviction, Pod, StatefulSet};
use crate::policy::Policies;

/// Pods that are read for one review.
const MOST_PODS: usize = 32;

/// The names of the pods, in the namespace of the change, on which it depends whether anything is wrong with it. None for nearly all
/// changes.
pub fn pods_in_question(change: &Change, cluster: &Cluster, policies: &Policies) -> Vec<String> {
    let requester = &change.requester;
    if requester.is_system() || requester.is_cleanup_controller() {
        return Vec::new();
    }
    let memories = Memories::default();
    let evaluator = Evaluator {
        cluster,
        memories: &memories,
        policies,
        now: Timestamp::UNIX_EPOCH,
        dry_run: change.dry_run,
        has_all_objects: false,
        requester,
        raw: None,
    };
    match &change.action {
        Action::PodDeletion(deletion) => evaluator.around_deletion(&deletion.pod),
        Action::Eviction(eviction) => evaluator.around_eviction(eviction),
        Action::Scale { namespace, name, old, new } if new < old => {
            let view = ClusterView::new(cluster, PendingChange::Nothing);
            let set = view.set(namespace, name).present();
            set.map_or_else(Vec::new, |set| evaluator.around_scale(set, *old))
        }
        Action::StatefulSet(Edit::Update { old, new }) if new.replicas() < old.replicas() => {
            evaluator.around_scale(old, old.replicas())
        }
        _ => Vec::new(),
    }
}

impl Evaluator<'_> {
    fn around_deletion(&self, pod: &Pod) -> Vec<String> {
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let owner = pod.stateful_set().filter(|_| pod.is_serving());
        let set = owner.and_then(|owner| view.set(&pod.metadata.namespace, &owner.name).present());
        let mut pods = set.map_or_else(Vec::new, |set| self.members(set, set.replicas()));
        pods.retain(|name| **name != *pod.metadata.name);
        pods
    }

    /// The pod itself is read as well. A name that no set has is not worth a read.
    fn around_eviction(&self, eviction: &Eviction) -> Vec<String> {
        let (namespace, name) = (&eviction.metadata.namespace, &eviction.metadata.name);
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let set = name.rsplit_once('-').and_then(|(set, _)| view.set(namespace, set).present());
        let set = set.filter(|set| set.ordinal_of_pod(name, set.replicas()).is_some());
        let Some(set) = set else { return Vec::new() };
        let mut pods = self.members(set, set.replicas());
        if pods.is_empty() {
            pods.push(name.to_string());
        }
        pods
    }

    /// With all pods ready, it does not matter which of them stay.
    fn around_scale(&self, set: &StatefulSet, old: i32) -> Vec<String> {
        let all_ready = set.observed().is_none_or(|(_, ready)| ready >= old);
        if all_ready { Vec::new() } else { self.members(set, old) }
    }

    /// The pods of the consensus group that a set is in; none where it is in none, or in one that is not known or too large.
    fn members(&self, set: &StatefulSet, replicas: i32) -> Vec<String> {
        let class = self.classify(set);
        if class.class != Class::Quorum || set.metadata.deleting {
            return Vec::new();
        }
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let Some(group) = self.group(&view, (set, replicas), &class) else { return Vec::new() };
        let is_small = usize::try_from(group.members()).is_ok_and(|members| members <= MOST_PODS);
        let sets = group.sets.iter().filter(|_| is_small);
        sets.flat_map(|(set, replicas)| set.ordinals(*replicas).map(|n| set.pod_name(n))).collect()
    }
}
