//! `quorum-members-replaced`

use super::{Params, Place, Transition, Violations};
use crate::model::Class;
use crate::model::quorum::majority;
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// An update changes `spec.ordinals.start` so that fewer than a majority of the pods of a consensus group (class `quorum`)
    /// keep their ordinals. For a set of another class with claim templates it is a warning if any of its pods is replaced.
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
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let Some(before) = step.before else { return };
    let (old, new) = (before.set.ordinals(before.replicas), step.after.set.ordinals(step.after.replicas));
    if old.start == new.start || old.is_empty() || new.is_empty() {
        return;
    }
    let (members, kept) = (old.end - old.start, (old.end.min(new.end) - old.start.max(new.start)).max(0));
    let is_quorum = step.after.class.class == Class::Quorum || before.class.class == Class::Quorum;
    let has_claims = !before.set.spec.volume_claim_templates.is_empty();
    let needed = i64::from(majority(i32::try_from(members).unwrap_or(i32::MAX)));
    if kept == members || (is_quorum && kept >= needed) || (!is_quorum && !has_claims) {
        return;
    }
    let name = step.after.name();
    let place = Place::in_set("/spec/ordinals/start");
    if is_quorum {
        let message = format!(
            "{kept} of the {members} members keep their ordinals, and {needed} must agree: pods {name}-{} to {name}-{} start \
             without data in place of the others",
            new.start,
            new.end - 1
        );
        let remedy = format!("set spec.ordinals.start to {}, or move it by one member at a time", old.start);
        out.add(place, message, remedy);
    } else {
        let message = format!(
            "{} of {members} pods get other ordinals, and with them other claims: their data stays behind in the old claims",
            members - kept
        );
        let remedy = format!("set spec.ordinals.start to {}, or move the data first", old.start);
        out.add(place, message, remedy).at_most(Level::Warn);
    }
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
    fn others_are_warned_where_they_have_claims() {
        let (before, after) = (at(0, 3).class(Class::Replicated), at(1, 3).class(Class::Replicated));
        let found = after.found_after(&RULE, Some(&before));
        assert_eq!(found[0].at_most, Level::Warn);
        let bare = |start: i32| set(json!({"spec": {"ordinals": {"start": start}}})).class(Class::Replicated);
        assert!(bare(7).found_after(&RULE, Some(&bare(0))).is_empty());
    }
}
