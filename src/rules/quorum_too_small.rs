//! `quorum-too-small`

use super::budgets::enumerate;
use super::edits;
use super::members::{edit_to, match_list};
use super::{FieldPlace, Params, SetContext, Violations};
use crate::model::AbsentVoters;
use crate::model::quorum::majority;
use crate::software;

rule! {
    /// ## What it checks
    ///
    /// A consensus group (class `quorum`) has one or two members. Sets that share `stateward.dev/ensemble` are counted
    /// together. No replicas at all is a group that is switched off.
    ///
    /// Or a list that all servers of ZooKeeper or Kafka are given names so many pods of the set that do not run, that no more than a
    /// majority of those in the list are left: 3 pods, where `ZOO_SERVERS` still has the 5 of before.
    ///
    /// ## Why
    ///
    /// One member is a single point of failure with a single copy of the data. Two are worse: both must agree, so the
    /// failure of either stops the group, and that is twice as likely.
    ///
    /// ## How to fix
    ///
    /// Run three members, and list exactly those that run. A single one is a sensible choice for development: say so with `stateward.dev/exempt:
    /// quorum-too-small` and `stateward.dev/exempt-reason`, or exempt the namespace in a policy. Where the other
    /// members are in another StatefulSet, say so with the annotation `stateward.dev/ensemble: NAME` on each.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 2
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
    ///   replicas: 3
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ```
    "quorum-too-small": "too few members to survive a failure",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if let Some(absent) = at.absent_voters() {
        return check_absent(at, absent, out);
    }
    let Some(members @ 1..=2) = at.members() else {
        return;
    };
    if at.replicas <= 0 {
        return;
    }
    let grow = edit_to(at, 3);
    let lists_others = || software::with_texts(at.set).member_elsewhere(at.replicas).is_some();
    let is_whole = at.group_sets().is_some_and(|sets| sets.len() == 1);
    let (message, remedy) = match members {
        1 if at.set.is_arbiter() => (
            "an arbiter votes for members that are not known here: it keeps no data",
            format!("{SAY_ENSEMBLE} it and of the sets with the data"),
        ),
        1 if is_whole && lists_others() => {
            ("a single member of the group is known here, and alone it survives no failure", grow)
        }
        1 if at.keeps_no_data() => (
            "while the single member is down or moves, nothing is decided: fine for development only",
            format!("{grow}, or exempt it where it is for development"),
        ),
        1 => (
            "a single member holds the only copy of the data, and while it is down or moves nothing works: \
             fine for development only",
            format!("{grow}, or exempt it where it is for development"),
        ),
        _ => ("2 members survive no failure, because both must agree: either one can stop the group", grow),
    };
    out.add(FieldPlace::in_set("/spec/replicas"), message, remedy)
        .weighing(3 - members)
        // A single member may be meant.
        .edits((members == 2).then(|| edits::members(at, 3)).flatten())
        .of_group();
}

/// Those that are listed count for the majority and never vote.
fn check_absent(at: &SetContext<'_>, absent: &AbsentVoters, out: &mut Violations) {
    let AbsentVoters { list, voters, pods } = absent;
    let (running, needed) = (at.replicas, majority(*voters));
    if running > needed {
        return;
    }
    let consequence =
        if running < needed { "the group cannot work" } else { "it survives no failure and no drain" };
    let names = enumerate(pods.iter().cloned());
    let message = format!(
        "{list} lists {voters} members, of which {needed} must agree, and {running} run, without {names}: {consequence}"
    );
    out.add(FieldPlace::in_set("/spec/replicas"), message, match_list(at, absent))
        .weighing(1 + needed - running)
        .of_group();
}

const SAY_ENSEMBLE: &str = "say which group it is in with the annotation stateward.dev/ensemble of";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{set, set_json};
    use super::*;

    #[test]
    fn one_and_two_are_too_few() {
        for (replicas, found) in [
            (json!(null), true),
            (json!(-1), false),
            (json!(0), false),
            (json!(1), true),
            (json!(2), true),
            (json!(3), false),
            (json!(i32::MAX), false),
        ] {
            let scene = set(json!({"spec": {"replicas": replicas}}));
            assert_eq!(!scene.found(&RULE).is_empty(), found, "{replicas}");
        }
        assert!(!set(json!({})).scaled_to(1).found(&RULE).is_empty());
    }

    #[test]
    fn one_member_is_worse_than_two() {
        let weight = |replicas| set(json!({})).scaled_to(replicas).found(&RULE)[0].weight;
        assert!(weight(1) > weight(2));
    }

    #[test]
    fn an_arbiter_keeps_no_data() {
        let template = json!({"metadata": {"labels": {"app.kubernetes.io/component": "arbiter"}}});
        let says = set(json!({"spec": {"replicas": 1, "template": template}})).says(&RULE);
        assert!(says.contains("keeps no data") && says.contains("stateward.dev/ensemble"), "{says}");
    }

    #[test]
    fn a_list_of_members_says_that_others_may_have_the_data_too() {
        let says = |list: &str| {
            let container = json!({"name": "zk", "env": [{"name": "ZOO_SERVERS", "value": list}]});
            set(json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}}}))
                .says(&RULE)
        };
        let elsewhere = says("server.1=zk-0.zk.a.svc:2888:3888 server.2=zk-0.zk.b.svc:2888:3888");
        assert!(elsewhere.starts_with("a single member of the group is known here"), "{elsewhere}");
        assert!(says("server.1=zk-0.zk:2888:3888").contains("the only copy of the data"));
    }

    #[test]
    fn an_ensemble_counts_as_one() {
        let ensemble = json!({"annotations": {"stateward.dev/ensemble": "zk"}});
        let one = set(json!({"metadata": ensemble, "spec": {"replicas": 1}}));
        let other = |replicas: i32| {
            set_json(json!({"metadata": {"name": "b", "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": replicas}}))
        };
        assert!(one.clone().with(other(2)).found(&RULE).is_empty());
        let two = one.clone().with(other(1)).says(&RULE);
        assert!(two.ends_with("add one StatefulSet of one member each, to make it 3"), "{two}");
        assert!(one.clone().with(other(1)).scaled_to(0).found(&RULE).is_empty());
        assert!(one.unknown(crate::cluster::Kind::StatefulSet).found(&RULE).is_empty());
    }
}
