//! Which pods the API server asks about at all, in CEL. What fails to evaluate counts as an error of the webhook, so nothing
//! is read here that may be absent.

use serde_json::{Value, json};

/// A name, and the expression that must hold.
pub(super) type Condition = (&'static str, &'static str);

/// Controllers that clean up are never denied, so the API server need not call the webhook for them: a namespace can be deleted, and
/// a finalizer removed, also while the webhook is down and the `failurePolicy` is `Fail`.
pub(super) const NOT_CLEANING_UP: Condition = (
    "not-by-who-cleans-up",
    "!(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller', \
     'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager'])",
);

/// The deletions that the rule `pod-force-deleted` refuses, which is to say nearly none: each condition says what the rule
/// says, in the same order.
pub(super) const FORCED_DELETIONS: [Condition; 5] = [
    (
        "made-by-a-statefulset",
        "has(oldObject.metadata.ownerReferences) && oldObject.metadata.ownerReferences.exists(o, \
         has(o.controller) && o.controller && o.kind == 'StatefulSet' && o.apiVersion.startsWith('apps/'))",
    ),
    (
        "without-grace",
        "0 == (has(request.options) && has(request.options.gracePeriodSeconds) ? request.options.gracePeriodSeconds : \
         has(oldObject.spec.terminationGracePeriodSeconds) ? oldObject.spec.terminationGracePeriodSeconds : 30)",
    ),
    (
        "may-still-run",
        "has(oldObject.spec.nodeName) && oldObject.spec.nodeName != '' && !(has(oldObject.status) && \
         has(oldObject.status.phase) && oldObject.status.phase in ['Succeeded', 'Failed'])",
    ),
    (
        "not-by-the-system",
        "request.userInfo.username != 'system:kube-controller-manager' && request.userInfo.username != \
         'system:kube-scheduler' && !(request.userInfo.username.startsWith('system:serviceaccount:kube-system:') && \
         (request.userInfo.username.endsWith('-controller') || request.userInfo.username.endsWith('-garbage-collector')))",
    ),
    (
        "not-by-its-kubelet",
        "has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups ? request.userInfo.username != \
         'system:node:' + oldObject.spec.nodeName : true",
    ),
];

/// The pods that get their own name as a label.
pub(super) const LABELLED_POD: Condition = (
    "wants-its-name-as-a-label",
    "has(object.metadata.annotations) && 'pod-name-label' in object.metadata.annotations",
);

/// As a webhook's `matchConditions`.
pub(super) fn conditions(all: &[Condition]) -> Value {
    all.iter().map(|(name, expression)| json!({"name": name, "expression": expression})).collect()
}
