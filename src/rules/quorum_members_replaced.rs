//! `quorum-members-replaced`

use std::ops::Range;

use super::{FieldPlace, Left, Params, SetContext, Transition, Violations};
use crate::model::Class;
use crate::model::quorum::majority;
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// An update changes `spec.ordinals.start` so that fewer than a majority of the pods of a consensus group (class `quorum`)
    /// keep their ordinals. Sets that share `stateward.dev/ensemble` are counted together. So is told a set that is created again
    /// with other ordinals while the pods of the one that was deleted with `--cascade=orphan` run: the controller adopts those, and
    /// deletes them. For a set of another class with claim templates it is a warning if any of its pods is replaced.
    ///
    /// ## Why
    ///
    /// A pod's name and its claims follow its ordinal. A pod with a new ordinal is another member with an empty claim, and the
    /// controller deletes the old pods at once: with fewer than a majority of the old members the group can neither write nor take
    /// the new ones in.
    ///
    /// ## How to fix
    ///
    /// Move `spec.ordinals.start` by so few that a majority of the ordinals stays, and wait until the group has taken the new
    /// members in. To replace every member, create a second set and join both with `stateward.dev/ensemble`.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   ordinals: {start: 0}
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   ordinals: {start: 100}
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   ordinals: {start: 0}
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   ordinals: {start: 1}
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ```
    "quorum-members-replaced": "the ordinals change, so that other members take the place of those that have the data",
    triggers: [Set],
    reads: [StatefulSet],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let Some(MemberReplacement { members, kept, old }) = MemberReplacement::of(step) else { return };
    let start = old.start;
    let is_quorum = is_quorum(step);
    let has_claims = !step.after.set.spec.volume_claim_templates.is_empty()
        || step.before.is_some_and(|before| !before.set.spec.volume_claim_templates.is_empty());
    let needed = i64::from(majority(i32::try_from(members).unwrap_or(i32::MAX)));
    if kept == members || (is_quorum && kept >= needed) || (!is_quorum && !has_claims) {
        return;
    }
    let place = FieldPlace::in_set("/spec/ordinals/start");
    if is_quorum {
        let message = format!(
            "{kept} of the {members} members of {} keep their ordinals, and {needed} must agree: {} without data in place of the others",
            step.after.group_name(),
            starting(step.after, &old)
        );
        let mut remedy = format!("set spec.ordinals.start to {start}");
        if members > needed && kept < members - 1 {
            remedy.push_str(
                ", or move it by one member at a time, each once the group has taken the one before in",
            );
        }
        out.add(place, message, remedy);
    } else {
        let message = format!(
            "{} of {members} pods get other ordinals, and with them other claims: their data stays behind in the old claims",
            members - kept
        );
        let remedy = format!("set spec.ordinals.start to {start}, or move the data first");
        out.add(place, message, remedy).at_most(Level::Warn);
    }
}

fn is_quorum(step: &Transition<'_, '_>) -> bool {
    let is_quorum = |at: &SetContext<'_>| at.class.class == Class::Quorum;
    is_quorum(step.after) || step.before.is_some_and(is_quorum)
}

/// How many pods keep their ordinals.
struct MemberReplacement {
    /// Over all sets of the group.
    members: i64,
    kept: i64,
    /// The ordinals of the set before.
    old: Range<i64>,
}

impl MemberReplacement {
    fn of(step: &Transition<'_, '_>) -> Option<Self> {
        let new = step.after.set.ordinals(step.after.replicas);
        let (kept, old) = if let Some(before) = step.before {
            let old = before.set.ordinals(before.replicas);
            ((old.end.min(new.end) - old.start.max(new.start)).max(0), old)
        } else {
            let Left { pods, kept, first, .. } = step.left;
            (i64::from(kept), first..first + i64::from(pods))
        };
        let members = old.end - old.start;
        // Pods that go because there are fewer replicas are for other rules.
        let is_moved = old.start != new.start && kept < members.min(new.end - new.start);
        if members <= 0 || new.is_empty() || !is_moved {
            return None;
        }
        let others =
            if is_quorum(step) { i64::from(step.after.members()?) - (new.end - new.start) } else { 0 };
        Some(Self { members: members + others, kept: kept + others, old })
    }
}

/// `pods zk-3 to zk-5 start`: those that the old ordinals do not have.
fn starting(at: &SetContext<'_>, old: &Range<i64>) -> String {
    let new = at.set.ordinals(at.replicas);
    let added = if new.start > old.start {
        new.start.max(old.end.min(new.end - 1))..new.end
    } else {
        new.start..new.end.min(old.start)
    };
    let (first, last) = (at.set.pod_name(added.start), at.set.pod_name(added.end - 1));
    if first == last { format!("pod {first} starts") } else { format!("pods {first} to {last} start") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{RuleTest, set};
    use super::*;

    fn at(start: i32, replicas: i32) -> RuleTest {
        let claims = json!([{"metadata": {"name": "data"}}]);
        set(
            json!({"spec": {"replicas": replicas, "ordinals": {"start": start}, "volumeClaimTemplates": claims}}),
        )
    }

    #[test]
    fn a_majority_of_the_ordinals_must_stay() {
        for (old, new, found) in [
            ((0, 3), (100, 3), true),
            ((0, 3), (1, 3), false),
            ((0, 3), (2, 3), true),
            ((0, 5), (2, 5), false),
            ((0, 5), (3, 5), true),
            ((5, 3), (0, 8), false),
            ((0, 3), (0, 1), false),
            ((0, 0), (7, 3), false),
            ((0, 3), (7, 0), false),
            ((i32::MIN, i32::MAX), (i32::MAX, i32::MAX), true),
        ] {
            let (before, after) = (at(old.0, old.1), at(new.0, new.1));
            let violations = after.found_after(&RULE, Some(&before));
            assert_eq!(!violations.is_empty(), found, "{old:?} to {new:?}");
        }
    }

    #[test]
    fn an_ensemble_counts_as_one() {
        let member = |name: &str, start: i32| {
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": 1, "ordinals": {"start": start}}})
        };
        let with_others = |start: i32, others: &[&str]| {
            let others = others.iter().map(|name| super::super::testing::set_json(member(name, 0)));
            others.fold(set(member("a", start)), RuleTest::with)
        };
        let found =
            |others: &[&str]| with_others(1, others).found_after(&RULE, Some(&with_others(0, others)));
        assert!(found(&["b", "c"]).is_empty(), "2 of 3 stay");
        let of_two = found(&["b"]);
        assert!(of_two[0].message.starts_with("1 of the 2 members of ensemble zk keep"), "{of_two:?}");
        assert!(of_two[0].message.contains("pod a-1 starts without data"), "{of_two:?}");
        assert_eq!(of_two[0].remedy, "set spec.ordinals.start to 0", "there is no smaller step");
        let (old, new) =
            (with_others(0, &[]), with_others(1, &[]).unknown(crate::cluster::Kind::StatefulSet));
        assert!(new.found_after(&RULE, Some(&old)).is_empty());
    }

    #[test]
    fn names_those_that_are_new() {
        let message = |old: (i32, i32), new: (i32, i32)| {
            at(new.0, new.1).found_after(&RULE, Some(&at(old.0, old.1)))[0].message.clone()
        };
        assert!(message((0, 3), (2, 3)).contains("pods zk-3 to zk-4 start"));
        assert!(message((0, 3), (100, 3)).contains("pods zk-100 to zk-102 start"));
        assert!(message((4, 3), (2, 3)).contains("pods zk-2 to zk-3 start"));
        assert!(message((1, 1), (0, 1)).contains("pod zk-0 starts"));
    }

    #[test]
    fn others_are_warned_where_they_have_claims() {
        let (before, after) = (at(0, 3).class(Class::Replicated), at(1, 3).class(Class::Replicated));
        let found = after.found_after(&RULE, Some(&before));
        assert_eq!(found[0].at_most, Level::Warn);
        let bare = |start: i32| set(json!({"spec": {"ordinals": {"start": start}}})).class(Class::Replicated);
        assert!(bare(7).found_after(&RULE, Some(&bare(0))).is_empty());
    }
}
