//! `pdb-below-quorum`

use std::fmt::Write as _;

use super::budgets::{
    Exposure, describe, edits_to_three, enumerate, grow_to_three, one_for_group, place, set_limit,
};
use super::edits::max_unavailable;
use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::quorum::{majority, tolerated};
use crate::model::{AbsentVoters, DisruptionBudget, IntOrPercent, Object};

rule! {
    /// ## What it checks
    ///
    /// At full health, the PodDisruptionBudgets of a consensus group (class `quorum`) let so many members be evicted
    /// that fewer than a majority stay. Sets that share `stateward.dev/ensemble` are one group: what their budgets
    /// allow adds up, and members that no budget is about may all be evicted (where no member has one, that is
    /// `pdb-missing`).
    ///
    /// Percentages round up, as the disruption controller does, and are of all pods that a budget selects: the replicas
    /// of every StatefulSet of the namespace, and of every Deployment and ReplicaSet where those are known. Pods of other kinds
    /// would only let it allow more.
    ///
    /// Voters that a list of ZooKeeper or Kafka names, and of which the set does not run the pods, count as gone already.
    ///
    /// A single member survives no eviction, whatever a budget says: `quorum-too-small` speaks of that. Where two
    /// budgets select one pod, every eviction fails: `pdb-overlap`.
    ///
    /// ## Why
    ///
    /// Evictions are how nodes are drained, and several are drained at once. The majority that goes takes the group
    /// down, for as long as its pods need to start elsewhere. A budget that was right for 3 members is not for 5: with
    /// `minAvailable: 2`, three may go.
    ///
    /// ## How to fix
    ///
    /// Set `maxUnavailable: 1`, which is right for any count, also while it changes. Let one budget select all sets of an
    /// ensemble. Who keeps `minAvailable` lowers it after the set has shrunk, and raises it before the set grows. Where each member
    /// has a StatefulSet of its own, set `minAvailable` to the majority instead: the disruption
    /// controller counts only pods that exist, and with `maxUnavailable` lets one more go for each that is missing.
    ///
    /// ## Fails
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
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: etcd}
    /// spec:
    ///   minAvailable: 2
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
    ///   replicas: 5
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
    ///   maxUnavailable: 2
    ///   selector: {matchLabels: {app: etcd}}
    /// ```
    "pdb-below-quorum": "a disruption budget lets the majority be evicted",
    classes: [Quorum],
    triggers: [Set, Scale, Budget],
    reads: [StatefulSet, DisruptionBudget],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(exposure) = Exposure::of(at).filter(|exposure| exposure.members > 1) else {
        return;
    };
    let lacking = exposure.lacking();
    // Where none can be spared, whatever a budget says, quorum-too-small speaks of the list.
    let absent = at.absent_voters();
    if absent.is_some() && at.replicas <= majority(exposure.members) {
        return;
    }
    if lacking <= 0 || exposure.budgets.is_empty() || at.replicas <= 0 {
        return;
    }
    let whose = at.group_name();
    let mut message = format!(
        "{} of {} members of {whose} must stay up; {} {} be evicted at once",
        majority(exposure.members),
        exposure.members,
        who_lets(&exposure),
        exposure.evictable,
    );
    if let Some(AbsentVoters { list, pods, .. }) = absent {
        let _ = write!(message, ", and {}, listed in {list}, do not run", enumerate(pods.iter().cloned()));
    }
    let violation = out.add(place(at, "/spec/replicas"), message, remedy(at, &exposure));
    violation.edits(edits(at, &exposure));
    violation.keyed("majority").weighing(lacking).of_group();
    if !exposure.unprotected.is_empty() {
        violation.missing_companion(at.dry_run);
    }
    for budget in exposure.budgets {
        violation.related_to(FieldPlace::of(budget.reference(), budget.limit_path()));
    }
}

