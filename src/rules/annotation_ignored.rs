//! `annotation-ignored`

use super::{Params, Place, SetContext, Violations};
use crate::model::{Annotations, Class, PER_POD_LABEL, PER_POD_PORTS, PER_POD_TYPE, PerPodType};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// An annotation of a StatefulSet asks Stateward for something and is not understood: `stateward.dev/class` names
    /// none of `quorum`, `singleton` and `replicated`; `stateward.dev/exempt` names a rule that does not exist, or comes
    /// without `stateward.dev/exempt-reason`; `stateward.dev/service-per-pod-type` names none of `LoadBalancer`, `NodePort` and
    /// `ClusterIP`; one of `service-per-pod-label` and `service-per-pod-ports` is there without the other. Only the first of these
    /// is ever more than a warning.
    ///
    /// ## Why
    ///
    /// It looks as if it had been said, and nothing heeds it. A singleton whose class is misspelt is scaled like any
    /// other set; an exemption without a reason exempts nothing; half of what a Service per pod needs makes none.
    ///
    /// ## How to fix
    ///
    /// Correct the annotation, or remove it. `stateward explain` lists the rules.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: ledger, annotations: {stateward.dev/class: single}}
    /// spec:
    ///   replicas: 1
    ///   serviceName: ledger
    ///   selector: {matchLabels: {app: ledger}}
    ///   template:
    ///     metadata: {labels: {app: ledger}}
    ///     spec: {containers: [{name: ledger, image: "example.com/ledger:1.4"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: ledger, annotations: {stateward.dev/class: singleton}}
    /// spec:
    ///   replicas: 1
    ///   serviceName: ledger
    ///   selector: {matchLabels: {app: ledger}}
    ///   template:
    ///     metadata: {labels: {app: ledger}}
    ///     spec: {containers: [{name: ledger, image: "example.com/ledger:1.4"}]}
    /// ```
    "annotation-ignored": "an annotation is not understood",
    triggers: [Set],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let annotations = &at.set.metadata.annotations;
    if let Some(name) = annotations.get("stateward.dev/class")
        && Class::named(name).is_none()
    {
        let message = format!(
            "there is no class {name:?}, so the set is taken for {} ({})",
            at.class.class, at.class.because
        );
        let remedy = "set the annotation stateward.dev/class to quorum, singleton or replicated";
        out.add(Place::in_set("/metadata/annotations/stateward.dev~1class"), message, remedy).keyed(name);
    }
    per_pod(annotations, out);
    let Some(exempt) = annotations.get("stateward.dev/exempt") else { return };
    let place = || Place::in_set("/metadata/annotations/stateward.dev~1exempt");
    let reason = annotations.get("stateward.dev/exempt-reason").unwrap_or_default();
    if reason.trim().is_empty() {
        let message = "an exemption without a reason does not count, so nothing is exempt";
        let remedy = "say why in the annotation stateward.dev/exempt-reason";
        out.add(place(), message, remedy).at_most(Level::Warn);
    }
    let ids = exempt.split(',').map(str::trim).filter(|id| !id.is_empty());
    for id in ids.filter(|id| super::named(id).is_none()) {
        let message = format!("there is no rule {id:?} to be exempt from");
        let remedy = format!("correct or remove {id} in the annotation stateward.dev/exempt");
        out.add(place(), message, remedy).keyed(id).at_most(Level::Warn);
    }
}

/// What is said of the per-pod Services.
fn per_pod(annotations: &Annotations, out: &mut Violations) {
    for (has, lacks) in [(PER_POD_LABEL, PER_POD_PORTS), (PER_POD_PORTS, PER_POD_LABEL)] {
        if annotations.get(has).is_some() && annotations.get(lacks).is_none() {
            let message = format!("{has} without {lacks} makes no Service for any pod");
            let remedy = format!("set the annotation {lacks} as well, or remove {has}");
            out.add(Place::in_set(format!("/metadata/annotations/{has}")), message, remedy)
                .at_most(Level::Warn);
        }
    }
    if let Some(kind) = annotations.get(PER_POD_TYPE).filter(|kind| PerPodType::named(kind).is_none()) {
        let types = PerPodType::ALL.map(PerPodType::name);
        let message = format!("there is no per-pod Service of type {kind:?}");
        let remedy = format!("set the annotation {PER_POD_TYPE} to {}, or remove it", types.join(" or "));
        let place = Place::in_set("/metadata/annotations/stateward.dev~1service-per-pod-type");
        out.add(place, message, remedy).keyed(kind).at_most(Level::Warn);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rules::testing::set;

    fn found(annotations: &Value) -> Vec<(String, Level)> {
        let found = set(json!({"metadata": {"annotations": annotations}})).found(&RULE);
        found.into_iter().map(|violation| (violation.message, violation.at_most)).collect()
    }

    #[test]
    fn classes_are_read_in_any_case() {
        for class in ["quorum", "Singleton", " REPLICATED "] {
            assert_eq!(found(&json!({"stateward.dev/class": class})), []);
        }
        for class in ["", "single", "quorum,singleton"] {
            let found = found(&json!({"stateward.dev/class": class}));
            assert_eq!((found.len(), found[0].1), (1, Level::Deny), "{class}");
        }
    }

    #[test]
    fn exemptions_name_rules_and_give_a_reason() {
        let exempt = |rules: &str, reason: Value| {
            found(&json!({"stateward.dev/exempt": rules, "stateward.dev/exempt-reason": reason}))
        };
        assert_eq!(exempt("quorum-even, pdb-missing,", json!("a laboratory")), []);
        for (rules, reason) in
            [("quorum-even", Value::Null), ("quorum-even", json!(" ")), ("quorum-odd", json!("so"))]
        {
            let found = exempt(rules, reason);
            assert_eq!((found.len(), found[0].1), (1, Level::Warn), "{rules}");
        }
        assert_eq!(found(&json!({"stateward.dev/exempt-reason": "of nothing"})), []);
    }

    #[test]
    fn per_pod_services_need_label_and_ports_and_a_type_there_is() {
        let (label, ports, kind) =
            ("service-per-pod-label", "service-per-pod-ports", "stateward.dev/service-per-pod-type");
        let both = |value: &str| json!({label: "pod-name", ports: "80:80", kind: value});
        for (annotations, number) in [
            (json!({label: "pod-name"}), 1),
            (json!({ports: "80:80"}), 1),
            (json!({label: "pod-name", ports: "80:80"}), 0),
            (both("NodePort"), 0),
            (both("LoadBalancer"), 0),
            (both("nodeport"), 1),
            (both(""), 1),
            (both("ExternalName"), 1),
        ] {
            let found = found(&annotations);
            assert!(found.iter().all(|(_, at_most)| *at_most == Level::Warn), "{annotations}");
            assert_eq!(found.len(), number, "{annotations}");
        }
    }
}
