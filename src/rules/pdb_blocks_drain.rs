//! `pdb-blocks-drain`

use super::budgets::{
    describe, edits_to_three, grow_to_three, one_for_group, place, selects_group, set_limit,
};
use super::edits::max_unavailable;
use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::cluster::Kind;
use crate::model::{Class, DisruptionBudget, LabelSelector, Object};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// With all pods healthy, the PodDisruptionBudget of a StatefulSet still allows no eviction: `maxUnavailable: 0`,
    /// `minAvailable` of the replica count or `100%` (percentages round up: `minAvailable: 90%` of 3 is 3), or no limit
    /// at all. What a budget allows is counted over all StatefulSets, Deployments and ReplicaSets it selects. A limit
    /// that depends on the pods of sets that are not known is not judged. Where other kinds are not known, as in a
    /// webhook, a budget that may select their pods too is at most a warning.
    ///
    /// A single replica is at most a warning, and a singleton, whatever its count, is only recorded: to be down is then
    /// a choice between two times. A change that makes a budget stricter is never denied: operators do it while they move data,
    /// and `helm upgrade` raises `minAvailable` before it adds the members. Neither is a consensus group that shrinks under the
    /// budget that it had: to lower `minAvailable` first would let a majority be evicted. In manifests, where both are seen at
    /// once, neither has an excuse.
    /// Where two budgets select one pod, `pdb-overlap` speaks; pods without a scale are for `pdb-counts-others`.
    ///
    /// ## Why
    ///
    /// A drain of the node waits until the pod is deleted by hand: cluster upgrades stand still, the
    /// autoscaler keeps idle nodes, and in the end a node is taken down by force, budget or not.
    ///
    /// ## How to fix
    ///
    /// Set `maxUnavailable: 1` (in place of `minAvailable`): one pod at a time, whatever the replica count. A single replica is
    /// then down for as long as it needs to start elsewhere.
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
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: etcd}
    /// spec:
    ///   minAvailable: 3
    ///   selector: {matchLabels: {app: etcd}}
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
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: etcd}
    /// spec:
    ///   minAvailable: 2
    ///   selector: {matchLabels: {app: etcd}}
    /// ```
    "pdb-blocks-drain": "a disruption budget allows no eviction",
    triggers: [Set, Scale, Budget],
    reads: [StatefulSet, DisruptionBudget],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let [budget] = *at.known_budgets() else { return };
    let expected = at.view.expected_pods(budget);
    if at.replicas <= 0 || budget.allowed_disruptions(expected) > 0 {
        return;
    }
    let level = by_class(at).min(by_knowledge(at, budget));
    if level == Level::Off {
        return;
    }
    let when = match expected {
        1 => format!("{} is up: draining its node never ends", at.first_pod()),
        _ if expected == at.replicas => {
            let name = at.name();
            format!("all {expected} pods of StatefulSet {name} are up: draining their nodes never ends")
        }
        _ => format!(
            "all {expected} pods it selects, those of StatefulSet {} among them, are up: draining their nodes never ends",
            at.name()
        ),
    };
    let message = format!("{} allows no eviction even while {when}", describe(budget));
    let edits = edits(at, budget);
    let violation = out.add(place(at, "/spec/replicas"), message, remedy(at, budget));
    violation.edits(edits);
    violation.keyed("drain").at_most(level).only_blocking_evictions();
    violation.related_to(FieldPlace::of(budget.reference(), budget.limit_path()));
}

fn remedy(at: &SetContext<'_>, budget: &DisruptionBudget) -> String {
    match at.class.class {
        Class::Quorum if at.members() == Some(2) => grow_to_three(at, &[budget]),
        // The limit that is right for the group leaves nothing to spare of a part of it.
        Class::Quorum if at.has_peers_in_group() && !selects_group(at, budget) => one_for_group(at),
        Class::Quorum | Class::Replicated if at.replicas == 1 && !at.has_peers_in_group() => {
            format!("{}, or run more replicas", set_limit(at, budget))
        }
        _ => set_limit(at, budget),
    }
}

/// The limit, where it is right for a set that is a whole group. A person looks first where blocking may be meant.
fn edits(at: &SetContext<'_>, budget: &DisruptionBudget) -> Vec<FieldEdit> {
    if at.class.class == Class::Quorum && at.members() == Some(2) {
        return edits_to_three(at, budget);
    }
    if at.has_peers_in_group() {
        return Vec::new();
    }
    let edits = max_unavailable(budget, 1);
    if at.replicas > 1 && at.class.class != Class::Singleton {
        edits
    } else {
        edits.into_iter().map(FieldEdit::unsafe_to_apply).collect()
    }
}

/// Whether it could do without blocking.
fn by_class(at: &SetContext<'_>) -> Level {
    match at.class.class {
        Class::Singleton => Level::Audit,
        Class::Quorum if at.members().unwrap_or(at.replicas) > 1 => Level::Deny,
        Class::Replicated if at.replicas > 1 => Level::Deny,
        Class::Quorum | Class::Replicated => Level::Warn,
    }
}

/// Whether pods that are not known could leave room for an eviction.
fn by_knowledge(at: &SetContext<'_>, budget: &DisruptionBudget) -> Level {
    if budget.allowed_disruptions(i32::MAX) == 0 {
        Level::Deny
    } else if !at.view.is_complete(Kind::StatefulSet) {
        Level::Off
    } else if at.view.knows_workloads() || selects_no_others(at, budget) {
        Level::Deny
    } else {
        Level::Warn
    }
}

