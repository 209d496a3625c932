//! `pdb-overlap`

use super::budgets::enumerate;
use super::{Params, Place, SetContext, Violations};
use crate::model::{DisruptionBudget, LabelSelector, Object};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// More than one PodDisruptionBudget of the namespace selects the pods of a StatefulSet, whatever they allow.
    /// Budgets that tell the pods of a set apart by labels that the controller adds are left out, and so are those that
    /// are being deleted. A set without replicas has no pods to evict yet, so there it is at most a warning, and
    /// scaling it up again is not refused for it.
    ///
    /// ## Why
    ///
    /// The API server refuses to evict a pod that two budgets select: it answers every eviction with an error (500), so
    /// no node with such a pod can be drained. The budgets do not add up, and the stricter one does not win.
    ///
    /// ## How to fix
    ///
    /// Keep one budget for these pods: delete the others or narrow their selectors. When a budget gets a new name,
    /// delete the old one before the new one is created; Helm and GitOps tools do it the other way round.
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
    ///   maxUnavailable: 1
    ///   selector: {matchLabels: {app: etcd}}
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: etcd-old}
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
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: web}
    /// spec:
    ///   maxUnavailable: 1
    ///   selector: {matchLabels: {app: web}}
    /// ```
    "pdb-overlap": "more than one disruption budget for the same pods",
    triggers: [Set, Scale, Budget],
    reads: [DisruptionBudget],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let budgets: Vec<_> = at.known_budgets().iter().copied().filter(|budget| is_certain(budget)).collect();
    let is_changed = |budget: &DisruptionBudget| {
        at.changed_budget().is_some_and(|changed| changed.metadata.name == budget.metadata.name)
    };
    let (changed, others): (Vec<&DisruptionBudget>, Vec<_>) =
        budgets.iter().partition(|budget| is_changed(budget));
    if budgets.len() < 2 || (at.changed_budget().is_some() && changed.is_empty()) {
        return;
    }
    let message = format!(
        "PodDisruptionBudgets {} {} select the pods of StatefulSet {}: every eviction fails, so nodes cannot be drained",
        names(&budgets),
        if budgets.len() == 2 { "both" } else { "all" },
        at.name(),
    );
    let (place, remedy) = match changed[..] {
        [budget] => (
            Place::of(budget.reference(), "/spec/selector"),
            format!(
                "delete {} first, or narrow spec.selector so that it leaves out these pods",
                names(&others)
            ),
        ),
        _ => (
            Place::in_set("/spec/template/metadata/labels"),
            format!(
                "keep one of {} for these pods: delete the others, or narrow their spec.selector",
                names(&budgets)
            ),
        ),
    };
    let violation = out.add(place, message, remedy).keyed("overlap");
    violation.weighing(i32::try_from(budgets.len()).unwrap_or(i32::MAX));
    if at.replicas <= 0 {
        violation.at_most(Level::Warn);
    }
    for budget in others {
        violation.related_to(Place::of(budget.reference(), "/spec/selector"));
    }
}

/// Whether it is sure to select every pod that it seems to select.
fn is_certain(budget: &DisruptionBudget) -> bool {
    let pods_apart = budget.spec.selector.as_ref().is_some_and(LabelSelector::tells_pods_apart);
    !pods_apart && !budget.metadata.deleting
}

fn names(budgets: &[&DisruptionBudget]) -> String {
    enumerate(budgets.iter().map(|budget| budget.metadata.name.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{RuleTest, budget, set, set_json};
    use super::*;
    use crate::cluster::Kind;
    use crate::model::Class;

    fn named(name: &str, selector: &Value) -> Value {
        budget(json!({"metadata": {"name": name}, "spec": {"selector": selector}}))
    }

    fn two(selector: &Value) -> RuleTest {
        set(json!({})).with(named("a", &json!({}))).with(named("b", selector))
    }

    #[test]
    fn one_budget_a_pod() {
        for (selector, found) in [
            (json!({}), true),
            (json!({"matchLabels": null}), true),
            (json!(null), false),
            (json!({"matchLabels": {"app": "db"}}), false),
            (json!({"matchExpressions": [{"key": "canary", "operator": "DoesNotExist"}]}), true),
            (json!({"matchLabels": {"statefulset.kubernetes.io/pod-name": "zk-0"}}), false),
            (
                json!({"matchExpressions": [{"key": "apps.kubernetes.io/pod-index", "operator": "NotIn", "values": ["0"]}]}),
                false,
            ),
        ] {
            let scene = two(&selector);
            assert_eq!(!scene.found(&RULE).is_empty(), found, "{selector}");
        }
        assert!(set(json!({})).with(named("a", &json!({}))).found(&RULE).is_empty());
        let elsewhere = budget(json!({"metadata": {"name": "b", "namespace": "other"}}));
        assert!(set(json!({})).with(named("a", &json!({}))).with(elsewhere).found(&RULE).is_empty());
        let going = budget(json!({"metadata": {"name": "b", "deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        assert!(set(json!({})).with(named("a", &json!({}))).with(going).found(&RULE).is_empty());
        let known = two(&json!({})).unknown(Kind::DisruptionBudget);
        assert!(!known.found(&RULE).is_empty(), "two are known, whatever else there is");
    }

    #[test]
    fn without_pods_it_warns() {
        let scene = two(&json!({}));
        for (replicas, level) in [(0, Level::Warn), (1, Level::Deny), (3, Level::Deny)] {
            let found = scene.clone().class(Class::Replicated).scaled_to(replicas).found(&RULE);
            assert_eq!((found[0].at_most, &*found[0].key), (level, "overlap"));
        }
    }

    #[test]
    fn a_third_is_worse() {
        let two = two(&json!({}));
        let three = two.clone().with(named("c", &json!({})));
        assert!(three.found(&RULE)[0].weight > two.found(&RULE)[0].weight);
        assert!(
            three.says(&RULE).starts_with("PodDisruptionBudgets a, b and c all select"),
            "{}",
            three.says(&RULE)
        );
    }

    #[test]
    fn only_a_budget_that_takes_part_is_refused() {
        let scene = set(json!({})).with(set_json(json!({}))).with(named("a", &json!({})));
        let joins = scene.clone().changing(named("b", &json!({})));
        let found = joins.found(&RULE);
        assert_eq!(found[0].place.path, "/spec/selector");
        assert!(found[0].remedy.starts_with("delete a first"), "{}", found[0].remedy);
        let leaves = named("b", &json!({"matchLabels": {"app": "db"}}));
        assert!(scene.clone().with(named("b", &json!({}))).changing(leaves.clone()).found(&RULE).is_empty());
        let bystander = scene.with(named("c", &json!({}))).changing(leaves);
        assert!(bystander.found(&RULE).is_empty());
    }
}
