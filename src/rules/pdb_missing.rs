//! `pdb-missing`

use std::collections::BTreeSet;

use super::budgets::{enumerate, set_limit, spec_for_group, third_member};
use super::edits::{budget_labels, members, new_budget, new_budget_name};
use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::cluster::Kind;
use crate::model::quorum::{majority, tolerated};
use crate::model::{
    Class, DisruptionBudget, LabelSelector, Object, ObjectRef, POD_INDEX_LABEL, POD_NAME_LABEL, StatefulSet,
};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A StatefulSet has two replicas or more, or is one of several of a consensus group, and no PodDisruptionBudget of its
    /// namespace selects its pods. Selectors are compared with the labels of the pod template, expressions included; `{}`
    /// selects every pod. If a budget looks as if it was meant for the pods, the message says why it does not select them. Where it
    /// selects the pods of another workload, it stays that workload's, and a further one is advised.
    ///
    /// A budget that selects by the name or the number of the pods covers those only: what no budget covers is named. One
    /// that selects by labels which an operator or the software itself sets while the pods run (`spilo-role`) may or may
    /// not cover them all: that is at most a warning, and no second budget is advised, which would make evictions fail.
    ///
    /// ## Why
    ///
    /// Draining nodes, for an upgrade or to remove idle ones, evicts every unprotected pod, on several nodes at once
    /// and without waiting for a replacement. A budget is what makes it go one pod after the other.
    ///
    /// ## How to fix
    ///
    /// Add a PodDisruptionBudget with the selector of the set and `maxUnavailable: 1`, which stays right whatever the
    /// count. Several sets of one ensemble want one budget that selects the pods of all of them. Of a consensus group of two no
    /// budget can spare a member: run three.
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
    peers_in_group: true,
    triggers: [Set, Scale],
    reads: [DisruptionBudget],
    reports_missing: true,
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let knows_all = at.view.knows_all(Kind::DisruptionBudget, at.namespace());
    if !knows_all || !at.known_budgets().is_empty() {
        return;
    }
    let labels = at.set.spec.template.labels();
    let partial = at.view.partial_budgets(at.namespace(), labels);
    if partial.is_empty() {
        nothing_selects(at, out);
    } else {
        some_select(at, &partial, out);
    }
}

fn nothing_selects(at: &SetContext<'_>, out: &mut Violations) {
    if at.has_peers_in_group() {
        let others = at.sets_with_members().into_iter().filter(|set| !std::ptr::eq(*set, at.set));
        let mut budgets = others.map(|set| at.known_budgets_of(set));
        if budgets.all(|budgets| budgets.is_empty()) {
            return nothing_selects_group(at, out);
        }
        // `pdb-below-quorum` judges how many of the group may be evicted.
        if at.replicas == 1 {
            return;
        }
    }
    let mut message = format!(
        "no PodDisruptionBudget selects these pods: draining nodes may evict all {} at once",
        at.replicas
    );
    if let Some(members) = at.voters().filter(|_| at.class.class == Class::Quorum) {
        message = format!("{message}, and {} of {members} members must stay up", majority(members));
    }
    let near = NearBudget::of(at);
    if let Some(near) = &near {
        message = format!("{message}; {}", near.why_not(at));
    }
    let violation =
        out.add(FieldPlace::in_set("/spec/template/metadata/labels"), message, remedy(at, near.as_ref()));
    let created = match near {
        Some(NearBudget::Meant(_)) => None,
        Some(NearBudget::Idle(_)) => new_budget(at).map(FieldEdit::unsafe_to_apply),
        Some(NearBudget::OfOthers(_)) | None => new_budget(at),
    };
    let mut edits: Vec<FieldEdit> = created.into_iter().collect();
    if !edits.is_empty() && is_pair(at) {
        let third = members(at, 3);
        if third.is_none() {
            edits.clear();
        }
        edits.extend(third);
    }
    violation.edits(edits).missing_companion(at.dry_run);
    if let Some(near) = near {
        violation.related_to(FieldPlace::of(near.budget().reference(), "/spec/selector"));
    }
}

