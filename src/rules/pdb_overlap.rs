//! `pdb-overlap`

use super::budgets::enumerate;
use super::{FieldPlace, Params, SetContext, Violations};
use crate::model::{DisruptionBudget, Object};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// More than one PodDisruptionBudget of the namespace selects the pods of a StatefulSet, whatever they allow. Budgets
    /// that are being deleted are left out. It is at most a warning
    ///
    /// - where they may select the same pods, but only by labels that pods get while they run: from the StatefulSet
    ///   controller (`apps.kubernetes.io/pod-index`), from an operator, or from the software itself (`spilo-role`);
    /// - where all of them are of one release, as Helm, Argo CD and Flux mark it: a tool that renames a budget creates the
    ///   new one before it deletes the old one;
    /// - where the set has no replicas: there are no pods to evict yet, and scaling it up is not refused for it.
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
    let is_there = |budget: &&DisruptionBudget| !budget.metadata.deleting;
    let certain: Vec<_> = at.known_budgets().iter().copied().filter(is_there).collect();
    if certain.len() > 1 {
        return report(at, &certain, true, out);
    }
    let labels = at.set.spec.template.labels();
    let partial: Vec<_> = at
        .view
        .partial_budgets(at.namespace(), labels)
        .into_iter()
        .filter(is_there)
        .take(MOST_COMPARED)
        .collect();
    if let Some(pair) = overlapping(&certain, &partial) {
        report(at, &pair, false, out);
    }
}

/// How many budgets by run-time labels are compared with each other.
const MOST_COMPARED: usize = 8;

/// Two budgets that may select one pod, by labels that the pod only gets while it runs.
fn overlapping<'a>(
    certain: &[&'a DisruptionBudget],
    partial: &[&'a DisruptionBudget],
) -> Option<[&'a DisruptionBudget; 2]> {
    if let ([certain], [partial, ..]) = (certain, partial) {
        return Some([certain, partial]);
    }
    let selector = |budget: &'a DisruptionBudget| budget.spec.selector.as_ref();
    let meet = |one, other| match (selector(one), selector(other)) {
        (Some(one), Some(other)) => !one.is_disjoint_from(other),
        _ => false,
    };
    partial.iter().enumerate().find_map(|(index, one)| {
        let other = partial[index + 1..].iter().find(|other| meet(one, other))?;
        Some([*one, *other])
    })
}

fn report(at: &SetContext<'_>, budgets: &[&DisruptionBudget], is_certain: bool, out: &mut Violations) {
    let is_changed = |budget: &DisruptionBudget| {
        at.changed_budget().is_some_and(|changed| changed.metadata.name == budget.metadata.name)
    };
    let (changed, others): (Vec<&DisruptionBudget>, Vec<_>) =
        budgets.iter().partition(|budget| is_changed(budget));
    if at.changed_budget().is_some() && changed.is_empty() {
        return;
    }
    let (place, remedy) = match changed[..] {
        [budget] => (
            FieldPlace::of(budget.reference(), "/spec/selector"),
            format!(
                "delete {} first, or narrow spec.selector so that it leaves out these pods",
                names(&others)
            ),
        ),
        _ => (
            FieldPlace::in_set("/spec/template/metadata/labels"),
            format!(
                "keep one of {} for these pods: delete the others, or narrow their spec.selector",
                names(budgets)
            ),
        ),
    };
    let is_one_release = budgets.iter().all(|other| other.metadata.is_of_same_release(&budgets[0].metadata));
    let mut message = message(at, budgets, is_certain);
    if is_one_release {
        message += " (both are of one release, which may delete one of them next)";
    }
    let violation = out.add(place, message, remedy).keyed("overlap");
    violation.weighing(i32::try_from(budgets.len()).unwrap_or(i32::MAX));
    if at.replicas <= 0 || !is_certain || is_one_release {
        violation.at_most(Level::Warn);
    }
    for budget in others {
        violation.related_to(FieldPlace::of(budget.reference(), "/spec/selector"));
    }
}

fn message(at: &SetContext<'_>, budgets: &[&DisruptionBudget], is_certain: bool) -> String {
    let (names, set) = (names(budgets), at.name());
    if is_certain {
        let both = if budgets.len() == 2 { "both" } else { "all" };
        format!(
            "PodDisruptionBudgets {names} {both} select the pods of StatefulSet {set}: every eviction fails, so nodes cannot be \
             drained"
        )
    } else {
        format!(
            "PodDisruptionBudgets {names} may select the same pods of StatefulSet {set}, by labels that pods only get while they \
             run: every eviction of such a pod fails"
        )
    }
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
    fn labels_that_come_at_run_time_may_overlap() {
        let by = |name: &str, key: &str, value: &str| {
            named(name, &json!({"matchLabels": {"app": "zk", key: value}}))
        };
        let master = || by("a", "spilo-role", "master");
        for (other, found) in [
            (named("b", &json!({})), true),
            (by("b", "critical-operation", "true"), true),
            (by("b", "apps.kubernetes.io/pod-index", "0"), true),
            (by("b", "spilo-role", "replica"), false),
            (by("b", "app", "db"), false),
        ] {
            let violations = set(json!({})).with(master()).with(other.clone()).found(&RULE);
            assert_eq!(
                violations.first().map(|violation| violation.at_most),
                found.then_some(Level::Warn),
                "{other}"
            );
        }
        let pods = (0..9).map(|pod| by(&format!("p{pod}"), "apps.kubernetes.io/pod-index", &pod.to_string()));
        assert!(pods.fold(set(json!({})), RuleTest::with).found(&RULE).is_empty(), "a budget for each pod");
    }

    #[test]
    fn one_release_may_be_renaming_its_budget() {
        let of = |name: &str, release: &str| {
            let annotations =
                json!({"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": "default"});
            budget(json!({"metadata": {"name": name, "annotations": annotations}}))
        };
        let level = |budgets: &[Value]| {
            let scene = budgets.iter().cloned().fold(set(json!({})), RuleTest::with);
            scene.found(&RULE)[0].at_most
        };
        assert_eq!(level(&[of("a", "zk"), of("b", "zk")]), Level::Warn);
        assert_eq!(level(&[of("a", "zk"), of("b", "kafka")]), Level::Deny);
        assert_eq!(level(&[of("a", "zk"), of("b", "zk"), of("c", "kafka")]), Level::Deny);
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
