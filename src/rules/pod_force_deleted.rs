//! `pod-force-deleted`

use super::{FieldPlace, Violations};
use crate::change::{PodRemoval, Requester};
use crate::model::Object;

rule! {
    /// ## What it checks
    ///
    /// A StatefulSet's pod is deleted with a grace period of 0 while its process may still run: it was scheduled, and has neither
    /// succeeded nor failed. The kubelet of its node, which confirms that a process has ended, and the system's own
    /// controllers may.
    ///
    /// ## Why
    ///
    /// The pod's name is free at once, and the controller starts a second pod under it while the first may still run on a node that
    /// does not answer. Two members of one identity write to the same storage, and vote twice.
    ///
    /// ## How to fix
    ///
    /// Delete it without `--force` and wait; where `terminationGracePeriodSeconds` of the pod itself is 0, with
    /// `--grace-period=30`. Where its node is gone, see that it is off, and then delete the Node or taint it with
    /// `node.kubernetes.io/out-of-service`: the system then deletes the pod itself.
    ///
    /// Where software such as Longhorn is to force pods off lost nodes by itself, a policy can set the level `warn` for this rule.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: Pod, name: zk-1, gracePeriodSeconds: 0}
    /// ---
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: zk-1
    ///   ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: zk, controller: true}]
    /// spec: {nodeName: node-2}
    /// status: {phase: Running}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: Pod, name: zk-1}
    /// ---
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: zk-1
    ///   ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: zk, controller: true}]
    /// spec: {nodeName: node-2}
    /// status: {phase: Running}
    /// ```
    "pod-force-deleted": "a pod is deleted while its process may run",
    triggers: [PodDeletion, Eviction],
    check: PodRemoval(check),
}

fn check(removal: &PodRemoval<'_>, requester: &Requester, out: &mut Violations) {
    let pod = removal.pod;
    let grace = removal.grace_period.or(pod.spec.termination_grace_period_seconds);
    let Some(set) = pod.stateful_set().filter(|_| grace == Some(0) && pod.may_run()) else { return };
    if requester.is_system() || requester.kubelet_of() == Some(&*pod.spec.node_name) {
        return;
    }
    let (name, node) = (&pod.metadata.name, &pod.spec.node_name);
    let message = format!(
        "its process may still run on node {node}, and StatefulSet {} starts a second {name} beside it at once",
        set.name,
    );
    // The API server asks twice where a pod is removed at once, the second time with `deletionTimestamp`: in
    // `updateForGracefulDeletionAndFinalizers` and in `Storage.Delete`. kubectl prints a warning once that is the same.
    let remedy = format!(
        "{}, or only wait if it is being deleted already; if {node} is gone for good, delete the Node or taint it with \
         node.kubernetes.io/out-of-service",
        gently(removal),
    );
    out.add(FieldPlace::of(pod.reference(), ""), message, remedy);
}

/// How to delete it so that its process is waited for. Without `--force`, kubectl leaves the time to the pod.
fn gently(removal: &PodRemoval<'_>) -> &'static str {
    if removal.is_eviction {
        "evict it without gracePeriodSeconds: 0 in deleteOptions (kubectl drain without --grace-period=0)"
    } else if removal.pod.spec.termination_grace_period_seconds == Some(0) {
        "delete it with --grace-period=30, because its own terminationGracePeriodSeconds is 0"
    } else {
        "delete it without --force and --grace-period=0"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn remedy(pod: Value, grace_period: Option<i64>) -> Option<String> {
        let mut pod = pod;
        pod["metadata"]["name"] = "zk-1".into();
        pod["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "zk", "controller": true}]);
        pod["spec"]["nodeName"] = "node-2".into();
        let pod = serde_json::from_value(pod).unwrap();
        let removal = PodRemoval { pod: &pod, grace_period, is_eviction: false };
        let mut out = Violations::default();
        check(&removal, &Requester::default(), &mut out);
        out.into_vec().pop().map(|violation| violation.remedy)
    }

    #[test]
    fn the_hint_is_one_that_is_waited_for() {
        let own = |seconds: i64| json!({"metadata": {}, "spec": {"terminationGracePeriodSeconds": seconds}});
        for (pod, grace_period, hint) in [
            (own(30), Some(0), "delete it without --force and --grace-period=0, or only wait"),
            (own(0), None, "delete it with --grace-period=30, because"),
            (own(0), Some(0), "delete it with --grace-period=30, because"),
        ] {
            let said = remedy(pod, grace_period).unwrap();
            assert!(said.starts_with(hint), "{said}");
        }
        // The second review of the same request.
        let mut deleting = own(30);
        let first = remedy(deleting.clone(), Some(0));
        deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert_eq!(remedy(deleting, Some(0)), first);
        // The remedies that the hints name are allowed.
        assert_eq!(remedy(own(30), None), None);
        assert_eq!(remedy(own(0), Some(30)), None);
    }
}
