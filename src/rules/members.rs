//! How a consensus group gets another number of members.

use super::{SetContext, Transition};
use crate::cluster::Kind;
use crate::model::Claim;

/// The edit of the judged set that gives its group this many members. Where each member has a set of its own, it is not the
/// replica count that changes.
pub(super) fn edit_to(at: &SetContext<'_>, members: i32) -> String {
    let now = at.members().unwrap_or(at.replicas);
    let replicas = at.replicas.saturating_add(members.saturating_sub(now));
    if !at.has_one_set_a_member() {
        return format!("set spec.replicas to {replicas}");
    }
    let (change, what) = match members.saturating_sub(now) {
        missing @ 1.. => (missing, "add"),
        spare => (spare.saturating_neg(), "take away"),
    };
    let sets = if change == 1 { "one StatefulSet" } else { "StatefulSets" };
    format!("{what} {sets} of one member each, to make it {members}")
}

/// New members whose claims are looked up.
const MOST_NEW: i64 = 20;

/// The claims that are left from before for the pods by which a running set grows.
pub(super) fn claims_of_new_members<'a>(step: &Transition<'_, 'a>) -> Vec<&'a Claim> {
    let Some(before) = step.before.filter(|before| before.replicas > 0) else { return Vec::new() };
    let (after, set) = (step.after, step.after.set);
    if !after.view.has_any(Kind::Claim) || before.set.spec.ordinals.start != set.spec.ordinals.start {
        return Vec::new();
    }
    let (old, new) = (set.ordinals(before.replicas), set.ordinals(after.replicas));
    let added = old.end..new.end.min(old.end.saturating_add(MOST_NEW));
    let names = added.filter_map(|ordinal| set.claim_name(ordinal));
    names.filter_map(|name| after.view.claim(after.namespace(), &name)).collect()
}
