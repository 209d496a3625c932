//! How a consensus group gets another number of members, in words.

use super::SetContext;

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
