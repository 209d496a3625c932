//! The names of the annotations that Stateward reads: its own, and those of Metacontroller's service-per-pod example.

use super::text::pointer_step;

/// The domain of Stateward's own annotations.
pub const DOMAIN: &str = "stateward.dev";

/// The class that the set's owner declares.
pub const CLASS: &str = "stateward.dev/class";
/// The name of the group that several sets form.
pub const ENSEMBLE: &str = "stateward.dev/ensemble";
/// The rules that do not apply to the set, separated by commas; [`EXEMPT_REASON`] is required beside it.
pub const EXEMPT: &str = "stateward.dev/exempt";
pub const EXEMPT_REASON: &str = "stateward.dev/exempt-reason";
/// `true` forbids deleting the set and the objects that belong to it.
pub const PROTECTED: &str = "stateward.dev/protected";
/// The type of per-pod Services.
pub const PER_POD_TYPE: &str = "stateward.dev/service-per-pod-type";

/// The annotation of a StatefulSet that names the label with each pod's name.
pub const PER_POD_LABEL: &str = "service-per-pod-label";
/// The most pods of a set with per-pod Services: a slip of the keyboard must not fill the cluster.
pub const MOST_PER_POD_SERVICES: u16 = 10_000;
/// The ports of per-pod Services, as [`port_pairs`](super::port_pairs) reads them.
pub const PER_POD_PORTS: &str = "service-per-pod-ports";
/// The annotation of a pod, or of a template, that names a label for the pod's own name.
pub const POD_NAME_ANNOTATION: &str = "pod-name-label";
/// On a per-pod Service: a fingerprint of what was applied last.
pub const PER_POD_APPLIED: &str = "stateward.dev/service-per-pod-applied";
/// On a per-pod Service: the settings of the policy that made it. They stay in force when no policy gives settings any more.
pub const PER_POD_SETTINGS: &str = "stateward.dev/service-per-pod-settings";
/// The time of the last `kubectl rollout restart`, on a pod template.
pub(super) const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// When Helm deletes a hook: policies, separated by commas.
pub(super) const HELM_HOOK_DELETION: &str = "helm.sh/hook-delete-policy";
/// When Argo CD deletes a hook: policies, separated by commas.
pub(super) const ARGO_HOOK_DELETION: &str = "argocd.argoproj.io/hook-delete-policy";
/// The predecessor of `publishNotReadyAddresses` before Kubernetes 1.24; it has no effect any more.
pub const TOLERATE_UNREADY: &str = "service.alpha.kubernetes.io/tolerate-unready-endpoints";

/// The annotations under [`DOMAIN`] that are read on a StatefulSet.
pub const OWN_ANNOTATIONS: [&str; 6] = [CLASS, ENSEMBLE, EXEMPT, EXEMPT_REASON, PROTECTED, PER_POD_TYPE];

/// The JSON pointer of an annotation in its object.
pub fn annotation_pointer(key: &str) -> String {
    format!("/metadata/annotations/{}", pointer_step(key))
}