fn who_lets(exposure: &Exposure<'_>) -> String {
    let budgets = enumerate(exposure.budgets.iter().map(|budget| describe(budget)));
    match (&exposure.unprotected[..], &exposure.budgets[..]) {
        ([], [_]) => format!("{budgets} lets"),
        ([], _) => format!("{budgets} let"),
        (sets, _) => {
            let sets = enumerate(sets.iter().map(ToString::to_string));
            format!("{budgets}, and none for {sets}, let")
        }
    }
}

fn remedy(at: &SetContext<'_>, exposure: &Exposure<'_>) -> String {
    if tolerated(exposure.members) == 0 {
        return grow_to_three(at, &exposure.budgets);
    }
    match (&exposure.budgets[..], &exposure.unprotected[..]) {
        ([budget], []) => {
            let set_limit = set_limit(at, budget);
            match fitting_count(at, budget) {
                Some(count) => {
                    format!("{set_limit}, or scale the set to {count} first if it is to have as many")
                }
                None => set_limit,
            }
        }
        _ => one_for_group(at),
    }
}

/// The nearest replica count for which a changed budget is right: a user who changes both does it in the wrong order.
fn fitting_count(at: &SetContext<'_>, budget: &DisruptionBudget) -> Option<i32> {
    let count = match (budget.spec.min_available, budget.spec.max_unavailable) {
        (Some(IntOrPercent::Int(least)), _) => least.checked_mul(2)?.checked_sub(1)?,
        (None, Some(IntOrPercent::Int(most))) => most.checked_mul(2)?.checked_add(1)?,
        _ => return None,
    };
    let is_near = (3..=7).contains(&count) && count.abs_diff(at.replicas) <= 2;
    let is_own = at.view.expected_pods(budget) == at.replicas && !at.has_peers_in_group();
    let all_vote = at.class.voters_among(count) == count;
    (at.changed_budget().is_some() && is_near && is_own && all_vote).then_some(count)
}