/// A budget that does not select the pods, and may be the reason that none does.
enum NearBudget<'a> {
    /// It looks as if it were about the set, and selects no other pods that are known.
    Meant(&'a DisruptionBudget),
    /// It looks as if it were about the set, and protects other pods.
    OfOthers(&'a DisruptionBudget),
    /// It selects no pods at all.
    Idle(&'a DisruptionBudget),
}

impl<'a> NearBudget<'a> {
    fn of(at: &SetContext<'a>) -> Option<Self> {
        let known = at.view.known_budgets(at.namespace()).into_iter();
        let (of_others, own): (Vec<_>, Vec<_>) = known
            .filter(|budget| is_meant_for(budget, at))
            .partition(|budget| protected_by(budget, at).is_some());
        let own = own.first().map(|budget| Self::Meant(budget));
        own.or_else(|| idle_budget(at).map(Self::Idle))
            .or_else(|| of_others.first().map(|budget| Self::OfOthers(budget)))
    }

    fn budget(&self) -> &'a DisruptionBudget {
        let (Self::Meant(budget) | Self::OfOthers(budget) | Self::Idle(budget)) = self;
        budget
    }

    fn why_not(&self, at: &SetContext<'_>) -> String {
        let budget = self.budget();
        let why = why_not(budget, at.set);
        match protected_by(budget, at) {
            Some(other) => format!("{why}: it is that of {} {}", other.kind, other.name),
            None => why,
        }
    }
}

/// Another workload whose pods a budget selects, all or some of them.
fn protected_by(budget: &DisruptionBudget, at: &SetContext<'_>) -> Option<ObjectRef> {
    let selector = budget.spec.selector.as_ref()?;
    let set = at.view.sets_covered_by(budget).first().map(|(set, _)| set.reference());
    set.or_else(|| at.other_workloads(selector).first().map(|workload| workload.reference()))
}

/// None of the sets of a group has a budget.
fn nothing_selects_group(at: &SetContext<'_>, out: &mut Violations) {
    let (group, members) = (at.group_name(), at.members().unwrap_or_default());
    let message = format!(
        "no PodDisruptionBudget selects the pods of {group}: draining nodes may evict all {members} members at once, and {} of \
         {members} must stay up",
        majority(members)
    );
    let added = format!(
        "add one PodDisruptionBudget for all of them to their namespace, with {}",
        spec_for_group(at)
    );
    let remedy = with_third_member(at, in_place_of(added, idle_budget(at)));
    let violation = out.add(FieldPlace::in_set("/spec/template/metadata/labels"), message, remedy);
    violation.missing_companion(at.dry_run).of_group();
}

/// Budgets that select by labels that pods get while they run.
fn some_select(at: &SetContext<'_>, budgets: &[&DisruptionBudget], out: &mut Violations) {
    let labels = at.set.spec.template.labels();
    let selectors = budgets.iter().filter_map(|budget| budget.spec.selector.as_ref());
    let names = enumerate(budgets.iter().map(|budget| budget.metadata.name.to_string()));
    let (budget, s, they) = match budgets {
        [_] => ("PodDisruptionBudget", "s", "it"),
        _ => ("PodDisruptionBudgets", "", "they"),
    };
    let (message, remedy, level) = if selectors.clone().any(|selector| selector.depends_on_operators(labels))
    {
        let wanted = enumerate(selectors.map(ToString::to_string));
        let message = format!(
            "{budget} {names} select{s} {wanted}, by labels that pods only get while they run: {they} may leave out some of these \
             pods"
        );
        let remedy = "look which pods it selects (`kubectl get pods -l`), and widen its spec.selector if some are left out: a \
                      second budget for the same pods would make every eviction of them fail";
        (message, remedy.to_owned(), Level::Warn)
    } else {
        let left_out = left_out(at, budgets);
        if left_out.is_empty() {
            return;
        }
        let message = format!(
            "{budget} {names} leave{s} out {}: draining nodes may evict what no budget selects, all at once",
            enumerate(left_out.into_iter())
        );
        let remedy = format!(
            "let spec.selector of PodDisruptionBudget {} select {} whatever the number of the pod",
            budgets[0].metadata.name,
            at.set.selecting()
        );
        (message, remedy, Level::Deny)
    };
    let violation = out.add(FieldPlace::in_set("/spec/template/metadata/labels"), message, remedy);
    violation.at_most(level);
    for budget in budgets {
        violation.related_to(FieldPlace::of(budget.reference(), "/spec/selector"));
    }
}

/// How many budgets, and how many pods that they name, are looked at; beyond, nothing is said.
const MOST_BUDGETS: usize = 32;
const MOST_PODS: usize = 64;

/// The pods that no budget selects: of those that the budgets name, and one that none of them names for all others.
fn left_out(at: &SetContext<'_>, budgets: &[&DisruptionBudget]) -> Vec<String> {
    let start = i64::from(at.set.spec.ordinals.start);
    let pods = start..start + i64::from(at.replicas);
    let named = named_ordinals(at.set, budgets);
    if budgets.len() > MOST_BUDGETS || named.len() > MOST_PODS {
        return Vec::new();
    }
    let is_left_out = |ordinal: i64| {
        let labels = at.set.pod_labels(ordinal);
        !budgets.iter().any(|budget| budget.selects(&labels))
    };
    let other = pods.clone().find(|ordinal| !named.contains(ordinal)).filter(|ordinal| is_left_out(*ordinal));
    let mut pods_left_out: Vec<String> = named
        .into_iter()
        .filter(|ordinal| pods.contains(ordinal) && is_left_out(*ordinal))
        .map(|ordinal| format!("{}-{ordinal}", at.name()))
        .collect();
    if other.is_some() {
        pods_left_out.push("every pod that it does not name".to_owned());
    }
    pods_left_out
}

/// The numbers of the pods that budgets name, by name or by number.
fn named_ordinals(set: &StatefulSet, budgets: &[&DisruptionBudget]) -> BTreeSet<i64> {
    let prefix = format!("{}-", set.metadata.name);
    let selectors = budgets.iter().filter_map(|budget| budget.spec.selector.as_ref());
    let requirements = selectors.flat_map(LabelSelector::requirements);
    let by_pod = requirements.filter(|r| [POD_NAME_LABEL, POD_INDEX_LABEL].contains(&&*r.key));
    let values: Vec<Box<str>> = by_pod.flat_map(|requirement| requirement.values.clone()).collect();
    let numbers = values.iter().filter_map(|value| value.strip_prefix(&prefix).unwrap_or(value).parse().ok());
    numbers.collect()
}

/// Whether this budget looks as if it were about the set: it has its name, or selects the labels of the set itself, or is called
/// after it (`zk-pdb`) and is about no pods that are known.
fn is_meant_for(budget: &DisruptionBudget, at: &SetContext<'_>) -> bool {
    let (name, set) = (&*budget.metadata.name, at.set);
    let is_called_after = || {
        let around = name.split_once(&*set.metadata.name);
        around.is_some_and(|(before, after)| is_word_for_budget(before) && is_word_for_budget(after))
    };
    *name == *set.metadata.name
        || budget.selects(&set.metadata.labels)
        || (is_called_after() && at.view.expected_pods(budget) == 0)
}

/// Suffixes that people add to the name of an application for its budget.
fn is_word_for_budget(text: &str) -> bool {
    let words = ["", "pdb", "budget", "poddisruptionbudget", "pod-disruption-budget", "disruption-budget"];
    words.contains(&text.trim_matches('-'))
}

fn why_not(budget: &DisruptionBudget, set: &StatefulSet) -> String {
    let name = &budget.metadata.name;
    let labels = set.spec.template.labels();
    match budget.spec.selector.as_ref().map(|selector| selector.unmet(labels)) {
        Some(Some(unmet)) => format!("PodDisruptionBudget {name} wants {unmet}"),
        _ => format!("PodDisruptionBudget {name} selects no pods at all"),
    }
}

fn remedy(at: &SetContext<'_>, near: Option<&NearBudget<'_>>) -> String {
    let selector = selecting(at);
    let text = if let Some(NearBudget::Meant(budget)) = near {
        let name = &budget.metadata.name;
        let select = format!("let spec.selector of PodDisruptionBudget {name} select {selector}");
        if suits(budget, at) { select } else { format!("{select}, and {}", set_limit(at, budget)) }
    } else {
        let added = format!(
            "add a PodDisruptionBudget {} with a selector for {selector} and maxUnavailable: 1 to its namespace",
            new_budget_name(at),
        );
        match near {
            Some(NearBudget::Idle(idle)) => in_place_of(added, Some(idle)),
            Some(NearBudget::OfOthers(budget)) => {
                format!("{added}, and leave PodDisruptionBudget {} as it is", budget.metadata.name)
            }
            _ => added,
        }
    };
    with_third_member(at, text)
}

fn selecting(at: &SetContext<'_>) -> String {
    let labels = budget_labels(at);
    if labels.is_empty() { at.set.selecting() } else { labels.to_string() }
}

/// Whether the limit of a budget is right once it is about the pods of the set alone.
fn suits(budget: &DisruptionBudget, at: &SetContext<'_>) -> bool {
    let is_quorum = at.class.class == Class::Quorum;
    let pods = if is_pair(at) { 3 } else { at.replicas };
    let most = if is_quorum { tolerated(pods) } else { pods };
    (1..=most).contains(&budget.allowed_disruptions(pods))
}

/// No budget can protect a majority of two members.
fn is_pair(at: &SetContext<'_>) -> bool {
    at.class.class == Class::Quorum && at.members() == Some(2)
}

fn with_third_member(at: &SetContext<'_>, remedy: String) -> String {
    if is_pair(at) { format!("{}, and {remedy}", third_member(at)) } else { remedy }
}

/// A budget of the namespace that selects no pods at all. In policy/v1beta1 an empty selector selects none; written in policy/v1,
/// it would select those that a new budget selects.
fn idle_budget<'a>(at: &SetContext<'a>) -> Option<&'a DisruptionBudget> {
    at.view.known_budgets(at.namespace()).into_iter().find(|budget| budget.spec.selector.is_none())
}

