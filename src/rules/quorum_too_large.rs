//! `quorum-too-large`

use super::members::edit_to;
use super::{FieldPlace, Param, ParamKind, Params, SetContext, Violations};
use crate::model::quorum::{majority, tolerated};

rule! {
    /// ## What it checks
    ///
    /// A consensus group (class `quorum`) has more than 7 members, or more than the parameter `maxMembers`. Sets that
    /// share `stateward.dev/ensemble` are counted together.
    ///
    /// ## Why
    ///
    /// Every write waits until a majority has it on disk, and the leader sends it to every member: each pair of members
    /// more makes all writes slower. Seven already survive three failures at once; what goes wrong beyond that (a bad
    /// release, a full disk, a lost region) takes all members alike.
    ///
    /// ## How to fix
    ///
    /// Run five or seven voting members. Where more are there to serve reads, run them without a vote (ZooKeeper
    /// observers, etcd learners, Consul or Vault non-voters) in a StatefulSet of their own with `stateward.dev/class:
    /// replicated`.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 9
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
    ///   replicas: 7
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ```
    "quorum-too-large": "more members than a majority can be quick with",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    params: [MAX_MEMBERS],
    check: State(check),
}

const MAX_MEMBERS: Param = Param {
    name: "maxMembers",
    docs: "the largest number of members that is no finding",
    // The advice of the documentation of etcd, Consul and ZooKeeper.
    kind: ParamKind::Integer { default: 7 },
};

fn check(at: &SetContext<'_>, params: &Params, out: &mut Violations) {
    let limit = params.integer(&MAX_MEMBERS).max(1);
    let Some(members) = at.members().filter(|members| *members > limit) else {
        return;
    };
    if at.replicas <= 0 {
        return;
    }
    let message = format!(
        "each write waits for {} of {members} members; {limit} would wait for {} and survive the failure of {}",
        majority(members),
        majority(limit),
        tolerated(limit),
    );
    let fewer = limit.max(members.saturating_sub(at.replicas));
    let remedy = format!("{}, and run more without a vote if they are for reading", edit_to(at, fewer));
    out.add(FieldPlace::in_set("/spec/replicas"), message, remedy).weighing(members).of_group();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{set, set_json};
    use super::*;

    #[test]
    fn seven_is_the_most_unless_said_otherwise() {
        for (replicas, max_members, found) in [
            (7, None, false),
            (8, None, true),
            (i32::MAX, None, true),
            (i32::MIN, None, false),
            (7, Some(5), true),
            (9, Some(9), false),
            (1, Some(-1), false),
        ] {
            let given = json!({"maxMembers": max_members});
            let params = Params::read(given.as_object().unwrap(), RULE.params).unwrap();
            let scene = set(json!({"spec": {"replicas": replicas}})).params(params);
            assert_eq!(!scene.found(&RULE).is_empty(), found, "{replicas} of {max_members:?}");
        }
    }

    #[test]
    fn an_ensemble_counts_as_one() {
        let ensemble = json!({"annotations": {"stateward.dev/ensemble": "zk"}});
        let other =
            set_json(json!({"metadata": {"name": "b", "annotations": {"stateward.dev/ensemble": "zk"}},
            "spec": {"replicas": 6}}));
        let scene = set(json!({"metadata": ensemble})).with(other);
        assert!(scene.says(&RULE).contains("set spec.replicas to 1,"), "{}", scene.says(&RULE));
        assert!(scene.scaled_to(0).found(&RULE).is_empty());
    }
}
