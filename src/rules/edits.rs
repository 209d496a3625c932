//! The edits that several rules propose.

use serde_json::{Value, json};

use super::{FieldEdit, FieldPlace, SetContext};
use crate::cluster::{Kind, Lookup};
use crate::model::{Class, DisruptionBudget, LabelSelector, Labels, Object, Workload, is_dns_label};

/// How another governing Service gets into a live set.
pub(super) const ANEW: &str = "on a live set the field cannot be changed: delete the set with --cascade=orphan, create it anew and \
                               restart its pods one by one";

impl FieldEdit {
    /// Sets the replica count: pods come or go, and with them data, so a person looks first.
    pub(super) fn replicas(replicas: i32) -> Self {
        Self::set(FieldPlace::in_set("/spec/replicas"), replicas).unsafe_to_apply()
    }

    /// Names the governing Service. The field cannot be changed on a live set.
    pub(super) fn service_name(name: &str) -> Self {
        Self::set(FieldPlace::in_set("/spec/serviceName"), name).unsafe_to_apply()
    }
}

/// Has all old pods of a Deployment stop before new ones start: it is not there for that time, so a person looks first. Nothing
/// where it is so already.
pub(super) fn recreate(workload: &Workload) -> Vec<FieldEdit> {
    if workload.rollout(1).is_none() {
        return Vec::new();
    }
    let mut edits = vec![FieldEdit::set(FieldPlace::in_set("/spec/strategy/type"), "Recreate")];
    if workload.spec.strategy.rolling_update.is_some() {
        // The API server refuses it beside `Recreate`.
        edits.push(FieldEdit::remove(FieldPlace::in_set("/spec/strategy/rollingUpdate")));
    }
    edits.into_iter().map(FieldEdit::unsafe_to_apply).collect()
}

/// Sets the replica count of a set that is a whole consensus group. Of several sets of one group, which is to grow or shrink is
/// for a person to say, and so is the fate of an autoscaler whose minimum the count is; and a list of the pods by name has to change
/// with the count.
pub(super) fn members(at: &SetContext<'_>, replicas: i32) -> Option<FieldEdit> {
    let is_whole = at.group_sets().is_some_and(|sets| sets.len() == 1) && at.raised_by().is_none();
    (is_whole && at.set.list_of_own_pods().is_none()).then(|| FieldEdit::replicas(replicas))
}

pub(super) fn labels_json(labels: &Labels) -> Value {
    labels.iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect()
}

/// A label selector for the set's pods; `None` where they have no labels to select by.
pub(super) fn pod_selector(at: &SetContext<'_>) -> Option<Value> {
    let labels = at.set.selecting_labels();
    (!labels.is_empty()).then(|| json!({"matchLabels": labels_json(&labels)}))
}

/// Makes `most` the number of pods that a budget lets be evicted at once.
pub(super) fn max_unavailable(budget: &DisruptionBudget, most: i32) -> Vec<FieldEdit> {
    let field = |path: &str| FieldPlace::of(budget.reference(), path);
    let mut edits = vec![FieldEdit::set(field("/spec/maxUnavailable"), most)];
    if budget.spec.min_available.is_some() {
        edits.push(FieldEdit::remove(field("/spec/minAvailable")));
    }
    edits
}

/// The labels by which a budget selects the set's pods: those of its selector, and one more where they also select the pods of other
/// workloads.
pub(super) fn budget_labels(at: &SetContext<'_>) -> Labels {
    let labels = at.set.selecting_labels();
    let selector = LabelSelector { match_labels: labels.clone(), ..LabelSelector::default() };
    let others = if labels.is_empty() { Vec::new() } else { at.other_workloads(&selector) };
    let template = at.set.spec.template.labels().without_versions();
    let tells_apart = |(key, value): &(&str, &str)| {
        !others.is_empty() && others.iter().all(|other| other.labels().get(key) != Some(*value))
    };
    match template.iter().find(tells_apart) {
        Some(apart) => labels.iter().chain([apart]).collect(),
        None => labels,
    }
}

/// A budget of the set's own. None where it would be about the pods of other sets too, which may have one, or where
/// the set is one of an ensemble, which wants one for all its sets.
pub(super) fn new_budget(at: &SetContext<'_>) -> Option<FieldEdit> {
    let selector = LabelSelector { match_labels: at.set.selecting_labels().clone(), ..Default::default() };
    let is_own = at.view.sets_matching(at.namespace(), &selector).len() <= 1;
    if !is_own || at.set.ensemble().is_some() || at.group_sets()?.len() > 1 {
        return None;
    }
    let labels = budget_labels(at);
    if labels.is_empty() {
        return None;
    }
    let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": labels_json(&labels)}});
    Some(new_object(at, Kind::DisruptionBudget, &new_budget_name(at), &spec))
}

/// The name of a further budget for the set: its own, where no known budget has that.
pub(super) fn new_budget_name(at: &SetContext<'_>) -> String {
    let known = at.view.known_budgets(at.namespace());
    let is_free = |name: &String| known.iter().all(|budget| *budget.metadata.name != **name);
    let name = at.lasting_name();
    let numbered = (2..).map(|number| format!("{name}-pdb-{number}"));
    let mut names = [name.to_owned(), format!("{name}-pdb")].into_iter().chain(numbered);
    names.find(is_free).unwrap_or_default()
}

/// A headless Service of this name for the set's pods.
pub(super) fn new_headless_service(at: &SetContext<'_>, name: &str) -> Option<FieldEdit> {
    let labels = at.set.selecting_labels();
    if labels.is_empty() || !is_dns_label(name) {
        return None;
    }
    let mut spec = json!({"clusterIP": "None", "selector": labels_json(&labels)});
    if at.class.class == Class::Quorum {
        spec["publishNotReadyAddresses"] = true.into();
    }
    Some(new_object(at, Kind::Service, name, &spec))
}

/// A headless Service for the set's pods under a name that is free, and the edit that names it in the set.
pub(super) fn new_governing_service(at: &SetContext<'_>) -> Vec<FieldEdit> {
    let names = [at.lasting_name().to_owned(), format!("{}-headless", at.lasting_name())];
    let is_free = |name: &&String| matches!(at.view.service(at.namespace(), name), Lookup::Absent);
    let Some(name) = names.iter().find(is_free) else { return Vec::new() };
    let created = new_headless_service(at, name).map(FieldEdit::unsafe_to_apply);
    created.map_or_else(Vec::new, |created| vec![created, FieldEdit::service_name(name)])
}

fn new_object(at: &SetContext<'_>, kind: Kind, name: &str, spec: &Value) -> FieldEdit {
    let reference = kind.reference(at.namespace(), name);
    let manifest = json!({
        "apiVersion": reference.api_version, "kind": reference.kind,
        "metadata": {"name": name, "namespace": at.namespace()}, "spec": spec,
    });
    FieldEdit::create(reference, manifest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::testing::set;

    #[test]
    fn no_object_is_named_after_a_name_that_is_made_anew_each_time() {
        let generated = set(json!({"metadata": {"name": "zk-x7k2p", "generateName": "zk-"}}));
        assert_eq!(generated.with_context(new_budget_name), "zk");
        let manifest = set(json!({"metadata": {"name": null, "generateName": "zk-"}}));
        assert_eq!(manifest.with_context(new_budget_name), "zk");
        assert_eq!(set(json!({})).with_context(new_budget_name), "zk");
    }
}
