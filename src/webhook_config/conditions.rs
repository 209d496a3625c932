//! Which pods and Deployments the API server asks about at all, in CEL. What fails to evaluate counts as an error of the webhook, so nothing
//! is read here that may be absent.

use serde_json::{Value, json};

/// A name, and the expression that must hold.
pub(super) type WebhookMatchCondition = (&'static str, &'static str);

/// Controllers that clean up are never denied, so the API server need not call the webhook for them: a namespace can be deleted, and
/// a finalizer removed, also while the webhook is down and the `failurePolicy` is `Fail`.
pub(super) const NOT_CLEANING_UP: WebhookMatchCondition = (
    "not-by-who-cleans-up",
    "!(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller', \
     'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager'])",
);

/// The deletions of pods that the rules `pod-force-deleted` and `quorum-no-spare` may find something wrong with: each condition says
/// what the rules say. The pod does not say whether its set is a consensus group.
pub(super) const POD_DELETIONS: [WebhookMatchCondition; 5] = [
    (
        "made-by-a-statefulset",
        "has(oldObject.metadata.ownerReferences) && oldObject.metadata.ownerReferences.exists(o, \
         has(o.controller) && o.controller && o.kind == 'StatefulSet' && o.apiVersion.startsWith('apps/'))",
    ),
    (
        "may-still-run",
        "has(oldObject.spec.nodeName) && oldObject.spec.nodeName != '' && !(has(oldObject.status) && \
         has(oldObject.status.phase) && oldObject.status.phase in ['Succeeded', 'Failed'])",
    ),
    (
        "without-grace-or-serving",
        "0 == (has(request.options) && has(request.options.gracePeriodSeconds) ? request.options.gracePeriodSeconds : \
         has(oldObject.spec.terminationGracePeriodSeconds) ? oldObject.spec.terminationGracePeriodSeconds : 30) || \
         (!has(oldObject.metadata.deletionTimestamp) && has(oldObject.status) && has(oldObject.status.conditions) && \
         oldObject.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True'))",
    ),
    NOT_BY_THE_SYSTEM,
    (
        "not-by-its-kubelet",
        "has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups ? request.userInfo.username != \
         'system:node:' + oldObject.spec.nodeName : true",
    ),
];

/// The Deployments and ReplicaSets that the rules can find something in: those with a claim, and those that say what they are.
/// Nearly none are.
pub(super) const HOLDS_STATE: WebhookMatchCondition = (
    "holds-state",
    "(has(object.metadata.annotations) && 'stateward.dev/class' in object.metadata.annotations) || \
     (has(object.spec.template.spec.volumes) && object.spec.template.spec.volumes.exists(v, has(v.persistentVolumeClaim)))",
);

/// ReplicaSets that a Deployment makes are judged with the Deployment.
pub(super) const NOT_OF_A_DEPLOYMENT: WebhookMatchCondition = (
    "not-of-a-deployment",
    "!has(object.metadata.ownerReferences) || !object.metadata.ownerReferences.exists(o, has(o.controller) && \
     o.controller && o.kind == 'Deployment')",
);

/// The scale of a Deployment says nothing else of it. From one pod to more is all that can be wrong; an autoscaler makes that
/// step seldom.
pub(super) const FROM_ONE_TO_MORE: WebhookMatchCondition = (
    "from-one-to-more",
    "has(object.spec) && has(object.spec.replicas) && object.spec.replicas > 1 && !(has(oldObject.spec) && \
     has(oldObject.spec.replicas) && oldObject.spec.replicas > 1)",
);

/// The evictions that may be of a pod of a StatefulSet. An Eviction has nothing of the pod but its name, and names of other pods
/// end in a random part, which is hardly ever a number.
pub(super) const EVICTIONS: [WebhookMatchCondition; 2] =
    [("named-like-a-pod-of-a-statefulset", "request.name.matches('-(0|[1-9][0-9]*)$')"), NOT_BY_THE_SYSTEM];

/// As [`crate::change::Requester::is_system`] decides.
const NOT_BY_THE_SYSTEM: WebhookMatchCondition = (
    "not-by-the-system",
    "!(request.userInfo.username in ['system:kube-controller-manager', 'system:kube-scheduler', \
     'system:serviceaccount:kube-system:cronjob-controller', \
     'system:serviceaccount:kube-system:daemon-set-controller', \
     'system:serviceaccount:kube-system:device-taint-eviction-controller', \
     'system:serviceaccount:kube-system:generic-garbage-collector', \
     'system:serviceaccount:kube-system:job-controller', \
     'system:serviceaccount:kube-system:namespace-controller', \
     'system:serviceaccount:kube-system:node-controller', \
     'system:serviceaccount:kube-system:persistent-volume-binder', \
     'system:serviceaccount:kube-system:pod-garbage-collector', \
     'system:serviceaccount:kube-system:replicaset-controller', \
     'system:serviceaccount:kube-system:replication-controller', \
     'system:serviceaccount:kube-system:statefulset-controller'])",
);

/// The pods that get their own name as a label.
pub(super) const LABELLED_POD: WebhookMatchCondition = (
    "wants-its-name-as-a-label",
    "has(object.metadata.annotations) && 'pod-name-label' in object.metadata.annotations",
);

/// Whether a policy has something added to StatefulSets: `true` or `false`, which the replica that keeps `caBundle` writes. Absent,
/// the API server asks about every StatefulSet.
pub(super) const WANTED_BY_A_POLICY: &str = "wanted-by-a-policy";

/// The `matchConditions` of a webhook.
pub(super) fn conditions(all: &[WebhookMatchCondition]) -> Value {
    all.iter().map(|(name, expression)| json!({"name": name, "expression": expression})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::POD_DELETING_CONTROLLERS;

    #[test]
    fn the_accounts_of_the_system_are_those_that_rules_take_for_it() {
        let (_, expression) = NOT_BY_THE_SYSTEM;
        let named: Vec<&str> = expression
            .split('\'')
            .filter_map(|text| text.strip_prefix("system:serviceaccount:kube-system:"))
            .collect();
        assert_eq!(named, POD_DELETING_CONTROLLERS);
    }
}
