//! `pdb-missing`

use super::budgets::set_max_unavailable;
use super::edits::{max_unavailable, new_budget, pod_selector};
use super::{FieldEdit, Params, Place, SetContext, Violations};
use crate::cluster::Lookup;
use crate::model::quorum::{majority, tolerated};
use crate::model::{Class, DisruptionBudget, Object, StatefulSet};

rule! {
    /// ## What it checks
    ///
    /// A StatefulSet has two replicas or more, and no PodDisruptionBudget of its namespace selects its pods. Selectors
    /// are compared with the labels of the pod template, expressions included; `{}` selects every pod. A budget that
    /// tells the pods apart by what the controller puts on them (`statefulset.kubernetes.io/pod-name`) may well be
    /// about them. If a budget looks as if it was meant for them, the message says why it is not.
    ///
    /// ## Why
    ///
    /// Draining nodes, for an upgrade or to remove idle ones, evicts whatever nobody protects, on several nodes at once
    /// and without waiting for a replacement. A budget is what makes it go one pod after the other.
    ///
    /// ## How to fix
    ///
    /// Add a PodDisruptionBudget with the selector of the set and `maxUnavailable: 1`, which stays right whatever the
    /// count. Several sets of one ensemble want one budget that selects the pods of all of them.
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
    ///   maxUnavailable: 1
    ///   selector: {matchLabels: {app: etcd}}
    /// ```
    "pdb-missing": "no PodDisruptionBudget for the pods",
    needs_peers: true,
    triggers: [Set, Scale],
    reads: [DisruptionBudget],
    reports_missing: true,
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if !matches!(at.budgets(), Lookup::Present(budgets) if budgets.is_empty()) {
        return;
    }
    let mut message = format!(
        "no PodDisruptionBudget selects these pods: draining nodes may evict all {} at once",
        at.replicas
    );
    if let Some(members) = at.members().filter(|_| at.class.class == Class::Quorum) {
        message = format!("{message}, and {} of {members} members must stay up", majority(members));
    }
    let known = at.view.known_budgets(at.namespace());
    let meant = known.into_iter().find(|budget| is_meant_for(budget, at.set));
    if let Some(budget) = meant {
        message = format!("{message}; {}", why_not(budget, at.set));
    }
    let violation = out.add(Place::in_set("/spec/template/metadata/labels"), message, remedy(at, meant));
    violation.edits(edits(at, meant)).missing_companion(at.dry_run);
    if let Some(budget) = meant {
        violation.related_to(Place::of(budget.reference(), "/spec/selector"));
    }
}

/// Whether somebody may think that this budget is about the set: it has its name, or selects the labels of the set itself.
fn is_meant_for(budget: &DisruptionBudget, set: &StatefulSet) -> bool {
    budget.metadata.name == set.metadata.name || budget.selects(&set.metadata.labels)
}

fn why_not(budget: &DisruptionBudget, set: &StatefulSet) -> String {
    let name = &budget.metadata.name;
    let labels = set.spec.template.labels();
    match budget.spec.selector.as_ref().map(|selector| selector.unmet(labels)) {
        Some(Some(unmet)) => format!("PodDisruptionBudget {name} wants {unmet}"),
        _ => format!("PodDisruptionBudget {name} selects no pods at all"),
    }
}

fn remedy(at: &SetContext<'_>, meant: Option<&DisruptionBudget>) -> String {
    let selector = at.set.selecting();
    let remedy = match meant {
        Some(budget) => {
            let limit = if fits(at, budget) {
                String::new()
            } else {
                format!(" and {}", set_max_unavailable(budget, 1))
            };
            format!(
                "let spec.selector of PodDisruptionBudget {} select {selector}{limit}",
                budget.metadata.name
            )
        }
        None => format!(
            "add a PodDisruptionBudget {} with a selector for {selector} and maxUnavailable: 1 to its namespace",
            at.name(),
        ),
    };
    if is_pair(at) {
        return format!("run three members, of two neither can be spared, and {remedy}");
    }
    remedy
}

fn edits(at: &SetContext<'_>, meant: Option<&DisruptionBudget>) -> Vec<FieldEdit> {
    let mut edits = match meant {
        Some(budget) => of_meant(at, budget),
        None => new_budget(at).into_iter().collect(),
    };
    if is_pair(at) && !edits.is_empty() {
        edits.push(FieldEdit::replicas(3));
    }
    edits
}

