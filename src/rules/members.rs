//! How a consensus group gets another number of members.

use super::budgets::enumerate;
use super::{SetContext, Transition};
use crate::cluster::Kind;
use crate::model::{AbsentVoters, Claim};

/// The edit of the judged set that gives its group this many members. Where each member has a set of its own, it is not the
/// replica count that changes.
pub(super) fn edit_to(at: &SetContext<'_>, members: i32) -> String {
    let now = at.members().unwrap_or(at.replicas);
    let replicas = at.replicas.saturating_add(members.saturating_sub(now));
    if !at.has_one_set_a_member() {
        return set_count(at, &replicas.to_string());
    }
    let (change, what) = match members.saturating_sub(now) {
        missing @ 1.. => (missing, "add"),
        spare => (spare.saturating_neg(), "take away"),
    };
    let sets = if change == 1 { "one StatefulSet" } else { "StatefulSets" };
    format!("{what} {sets} of one member each, to make it {members}")
}

/// The remedy that sets the replica count to one of these; an autoscaler whose minimum the present count is would undo it.
pub(super) fn set_count(at: &SetContext<'_>, counts: &str) -> String {
    let remedy = with_list(at, format!("set spec.replicas to {counts}"));
    let Some(scaler) = at.raised_by() else { return remedy };
    format!("delete {}, whose minimum the count is, and {remedy}", scaler.to_delete())
}

/// A remedy that gives a set another number of pods, where its containers are told of these by name: a pod that is not listed has no
/// vote, and one that is listed and does not run still counts.
fn with_list(at: &SetContext<'_>, remedy: String) -> String {
    match at.set.list_of_own_pods() {
        Some(list) => format!("{remedy} and list exactly these pods in {list}"),
        None => remedy,
    }
}

/// What makes the pods and the list of voters agree.
pub(super) fn match_list(at: &SetContext<'_>, absent: &AbsentVoters) -> String {
    let AbsentVoters { list, voters, pods } = absent;
    let take_out = format!("take {} out of {list}", enumerate(pods.iter().cloned()));
    match (voters % 2, at.replicas % 2) {
        (1, 1) => format!("set spec.replicas to {voters}, or {take_out}"),
        (1, _) => format!("set spec.replicas to {voters}"),
        (_, 1) => take_out,
        _ => edit_to(at, at.replicas.saturating_add(1)),
    }
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
