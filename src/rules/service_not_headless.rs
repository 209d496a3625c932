//! `service-not-headless`

use super::edits::new_governing_service;
use super::{FieldEdit, Params, Place, SetContext, Violations};
use crate::model::{Object, Service};

rule! {
    /// ## What it checks
    ///
    /// The governing Service exists, but has an address of its own (`clusterIP` is not `None`; of any type) or is only an
    /// alias (`ExternalName`).
    ///
    /// ## Why
    ///
    /// The pods' own DNS names, `zk-0.zk.default.svc`, exist only under a headless Service. The name of an ordinary one leads
    /// to any one of the pods, and that of an alias to none of them. Members that are told to dial each other by name never
    /// form a group; software that dials no member by name is not hurt.
    ///
    /// ## How to fix
    ///
    /// Keep the Service for clients and create a headless one (`clusterIP: None`) for the set; name that in
    /// `spec.serviceName`. Neither `spec.serviceName` nor a Service's `clusterIP` can be changed later. For a live set either
    /// delete the Service and create it anew as a headless one, or delete the set with `--cascade=orphan`, which leaves its
    /// pods running, and create it anew with the other name.
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
    ///   selector: {app: zk}
    ///   ports: [{port: 2181}]
    /// ```
    "service-not-headless": "the governing Service is not headless",
    triggers: [Set],
    reads: [Service],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(service) = at.governing_service().present().filter(|s| !s.is_headless()) else {
        return;
    };
    let (what, path) = what_it_is(service);
    let name = &service.metadata.name;
    let message =
        format!("Service {name} {what}, so no pod has a name of its own such as {}.{name}", at.first_pod());
    let remedy = match at.fitting_service() {
        Some(other) => format!(
            "name {} in spec.serviceName, which is headless and selects the pods (on a live set the field cannot be \
             changed: delete the set with --cascade=orphan and create it anew)",
            other.metadata.name
        ),
        None => format!(
            "name a new headless Service that selects {} in spec.serviceName, or delete {name} and create it anew with \
             clusterIP: None (neither field can be changed)",
            at.set.selecting()
        ),
    };
    let edits = match at.fitting_service() {
        Some(other) => vec![FieldEdit::service_name(&other.metadata.name)],
        None => new_governing_service(at),
    };
    out.add(Place::in_set("/spec/serviceName"), message, remedy)
        .edits(edits)
        .related_to(Place::of(service.reference(), path));
}

/// What it is instead, and the field that makes it so.
fn what_it_is(service: &Service) -> (String, &'static str) {
    match &*service.spec.type_ {
        "ExternalName" => ("is an alias for a name elsewhere (type ExternalName)".to_owned(), "/spec/type"),
        "" | "ClusterIP" => {
            ("has an address of its own, which leads to any one of the pods".to_owned(), "/spec/clusterIP")
        }
        other => (format!("is a {other}, whose address leads to any one of the pods"), "/spec/type"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::testing::{service, set};

    #[test]
    fn each_kind_in_its_own_words() {
        for (spec, says) in [
            (json!({}), ""),
            (json!({"clusterIP": null}), "has an address of its own"),
            (json!({"clusterIP": "10.0.0.1", "type": "ClusterIP"}), "has an address of its own"),
            (json!({"clusterIP": "10.0.0.1", "type": "NodePort"}), "is a NodePort"),
            (json!({"clusterIP": null, "type": "LoadBalancer"}), "is a LoadBalancer"),
            (json!({"clusterIP": null, "type": "ExternalName"}), "is an alias"),
            (json!({"clusterIP": null, "selector": {"app": "other"}}), "has an address of its own"),
        ] {
            let said = set(json!({})).with(service(json!({"spec": spec}))).says(&RULE);
            assert_eq!(said.is_empty(), says.is_empty(), "{spec}");
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn says_nothing_of_a_service_that_is_not_there() {
        assert!(set(json!({})).found(&RULE).is_empty());
        let empty = set(json!({"spec": {"serviceName": null}}));
        assert!(empty.with(service(json!({"spec": {"clusterIP": null}}))).found(&RULE).is_empty());
    }

    #[test]
    fn names_a_service_that_would_fit() {
        let scene = set(json!({})).with(service(json!({"spec": {"clusterIP": "10.0.0.1"}})));
        assert!(scene.says(&RULE).contains("delete zk and create it anew"));
        let scene = scene.with(service(json!({"metadata": {"name": "zk-hl"}})));
        assert!(scene.says(&RULE).contains("name zk-hl in spec.serviceName"));
        assert_eq!(scene.found(&RULE)[0].related[0].path, "/spec/clusterIP");
    }
}
