//! `service-hides-unready`

use super::dialled::MOST_SERVICES;
use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::{Object, POD_INDEX_LABEL, POD_NAME_LABEL, Service, TOLERATE_UNREADY};

rule! {
    /// ## What it checks
    ///
    /// The governing Service of a consensus group (class `quorum`) is headless and selects the pods, but does not say
    /// `publishNotReadyAddresses: true`. The annotation `service.alpha.kubernetes.io/tolerate-unready-endpoints`, which once
    /// meant the same, has no effect since Kubernetes 1.24. A group of one member has none to find, and pods without a readiness
    /// or startup probe are ready as soon as they run. Nor is it told where another
    /// headless Service selects the pods and publishes them before they are ready, unless the governing one is dialled: names of
    /// pods under it, or its own name and not that of the other; or where each pod has a Service of its own that does.
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
    ///     spec:
    ///       containers: [{name: zk, image: "zookeeper:3.9", readinessProbe: {exec: {command: [zkOk.sh]}}}]
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
    ///     spec:
    ///       containers: [{name: zk, image: "zookeeper:3.9", readinessProbe: {exec: {command: [zkOk.sh]}}}]
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
    if !selects || service.spec.publish_not_ready_addresses || at.is_ready_at_once() {
        return;
    }
    if is_found_elsewhere(at, service) {
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
    let field = FieldPlace::of(service.reference(), "/spec/publishNotReadyAddresses");
    out.add(FieldPlace::in_set("/spec/serviceName"), message, remedy)
        .edit(FieldEdit::set(field.clone(), true))
        .related_to(field);
}

/// Whether members may find each other by other Services, which name them before they are ready, and nothing says that they dial
/// the governing one.
fn is_found_elsewhere(at: &SetContext<'_>, governing: &Service) -> bool {
    let publishes = |other: &&Service| {
        other.is_headless()
            && other.spec.publish_not_ready_addresses
            && !other.metadata.deleting
            && other.metadata.name != governing.metadata.name
    };
    if has_service_per_pod(at) && at.dialled_name().is_none() {
        return true;
    }
    let services = at.view.services_selecting(at.namespace(), at.set.spec.template.labels());
    let mut others = services.into_iter().filter(publishes).take(MOST_SERVICES).peekable();
    others.peek().is_some()
        && at.dialled_name().is_none()
        && (!at.mentions_service(&governing.metadata.name)
            || others.any(|other| at.mentions_service(&other.metadata.name)))
}

/// Whether each pod has a Service of its own that leads to it before it is ready. That is what such Services are for.
fn has_service_per_pod(at: &SetContext<'_>) -> bool {
    [at.first_ordinal(), at.last_ordinal()].into_iter().all(|ordinal| {
        let services = at.view.services_selecting(at.namespace(), &at.set.pod_labels(ordinal));
        services.into_iter().any(|service| {
            let is_of_one_pod = [POD_NAME_LABEL, POD_INDEX_LABEL]
                .iter()
                .any(|label| service.spec.selector.get(label).is_some());
            is_of_one_pod && service.spec.publish_not_ready_addresses && !service.metadata.deleting
        })
    })
}

fn has_old_annotation(service: &Service) -> bool {
    let annotations = &service.metadata.annotations;
    annotations.get(TOLERATE_UNREADY) == Some("true")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RULE;
    use crate::model::Class;
    use crate::rules::testing::{RuleTest, service};

    fn with_container(patch: &Value) -> RuleTest {
        let mut container = json!({"name": "c", "readinessProbe": {"tcpSocket": {"port": 1}}});
        json_patch::merge(&mut container, patch);
        crate::rules::testing::set(json!({"spec": {"template": {"spec": {"containers": [container]}}}}))
    }

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
            let scene = with_container(&json!({})).with(service(json!({"spec": spec})));
            assert_eq!(scene.found(&RULE).len(), found, "{spec}");
            assert!(scene.class(Class::Replicated).found(&RULE).is_empty());
        }
        assert!(with_container(&json!({})).found(&RULE).is_empty());
    }

    #[test]
    fn another_service_may_name_members_in_time() {
        let says = |text: &str, other: Value| {
            let mut publishing = service(json!({"metadata": {"name": "zk-unready"}}));
            json_patch::merge(&mut publishing, &other);
            with_container(&json!({"args": [text]}))
                .with(service(json!({"spec": {"publishNotReadyAddresses": null}})))
                .with(publishing)
                .found(&RULE)
                .len()
        };
        for (text, found) in [
            ("", 0),
            ("--join=zk-unready", 0),
            ("--join=zk-unready.default.svc --clients=zk", 0),
            ("--join=zk", 1),
            ("--discovery-srv=zk.default.svc", 1),
            ("--join=zk-0.zk", 1),
            ("--join=zk-0.zk,zk-unready", 1),
            ("--advertise=$(POD_NAME).zk.default.svc.cluster.local --join=zk-unready", 0),
        ] {
            assert_eq!(says(text, json!({})), found, "{text}");
        }
        for other in [
            json!({"spec": {"publishNotReadyAddresses": false}}),
            json!({"spec": {"clusterIP": "10.0.0.1"}}),
            json!({"spec": {"selector": {"app": "other"}}}),
            json!({"metadata": {"namespace": "other"}}),
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        ] {
            assert_eq!(says("", other.clone()), 1, "{other}");
        }
    }

    #[test]
    fn the_old_annotation_is_no_excuse() {
        let annotations = json!({"service.alpha.kubernetes.io/tolerate-unready-endpoints": "true"});
        let old = service(json!({"metadata": {"annotations": annotations},
            "spec": {"publishNotReadyAddresses": null}}));
        assert!(with_container(&json!({})).with(old).says(&RULE).contains("no effect since Kubernetes 1.24"));
    }

    #[test]
    fn pods_that_are_ready_at_once_are_named_at_once() {
        let hiding = || service(json!({"spec": {"publishNotReadyAddresses": null}}));
        for (probes, found) in [
            (json!({}), 1),
            (json!({"readinessProbe": null}), 0),
            (json!({"readinessProbe": null, "livenessProbe": {"tcpSocket": {"port": 1}}}), 0),
            (json!({"readinessProbe": null, "startupProbe": {"tcpSocket": {"port": 1}}}), 1),
        ] {
            assert_eq!(with_container(&probes).with(hiding()).found(&RULE).len(), found, "{probes}");
        }
    }

    #[test]
    fn a_service_per_pod_names_members_in_time() {
        let per_pod = |ordinal: i32, is_published: bool| {
            let selector = json!({"statefulset.kubernetes.io/pod-name": format!("zk-{ordinal}")});
            service(json!({"metadata": {"name": format!("announce-{ordinal}")},
                "spec": {"clusterIP": "10.0.0.1", "publishNotReadyAddresses": is_published, "selector": selector}}))
        };
        let scene = |args: &str| {
            with_container(&json!({"args": [args]}))
                .with(service(json!({"spec": {"publishNotReadyAddresses": null}})))
                .with(per_pod(0, true))
        };
        assert_eq!(scene("").found(&RULE).len(), 1, "the last pod has none");
        assert!(scene("--join=zk").with(per_pod(2, true)).found(&RULE).is_empty());
        assert_eq!(scene("").with(per_pod(2, false)).found(&RULE).len(), 1);
        assert_eq!(scene("--join=zk-0.zk").with(per_pod(2, true)).found(&RULE).len(), 1);
    }
}
