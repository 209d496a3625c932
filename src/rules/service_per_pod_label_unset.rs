//! `service-per-pod-label-unset`

use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::{PER_POD_LABEL, POD_INDEX_LABEL, POD_NAME_ANNOTATION, POD_NAME_LABEL, is_label_key};

rule! {
    /// ## What it checks
    ///
    /// The annotation `service-per-pod-label` of a StatefulSet names a label that does not carry each pod's name. Two do:
    /// `statefulset.kubernetes.io/pod-name`, which the StatefulSet controller adds, and the label that the annotation
    /// `pod-name-label` of the pod template names, which Stateward's mutating webhook adds to each pod. A label that the template
    /// itself sets has one value on all pods, tells none from another and is not overwritten. Neither does
    /// `apps.kubernetes.io/pod-index`, which carries the number only.
    ///
    /// ## Why
    ///
    /// For each pod there is to be a Service that selects this label with the pod's name as its value. Where no pod has that, the
    /// Services are there and look right, and have no endpoints: connections are refused, and nothing says why.
    ///
    /// ## How to fix
    ///
    /// Set the annotation to `statefulset.kubernetes.io/pod-name`, which needs nothing else. To keep a label of your own, name it in
    /// the annotation `pod-name-label` of the pod template as well, and set it nowhere else; that restarts the pods.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: web, annotations: {service-per-pod-label: pod-name, service-per-pod-ports: "80:80"}}
    /// spec:
    ///   replicas: 3
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec:
    ///       containers: [{name: web, image: "nginx:1.27"}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: web, annotations: {service-per-pod-label: pod-name, service-per-pod-ports: "80:80"}}
    /// spec:
    ///   replicas: 3
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}, annotations: {pod-name-label: pod-name}}
    ///     spec:
    ///       containers: [{name: web, image: "nginx:1.27"}]
    /// ```
    "service-per-pod-label-unset": "the per-pod Services select no pod",
    triggers: [Set],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(label) = at.set.metadata.annotations.get(PER_POD_LABEL) else { return };
    let template = &at.set.spec.template;
    let injected = template.metadata.annotations.get(POD_NAME_ANNOTATION);
    let value = template.labels().get(label);
    if at.set.names_pods_by(label, injected) {
        return;
    }
    let pod = format!("{}-{}", at.name(), at.set.spec.ordinals.start);
    let why = match (label, value, injected) {
        ("", _, _) => "the per-pod Services have no label to select by".to_owned(),
        _ if !is_label_key(label) => {
            format!(
                "no pod can have the label {label:?}, which is not a valid label key: no Service can select by it"
            )
        }
        (_, Some(value), _) => format!(
            "every pod has {label}={value}, which tells none from another: the Service {pod} selects {label}={pod}"
        ),
        (POD_INDEX_LABEL, None, _) => {
            format!(
                "{label} carries a pod's number, and the Service {pod} selects its name: it has no endpoints"
            )
        }
        (_, None, Some(other)) if !other.is_empty() => {
            format!(
                "no pod will have the label {label}, since pod-name-label names {other}: the per-pod Services have no endpoints"
            )
        }
        _ => format!("no pod will have the label {label}: the per-pod Services have no endpoints"),
    };
    let remedy = format!("set the annotation service-per-pod-label to {POD_NAME_LABEL}");
    let place = FieldPlace::in_set("/metadata/annotations/service-per-pod-label");
    out.add(place.clone(), why, remedy).edit(FieldEdit::set(place, POD_NAME_LABEL)).keyed(label);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::set;
    use super::*;

    fn says(label: &Value, template: &Value) -> String {
        set(json!({"metadata": {"annotations": {"service-per-pod-label": label}},
            "spec": {"template": {"metadata": template}}}))
        .says(&RULE)
    }

    #[test]
    fn a_label_with_each_pods_name() {
        let injected = |label: &str| json!({"annotations": {"pod-name-label": label}});
        for (label, template, says_of_it) in [
            ("statefulset.kubernetes.io/pod-name", json!({}), ""),
            ("pod-name", injected("pod-name"), ""),
            ("app", injected("app"), "every pod has app=zk"),
            ("example.com/pod", injected("example.com/pod"), ""),
            ("pod name", injected("pod name"), "not a valid label key"),
            ("pod-name", json!({}), "no pod will have the label pod-name:"),
            ("pod-name", injected(""), "no pod will have the label pod-name:"),
            ("pod-name", injected("name"), "since pod-name-label names name"),
            ("pod-name", injected("Pod-Name"), "since pod-name-label names Pod-Name"),
            ("app", json!({}), "every pod has app=zk"),
            ("app", injected("pod-name"), "every pod has app=zk"),
            ("apps.kubernetes.io/pod-index", json!({}), "a pod's number"),
            ("apps.kubernetes.io/pod-index", injected("apps.kubernetes.io/pod-index"), "a pod's number"),
            ("controller-revision-hash", injected("controller-revision-hash"), "no pod will have the label"),
            ("", json!({}), "no label to select by"),
            ("", injected(""), "no label to select by"),
        ] {
            let says = says(&json!(label), &template);
            assert_eq!(says.is_empty(), says_of_it.is_empty(), "{label} {template}: {says}");
            assert!(says.contains(says_of_it), "{label} {template}: {says}");
        }
        assert_eq!(set(json!({})).says(&RULE), "", "only where it is annotated");
    }
}