/// Whether the budget selects the pods of this set only: all that the set's own selector selects are the set's.
fn selects_no_others(at: &SetContext<'_>, budget: &DisruptionBudget) -> bool {
    let LabelSelector { match_labels, match_expressions } = &at.set.spec.selector;
    let is_narrower = |selector: &LabelSelector| match_labels.is_subset_of(&selector.match_labels);
    !match_labels.is_empty()
        && match_expressions.is_empty()
        && budget.spec.selector.as_ref().is_some_and(is_narrower)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{RuleTest, budget, set, set_json};
    use super::*;

    fn with_limit(replicas: i32, limit: &Value) -> RuleTest {
        let scene = set(json!({})).class(Class::Replicated).scaled_to(replicas);
        scene.with(budget(json!({"spec": limit})))
    }

    fn level(scene: &RuleTest) -> Option<Level> {
        scene.found(&RULE).first().map(|violation| violation.at_most)
    }

    #[test]
    fn some_eviction_must_be_allowed() {
        for (replicas, limit, found) in [
            (3, json!({"maxUnavailable": 0}), true),
            (3, json!({"maxUnavailable": "0%"}), true),
            (3, json!({"maxUnavailable": "1%"}), false),
            (3, json!({"minAvailable": 3}), true),
            (3, json!({"minAvailable": 4}), true),
            (3, json!({"minAvailable": 2}), false),
            (2, json!({"minAvailable": 2}), true),
            (3, json!({"minAvailable": "100%"}), true),
            (3, json!({"minAvailable": "90%"}), true),
            (3, json!({"minAvailable": "66%"}), false),
            (3, json!({}), true),
            (1, json!({"maxUnavailable": 0}), true),
            (1, json!({"maxUnavailable": 1}), false),
            (0, json!({"maxUnavailable": 0}), false),
            (i32::MIN, json!({"maxUnavailable": 0}), false),
        ] {
            let scene = with_limit(replicas, &limit);
            assert_eq!(!scene.found(&RULE).is_empty(), found, "{replicas} {limit}");
        }
        assert!(set(json!({})).found(&RULE).is_empty(), "no budget");
        let second = budget(json!({"metadata": {"name": "b"}}));
        assert!(
            with_limit(3, &json!({"maxUnavailable": 0})).with(second).found(&RULE).is_empty(),
            "an overlap"
        );
    }

    #[test]
    fn where_nothing_else_protects_it_is_a_choice() {
        let level =
            |class, replicas| level(&with_limit(replicas, &json!({"maxUnavailable": 0})).class(class));
        assert_eq!(level(Class::Singleton, 1), Some(Level::Audit));
        assert_eq!(level(Class::Singleton, 0), None);
        assert_eq!(level(Class::Quorum, 1), Some(Level::Warn));
        assert_eq!(level(Class::Replicated, 1), Some(Level::Warn));
        assert_eq!(level(Class::Quorum, 2), Some(Level::Deny));
        assert_eq!(level(Class::Quorum, 3), Some(Level::Deny));
        assert_eq!(level(Class::Replicated, 2), Some(Level::Deny));
    }

    #[test]
    fn one_member_of_an_ensemble_can_be_spared() {
        let member = |name: &str, replicas: i32, app: &str| {
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": app}}}}})
        };
        let arbiter = set(member("a", 1, "zk")).with(budget(json!({"spec": {"minAvailable": 1}})));
        assert_eq!(level(&arbiter.clone().with(set_json(member("b", 2, "b")))), Some(Level::Deny));
        assert_eq!(level(&arbiter.unknown(Kind::StatefulSet)), None, "other sets may have room");
    }

    #[test]
    fn other_pods_may_leave_room() {
        let other = set_json(json!({"metadata": {"name": "web"}}));
        let three = with_limit(3, &json!({"minAvailable": 3}));
        assert_eq!(level(&three.clone().with(other.clone())), None);
        assert_eq!(level(&three.clone().unknown(Kind::StatefulSet)), None);
        assert_eq!(level(&three.unknown(Kind::DisruptionBudget)), Some(Level::Deny));
        let never = with_limit(3, &json!({"maxUnavailable": 0})).unknown(Kind::StatefulSet);
        assert_eq!(level(&never), Some(Level::Deny));
        let everything = with_limit(3, &json!({"minAvailable": 3, "selector": {"matchLabels": null}}));
        assert_eq!(level(&everything), Some(Level::Deny));
        assert_eq!(level(&everything.unknown(Kind::Deployment)), Some(Level::Warn));
        let own = with_limit(3, &json!({"minAvailable": 3})).unknown(Kind::Deployment);
        assert_eq!(level(&own), Some(Level::Deny), "no other pods have the labels of the set's selector");
        let six = with_limit(3, &json!({"minAvailable": 6})).with(other).says(&RULE);
        assert!(six.contains("all 6 pods it selects, those of StatefulSet zk among them,"), "{six}");
    }

    #[test]
    fn points_at_the_budget_that_changes() {
        let changed = budget(json!({"spec": {"maxUnavailable": 0}}));
        let found = set(json!({})).with(set_json(json!({}))).changing(changed).found(&RULE);
        assert_eq!(found[0].place.path, "/spec/maxUnavailable");
        assert_eq!(found[0].remedy, "set spec.maxUnavailable of PodDisruptionBudget zk to 1");
    }
}
