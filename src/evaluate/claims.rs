//! Which claims a review is about, to be read by their names: no snapshot has them.

use crate::change::{Action, Change, ObjectChange};
use crate::cluster::{Cluster, ClusterView, Kind, PendingChange};
use crate::model::{Class, StatefulSet};
use crate::policy::{Policies, Subject};
use crate::rules::SetContext;

/// Ordinals of one set whose claims are read.
const MOST_ORDINALS: i64 = 20;

/// Few groups have more members.
const COMMON_MEMBERS: i64 = 9;

/// The names of the claims, in the namespace of the change, that say how many members a consensus group had before it was
/// scaled to 0 or deleted, and which of those that were removed would come back. None for nearly all changes.
pub fn claims_in_question(change: &Change, cluster: &Cluster, policies: &Policies) -> Vec<String> {
    if change.requester.is_cleanup_controller() {
        return Vec::new();
    }
    let view = ClusterView::new(cluster, PendingChange::Nothing);
    let (set, old, new) = match &change.action {
        Action::Scale { namespace, name, old, new } => match view.set(namespace, name).present() {
            Some(set) => (set, *old, *new),
            None => return Vec::new(),
        },
        Action::StatefulSet(ObjectChange::Update { old, new }) => (new, old.replicas(), new.replicas()),
        Action::StatefulSet(ObjectChange::Create(new)) => (new, 0, new.replicas()),
        _ => return Vec::new(),
    };
    let (old, new) = (i64::from(old.max(0)), i64::from(new));
    if new <= old || !is_quorum(set, &view, policies) {
        return Vec::new();
    }
    // With twice as many claims as pods, the pods are no majority; how many there were is said in the finding.
    let end = if old == 0 { new.saturating_mul(2).max(COMMON_MEMBERS) } else { new };
    let ordinals = old..end.min(old + MOST_ORDINALS);
    ordinals.filter_map(|ordinal| set.claim_name(ordinal + i64::from(set.spec.ordinals.start))).collect()
}

fn is_quorum(set: &StatefulSet, view: &ClusterView<'_>, policies: &Policies) -> bool {
    let metadata = &set.metadata;
    let namespace_labels = view.namespace_labels(&metadata.namespace);
    let applicable = policies.applicable(Subject { metadata, namespace_labels });
    !set.spec.volume_claim_templates.is_empty() && policies.classify(set, &applicable).class == Class::Quorum
}

/// How many members of a set, from the first on, have a claim; 0 where claims are not known.
pub(super) fn left(at: &SetContext<'_>) -> i32 {
    let set = at.set;
    if at.replicas <= 0 || at.class.class != Class::Quorum || !at.view.is_complete(Kind::Claim) {
        return 0;
    }
    let start = i64::from(set.spec.ordinals.start);
    let claims = (0..MOST_ORDINALS).map(|index| set.claim_name(start + index));
    let left = claims
        .take_while(|name| name.as_deref().is_some_and(|name| at.view.claim(at.namespace(), name).is_some()));
    i32::try_from(left.count()).unwrap_or(0)
}
