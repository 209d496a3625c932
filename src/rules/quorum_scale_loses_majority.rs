//! `quorum-scale-loses-majority`

use super::{CountEvidence, FieldPlace, MemberCounts, Params, SetContext, Transition, Violations};
use crate::model::quorum::majority;
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// An update or a scale leaves a consensus group (class `quorum`) with fewer members than a majority of those it
    /// has, but with some: 5 to 1, 3 to 1, 2 to 1, also 4 to 2. Sets that share `stateward.dev/ensemble` are counted
    /// together. To stop all members is another matter (`quorum-scaled-to-zero`), and it can be undone.
    ///
    /// A set that starts again from 0 has as many members as pods that have not stopped yet, and one that is created again after
    /// `kubectl delete --cascade=orphan` as many as pods that it adopts. When there are none, the claims of its first ordinals are
    /// counted, and that is only a warning: claims stay when members are removed as they should be.
    ///
    /// Of several sets of one group that are scaled at once, each counts what was allowed for the others in the last five seconds. Each
    /// replica of the guard knows only what it has allowed itself: with several API servers, or several replicas of the guard, two
    /// changes in the same moment can still both pass.
    ///
    /// ## Why
    ///
    /// To let a member go is a change that a majority of the old members must agree to. When that majority is already
    /// gone, the survivors can neither write nor shrink the group, and often not even be read; what remains is to
    /// restore a snapshot. Software that takes leave when it is stopped may get there member by member; it still
    /// depends on every one of those hand-overs (Galera; there it is a warning). Members that keep no data (Redis Sentinel,
    /// Placement of Dapr) can be started anew with another list of members, so there it is a warning, too. Two members have
    /// no majority without each other, so even 2 to 1 needs
    /// the member removed first.
    ///
    /// ## How to fix
    ///
    /// Shrink in steps of which each keeps a majority (7, 5, 3), and let the group remove the members that left before
    /// the next one. To go from three members to one, remove two of them with the software's own tool first, then allow
    /// the step with `stateward.dev/exempt: quorum-scale-loses-majority` and `stateward.dev/exempt-reason`. A group that
    /// has lost its majority already cannot let anything go: scale it to 0, which is allowed, and recover it from the data of
    /// one member or from a snapshot.
    ///
    /// ## Fails
    ///
    /// The first document is the set as it is, the second as it will be.
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 5
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 1
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 5
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 3
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ```
    "quorum-scale-loses-majority": "shrinking below a majority of the members there are",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let Some(MemberCounts { before, after, evidence }) = step.members() else {
        return;
    };
    let needed = majority(before);
    if !(1..needed).contains(&after) {
        return;
    }
    let leaves_in_order = leaves_in_order(step);
    let keeps_no_data = step.after.keeps_no_data();
    let message = message(step, before, after);
    let is_one_of_several =
        step.after.replicas <= 0 && step.after.group_sets().is_some_and(|sets| sets.len() > 1);
    // An even count would only lead into the next refusal.
    let step_to = needed | 1;
    let replicas = step.after.replicas.saturating_add(step_to - after);
    let remedy = if step_to < before {
        format!(
            "set spec.replicas to {replicas} first, and let the group remove the members that left before going on"
        )
    } else if keeps_no_data {
        "take those that go out of the list that the members start with, in the same change, or let the others forget them; \
         then exempt it for this step"
            .to_owned()
    } else {
        let first = if leaves_in_order {
            "take one member away at a time, and wait until the group counts one fewer"
        } else {
            "remove the members from the group with its own tool first"
        };
        let otherwise = if is_one_of_several {
            "to stop the whole group for a while, exempt it too"
        } else {
            "if the group has no majority any more, scale it to 0, which is allowed, and recover it from one member or a snapshot"
        };
        format!("{first}, then exempt it for this step; {otherwise}")
    };
    if evidence == CountEvidence::Claims {
        remembered(before, after, needed, out);
        return;
    }
    let violation = out.add(FieldPlace::in_set("/spec/replicas"), message, remedy).of_group();
    if leaves_in_order || keeps_no_data || (is_one_of_several && is_stopped(step, needed)) {
        violation.at_most(Level::Warn);
    }
}

fn leaves_in_order(step: &Transition<'_, '_>) -> bool {
    step.after.class.software.as_ref().is_some_and(|software| software.leaves_in_order)
}

fn message(step: &Transition<'_, '_>, before: i32, after: i32) -> String {
    let needed = majority(before);
    if step.after.keeps_no_data() {
        format!(
            "{needed} of {before} members must agree: the {after} that stay decide nothing while they still count those that go"
        )
    } else if leaves_in_order(step) {
        format!(
            "{needed} of {before} members must agree: members that stop in order are no longer counted, but with one that is \
             killed, or was down before, the {after} that stay cannot write"
        )
    } else {
        format!(
            "{needed} of {before} members must agree, also on letting members go: with {after} left the group can neither write \
             nor shrink"
        )
    }
}

/// Whether fewer members are ready than a majority, as far as the sets say: then one more that stops loses nothing.
fn is_stopped(step: &Transition<'_, '_>, needed: i32) -> bool {
    let sets = step.before.and_then(SetContext::group_sets).unwrap_or_default();
    let ready = sets
        .iter()
        .filter(|(_, replicas)| *replicas > 0)
        .map(|(set, replicas)| set.observed().map_or(*replicas, |(_, ready)| ready.min(*replicas)));
    ready.fold(0, i32::saturating_add) < needed
}

/// Claims stay when members are removed as they should be, so this is never sure.
fn remembered(before: i32, after: i32, needed: i32, out: &mut Violations) {
    let message = format!(
        "{before} members have left claims, and {needed} of {before} must agree: if they still are members of the group, it can \
         neither write nor let them go with {after}"
    );
    let remedy = format!(
        "set spec.replicas to the number of members that the group had when it was stopped: {before}, unless some were removed from \
         it before; delete the claims of those first, and of all that are not started if it is to be recovered from the others"
    );
    out.add(FieldPlace::in_set("/spec/replicas"), message, remedy).at_most(Level::Warn);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{set, set_json};
    use super::*;

    #[test]
    fn a_majority_of_the_old_members_must_stay() {
        for (before, after, found) in [
            (5, 1, true),
            (5, 2, true),
            (5, 3, false),
            (4, 2, true),
            (4, 3, false),
            (3, 2, false),
            (3, 1, true),
            (2, 1, true),
            (1, 0, false),
            (5, 0, false),
            (0, 1, false),
            (1, 5, false),
            (3, 3, false),
            (i32::MAX, 1, true),
            (i32::MIN, i32::MAX, false),
            (3, i32::MIN, false),
        ] {
            let old = set(json!({"spec": {"replicas": before}}));
            let new = set(json!({"spec": {"replicas": before}})).scaled_to(after);
            let violations = new.found_after(&RULE, Some(&old));
            assert_eq!(!violations.is_empty(), found, "{before} to {after}");
            assert!(new.found(&RULE).is_empty(), "a creation is no step");
        }
    }

    #[test]
    fn the_remedy_is_a_step_that_is_allowed() {
        let remedy = |before: i32, after: i32| {
            let old = set(json!({"spec": {"replicas": before}}));
            let new = old.clone().scaled_to(after);
            new.found_after(&RULE, Some(&old))[0].remedy.clone()
        };
        assert!(remedy(7, 1).starts_with("set spec.replicas to 5 first"));
        assert!(remedy(5, 1).starts_with("set spec.replicas to 3 first"));
        assert!(remedy(4, 2).starts_with("set spec.replicas to 3 first"));
        assert!(remedy(3, 1).starts_with("remove the members"));
        assert!(remedy(2, 1).starts_with("remove the members"));
    }

    #[test]
    fn an_ensemble_counts_as_one() {
        let annotated = json!({"metadata": {"annotations": {"stateward.dev/ensemble": "zk"}}});
        let other =
            set_json(json!({"metadata": {"name": "b", "annotations": {"stateward.dev/ensemble": "zk"}},
            "spec": {"replicas": 2}}));
        let old = set(annotated).with(other);
        let found = |replicas| old.clone().scaled_to(replicas).found_after(&RULE, Some(&old));
        assert!(found(1).is_empty(), "3 of 5 stay");
        assert!(found(0)[0].remedy.starts_with("set spec.replicas to 1 first"));
        assert!(found(3).is_empty());
        let unknown = old.clone().unknown(crate::cluster::Kind::StatefulSet);
        assert!(unknown.scaled_to(0).found_after(&RULE, Some(&old)).is_empty());
        let alone = set(json!({}));
        assert!(
            old.scaled_to(1).found_after(&RULE, Some(&alone)).is_empty(),
            "the others were there, only not said to be"
        );
    }

    #[test]
    fn a_group_is_stopped_set_by_set() {
        let of = |name: &str, replicas: i32, ready: i32| {
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": replicas}, "status": {"replicas": replicas, "readyReplicas": ready}})
        };
        let stop = |ready: [i32; 2]| {
            let old =
                set(of("a", 1, ready[0])).with(set_json(of("b", 1, ready[1]))).with(set_json(of("c", 0, 0)));
            old.clone().scaled_to(0).found_after(&RULE, Some(&old))
        };
        let running = stop([1, 1]);
        assert_eq!(running[0].at_most, Level::Deny);
        assert!(
            running[0].remedy.ends_with("to stop the whole group for a while, exempt it too"),
            "{}",
            running[0].remedy
        );
        assert_eq!(stop([1, 0])[0].at_most, Level::Warn, "it has no majority to lose");
    }
}