fn in_place_of(added: String, idle: Option<&DisruptionBudget>) -> String {
    match idle {
        Some(idle) => format!("{added}, and delete PodDisruptionBudget {}", idle.metadata.name),
        None => added,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{budget, set};
    use super::*;
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
        let idle = budget(json!({"metadata": {"name": "all"}, "spec": {"selector": null}}));
        let both = set(json!({})).with(idle);
        assert!(
            both.says(&RULE).contains("all selects no pods at all -> add a PodDisruptionBudget zk with")
                && both.says(&RULE).ends_with("and delete PodDisruptionBudget all"),
            "{}",
            both.says(&RULE)
        );
        assert!(!both.found(&RULE)[0].edits[0].is_safe);
    }

    #[test]
    fn budgets_by_pod_may_leave_some_out() {
        let by = |name: &str, operator: &str, key: &str, values: &[&str]| {
            let expression = json!({"key": key, "operator": operator, "values": values});
            budget(
                json!({"metadata": {"name": name}, "spec": {"selector": {"matchExpressions": [expression]}}}),
            )
        };
        let says = |budgets: &[serde_json::Value]| {
            budgets.iter().cloned().fold(set(json!({})), super::super::testing::RuleTest::with).says(&RULE)
        };
        let leaves_out = by("a", "NotIn", POD_INDEX_LABEL, &["0"]);
        assert!(
            says(std::slice::from_ref(&leaves_out)).starts_with("PodDisruptionBudget a leaves out zk-0: ")
        );
        assert_eq!(says(&[leaves_out, by("b", "In", POD_NAME_LABEL, &["zk-0"])]), "");
        let two = by("a", "In", POD_NAME_LABEL, &["zk-0", "zk-1", "zk-7"]);
        assert!(says(std::slice::from_ref(&two)).contains("leaves out every pod that it does not name:"));
        assert_eq!(says(&[two, by("b", "In", POD_INDEX_LABEL, &["2"])]), "");
        let canary = by("a", "In", "controller-revision-hash", &["zk-1"]);
        assert!(says(&[canary]).contains("may leave out"), "which pods have it changes with each update");
    }

    #[test]
    fn a_budget_by_run_time_labels_wants_no_second_one() {
        let master = json!({"spec": {"selector": {"matchLabels": {"spilo-role": "master"}}}});
        let scene = set(json!({})).with(budget(master));
        assert_eq!(scene.found(&RULE)[0].at_most, Level::Warn);
        let says = scene.says(&RULE);
        assert!(
            says.starts_with("PodDisruptionBudget zk selects app=zk,spilo-role=master, by labels"),
            "{says}"
        );
        assert!(!says.contains("add a PodDisruptionBudget"), "{says}");
    }

    #[test]
    fn a_group_of_single_members_has_peers() {
        let member = |name: &str, replicas: i32| {
            let labels = json!({"app": "zk", "member": name, "helm.sh/chart": "zk-1"});
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": replicas, "template": {"metadata": {"labels": labels}}}})
        };
        let of = |name: &str, replicas: i32| super::super::testing::set_json(member(name, replicas));
        let three = set(member("a", 1)).with(of("b", 1)).with(of("c", 1));
        assert_eq!(
            three.says(&RULE),
            "no PodDisruptionBudget selects the pods of ensemble zk: draining nodes may evict all 3 members at once, and 2 of 3 \
             must stay up -> add one PodDisruptionBudget for all of them to their namespace, with a selector for app=zk and \
             minAvailable: 2"
        );
        let one = budget(json!({"spec": {"selector": {"matchLabels": {"member": "b"}}}}));
        assert!(three.with(one).found(&RULE).is_empty(), "pdb-below-quorum says what may be evicted");
        assert!(set(member("a", 1)).with(of("b", 0)).found(&RULE).is_empty());
        assert!(set(member("a", 2)).with(of("b", 1)).says(&RULE).ends_with("maxUnavailable: 1"));
    }

    #[test]
    fn a_dry_run_only_warns() {
        assert_eq!(set(json!({})).dry_run().found(&RULE)[0].at_most, Level::Warn);
        assert_eq!(set(json!({})).found(&RULE)[0].at_most, Level::Deny);
    }
}
