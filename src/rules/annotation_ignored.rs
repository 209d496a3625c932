//! `annotation-ignored`

use super::{FieldPlace, Params, RefusedExemption, SetContext, Violations};
use crate::model::{
    Annotations, CLASS, Class, DOMAIN, EXEMPT, EXEMPT_REASON, OWN_ANNOTATIONS, PER_POD_LABEL, PER_POD_PORTS,
    PER_POD_TYPE, PROTECTED, PerPodType, annotation_pointer, nearest, pointer_step,
};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// An annotation of a StatefulSet asks Stateward for something and is not understood: `stateward.dev/class` names
    /// none of `quorum`, `singleton` and `replicated`; `stateward.dev/exempt` names a rule that does not exist, or comes
    /// without `stateward.dev/exempt-reason`; `stateward.dev/service-per-pod-type` names none of `LoadBalancer`, `NodePort` and
    /// `ClusterIP`; `stateward.dev/protected` is neither `true` nor `false`; one of `service-per-pod-label` and `service-per-pod-ports` is there without the other; the annotation is
    /// mistyped (`stateward.dev/clas`, `statward.dev/class`); or it is written as a label, or on the pod template, where it is not
    /// read; or a user adds or changes `stateward.dev/exempt` whom a policy's `annotationExemptionsBy` does not name. Only the first
    /// and the last of these are ever more than a warning.
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
    if let Some(name) = annotations.get(CLASS)
        && Class::named(name).is_none()
    {
        let message = format!(
            "there is no class {name:?}{}, so the set is taken for {} ({})",
            in_brackets(nearest(name, CLASSES)),
            at.class.class,
            at.class.because
        );
        let remedy = "set the annotation stateward.dev/class to quorum, singleton or replicated";
        out.add(FieldPlace::in_set(annotation_pointer(CLASS)), message, remedy).keyed(name);
    }
    per_pod(annotations, out);
    protection(annotations, out);
    exemption(annotations, at.refused_exemption, out);
    mistyped(annotations, out);
    misplaced(at, out);
}

const CLASSES: [&str; 3] = ["quorum", "singleton", "replicated"];

/// ` (did you mean "quorum"?)`, or nothing.
fn in_brackets(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!(" (did you mean {meant:?}?)"))
}

/// Only `true` protects.
fn protection(annotations: &Annotations, out: &mut Violations) {
    let value = annotations.get(PROTECTED).map_or("false", str::trim);
    if matches!(value, "true" | "false") {
        return;
    }
    let message = format!("stateward.dev/protected is {value:?}, which protects nothing");
    let remedy = "set the annotation stateward.dev/protected to \"true\", or remove it";
    let place = FieldPlace::in_set(annotation_pointer(PROTECTED));
    out.add(place, message, remedy).keyed(value).at_most(Level::Warn);
}

fn exemption(annotations: &Annotations, refused: Option<RefusedExemption<'_>>, out: &mut Violations) {
    let Some(exempt) = annotations.get(EXEMPT) else { return };
    let place = || FieldPlace::in_set(annotation_pointer(EXEMPT));
    let reason = annotations.get(EXEMPT_REASON).unwrap_or_default();
    if reason.trim().is_empty() {
        let message = "an exemption without a reason does not count, so nothing is exempt";
        let remedy = "say why in the annotation stateward.dev/exempt-reason";
        out.add(place(), message, remedy).at_most(Level::Warn);
    }
    if let Some(RefusedExemption { user, policy }) = refused {
        let message = format!("by policy {policy} {user} may not set an exemption, so nothing is exempt");
        let remedy = format!(
            "remove the annotation stateward.dev/exempt, or have it set by a user or group that annotationExemptionsBy of policy {policy} lists"
        );
        out.add(place(), message, remedy).keyed("set by");
    }
    let ids = exempt.split(',').map(str::trim).filter(|id| !id.is_empty());
    // POLICY/CHECK is a policy's own check.
    for id in ids.filter(|id| super::named(id).is_none() && !id.contains('/')) {
        let meant = nearest(id, super::ALL.iter().map(|rule| rule.id));
        let message = format!("there is no rule {id:?} to be exempt from{}", in_brackets(meant));
        let remedy = format!("correct or remove {id} in the annotation stateward.dev/exempt");
        out.add(place(), message, remedy).keyed(id).at_most(Level::Warn);
    }
}

