//! `service-not-found`

use super::edits::new_headless_service;
use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::cluster::Lookup;
use crate::model::is_dns_label;
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// The Service that `spec.serviceName` names does not exist in the set's namespace, or cannot: the name is not a DNS label. Where
    /// Services are not all known it says nothing. On a dry run it only warns, because a Service of the same manifests exists nowhere
    /// then. Nor does it do more for a set of one replica that dials no pod by name.
    ///
    /// ## Why
    ///
    /// The governing Service gives each pod its DNS name, `zk-0.zk.default.svc`. Nothing creates it, and nothing complains
    /// when it is not there: the pods start, and whatever dials a member by name fails. Software that dials no member by name
    /// is not hurt.
    ///
    /// ## How to fix
    ///
    /// Create the Service: headless (`clusterIP: None`), with a selector for the pods. It may come before or after the set.
    /// `spec.serviceName` cannot be changed on a live set, so an existing set needs a Service of exactly that name.
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
    "service-not-found": "the governing Service does not exist",
    triggers: [Set],
    reads: [Service],
    reports_missing: true,
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if !matches!(at.governing_service(), Lookup::Absent) {
        return;
    }
    let name = &at.set.spec.service_name;
    // Other characters in a name are placeholders that are filled in later.
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if is_name && !is_dns_label(name) {
        return no_name(at, out);
    }
    let message = format!(
        "Service {name} does not exist in namespace {}, so the name {}.{name} leads nowhere",
        at.namespace(),
        at.first_pod()
    );
    let mut remedy = format!("create a headless Service {name} that selects {}", at.set.selecting());
    // Where names under the one that is missing are dialled, another would leave them as they are: leading nowhere.
    let fitting = at.fitting_service().filter(|_| at.dialled_name().is_none());
    if let Some(other) = fitting {
        let other = &other.metadata.name;
        remedy =
            format!("set spec.serviceName to {other}, which is headless and selects the pods, or {remedy}");
    }
    let mut edit = new_headless_service(at, name);
    if fitting.is_some() {
        edit = edit.map(FieldEdit::unsafe_to_apply);
    }
    let level = if at.service_level() == Level::Audit { Level::Warn } else { Level::Deny };
    out.add(FieldPlace::in_set("/spec/serviceName"), message, remedy)
        .edits(edit)
        .missing_companion(at.dry_run)
        .at_most(level);
}

/// A name that no Service can have; a pod takes it as its subdomain, which has to be a DNS label as well.
fn no_name(at: &SetContext<'_>, out: &mut Violations) {
    let name = &at.set.spec.service_name;
    let message = format!(
        "{name} is not the name of a Service: no pod can be created, because its subdomain must be a DNS label"
    );
    let meant = name.split('.').next().unwrap_or_default().to_lowercase();
    let service = at.view.service(at.namespace(), &meant).present().filter(|service| service.is_headless());
    let remedy = match service {
        Some(_) => format!("set spec.serviceName to {meant}"),
        None => format!(
            "set spec.serviceName to the name alone of a headless Service that selects {}",
            at.set.selecting()
        ),
    };
    out.add(FieldPlace::in_set("/spec/serviceName"), message, remedy)
        .edits(service.map(|_| FieldEdit::service_name(&meant)));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::cluster::Kind;
    use crate::rules::testing::{service, set};
    use crate::verdict::Level;

    #[test]
    fn only_known_absence_counts() {
        let alone = set(json!({}));
        assert_eq!(alone.found(&RULE).len(), 1);
        assert!(alone.says(&RULE).contains("zk-0.zk leads nowhere"));
        assert!(alone.clone().unknown(Kind::Service).found(&RULE).is_empty());
        assert!(alone.clone().with(service(json!({}))).found(&RULE).is_empty());
        let elsewhere = service(json!({"metadata": {"namespace": "other"}}));
        assert_eq!(alone.clone().with(elsewhere).found(&RULE).len(), 1);
        let ordinary = service(json!({"spec": {"clusterIP": null}}));
        assert!(alone.with(ordinary).found(&RULE).is_empty());
    }

    #[test]
    fn a_name_that_no_service_can_have() {
        for (name, meant) in
            [("zk.default.svc.cluster.local", "to zk"), ("ZK", "to zk"), ("z_k", "to the name alone")]
        {
            let scene = set(json!({"spec": {"serviceName": name}})).with(service(json!({})));
            let says = scene.says(&RULE);
            assert!(says.contains("no pod can be created") && says.contains(meant), "{says}");
        }
    }

    #[test]
    fn an_empty_name_is_another_rule() {
        assert!(set(json!({"spec": {"serviceName": ""}})).found(&RULE).is_empty());
    }

    #[test]
    fn a_dry_run_only_warns() {
        let found = set(json!({})).dry_run().found(&RULE);
        assert_eq!(found[0].at_most, Level::Warn);
        assert_eq!(set(json!({})).found(&RULE)[0].at_most, Level::Deny);
    }

    #[test]
    fn names_a_service_that_would_fit() {
        let scene = set(json!({"spec": {"ordinals": {"start": 5}}}));
        let hidden = service(json!({"metadata": {"name": "a"}, "spec": {"publishNotReadyAddresses": false}}));
        let scene = scene.with(hidden).with(service(json!({"metadata": {"name": "zk-hl"}})));
        assert!(scene.says(&RULE).contains("set spec.serviceName to zk-hl"));
        assert!(scene.says(&RULE).contains("zk-5.zk"));
    }
}
