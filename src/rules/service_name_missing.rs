//! `service-name-missing`

use super::edits::new_governing_service;
use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};

rule! {
    /// ## What it checks
    ///
    /// `spec.serviceName` is empty or absent. A set of one replica is only recorded: its pod has no others to find.
    ///
    /// ## Why
    ///
    /// A pod gets a DNS name of its own, `zk-0.zk.default.svc`, only under the headless Service that the set names. Without
    /// one, members can only be reached by addresses that change with every restart. Newer Kubernetes accepts a set without
    /// the field, so nothing else says so.
    ///
    /// ## How to fix
    ///
    /// Create a headless Service that selects the pods and name it in `spec.serviceName`. The field cannot be changed on a
    /// live set: `kubectl delete statefulset NAME --cascade=orphan` leaves the pods running, and the set created anew adopts
    /// them. Pods get their DNS names when they are next restarted.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    /// ```
    "service-name-missing": "no governing Service is named",
    triggers: [Set],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if !at.set.spec.service_name.is_empty() {
        return;
    }
    let message = format!(
        "no governing Service is named, so no pod has a DNS name of its own by which others find {}",
        at.first_pod()
    );
    let remedy = match at.fitting_service() {
        Some(service) => format!(
            "set spec.serviceName to {}, a headless Service that selects the pods",
            service.metadata.name
        ),
        None => format!(
            "create a headless Service that selects {} and name it in spec.serviceName",
            at.set.selecting()
        ),
    };
    let edits = match at.fitting_service() {
        Some(service) => vec![FieldEdit::service_name(&service.metadata.name)],
        None => new_governing_service(at),
    };
    out.add(FieldPlace::in_set("/spec/serviceName"), message, remedy)
        .edits(edits)
        .at_most(at.service_level());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RULE;
    use crate::rules::testing::{service, set};

    #[test]
    fn empty_and_absent_names_are_missing() {
        for (name, missing) in [(Value::Null, 1), (json!(""), 1), (json!("zk"), 0)] {
            for replicas in [0, 1, 3] {
                let scene = set(json!({"spec": {"serviceName": name, "replicas": replicas}}));
                assert_eq!(scene.found(&RULE).len(), missing, "{name} {replicas}");
            }
        }
    }

    #[test]
    fn names_a_service_that_would_fit() {
        let scene = set(json!({"spec": {"serviceName": null}}));
        assert!(scene.says(&RULE).contains("selects app=zk"));
        let other = service(json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}}));
        let ordinary = service(json!({"metadata": {"name": "front"}, "spec": {"clusterIP": "10.0.0.1"}}));
        let scene = scene.with(other).with(ordinary);
        assert!(scene.says(&RULE).contains("create a headless Service"));
        let scene = scene.with(service(json!({"metadata": {"name": "zk-hl"}})));
        assert!(scene.says(&RULE).contains("set spec.serviceName to zk-hl"));
    }
}