/// One budget about a group of one set gets the limit.
fn edits(at: &SetContext<'_>, exposure: &Exposure<'_>) -> Vec<FieldEdit> {
    let ([budget], []) = (&exposure.budgets[..], &exposure.unprotected[..]) else { return Vec::new() };
    if tolerated(exposure.members) == 0 {
        return edits_to_three(at, budget);
    }
    if at.has_peers_in_group() {
        return Vec::new();
    }
    let edits = max_unavailable(budget, 1);
    if at.view.expected_pods(budget) == exposure.members - exposure.absent {
        edits
    } else {
        edits.into_iter().map(FieldEdit::unsafe_to_apply).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{RuleTest, budget, set, set_json};
    use super::*;
    use crate::cluster::Kind;
    use crate::verdict::Level;

    fn limited(limit: &Value) -> Value {
        budget(json!({"spec": limit}))
    }

    fn with_limit(replicas: i32, limit: &Value) -> RuleTest {
        set(json!({"spec": {"replicas": 3}})).scaled_to(replicas).with(limited(limit))
    }

    #[test]
    fn a_majority_must_stay() {
        for (replicas, limit, found) in [
            (3, json!({"maxUnavailable": 1}), false),
            (3, json!({"maxUnavailable": 2}), true),
            (3, json!({"minAvailable": 2}), false),
            (3, json!({"minAvailable": 1}), true),
            (3, json!({"minAvailable": 0}), true),
            (3, json!({"maxUnavailable": "33%"}), false),
            (3, json!({"maxUnavailable": "34%"}), true),
            (3, json!({"minAvailable": "51%"}), false),
            (3, json!({"minAvailable": "33%"}), true),
            (4, json!({"maxUnavailable": 1}), false),
            (4, json!({"maxUnavailable": 2}), true),
            (5, json!({"minAvailable": 2}), true),
            (5, json!({"minAvailable": "51%"}), false),
            (5, json!({"maxUnavailable": "50%"}), true),
            (5, json!({"maxUnavailable": 0}), false),
            (5, json!({}), false),
            (2, json!({"maxUnavailable": 1}), true),
            (1, json!({"maxUnavailable": 1}), false),
            (0, json!({"maxUnavailable": 1}), false),
            (-3, json!({"maxUnavailable": 1}), false),
            (i32::MAX, json!({"minAvailable": 1}), true),
        ] {
            let scene = with_limit(replicas, &limit);
            assert_eq!(!scene.found(&RULE).is_empty(), found, "{replicas} {limit}");
        }
        assert!(set(json!({})).found(&RULE).is_empty(), "no budget at all");
        let known = with_limit(5, &json!({"minAvailable": 2}))
            .unknown(Kind::DisruptionBudget)
            .unknown(Kind::StatefulSet);
        assert!(!known.found(&RULE).is_empty(), "more budgets or sets do not make it better");
    }

    #[test]
    fn says_what_to_change() {
        let says = with_limit(5, &json!({"minAvailable": 2})).says(&RULE);
        assert_eq!(
            says,
            "3 of 5 members of StatefulSet zk must stay up; PodDisruptionBudget zk (minAvailable: 2) lets 3 be evicted at once \
             -> set spec.maxUnavailable: 1 in PodDisruptionBudget zk in place of spec.minAvailable"
        );
        let changed =
            set(json!({})).with(set_json(json!({}))).changing(limited(&json!({"maxUnavailable": 3})));
        let found = changed.found(&RULE);
        assert_eq!(
            found[0].place,
            FieldPlace::of(found[0].related[0].object.clone().unwrap(), "/spec/maxUnavailable")
        );
        assert_eq!(found[0].remedy, "set spec.maxUnavailable of PodDisruptionBudget zk to 1");
    }

    #[test]
    fn farther_below_is_worse() {
        let weight = |replicas| with_limit(replicas, &json!({"minAvailable": 2})).found(&RULE)[0].weight;
        assert!(weight(7) > weight(5));
    }

    #[test]
    fn other_sets_count_as_far_as_the_budget_reaches() {
        let other = set_json(json!({"metadata": {"name": "web"}}));
        let shared = with_limit(3, &json!({"minAvailable": 3}));
        assert!(shared.found(&RULE).is_empty());
        assert!(!shared.with(other).found(&RULE).is_empty(), "3 of 6 may go, and all may be of zk");
    }

    #[test]
    fn budgets_of_an_ensemble_add_up() {
        let member = |name: &str, replicas: i32| {
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"part": name}}}}})
        };
        let part = |name: &str, limit: i32| {
            budget(json!({"metadata": {"name": name}, "spec": {"maxUnavailable": limit,
                "selector": {"matchLabels": {"app": null, "part": name}}}}))
        };
        let scene = set(member("a", 3)).with(set_json(member("b", 2)));
        assert!(scene.clone().with(part("a", 1)).with(part("b", 1)).found(&RULE).is_empty());
        let both = scene.clone().with(part("a", 2)).with(part("b", 1)).says(&RULE);
        assert!(
            both.contains("of ensemble zk") && both.contains("maxUnavailable: 1 select the pods of a and b"),
            "{both}"
        );
        let bare = scene.clone().with(part("a", 1));
        assert!(bare.says(&RULE).contains("and none for b, let 3"), "{}", bare.says(&RULE));
        assert_eq!(bare.clone().dry_run().found(&RULE)[0].at_most, Level::Warn);
        assert!(bare.clone().unknown(Kind::DisruptionBudget).found(&RULE).is_empty());
        assert!(bare.unknown(Kind::StatefulSet).found(&RULE).is_empty());
        assert!(
            scene.clone().with(limited(&json!({"maxUnavailable": 2}))).found(&RULE).is_empty(),
            "one over both"
        );
        let overlap = scene.with(limited(&json!({"maxUnavailable": 5}))).with(part("a", 1));
        assert!(overlap.found(&RULE).is_empty(), "nothing can be evicted from a");
    }
}
