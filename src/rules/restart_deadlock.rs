//! `restart-deadlock`

use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::{MajorityProbes, Probe};

rule! {
    /// ## What it checks
    ///
    /// A consensus group (class `quorum`) of two or more replicas starts its pods one after the other (`podManagementPolicy` is
    /// `OrderedReady`, which is the default), and a readiness or startup probe of its software succeeds only while a majority of
    /// the members runs. The catalogue of software knows which probes do: `/health` of etcd, for example. What is not known for
    /// sure is let be.
    ///
    /// ## Why
    ///
    /// The controller starts the second pod once the first is ready. When all pods have been down at once (a power failure, a
    /// cluster that was shut down for the night, a scale to 0 and back), the first one waits for a majority that the controller
    /// does not start before it is ready. The group never starts again by itself.
    ///
    /// ## How to fix
    ///
    /// Set `podManagementPolicy: Parallel`. Rolling updates still replace one pod after the other. The field cannot be changed on
    /// a set that exists: `kubectl delete statefulset NAME --cascade=orphan` leaves the pods running, then apply the new manifest,
    /// which adopts them. A probe that succeeds without a majority, such as `/livez` of etcd or a connection to its port, works
    /// too.
    ///
    /// A group that hangs is freed the same way.
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
    ///     spec:
    ///       containers:
    ///       - name: etcd
    ///         image: "quay.io/coreos/etcd:v3.5.9"
    ///         readinessProbe: {httpGet: {path: /health, port: 2379}}
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
    ///   podManagementPolicy: Parallel
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       containers:
    ///       - name: etcd
    ///         image: "quay.io/coreos/etcd:v3.5.9"
    ///         readinessProbe: {httpGet: {path: /health, port: 2379}}
    /// ```
    "restart-deadlock": "after a full stop it never starts again",
    classes: [Quorum],
    needs_peers: true,
    triggers: [Set, Scale],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if &*at.set.spec.pod_management_policy == "Parallel" {
        return;
    }
    let Some(software) = &at.class.software else { return };
    let Some(majority) = software.ready_needs_majority.as_deref() else { return };
    let containers = at.set.spec.template.spec.containers.iter();
    let Some(container) = containers.into_iter().find(|container| *container.name == *software.container)
    else {
        return;
    };
    let mut waited_for = container.probes().filter(|(field, _)| *field != "livenessProbe");
    let Some((field, _)) = waited_for.find(|(_, probe)| needs_majority(majority, probe)) else { return };
    let message = format!(
        "pods start one after the other, each once the one before is ready, but the {field} of container {} ({}) succeeds only while \
         a majority runs: after all have been down, {} waits for the others for ever",
        container.name,
        software.name,
        at.first_pod()
    );
    let remedy = format!(
        "set spec.podManagementPolicy to Parallel (on a live set it cannot be changed: kubectl delete statefulset {} \
         --cascade=orphan keeps the pods, then apply)",
        at.name()
    );
    let place = FieldPlace::in_set("/spec/podManagementPolicy");
    let edit = FieldEdit::set(place.clone(), "Parallel").unsafe_to_apply();
    // A scale is no moment to make the set anew.
    let is_scaled = at.replicas != at.set.replicas() && at.raised_by().is_none();
    out.add(place, message, remedy).edits((!is_scaled).then_some(edit));
}

fn needs_majority(majority: &MajorityProbes, probe: &Probe) -> bool {
    if let Some(get) = &probe.http_get {
        let path = if get.path.is_empty() { "/" } else { &*get.path };
        return majority.path(path);
    }
    if probe.tcp_socket || probe.grpc {
        return majority.connection();
    }
    !probe.exec.command.is_empty() && majority.command(&probe.exec.command)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::testing::{RuleTest, set};
    use super::*;
    use crate::model::{Class, Confidence, Software};

    fn scene(policy: &str, probes: &Value, majority: &Value) -> RuleTest {
        let mut container = json!({"name": "etcd", "image": "etcd"});
        container.as_object_mut().unwrap().extend(probes.as_object().unwrap().clone());
        let software = Software {
            name: "etcd".to_owned(),
            container: "etcd".to_owned(),
            index: 1,
            confidence: Confidence::Certain,
            ready_needs_majority: Some(Arc::new(serde_json::from_value(majority.clone()).unwrap())),
            ..Software::default()
        };
        let template = json!({"spec": {"containers": [{"name": "other", "readinessProbe": {"tcpSocket": {}}}, container]}});
        set(json!({"spec": {"podManagementPolicy": policy, "template": template}})).software(software)
    }

    #[test]
    fn ordered_start_waits_for_a_probe_that_needs_a_majority() {
        let by_path = json!({"paths": ["/health"], "commands": ["endpoint health"]});
        let get = |path: &str| json!({"httpGet": {"path": path, "port": 1}});
        let run = |script: &str| json!({"exec": {"command": ["sh", "-c", script]}});
        for (policy, probes, found) in [
            ("OrderedReady", json!({"readinessProbe": get("/health")}), 1),
            ("", json!({"readinessProbe": get("/health")}), 1),
            ("Parallel", json!({"readinessProbe": get("/health")}), 0),
            ("OrderedReady", json!({"startupProbe": get("/health")}), 1),
            ("OrderedReady", json!({"livenessProbe": get("/health")}), 0),
            ("OrderedReady", json!({"readinessProbe": get("/livez"), "startupProbe": get("/health")}), 1),
            ("OrderedReady", json!({"readinessProbe": run("etcdctl endpoint health")}), 1),
            ("OrderedReady", json!({"readinessProbe": run("etcdctl version")}), 0),
            ("OrderedReady", json!({"readinessProbe": {"tcpSocket": {"port": 1}}}), 0),
            ("OrderedReady", json!({"readinessProbe": {}}), 0),
            ("OrderedReady", json!({}), 0),
        ] {
            assert_eq!(scene(policy, &probes, &by_path).found(&RULE).len(), found, "{policy} {probes}");
        }
        let connections = json!({"connections": true});
        for probe in [json!({"tcpSocket": {"port": 1}}), json!({"grpc": {"port": 1}}), get("/x")] {
            assert_eq!(
                scene("", &json!({"readinessProbe": probe}), &connections).found(&RULE).len(),
                1,
                "{probe}"
            );
        }
    }

    #[test]
    fn only_a_scale_request_is_no_moment_for_the_edit() {
        let scene = scene("", &json!({"readinessProbe": {"grpc": {}}}), &json!({"connections": true}));
        let target = json!({"kind": "StatefulSet", "name": "zk"});
        let scaler = json!({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "zk", "namespace": "default"},
            "spec": {"minReplicas": 5, "maxReplicas": 5, "scaleTargetRef": target}});
        let edits = |scene: RuleTest| scene.scaled_to(5).found(&RULE)[0].edits.len();
        assert_eq!(edits(scene.clone()), 0);
        assert_eq!(edits(scene.with(scaler)), 1, "the count is the minimum of an autoscaler");
    }

    #[test]
    fn one_member_is_a_majority() {
        let scene = scene("", &json!({"readinessProbe": {"grpc": {}}}), &json!({"connections": true}));
        assert_eq!(scene.clone().scaled_to(2).found(&RULE).len(), 1);
        assert!(scene.clone().scaled_to(1).found(&RULE).is_empty());
        assert!(scene.class(Class::Replicated).found(&RULE).is_empty());
    }
}
