//! `service-not-headless`

use super::edits::{ANEW, new_governing_service};
use super::{FieldEdit, FieldPlace, Param, ParamKind, Params, SetContext, Violations};
use crate::model::{DialledName, Object, Service};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// The governing Service exists, but has an address of its own (`clusterIP` is not `None`; of any type) or is only an
    /// alias (`ExternalName`).
    ///
    /// How grave that is depends on who is dialled. The environment, commands, arguments, probes and hooks of all containers, init
    /// containers too, are read, and in manifests the ConfigMaps that the pods mount or take their environment from. Names of the
    /// set's own pods under this Service (`zk-0.zk`, `zk-$i.zk`, `$(POD_NAME).zk.default.svc.cluster.local`) are proof that it is
    /// needed. Without proof, a set of one replica is only recorded; where its only proof is a name that the pod makes of its own,
    /// it is a warning; and with the parameter `onlyWithProof` (as in the baseline profile) one of more without proof is a warning.
    /// Variables and flags that only list hosts (`NO_PROXY`, `ALLOWED_HOSTS`, `--tls-san`) are no proof. A pod finds its own full
    /// name without DNS, so that is no proof. Nor are names that a DNS server such as `CoreDNS` can answer as soon as the pods have
    /// started: those under a Service with an address of its own that publishes addresses that are not ready, or whose pods have no
    /// readiness probe.
    ///
    /// ## Why
    ///
    /// Kubernetes gives pods DNS names of their own, `zk-0.zk.default.svc`, only under a headless Service. The name of an
    /// ordinary one leads to any one of the pods, and that of an alias to none of them. Members that are told to dial each other
    /// by name do not find each other: kube-dns has no such names at all, and `CoreDNS`, which does answer for pods behind an
    /// ordinary Service, leaves out those that are not ready yet. Software that dials no member by name is not hurt.
    ///
    /// ## How to fix
    ///
    /// Keep the Service for clients and create a headless one (`clusterIP: None`) for the set; name that in
    /// `spec.serviceName`. Where names of pods under the Service are dialled, make that one headless instead, or change what
    /// dials them too. Neither `spec.serviceName` nor a Service's `clusterIP` can be changed later. For a live set either
    /// delete the Service and create it anew as a headless one, or delete the set with `--cascade=orphan`, which leaves its
    /// pods running, create it anew with the other name, and restart its pods one by one: they keep the names that they were
    /// created with.
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
    ///       containers:
    ///       - name: zk
    ///         image: "zookeeper:3.9"
    ///         env: [{name: ZOO_SERVERS, value: "server.1=zk-0.zk:2888:3888 server.2=zk-1.zk:2888:3888"}]
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
    params: [ONLY_WITH_PROOF],
    check: State(check),
}

const ONLY_WITH_PROOF: Param = Param {
    name: "onlyWithProof",
    docs: "whether it is never more than a warning where nothing shows that pods are dialled by their names",
    kind: ParamKind::Switch,
};

fn check(at: &SetContext<'_>, params: &Params, out: &mut Violations) {
    let Some(service) = at.governing_service().present().filter(|s| !s.is_headless()) else {
        return;
    };
    let (what, path) = what_it_is(at, service);
    let name = &service.metadata.name;
    let dialled = at.dialled_name();
    let is_proof = dialled.is_some() && !may_be_answered(at, service);
    let level = match at.replicas {
        // A single pod that only makes up its own name may do so for clients.
        ..=1 if is_proof && dialled.as_ref().is_some_and(|name| name.is_own) => Level::Warn,
        _ if is_proof => Level::Deny,
        ..=1 => Level::Audit,
        _ if params.switch(&ONLY_WITH_PROOF) => Level::Warn,
        _ => Level::Deny,
    };
    let seen =
        dialled.as_ref().map(|DialledName { name, source, .. }| format!(", but {source} names {name}"));
    let seen = seen.unwrap_or_default();
    let message = format!(
        "Service {name} {what}, so pods have no reliable names of their own such as {}.{name}{seen}",
        at.first_pod()
    );
    // A pod finds its own full name without DNS, but not under another Service.
    let is_named = dialled.is_some() || at.set.dialled_name().is_some();
    let (remedy, edits) = if is_named { keep_names(at, service) } else { change_service(at, service) };
    out.add(FieldPlace::in_set("/spec/serviceName"), message, remedy)
        .edits(edits)
        .at_most(level)
        .weighing(i32::from(is_proof))
        .related_to(FieldPlace::of(service.reference(), path));
}

