//! `quorum-step-unfinished`

use super::{FieldPlace, Params, Transition, Violations};

rule! {
    /// ## What it checks
    ///
    /// An update or a scale changes the replica count of a consensus group (class `quorum`) while the step before it is not
    /// finished, by the `status` of the set: more pods exist than the count asks for, or the group grows although not all of its
    /// members are ready. To undo a step, and to stop all members, is allowed.
    ///
    /// ## Why
    ///
    /// Each step is safe only if the members that the step before added have caught up, and those that it removed have left the
    /// group. 7 to 5 and at once 5 to 3 leaves 3 of 7 members, and 4 must agree; 3 to 5 to 7 leaves 4 members without data
    /// beside 3 that have it.
    ///
    /// ## How to fix
    ///
    /// Wait until `kubectl get statefulset NAME` shows all members ready and no more pods than asked for, then make the next step.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// case:
    ///   scale: {name: zk, from: 5, to: 3}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 5
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    /// status: {replicas: 7, readyReplicas: 7}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// case:
    ///   scale: {name: zk, from: 5, to: 3}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 5
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    /// status: {replicas: 5, readyReplicas: 5}
    /// ```
    "quorum-step-unfinished": "a second step while the one before is not finished",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let Some(before) = step.before else { return };
    let (old, new) = (before.replicas, step.after.replicas);
    let Some((pods, ready)) = before.set.observed() else { return };
    if new <= 0 || new == old {
        return;
    }
    let message = if new > old {
        // With no member ready there is nothing to lose by growth: the group is new, or down already.
        if ready == 0 || ready >= old {
            return;
        }
        format!(
            "{ready} of {old} members are ready: {} more that start without data would join a group that is not whole",
            new.saturating_sub(old)
        )
    } else {
        // Where there are no more pods than will stay, a step that was only asked for is undone.
        if pods <= old || new >= pods {
            return;
        }
        format!(
            "{pods} pods exist and {old} are asked for: the members that the last step removed have not left yet"
        )
    };
    let remedy = format!(
        "wait until StatefulSet {} has {old} pods and all of them are ready (kubectl rollout status statefulset/{}), then set \
         spec.replicas to {new}",
        step.after.name(),
        step.after.name()
    );
    out.add(FieldPlace::in_set("/spec/replicas"), message, remedy);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::set;
    use super::*;

    #[test]
    fn the_status_decides() {
        for (old, new, pods, ready, found) in [
            (5, 3, 7, 7, true),
            (5, 3, 5, 5, false),
            (5, 3, 5, 3, false),
            (5, 7, 5, 3, true),
            (5, 7, 5, 5, false),
            (5, 7, 3, 3, true),
            (5, 7, 5, 0, false),
            (5, 3, 3, 3, false),
            (5, 0, 7, 7, false),
            (3, 5, 5, 5, false),
            (5, 5, 7, 7, false),
            (3, 3, 5, 3, false),
            (3, i32::MAX, 3, 2, true),
            (3, i32::MIN, 5, 5, false),
        ] {
            let status = json!({"replicas": pods, "readyReplicas": ready});
            let before = set(json!({"spec": {"replicas": old}, "status": status}));
            let after = before.clone().scaled_to(new);
            let violations = after.found_after(&RULE, Some(&before));
            assert_eq!(!violations.is_empty(), found, "{old} to {new} with {pods} pods, {ready} ready");
        }
    }

    #[test]
    fn without_a_status_nothing_is_known() {
        let before = set(json!({"spec": {"replicas": 5}}));
        assert!(before.clone().scaled_to(7).found_after(&RULE, Some(&before)).is_empty());
        assert!(before.found(&RULE).is_empty(), "a creation is no step");
    }
}