/// Keys that nothing reads. Of a domain that is not ours only those whose name is nearly one of ours: it may be another program's.
fn mistyped(annotations: &Annotations, out: &mut Violations) {
    for key in annotations.unread() {
        let (meant, is_ours) = match key.split_once('/') {
            Some((domain, name)) => (nearest_own(name), domain == DOMAIN),
            None => (nearest(key, [PER_POD_LABEL, PER_POD_PORTS]), false),
        };
        if meant.is_none() && !is_ours {
            continue;
        }
        let message = format!("nothing reads the annotation {key:?}{}", in_brackets(meant));
        let remedy = match meant {
            Some(meant) => format!("rename it to {meant}"),
            None => "remove it".to_owned(),
        };
        out.add(FieldPlace::in_set(annotation_pointer(key)), message, remedy).at_most(Level::Warn);
    }
}

/// The annotation of ours whose name under the domain is nearest to `name`.
fn nearest_own(name: &str) -> Option<&'static str> {
    let own_name = |key: &&'static str| key.split_once('/').map_or(*key, |(_, name)| name);
    let meant = nearest(name, OWN_ANNOTATIONS.iter().map(own_name))?;
    OWN_ANNOTATIONS.into_iter().find(|key| own_name(key) == meant)
}

/// Annotations that are only read on the set itself, and are written elsewhere.
fn misplaced(at: &SetContext<'_>, out: &mut Violations) {
    let (own, template) = (&at.set.metadata, &at.set.spec.template.metadata);
    for key in OWN_ANNOTATIONS {
        let places = [
            (own.labels.get(key), "/metadata/labels", "a label"),
            (
                template.annotations.get(key),
                "/spec/template/metadata/annotations",
                "an annotation of the pod template",
            ),
            (template.labels.get(key), "/spec/template/metadata/labels", "a label of the pod template"),
        ];
        let places =
            places.into_iter().filter(|(value, ..)| value.is_some() && own.annotations.get(key).is_none());
        for (_, map, what) in places {
            let message = format!("{key} is {what}, and is only read as an annotation of the StatefulSet");
            let remedy = "move it to metadata.annotations of the StatefulSet";
            out.add(FieldPlace::in_set(format!("{map}/{}", pointer_step(key))), message, remedy)
                .at_most(Level::Warn);
        }
    }
}

