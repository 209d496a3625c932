//! `rollout-below-quorum`

use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::quorum::{majority, tolerated};

rule! {
    /// ## What it checks
    ///
    /// `updateStrategy.rollingUpdate.maxUnavailable` of a consensus group (class `quorum`) lets a rolling update take down more
    /// members at once than the group can spare. Sets that share `stateward.dev/ensemble` are counted together.
    ///
    /// A percentage is of this set's replicas and rounds down, but never below 1, as in the StatefulSet controller; `partition` pods
    /// are left out, because an update does not reach them. Without the field, or with `OnDelete`, pods go one at a time, which is
    /// right for any group of three or more. What two members can spare is `quorum-too-small`'s matter.
    ///
    /// ## Why
    ///
    /// Each edit of the template, a new image or a new password, replaces all pods. When more than a minority goes at once, the rest
    /// is no majority: the group stops for as long as the pods need to start, and members that start without one cannot even become
    /// ready. A disruption budget does not help, for the controller deletes pods without asking it. Clusters that do not have
    /// `MaxUnavailableStatefulSet` switched on ignore the field until they are upgraded to a version that has.
    ///
    /// ## How to fix
    ///
    /// Remove the field, so that one member goes at a time, or set it to at most the number of members that may fail: 1 of 3, 2 of 5.
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
    ///   updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 2}}
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
    ///   replicas: 5
    ///   serviceName: etcd
    ///   updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 2}}
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]
    /// ```
    "rollout-below-quorum": "a rolling update takes down more than a minority",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(rolling) = at.set.rolling_update() else { return };
    let (Some(limit), Some(members)) = (rolling.max_unavailable, at.members()) else { return };
    let reached = at.replicas.saturating_sub(rolling.partition.max(0));
    let down = limit.of_rounded_down(at.replicas).max(1).min(reached);
    let most = tolerated(members).max(1);
    if down <= most {
        return;
    }
    let message = format!(
        "maxUnavailable {limit} lets an update take down {down} members of {} at once, and {} of {members} must stay up",
        at.name(),
        majority(members),
    );
    let remedy = format!("set spec.updateStrategy.rollingUpdate.maxUnavailable to {most}");
    let place = FieldPlace::in_set("/spec/updateStrategy/rollingUpdate/maxUnavailable");
    out.add(place.clone(), message, remedy).edit(FieldEdit::set(place, most)).weighing(down - most);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{RuleTest, set, set_json};
    use super::*;
    use crate::cluster::Kind;

    fn rolling(replicas: i32, rolling: &Value) -> RuleTest {
        set(json!({"spec": {"updateStrategy": {"rollingUpdate": rolling}}})).scaled_to(replicas)
    }

    #[test]
    fn more_than_a_minority_at_once() {
        for (replicas, limit, down) in [
            (3, json!(null), 0),
            (3, json!(1), 0),
            (3, json!(2), 2),
            (3, json!(100), 3),
            (3, json!("66%"), 0),
            (3, json!("67%"), 2),
            (3, json!("100%"), 3),
            (3, json!("1%"), 0),
            (3, json!(0), 0),
            (3, json!(-5), 0),
            (4, json!(2), 2),
            (5, json!(2), 0),
            (5, json!(3), 3),
            (2, json!(1), 0),
            (2, json!(2), 2),
            (1, json!(3), 0),
            (0, json!(3), 0),
            (i32::MIN, json!("100%"), 0),
            (i32::MAX, json!("100%"), i32::MAX),
            (i32::MAX, json!(i32::MIN), 0),
        ] {
            let says = rolling(replicas, &json!({"maxUnavailable": limit})).says(&RULE);
            let expected = format!("take down {down} members");
            assert_eq!(says.contains(&expected), down > 0, "{replicas} {limit}: {says}");
            assert_eq!(says.is_empty(), down == 0, "{replicas} {limit}: {says}");
        }
        let on_delete =
            json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"maxUnavailable": 3}}}});
        assert_eq!(set(on_delete).says(&RULE), "");
    }

    #[test]
    fn pods_below_the_partition_stay_up() {
        for (partition, found) in [(0, true), (1, true), (2, false), (3, false), (-1, true), (i32::MIN, true)]
        {
            let limited = rolling(3, &json!({"maxUnavailable": "100%", "partition": partition}));
            assert_eq!(!limited.says(&RULE).is_empty(), found, "{partition}");
        }
    }

    #[test]
    fn an_ensemble_counts_as_one_and_worse_weighs_more() {
        let part = |name: &str| {
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
            "spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}}})
        };
        assert_ne!(set(part("a")).says(&RULE), "");
        assert_eq!(set(part("a")).with(set_json(part("b"))).says(&RULE), "", "2 of 6");
        assert_eq!(set(part("a")).unknown(Kind::StatefulSet).says(&RULE), "");
        let weight = |limit| rolling(5, &json!({"maxUnavailable": limit})).found(&RULE)[0].weight;
        assert!(weight(4) > weight(3));
    }
}
