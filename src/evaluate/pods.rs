//! Which pods a review is about, to be read by their names: no snapshot has them.

use jiff::Timestamp;

use super::{Evaluator, Memories};
use crate::change::{Action, Change, ObjectChange};
use crate::cluster::{Cluster, ClusterView, Kind, PendingChange};
use crate::model::{Class, Eviction, Pod, StatefulSet};
use crate::policy::Policies;
use crate::rules::{Left, SetContext};

/// Pods that are read for one review.
const MOST_PODS: usize = 32;

/// Pods of a set that was deleted that are looked for: few groups have more members.
const COMMON_MEMBERS: i64 = 9;
const MOST_ORPHANS: i64 = 20;

/// The names of the pods, in the namespace of the change, on which it depends whether anything is wrong with it. None for nearly all
/// changes.
pub fn pods_in_question(change: &Change, cluster: &Cluster, policies: &Policies) -> Vec<String> {
    let requester = &change.requester;
    if requester.is_system() || requester.is_cleanup_controller() {
        return Vec::new();
    }
    let memories = Memories::default();
    let evaluator = Evaluator {
        before: cluster,
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
        Action::StatefulSet(ObjectChange::Update { old, new }) if new.replicas() < old.replicas() => {
            evaluator.around_scale(old, old.replicas())
        }
        Action::StatefulSet(ObjectChange::Update { old, new })
            if new.spec.ordinals.start != old.spec.ordinals.start =>
        {
            evaluator.around_scale(old, old.replicas())
        }
        Action::StatefulSet(ObjectChange::Update { old, new })
            if new.replaced_first(old, new.replicas()).is_some() =>
        {
            evaluator.around_scale(old, old.replicas())
        }
        Action::StatefulSet(ObjectChange::Create(set)) => evaluator.orphans_of(set),
        _ => Vec::new(),
    }
}

/// The pods that run on without a set, and are adopted by one that is a consensus group: of one of its name that was deleted with
/// `--cascade=orphan`.
pub(super) fn adopted(at: &SetContext<'_>) -> Left {
    let mut left = Left::default();
    if at.class.class != Class::Quorum || !at.view.has_any(Kind::Pod) {
        return left;
    }
    let kept = at.set.ordinals(at.replicas);
    for ordinal in possible_orphans(at.set) {
        let pod = at.view.pod(at.namespace(), &at.set.pod_name(ordinal)).present();
        if !pod.is_some_and(|pod| is_adopted(pod, at.set)) {
            continue;
        }
        if left.pods == 0 {
            left.first = ordinal;
        }
        left.pods += 1;
        left.kept += i32::from(kept.contains(&ordinal));
    }
    left
}

fn is_adopted(pod: &Pod, set: &StatefulSet) -> bool {
    let metadata = &pod.metadata;
    !metadata.deleting && metadata.owner.is_none() && set.spec.selector.matches(&metadata.labels)
}

/// The ordinals of pods that a set of this name and size may have left, in order: those that it had when it began at 0 too.
fn possible_orphans(set: &StatefulSet) -> impl Iterator<Item = i64> {
    let count = i64::from(set.replicas()).saturating_mul(2).clamp(COMMON_MEMBERS, MOST_ORPHANS);
    let start = i64::from(set.spec.ordinals.start);
    (0..start.min(COMMON_MEMBERS)).chain(start..start.saturating_add(count))
}

impl Evaluator<'_> {
    fn orphans_of(&self, set: &StatefulSet) -> Vec<String> {
        let is_group = !set.metadata.deleting && self.classify(set).class == Class::Quorum;
        if !is_group || self.has_no_claims(set) {
            return Vec::new();
        }
        possible_orphans(set).map(|ordinal| set.pod_name(ordinal)).collect()
    }

    /// Whether it is known that no pod is left of the set, because none of their claims is: a claim stays as long as its pod does.
    /// Only those of its own ordinals are known.
    fn has_no_claims(&self, set: &StatefulSet) -> bool {
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let start = i64::from(set.spec.ordinals.start);
        let mut claims = (0..MOST_ORPHANS).map_while(|index| set.claim_name(start + index)).peekable();
        start == 0
            && view.is_complete(Kind::Claim)
            && claims.peek().is_some()
            && claims.all(|name| view.claim(&set.metadata.namespace, &name).is_none())
    }

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
