//! `partition-holds-all`

use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};

rule! {
    /// ## What it checks
    ///
    /// `updateStrategy.rollingUpdate.partition` is at least the replica count, which is above 0. The controller counts the partition
    /// from the first pod, also where `ordinals.start` gives that one another number than 0. Sets that an operator manages are let be:
    /// operators hold updates back with the partition and lower it pod by pod.
    ///
    /// ## Why
    ///
    /// The first `partition` pods keep the template they have. When those are all of them, no edit of the template reaches any: the
    /// new image is accepted and never runs, `kubectl rollout status` says the update is complete, and a pod that is replaced comes
    /// back with the old template, with the old password and the old vulnerability. It is usually left behind by a careful
    /// update, or by a scale-down.
    ///
    /// ## How to fix
    ///
    /// Set `partition` to 0. To try an update on one pod first, set it to the replica count less one, and to 0 once that pod has
    /// proven itself. Where updates are deliberately staged this way, the finding says that one is waiting.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 3
    ///   serviceName: etcd
    ///   updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 3}}
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 3
    ///   serviceName: etcd
    ///   updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]
    /// ```
    "partition-holds-all": "updates never reach a pod",
    triggers: [Set, Scale],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(rolling) = at.set.rolling_update() else { return };
    let (partition, replicas) = (rolling.partition, at.replicas);
    if replicas <= 0 || partition < replicas || at.set.operator().is_some() {
        return;
    }
    let last = format!("{}-{}", at.name(), at.last_ordinal());
    let (pods, canary) = if replicas == 1 {
        (format!("{last} keeps its template"), String::new())
    } else {
        let canary = format!(", or to {} to try updates on {last} first", replicas - 1);
        (format!("{} to {last} all keep their template", at.first_pod()), canary)
    };
    let message = format!(
        "partition {partition} with a replica count of {replicas}: {pods}, so no edit of it reaches a pod"
    );
    let remedy = format!("set spec.updateStrategy.rollingUpdate.partition to 0{canary}");
    let place = FieldPlace::in_set("/spec/updateStrategy/rollingUpdate/partition");
    // It lets go of an update that may have been held back on purpose.
    out.add(place.clone(), message, remedy).edit(FieldEdit::set(place, 0).unsafe_to_apply());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::set;
    use super::*;

    #[test]
    fn at_least_the_replica_count() {
        for (partition, replicas, found) in [
            (json!(null), 3, false),
            (json!(0), 3, false),
            (json!(-1), 3, false),
            (json!(2), 3, false),
            (json!(3), 3, true),
            (json!(i32::MAX), 3, true),
            (json!(1), 1, true),
            (json!(0), 0, false),
            (json!(3), 0, false),
            (json!(i32::MIN), i32::MIN, false),
            (json!(i32::MAX), i32::MAX, true),
        ] {
            let strategy = |kind| {
                let strategy = json!({"type": kind, "rollingUpdate": {"partition": partition}});
                let ordinals = json!({"start": i32::MAX});
                let scene = set(json!({"spec": {"updateStrategy": strategy, "ordinals": ordinals}}));
                scene.scaled_to(replicas).found(&RULE).len()
            };
            assert_eq!(strategy("RollingUpdate"), usize::from(found), "{partition} {replicas}");
            assert_eq!(strategy("OnDelete"), 0);
        }
    }

    #[test]
    fn operators_hold_updates_back() {
        for (api_version, found) in [("apps/v1", 1), ("pingcap.com/v1alpha1", 0)] {
            let owner = json!([{"apiVersion": api_version, "kind": "X", "name": "x", "controller": true}]);
            let spec = json!({"updateStrategy": {"rollingUpdate": {"partition": 3}}});
            let scene = set(json!({"metadata": {"ownerReferences": owner}, "spec": spec}));
            assert_eq!(scene.found(&RULE).len(), found, "{api_version}");
        }
    }

    #[test]
    fn the_partition_counts_from_the_first_pod() {
        let staged = |start| {
            set(json!({"spec": {"ordinals": {"start": start}, "updateStrategy": {"rollingUpdate": {"partition": 3}}}}))
                .says(&RULE)
        };
        assert_eq!(
            staged(5),
            "partition 3 with a replica count of 3: zk-5 to zk-7 all keep their template, so no edit of it reaches a pod \
             -> set spec.updateStrategy.rollingUpdate.partition to 0, or to 2 to try updates on zk-7 first"
        );
        let single =
            set(json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}})).scaled_to(1);
        assert!(single.says(&RULE).ends_with("partition to 0"));
    }
}