/// Makes a budget select the pods, where it selects none so far. A person looks first: it may be meant for others.
fn of_meant(at: &SetContext<'_>, budget: &DisruptionBudget) -> Vec<FieldEdit> {
    let Some(selector) = pod_selector(at).filter(|_| at.view.sets_selected_by(budget).is_empty()) else {
        return Vec::new();
    };
    if at.ensemble().is_none_or(|sets| sets.len() > 1) {
        return Vec::new();
    }
    let mut edits = vec![FieldEdit::set(Place::of(budget.reference(), "/spec/selector"), selector)];
    if !fits(at, budget) {
        edits.extend(max_unavailable(budget, 1));
    }
    edits.into_iter().map(FieldEdit::unsafe_to_apply).collect()
}

/// Whether its limit is right for the set.
fn fits(at: &SetContext<'_>, budget: &DisruptionBudget) -> bool {
    let replicas = if is_pair(at) { 3 } else { at.replicas };
    let most = if at.class.class == Class::Quorum { tolerated(replicas) } else { replicas };
    (1..=most).contains(&budget.allowed_disruptions(replicas))
}

/// Whether it is a group of two members, of which no budget can protect a majority. The other sets of an ensemble may be still
/// to come.
fn is_pair(at: &SetContext<'_>) -> bool {
    at.class.class == Class::Quorum
        && at.members() == Some(2)
        && at.replicas == 2
        && at.set.ensemble().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{budget, set};
    use super::*;
    use crate::cluster::Kind;
    use crate::verdict::Level;

    #[test]
    fn some_budget_must_select_the_pods() {
        for (scene, found) in [
            (set(json!({})), true),
            (set(json!({"spec": {"replicas": null}})), false),
            (set(json!({})).scaled_to(1), false),
            (set(json!({})).scaled_to(0), false),
            (set(json!({})).unknown(Kind::DisruptionBudget), false),
            (set(json!({})).class(Class::Replicated), true),
        ] {
            assert_eq!(!scene.found(&RULE).is_empty(), found, "{}", scene.says(&RULE));
        }
        for (selector, found) in [
            (json!({"matchLabels": {"app": "zk"}}), false),
            (json!({"matchLabels": {"app": "db"}}), true),
            (json!({"matchLabels": null}), false),
            (json!(null), true),
            (json!({"matchLabels": null, "matchExpressions": [{"key": "app", "operator": "Exists"}]}), false),
            (
                json!({"matchLabels": null, "matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["zk"]}]}),
                true,
            ),
            (json!({"matchLabels": {"statefulset.kubernetes.io/pod-name": "zk-0"}}), false),
        ] {
            let scene = set(json!({})).with(budget(json!({"spec": {"selector": selector}})));
            assert_eq!(!scene.found(&RULE).is_empty(), found, "{selector}");
        }
        let elsewhere = budget(json!({"metadata": {"namespace": "other"}}));
        assert!(!set(json!({})).with(elsewhere).found(&RULE).is_empty());
    }

    #[test]
    fn says_what_to_paste_and_why_another_does_not_count() {
        let plain = set(json!({})).says(&RULE);
        assert!(plain.contains("all 3 at once, and 2 of 3 members must stay up"), "{plain}");
        assert!(
            plain.contains("add a PodDisruptionBudget zk with a selector for app=zk and maxUnavailable: 1"),
            "{plain}"
        );
        let narrow = budget(json!({"spec": {"selector": {"matchLabels": {"tier": "db"}}}}));
        let near = set(json!({})).with(narrow).says(&RULE);
        assert!(
            near.contains("zk wants tier=db, but they have no label tier -> let spec.selector"),
            "{near}"
        );
        let by_labels =
            budget(json!({"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"app": "db"}}}}));
        let near = set(json!({"metadata": {"labels": {"app": "db"}}})).with(by_labels.clone()).says(&RULE);
        assert!(near.contains("b wants app=db, but they have app=zk"), "{near}");
        assert!(!set(json!({})).with(by_labels).says(&RULE).contains("wants"));
        let none = budget(json!({"spec": {"selector": null}}));
        assert!(set(json!({})).with(none).says(&RULE).contains("selects no pods at all"));
    }

    #[test]
    fn a_dry_run_only_warns() {
        assert_eq!(set(json!({})).dry_run().found(&RULE)[0].at_most, Level::Warn);
        assert_eq!(set(json!({})).found(&RULE)[0].at_most, Level::Deny);
    }
}
