//! `quorum-even`

use super::edits;
use super::members::{edit_to, match_list, set_count};
use super::{FieldPlace, Params, SetContext, Violations};
use crate::model::AbsentVoters;
use crate::model::quorum::{majority, tolerated};

rule! {
    /// ## What it checks
    ///
    /// A consensus group (class `quorum`) has an even number of members. Sets that share `stateward.dev/ensemble` are
    /// counted together, and so are sets that one custom resource owns or that name one replica set. No replicas at all is
    /// not an even count but a group that is switched off.
    ///
    /// It is a warning where sets only seem to be one group (one image behind one Service, one cluster of Elasticsearch by name), and
    /// where a list of members names others, observers of ZooKeeper among the pods, or fewer voters of Kafka than there are pods. Where
    /// a list of ZooKeeper or Kafka names pods of the set that do not run, the number that runs is judged.
    ///
    /// For a set that an operator manages it is at most a warning: operators change one member after the other, and pass
    /// through even counts.
    ///
    /// ## Why
    ///
    /// A majority of 4 is 3, so 4 members survive one failure: as many as 3 do, with one more machine that can fail and one
    /// more that must acknowledge each write. And a network that splits the group in two equal halves stops both.
    ///
    /// ## How to fix
    ///
    /// Run one member more or one fewer, and where the containers have a list of the members by name (`ZOO_SERVERS`,
    /// `controller.quorum.voters`, `--initial-cluster`), change it with the count. Where the other members are in another StatefulSet, say so with the annotation
    /// `stateward.dev/ensemble: NAME` on each. Where the software is not one consensus group, say
    /// `stateward.dev/class: replicated`.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 4
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
    "quorum-even": "an even number of members",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(members) = at.members() else { return };
    if members <= 0 || members % 2 != 0 || at.replicas <= 0 {
        return;
    }
    let (message, remedy) = match at.absent_voters() {
        Some(absent) => (message_of_list(members, absent), match_list(at, absent)),
        None => (message(members), remedy(at, members)),
    };
    out.add(FieldPlace::in_set("/spec/replicas"), message, remedy)
        .edits(edits::members(at, target(at, members)))
        .passing_state()
        .of_group();
}

fn message(members: i32) -> String {
    match members {
        2 => "2 members survive no failure, just as 1 would, because both must agree".to_owned(),
        _ => format!(
            "{members} members survive the failure of {}, just as {} do, because {} must agree",
            tolerated(members),
            members - 1,
            majority(members),
        ),
    }
}

/// Members that are listed and do not run raise the majority, so an even number survives no more than one fewer would without them.
fn message_of_list(running: i32, absent: &AbsentVoters) -> String {
    let AbsentVoters { list, voters, .. } = absent;
    let needed = majority(*voters);
    let survives = |what: &str| format!("they survive {what}, no more than a list of {} would", running - 1);
    let consequence = match running - needed {
        ..0 => "the group cannot work".to_owned(),
        0 => survives("no failure"),
        failures => survives(&format!("the failure of {failures}")),
    };
    format!("{running} of the {voters} members that {list} lists run, and {needed} must agree: {consequence}")
}

/// More members than this only make writes slower.
const ENOUGH: i32 = 7;

/// The count that is the first to name.
fn target(at: &SetContext<'_>, members: i32) -> i32 {
    let enough = at.replicas.saturating_sub(members - ENOUGH);
    if members > ENOUGH && enough > 0 { ENOUGH } else { members.saturating_add(1) }
}

fn remedy(at: &SetContext<'_>, members: i32) -> String {
    let (fewer, more) = (at.replicas - 1, members.saturating_add(1));
    let enough = at.replicas.saturating_sub(members - ENOUGH);
    if members > ENOUGH && enough > 0 {
        edit_to(at, ENOUGH)
    } else if fewer == 0 || members == 2 || at.has_one_set_a_member() {
        edit_to(at, more)
    } else {
        let replicas = at.replicas.saturating_add(1);
        set_count(at, &format!("{replicas} (or {fewer})"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{set, set_json};
    use super::*;
    use crate::cluster::Kind;
    use crate::model::Class;

    #[test]
    fn an_even_count_above_zero() {
        for (replicas, found) in [
            (json!(null), false),
            (json!(i32::MIN), false),
            (json!(-2), false),
            (json!(0), false),
            (json!(1), false),
            (json!(2), true),
            (json!(3), false),
            (json!(4), true),
            (json!(i32::MAX - 1), true),
            (json!(i32::MAX), false),
        ] {
            let scene = set(json!({"spec": {"replicas": replicas}}));
            assert_eq!(!scene.found(&RULE).is_empty(), found, "{replicas}");
        }
        assert!(!set(json!({})).scaled_to(4).found(&RULE).is_empty());
        assert!(set(json!({})).class(Class::Replicated).scaled_to(4).found(&RULE).is_empty());
    }

    #[test]
    fn says_what_it_means() {
        let four = set(json!({})).scaled_to(4).says(&RULE);
        assert_eq!(
            four,
            "4 members survive the failure of 1, just as 3 do, because 3 must agree -> set spec.replicas to 5 (or 3)"
        );
        assert!(set(json!({})).scaled_to(2).says(&RULE).ends_with("set spec.replicas to 3"));
        assert!(
            set(json!({})).scaled_to(10).says(&RULE).ends_with("set spec.replicas to 7"),
            "not 11, nor 9"
        );
        assert!(set(json!({})).scaled_to(6).says(&RULE).ends_with("set spec.replicas to 7 (or 5)"));
    }

    #[test]
    fn a_set_a_member_stays_one() {
        let member = |name: &str| json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}}, "spec": {"replicas": 1}});
        let four = ["b", "c", "d"].into_iter().map(|name| set_json(member(name)));
        let says = four.fold(set(member("a")), super::super::testing::RuleTest::with).says(&RULE);
        assert!(says.ends_with("-> add one StatefulSet of one member each, to make it 5"), "{says}");
    }

    #[test]
    fn an_ensemble_counts_as_one() {
        let member = |name: &str, replicas: i32| {
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": replicas}})
        };
        let found = |own: i32, other: i32| {
            let scene = set(member("a", own)).with(set_json(member("b", other)));
            scene.says(&RULE)
        };
        assert_eq!(found(3, 2), "");
        assert!(found(1, 3).ends_with("set spec.replicas to 2"));
        assert!(found(2, 2).ends_with("set spec.replicas to 3 (or 1)"));
        assert_eq!(found(0, 4), "", "it has no part in it");
        assert_eq!(found(i32::MIN, i32::MAX), "");
        assert_ne!(found(i32::MAX, -1), "", "and does not overflow");
        let elsewhere = json!({"metadata": {"name": "b", "namespace": "other",
            "annotations": {"stateward.dev/ensemble": "zk"}}});
        assert_eq!(set(member("a", 3)).with(set_json(elsewhere)).says(&RULE), "");
        assert_eq!(set(member("a", 4)).unknown(Kind::StatefulSet).says(&RULE), "");
        let alone = set(json!({})).scaled_to(4).unknown(Kind::StatefulSet);
        assert_ne!(alone.says(&RULE), "", "without an ensemble the others do not matter");
    }
}
