//! The release that an object is part of, by the marks of Helm, Argo CD and Flux.

use super::{Labels, Metadata};

const HELM_NAME: &str = "meta.helm.sh/release-name";
const HELM_NAMESPACE: &str = "meta.helm.sh/release-namespace";
/// `APPLICATION:GROUP/KIND:NAMESPACE/NAME`.
const ARGO_TRACKING: &str = "argocd.argoproj.io/tracking-id";
const ARGO_INSTANCE: &str = "argocd.argoproj.io/instance";
const INSTANCE: &str = "app.kubernetes.io/instance";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Flux marks the objects it applies with the name and namespace of its own object.
const FLUX: [(&str, &str); 2] = [
    ("kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace"),
    ("helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace"),
];

/// Whether the annotation names a release.
pub(super) fn is_release_annotation(key: &str) -> bool {
    matches!(key, HELM_NAME | HELM_NAMESPACE | ARGO_TRACKING)
}

/// The labels that name a release.
pub fn release_labels(labels: &Labels) -> Labels {
    let names_release = |key: &str| {
        matches!(key, ARGO_INSTANCE | INSTANCE | MANAGED_BY)
            || FLUX.iter().any(|(name, namespace)| key == *name || key == *namespace)
    };
    labels.iter().filter(|(key, _)| names_release(key)).collect()
}

impl Metadata {
    /// Whether one tool created both objects for one release. The absence of marks proves nothing.
    pub fn is_of_same_release(&self, other: &Self) -> bool {
        let annotation = |key: &str| both(self.annotations.get(key), other.annotations.get(key));
        let label = |key: &str| both(self.labels.get(key), other.labels.get(key));
        let same_or_absent = |key: &str| self.labels.get(key) == other.labels.get(key);
        let application = |metadata: &Self| {
            let tracking = metadata.annotations.get(ARGO_TRACKING)?;
            tracking.split(':').next().map(str::to_owned)
        };
        (annotation(HELM_NAME) && annotation(HELM_NAMESPACE))
            || both(application(self).as_deref(), application(other).as_deref())
            || label(ARGO_INSTANCE)
            || FLUX.iter().any(|(name, namespace)| label(name) && same_or_absent(namespace))
            || (label(INSTANCE) && label(MANAGED_BY))
    }
}

fn both(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_some() && one == other
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn is_same(one: &Value, other: &Value) -> bool {
        let read = |json: &Value| serde_json::from_value::<Metadata>(json.clone()).unwrap();
        let (one, other) = (read(one), read(other));
        assert_eq!(one.is_of_same_release(&other), other.is_of_same_release(&one));
        one.is_of_same_release(&other)
    }

    #[test]
    fn each_tool_marks_its_releases() {
        let annotated = |key: &str, value: &str| json!({"annotations": {key: value, HELM_NAMESPACE: "a"}});
        let labelled = |key: &str, value: &str| json!({"labels": {key: value, MANAGED_BY: "Helm"}});
        for (key, one, other) in
            [(HELM_NAME, "kv", "db"), (ARGO_TRACKING, "kv:policy/PodDisruptionBudget:a/x", "db:x")]
        {
            assert!(is_same(&annotated(key, one), &annotated(key, one)), "{key}");
            assert!(!is_same(&annotated(key, one), &annotated(key, other)), "{key}");
        }
        for key in [ARGO_INSTANCE, INSTANCE, FLUX[0].0, FLUX[1].0] {
            assert!(is_same(&labelled(key, "kv"), &labelled(key, "kv")), "{key}");
            assert!(!is_same(&labelled(key, "kv"), &labelled(key, "db")), "{key}");
        }
        let tracked = annotated(ARGO_TRACKING, "kv:policy/PodDisruptionBudget:a/y");
        assert!(is_same(&tracked, &annotated(ARGO_TRACKING, "kv:policy/PodDisruptionBudget:a/x")));
    }

    #[test]
    fn a_mark_must_be_whole() {
        let half = json!({"labels": {INSTANCE: "kv"}, "annotations": {HELM_NAME: "kv"}});
        assert!(!is_same(&half, &half), "who manages it, and where, is not said");
        assert!(!is_same(&json!({}), &json!({})));
        let elsewhere = |namespace: &str| json!({"labels": {FLUX[0].0: "kv", FLUX[0].1: namespace}});
        assert!(is_same(&elsewhere("a"), &elsewhere("a")) && !is_same(&elsewhere("a"), &elsewhere("b")));
    }

    #[test]
    fn only_the_marks_are_kept() {
        let labels: Labels = [("app", "kv"), (INSTANCE, "box"), (MANAGED_BY, "Helm")].into_iter().collect();
        assert_eq!(
            release_labels(&labels).to_string(),
            "app.kubernetes.io/instance=box,app.kubernetes.io/managed-by=Helm"
        );
    }
}