/// Remarks about the annotations for per-pod Services.
fn per_pod(annotations: &Annotations, out: &mut Violations) {
    for (has, lacks) in [(PER_POD_LABEL, PER_POD_PORTS), (PER_POD_PORTS, PER_POD_LABEL)] {
        if annotations.get(has).is_some() && annotations.get(lacks).is_none() {
            let message = format!("{has} without {lacks} makes no Service for any pod");
            let remedy = format!("set the annotation {lacks} as well, or remove {has}");
            out.add(FieldPlace::in_set(annotation_pointer(has)), message, remedy).at_most(Level::Warn);
        }
    }
    if let Some(kind) = annotations.get(PER_POD_TYPE).filter(|kind| PerPodType::named(kind).is_none()) {
        let types = PerPodType::ALL.map(PerPodType::name);
        let message =
            format!("there is no per-pod Service of type {kind:?}{}", in_brackets(nearest(kind, types)));
        let remedy = format!("set the annotation {PER_POD_TYPE} to {}, or remove it", types.join(" or "));
        let place = FieldPlace::in_set(annotation_pointer(PER_POD_TYPE));
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
    fn who_may_not_exempt_is_told() {
        let annotations = json!({"stateward.dev/exempt": "quorum-even", "stateward.dev/exempt-reason": "so"});
        let annotated = set(json!({"metadata": {"annotations": annotations}}));
        let found = annotated.refusing_exemption_by("bob", "strict").found(&RULE);
        assert_eq!(found[0].message, "by policy strict bob may not set an exemption, so nothing is exempt");
        assert_eq!((found.len(), found[0].at_most), (1, Level::Deny));
        let none = set(json!({})).refusing_exemption_by("bob", "strict").found(&RULE);
        assert!(none.is_empty(), "the annotations are gone");
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

    fn messages(set_patch: Value) -> Vec<String> {
        let found = set(set_patch).found(&RULE).into_iter();
        found.map(|v| format!("{} {} -> {}", v.place.path, v.message, v.remedy)).collect()
    }

    #[test]
    fn mistyped_keys_are_named_with_what_was_meant() {
        for (key, said) in [
            (
                "stateward.dev/clas",
                Some("(did you mean \"stateward.dev/class\"?) -> rename it to stateward.dev/class"),
            ),
            ("statward.dev/class", Some("(did you mean \"stateward.dev/class\"?)")),
            ("stateward.dev/exempt-reasons", Some("(did you mean \"stateward.dev/exempt-reason\"?)")),
            ("stateward.dev/zzz", Some("nothing reads the annotation \"stateward.dev/zzz\" -> remove it")),
            ("service-per-pod-lable", Some("(did you mean \"service-per-pod-label\"?)")),
            ("statward.dev/zzz", None),
            ("stateward.dev/ensemble", None),
            ("pod-name-label", None),
            ("example.com/class", None),
        ] {
            let messages = messages(json!({"metadata": {"annotations": {key: "quorum"}}}));
            match said {
                Some(said) => {
                    assert!(messages.len() == 1 && messages[0].contains(said), "{key}: {messages:?}");
                }
                None => assert_eq!(messages, Vec::<String>::new(), "{key}"),
            }
        }
    }

    #[test]
    fn keys_are_read_on_the_set_itself() {
        let class = json!({"stateward.dev/class": "quorum"});
        for (patch, path) in [
            (json!({"metadata": {"labels": class}}), "/metadata/labels/stateward.dev~1class"),
            (
                json!({"spec": {"template": {"metadata": {"annotations": class}}}}),
                "/spec/template/metadata/annotations/stateward.dev~1class",
            ),
            (
                json!({"spec": {"template": {"metadata": {"labels": class}}}}),
                "/spec/template/metadata/labels/stateward.dev~1class",
            ),
        ] {
            let messages = messages(patch);
            assert!(messages.len() == 1 && messages[0].starts_with(path), "{messages:?}");
        }
        let both = json!({"metadata": {"annotations": class, "labels": class}});
        assert_eq!(messages(both), Vec::<String>::new());
    }

    #[test]
    fn only_true_protects() {
        for (value, number) in [("true", 0), (" true ", 0), ("false", 0), ("yes", 1), ("True", 1), ("", 1)] {
            assert_eq!(found(&json!({"stateward.dev/protected": value})).len(), number, "{value:?}");
        }
    }

    #[test]
    fn wrong_values_are_told_what_was_meant() {
        for (key, value, meant) in [
            ("stateward.dev/class", "single", "singleton"),
            ("stateward.dev/exempt", "quorum-evne", "quorum-even"),
            ("stateward.dev/service-per-pod-type", "nodeport", "NodePort"),
        ] {
            let said = messages(
                json!({"metadata": {"annotations": {key: value, "stateward.dev/exempt-reason": "x"}}}),
            );
            assert!(said.len() == 1 && said[0].contains(&format!("(did you mean {meant:?}?)")), "{said:?}");
        }
    }
}
