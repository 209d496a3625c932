//! `service-hides-unready`

use super::{FieldEdit, Params, Place, SetContext, Violations};
use crate::model::{Object, Service, TOLERATE_UNREADY};

rule! {
    /// ## What it checks
    ///
    /// The governing Service of a consensus group (class `quorum`) is headless and selects the pods, but does not say
    /// `publishNotReadyAddresses: true`. The annotation `service.alpha.kubernetes.io/tolerate-unready-endpoints`, which once
    /// meant the same, has no effect since Kubernetes 1.24. A group of one member has none to find.
    ///
    /// ## Why
    ///
    /// A member becomes ready when it has found the others, and DNS names the others only once they are ready. The first
    /// start, and the restart after all were down, can wait on each other for ever; a member that has lost touch with the
    /// group also loses its name, by which the group would reach it again.
    ///
    /// ## How to fix
    ///
    /// Set `spec.publishNotReadyAddresses: true` on the governing Service, and give clients another Service, which names only
    /// members that are ready.
    ///
    /// ## Fails
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
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: zk}
    /// spec:
    ///   clusterIP: None
    ///   selector: {app: zk}
    ///   ports: [{port: 2181}]
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
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: zk}
    /// spec:
    ///   clusterIP: None
    ///   publishNotReadyAddresses: true
    ///   selector: {app: zk}
    ///   ports: [{port: 2181}]
    /// ```
    "service-hides-unready": "members are not named until they are ready",
    classes: [Quorum],
    triggers: [Set],
    reads: [Service],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(service) = at.headless_service() else { return };
    if at.members().is_some_and(|members| members <= 1) {
        return;
    }
    let selects = service.selects(at.set.spec.template.labels());
    if !selects || service.spec.publish_not_ready_addresses {
        return;
    }
    let name = &service.metadata.name;
    let mut message = format!(
        "Service {name} names members only once they are ready, but they must find each other to become ready"
    );
    if has_old_annotation(service) {
        message.push_str("; its annotation tolerate-unready-endpoints has no effect since Kubernetes 1.24");
    }
    let remedy = format!("set spec.publishNotReadyAddresses of Service {name} to true");
    let field = Place::of(service.reference(), "/spec/publishNotReadyAddresses");
    out.add(Place::in_set("/spec/serviceName"), message, remedy)
        .edit(FieldEdit::set(field.clone(), true))
        .related_to(field);
}

fn has_old_annotation(service: &Service) -> bool {
    let annotations = &service.metadata.annotations;
    annotations.get(TOLERATE_UNREADY) == Some("true")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::model::Class;
    use crate::rules::testing::{service, set};

    #[test]
    fn only_a_service_that_governs_and_hides() {
        for (spec, found) in [
            (json!({"publishNotReadyAddresses": true}), 0),
            (json!({"publishNotReadyAddresses": false}), 1),
            (json!({"publishNotReadyAddresses": null}), 1),
            (json!({"publishNotReadyAddresses": null, "clusterIP": null}), 0),
            (json!({"publishNotReadyAddresses": null, "selector": {"app": "a"}}), 0),
            (json!({"publishNotReadyAddresses": null, "selector": null}), 0),
        ] {
            let scene = set(json!({})).with(service(json!({"spec": spec})));
            assert_eq!(scene.found(&RULE).len(), found, "{spec}");
            assert!(scene.class(Class::Replicated).found(&RULE).is_empty());
        }
        assert!(set(json!({})).found(&RULE).is_empty());
    }

    #[test]
    fn the_old_annotation_is_no_excuse() {
        let annotations = json!({"service.alpha.kubernetes.io/tolerate-unready-endpoints": "true"});
        let old = service(json!({"metadata": {"annotations": annotations},
            "spec": {"publishNotReadyAddresses": null}}));
        assert!(set(json!({})).with(old).says(&RULE).contains("no effect since Kubernetes 1.24"));
    }
}