/// Whether the names of the pods may be found all the same. `CoreDNS` answers for the pods behind an ordinary Service too, once
/// their addresses are published: when they are ready, which a pod without a readiness probe is at once.
fn may_be_answered(at: &SetContext<'_>, service: &Service) -> bool {
    let is_published = service.spec.publish_not_ready_addresses || at.is_ready_at_once();
    is_published && !service.is_external_name()
}

/// Where nothing dials names under the Service, another may take its place.
fn change_service(at: &SetContext<'_>, service: &Service) -> (String, Vec<FieldEdit>) {
    if let Some(other) = at.fitting_service().map(|other| &other.metadata.name) {
        let remedy =
            format!("name {other} in spec.serviceName, which is headless and selects the pods ({ANEW})");
        return (remedy, vec![FieldEdit::service_name(other)]);
    }
    let name = format!("name a new headless Service that selects {} in spec.serviceName", at.set.selecting());
    let remedy = if service.selects(at.set.spec.template.labels()) {
        format!(
            "{name}, or delete {} and create it anew with clusterIP: None (neither field can be changed)",
            service.metadata.name
        )
    } else {
        format!("{name} ({ANEW})")
    };
    (remedy, new_governing_service(at))
}

/// Where names under the Service are dialled, another Service means other names: what dials them is to be changed with it.
fn keep_names(at: &SetContext<'_>, service: &Service) -> (String, Vec<FieldEdit>) {
    let name = &service.metadata.name;
    let rename = match at.fitting_service().map(|other| &other.metadata.name) {
        Some(other) => format!(
            "name {other} in spec.serviceName, which is headless and selects the pods, and dial them as {}.{other} ({ANEW})",
            at.first_pod()
        ),
        None => format!(
            "name a new headless Service that selects {} in spec.serviceName, and dial the pods by names under that one ({ANEW})",
            at.set.selecting()
        ),
    };
    if !matches!(&*service.spec.type_, "" | "ClusterIP") || !service.selects(at.set.spec.template.labels()) {
        return (rename, Vec::new());
    }
    let remedy = format!(
        "set clusterIP: None in Service {name} (on a live one the field cannot be changed: delete {name} and create it anew; its \
         name then leads to the pods themselves, by their own ports), or {rename}"
    );
    let edit =
        FieldEdit::set(FieldPlace::of(service.reference(), "/spec/clusterIP"), "None").unsafe_to_apply();
    (remedy, vec![edit])
}

/// The kind of Service that it is instead, and the field that makes it so.
fn what_it_is(at: &SetContext<'_>, service: &Service) -> (String, &'static str) {
    let selector = &service.spec.selector;
    let leads = if selector.is_empty() {
        "to endpoints that are written by hand or by the software".to_owned()
    } else if service.selects(at.set.spec.template.labels()) {
        "to any one of the pods".to_owned()
    } else {
        format!("to those with {selector}")
    };
    match &*service.spec.type_ {
        "ExternalName" => ("is an alias for a name elsewhere (type ExternalName)".to_owned(), "/spec/type"),
        "" | "ClusterIP" => (format!("has an address of its own, which leads {leads}"), "/spec/clusterIP"),
        other => (format!("is a {other}, whose address leads {leads}"), "/spec/type"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Params, RULE};
    use crate::rules::testing::{service, set};
    use crate::verdict::Level;

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

    #[test]
    fn what_is_dialled_decides_how_grave_it_is() {
        let dialling = |text: &str| {
            let container =
                json!({"name": "c", "args": [text], "readinessProbe": {"tcpSocket": {"port": 1}}});
            set(json!({"spec": {"template": {"spec": {"containers": [container]}}}}))
                .with(service(json!({"spec": {"clusterIP": "10.0.0.1", "publishNotReadyAddresses": null}})))
        };
        let with_proof = json!({"onlyWithProof": true});
        let params = Params::read(with_proof.as_object().unwrap(), RULE.params).unwrap();
        for (text, replicas, baseline, strict) in [
            ("zk-0.zk:2888", 3, Level::Deny, Level::Deny),
            ("zk-0.zk:2888", 1, Level::Deny, Level::Deny),
            ("zk-0.zk.default.svc.cluster.local", 1, Level::Audit, Level::Audit),
            ("zk-0.zk.default.svc.cluster.local", 2, Level::Deny, Level::Deny),
            ("$(POD_NAME).zk.default.svc.cluster.local", 3, Level::Warn, Level::Deny),
            ("$(POD_NAME).zk", 3, Level::Deny, Level::Deny),
            ("$(POD_NAME).zk", 1, Level::Warn, Level::Warn),
            ("zk-0.zk-other", 3, Level::Warn, Level::Deny),
            ("x", 3, Level::Warn, Level::Deny),
            ("x", 1, Level::Audit, Level::Audit),
            ("x", 0, Level::Audit, Level::Audit),
        ] {
            let scene = dialling(text).scaled_to(replicas);
            assert_eq!(scene.found(&RULE)[0].at_most, strict, "{text} {replicas}");
            assert_eq!(scene.params(params.clone()).found(&RULE)[0].at_most, baseline, "{text} {replicas}");
        }
        let said = dialling("zk-0.zk:2888").with(service(json!({"metadata": {"name": "zk-hl"}}))).says(&RULE);
        assert!(
            said.contains("args of container c names zk-0.zk") && said.contains("dial them as zk-0.zk-hl"),
            "{said}"
        );
    }

    #[test]
    fn names_that_may_be_answered_at_once_are_no_proof() {
        let probe = json!({"tcpSocket": {"port": 1}});
        for (readiness, spec, level) in [
            (json!(null), json!({"clusterIP": null}), Level::Audit),
            (probe.clone(), json!({"clusterIP": null}), Level::Audit),
            (probe.clone(), json!({"clusterIP": null, "publishNotReadyAddresses": null}), Level::Deny),
            (json!(null), json!({"type": "ExternalName"}), Level::Deny),
        ] {
            let container = json!({"name": "zk", "args": ["zk-0.zk"], "readinessProbe": readiness});
            let scene =
                set(json!({"spec": {"template": {"spec": {"containers": [container]}}}})).scaled_to(1);
            let found = scene.with(service(json!({"spec": spec}))).found(&RULE);
            assert_eq!(found[0].at_most, level, "{readiness} {spec}");
        }
    }

    #[test]
    fn config_maps_that_the_pods_read_are_read() {
        let files = |items| json!({"volumes": [{"name": "a", "projected": {"sources": [{"configMap": {"name": "conf", "items": items}}]}}]});
        let env = |env| json!({"containers": [{"name": "zk", "env": env}]});
        let key = |key: &str| json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": key}}}]);
        let from = json!({"containers": [{"name": "zk", "envFrom": [{"configMapRef": {"name": "conf"}}]}]});
        for (spec, says) in [
            (json!({"volumes": [{"name": "a", "configMap": {"name": "conf"}}]}), true),
            (json!({"volumes": [{"name": "a", "configMap": {"name": "other"}}]}), false),
            (files(json!(null)), true),
            (files(json!([{"key": "zoo.cfg"}])), true),
            (files(json!([{"key": "log.xml"}])), false),
            (env(key("zoo.cfg")), true),
            (env(key("log.xml")), false),
            (from, true),
        ] {
            let config = json!({"kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "default"},
                "data": {"log.xml": "x", "zoo.cfg": "tickTime=2000\nserver.1=zk-0.zk:2888:3888", "empty": null}});
            let scene = set(json!({"spec": {"template": {"spec": spec}}})).with(config);
            let said = scene.with(service(json!({"spec": {"clusterIP": null}}))).says(&RULE);
            assert_eq!(said.contains("zoo.cfg of ConfigMap conf names zk-0.zk"), says, "{spec} {said}");
        }
    }
}
