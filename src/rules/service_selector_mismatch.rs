//! `service-selector-mismatch`

use super::dialled::DialledElsewhere;
use super::edits::{ANEW, labels_json, new_governing_service};
use super::governing::differences;
use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::{
    DialledName, LabelSelector, Labels, Object, POD_NAME_LABEL, Service, is_given_by_controller,
};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// The governing Service is headless, but its selector does not select the pods. The labels that the controller adds to
    /// each pod (`statefulset.kubernetes.io/pod-name`, `apps.kubernetes.io/pod-index`) count too: a selector that names one
    /// pod fits a set of one. A Service without a selector is only recorded: software such as Patroni writes
    /// its endpoints itself. A selector for one `controller-revision-hash` is at most a warning, since which revision is the
    /// current one is not known here. A set of one replica that dials no pod by name is only recorded.
    ///
    /// Or names of pods are written under a Service that is not the one that `spec.serviceName` names: one that selects them, or one
    /// that does not exist (`zk-0.old.NAMESPACE.svc`, or `zk-0.zk:2888` where it is called like the set or the governing Service);
    /// that is at most a warning. The environment, commands, arguments, probes and hooks of all containers are read, and in
    /// manifests the ConfigMaps that the pods read. With `endpoint_pod_names` `CoreDNS` answers for names under Services that are
    /// not headless too, which nothing in the manifests shows.
    ///
    /// ## Why
    ///
    /// Pods that the governing Service does not select get no DNS names, and no other Service gives them any: members that dial
    /// each other by name never meet.
    ///
    /// ## How to fix
    ///
    /// Make the Service select labels of the pod template; a Service's selector can be changed at any time. Where names under another
    /// Service are dialled, name that one in `spec.serviceName`, or dial the pods under the one that is named there.
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
    ///   selector: {app: zookeeper}
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
    "service-selector-mismatch": "the pods have no names under the Service that is to give them",
    triggers: [Set],
    reads: [Service],
    check: State(check),
}

const REVISION_LABEL: &str = "controller-revision-hash";

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Some(service) = at.headless_service() else { return };
    check_other_names(at, service, out);
    let Some((what, level)) = fault(at, &service.spec.selector) else {
        return;
    };
    let message = format!(
        "Service {} {what}, so no name such as {}.{0} can be relied on",
        service.metadata.name,
        at.first_pod()
    );
    let place = FieldPlace::in_set("/spec/template/metadata/labels");
    let (remedy, edits) = mend(at, service);
    out.add(place, message, remedy)
        .edits(edits)
        .at_most(level.min(at.service_level()))
        .related_to(FieldPlace::of(service.reference(), "/spec/selector"));
}

/// Names under a Service that does not govern the pods lead nowhere, although it selects them. That a name is written does not say
/// that it is dialled in the cluster (certificates, proxies, DNS outside), so this is no more than a warning.
fn check_other_names(at: &SetContext<'_>, governing: &Service, out: &mut Violations) {
    let Some(DialledElsewhere { under, service: other, name }) = at.dialled_elsewhere() else { return };
    let DialledName { name, source, .. } = name;
    let governing = &governing.metadata.name;
    let why = match other {
        Some(_) => format!(
            "Service {under} gives the pods no names: only {governing} does, which spec.serviceName names"
        ),
        None => format!(
            "Service {under} does not exist: the pods have names only under {governing}, which spec.serviceName names"
        ),
    };
    let message = format!("{source} names {name}, but {why}");
    let own = format!("dial the pods as {}.{governing}", at.first_pod());
    let could_govern = other.is_some_and(Service::is_headless) && at.dialled_name().is_none();
    let (remedy, edit) = if could_govern {
        let remedy = format!(
            "set spec.serviceName to {under} (on a live set the field cannot be changed: delete the set with --cascade=orphan, \
             create it anew and restart its pods one by one), or {own}"
        );
        (remedy, Some(FieldEdit::service_name(&under)))
    } else {
        (own, None)
    };
    let found = out.add(FieldPlace::in_set("/spec/serviceName"), message, remedy).edits(edit);
    found.at_most(Level::Warn).keyed("dialled elsewhere");
    if let Some(other) = other {
        found.related_to(FieldPlace::of(other.reference(), "/metadata/name"));
    }
}

/// The fault of the selector, and its highest level.
fn fault(at: &SetContext<'_>, selector: &Labels) -> Option<(String, Level)> {
    if selector.is_empty() {
        let what = "has no selector and leads only to endpoints that are written by hand";
        return Some((what.to_owned(), Level::Audit));
    }
    let template = at.set.spec.template.labels();
    if selector.iter().all(|(key, value)| !is_given_by_controller(key) && template.get(key) == Some(value)) {
        return None;
    }
    let (revision, lasting): (Vec<_>, Vec<_>) = selector.iter().partition(|(key, _)| *key == REVISION_LABEL);
    let lasting: Labels = lasting.into_iter().collect();
    let pod = |ordinal| at.set.pod_labels(ordinal);
    let (first, last) = (pod(at.first_ordinal()), pod(at.last_ordinal()));
    if lasting.is_subset_of(&first) && lasting.is_subset_of(&last) {
        let what = "selects the pods of one revision only, and none after the next edit of the template";
        return (!revision.is_empty()).then(|| (what.to_owned(), Level::Warn));
    }
    // Labels that tell pods apart select one of them, unless another label is wrong as well.
    let template = lasting.iter().filter(|(key, _)| !is_of_one_pod(key, &first, &last));
    let wrong = differences(&template.collect(), &first);
    let what = if wrong.is_empty() {
        format!("selects {lasting}, which no two pods share")
    } else {
        format!("selects {}", wrong.join(" and "))
    };
    Some((what, Level::Deny))
}

/// Whether the controller gives each pod a value of its own for `key`.
fn is_of_one_pod(key: &str, first: &Labels, last: &Labels) -> bool {
    key == POD_NAME_LABEL || first.get(key) != last.get(key)
}

/// The remedy, and the same as data.
fn mend(at: &SetContext<'_>, service: &Service) -> (String, Vec<FieldEdit>) {
    let (name, labels) = (&service.metadata.name, at.set.selecting());
    if selects_others(at, service) {
        return name_another(at, service);
    }
    let remedy = if service.spec.selector.is_empty() {
        format!("unless something writes its endpoints, set spec.selector of Service {name} to {labels}")
    } else {
        format!("set spec.selector of Service {name} to {labels}")
    };
    (remedy, edit(at, service).into_iter().collect())
}

/// Another selector would take the Service from those whose pods it selects.
fn name_another(at: &SetContext<'_>, service: &Service) -> (String, Vec<FieldEdit>) {
    let (which, edits) = match at.fitting_service().map(|other| &other.metadata.name) {
        Some(other) => (other.to_string(), vec![FieldEdit::service_name(other)]),
        None => {
            (format!("a new headless Service that selects {}", at.set.selecting()), new_governing_service(at))
        }
    };
    let is_dialled = at.dialled_name().is_some();
    let remedy = format!(
        "name {which} in spec.serviceName{}, since Service {} is that of other pods ({ANEW})",
        if is_dialled { " and dial the pods by names under that one" } else { "" },
        service.metadata.name
    );
    (remedy, if is_dialled { Vec::new() } else { edits })
}

fn edit(at: &SetContext<'_>, service: &Service) -> Option<FieldEdit> {
    let labels = at.set.selecting_labels();
    let edit = FieldEdit::set(FieldPlace::of(service.reference(), "/spec/selector"), labels_json(&labels));
    let governs_others = at.view.sets_governed_by(at.namespace(), &service.metadata.name).len() > 1;
    let edit = if service.spec.selector.is_empty() || governs_others { edit.unsafe_to_apply() } else { edit };
    (!labels.is_empty()).then_some(edit)
}

/// Whether the Service leads to other pods than the set's.
fn selects_others(at: &SetContext<'_>, service: &Service) -> bool {
    let selector = LabelSelector { match_labels: service.spec.selector.clone(), ..LabelSelector::default() };
    let has_others = || !at.other_sets(&selector).is_empty() || !at.other_workloads(&selector).is_empty();
    !selector.is_empty() && has_others()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RULE;
    use crate::rules::testing::{RuleTest, service, set, set_json};
    use crate::verdict::Level;

    fn selecting(selector: Value) -> RuleTest {
        let patch = service(json!({"spec": {"selector": null}}));
        let mut service = patch;
        service["spec"]["selector"] = selector;
        set(json!({})).with(service)
    }

    #[test]
    fn says_which_label_differs() {
        for (selector, says) in [
            (json!({"app": "zk"}), ""),
            (json!({"app": "zookeeper"}), "app=zookeeper (the pods have app=zk)"),
            (json!({"app": "zk", "tier": "x"}), "selects tier=x (the pods have no label tier)"),
            (
                json!({"app": "a", "tier": "x"}),
                "selects app=a (the pods have app=zk) and tier=x (the pods have no label tier)",
            ),
            (json!({"statefulset.kubernetes.io/pod-name": "zk-0"}), "pod-name=zk-0, which no two pods share"),
            (
                json!({"statefulset.kubernetes.io/pod-name": "zk-0", "app": "a"}),
                "selects app=a (the pods have app=zk),",
            ),
            (json!({"apps.kubernetes.io/pod-index": "0"}), "which no two pods share"),
        ] {
            let said = selecting(selector.clone()).says(&RULE);
            assert_eq!(said.is_empty(), says.is_empty(), "{selector} {said}");
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn what_may_be_meant_so_is_capped() {
        for (selector, level) in [
            (json!({}), Level::Audit),
            (Value::Null, Level::Audit),
            (json!({"app": "zk", "controller-revision-hash": "zk-1"}), Level::Warn),
            (json!({"app": "a", "controller-revision-hash": "zk-1"}), Level::Deny),
        ] {
            assert_eq!(selecting(selector.clone()).found(&RULE)[0].at_most, level, "{selector}");
        }
    }

    #[test]
    fn one_pod_may_be_selected_by_its_name() {
        for (pod, found) in [("zk-0", 0), ("zk-1", 1)] {
            let scene = selecting(json!({"statefulset.kubernetes.io/pod-name": pod})).scaled_to(1);
            assert_eq!(scene.found(&RULE).len(), found);
        }
    }

    #[test]
    fn names_under_another_service_lead_nowhere() {
        let dials = |name: &str| {
            set(json!({"spec": {"template": {"spec": {"containers": [{"name": "zk", "args": [name]}]}}}}))
                .with(service(json!({})))
        };
        let other = |patch: Value| {
            let mut other = service(json!({"metadata": {"name": "zk-hs"}}));
            json_patch::merge(&mut other, &patch);
            other
        };
        let said = dials("zk-1.zk-hs").with(other(json!({}))).says(&RULE);
        assert!(said.contains("args of container zk names zk-1.zk-hs, but Service zk-hs gives"), "{said}");
        assert!(said.contains("set spec.serviceName to zk-hs"), "{said}");
        let both = dials("zk-0.zk,zk-1.zk-hs").with(other(json!({}))).says(&RULE);
        assert!(both.contains("dial the pods as zk-0.zk") && !both.contains("set spec"), "{both}");
        assert_eq!(dials("zk-1.zk-hs").with(other(json!({}))).found(&RULE)[0].at_most, Level::Warn);
        let of_another = set_json(json!({"metadata": {"name": "peer"}, "spec": {"serviceName": "zk-hs"}}));
        for (name, expected) in [("$(PEER).zk-hs.default.svc.cluster.local", 0), ("zk-1.zk-hs", 1)] {
            let scene = dials(name).with(other(json!({})));
            assert_eq!(scene.with(of_another.clone()).found(&RULE).len(), expected, "{name}");
        }
        for (name, patch) in [
            ("zk-1.zk-hs.$(DOMAIN)", json!({})),
            ("zk-1.zk", json!({})),
            ("zk-hs", json!({})),
            ("zk-1.zk-hs", json!({"spec": {"type": "ExternalName"}})),
            ("zk-1.zk-hs", json!({"spec": {"selector": {"app": "other"}}})),
            ("zk-1.zk-hs", json!({"metadata": {"name": "zk-other"}})),
            ("other-1.zk-hs", json!({})),
        ] {
            assert!(dials(name).with(other(patch.clone())).found(&RULE).is_empty(), "{name} {patch}");
        }
        let ordinary =
            dials("zk-1.zk-hs").with(other(json!({"spec": {"clusterIP": "10.0.0.1"}}))).says(&RULE);
        assert!(ordinary.ends_with("-> dial the pods as zk-0.zk"), "{ordinary}");
        let as_namespace = dials("zk-1.default").with(other(json!({"metadata": {"name": "default"}})));
        assert_eq!(as_namespace.found(&RULE).len(), 1);
        let of_one_pod = service(json!({"metadata": {"name": "zk-1"}}));
        assert!(
            as_namespace.with(of_one_pod).found(&RULE).is_empty(),
            "the Service zk-1 of namespace default"
        );
    }

    #[test]
    fn names_under_a_service_that_does_not_exist_lead_nowhere() {
        let dials = |name: &str| {
            set(json!({"spec": {"template": {"spec": {"containers": [{"name": "zk", "args": [name]}]}}}}))
                .with(service(json!({})))
        };
        let said = dials("zk-0.zk-old:2888").says(&RULE);
        assert!(
            said.contains("names zk-0.zk-old, but Service zk-old does not exist")
                && said.ends_with("dial the pods as zk-0.zk"),
            "{said}"
        );
        assert_eq!(dials("zk-0.zk-old:2888").found(&RULE)[0].at_most, Level::Warn);
        let config = json!({"kind": "ConfigMap", "metadata": {"name": "conf", "namespace": "default"},
            "data": {"zoo.cfg": "server.1=zk-0.zk-old:2888:3888"}});
        let files = json!({"volumes": [{"name": "a", "configMap": {"name": "conf"}}]});
        let by_file =
            set(json!({"spec": {"template": {"spec": files}}})).with(service(json!({}))).with(config);
        assert!(
            by_file.says(&RULE).starts_with("zoo.cfg of ConfigMap conf names"),
            "{}",
            by_file.says(&RULE)
        );
        for (name, patch) in [
            ("zk-0.zk-old:2888", json!({"metadata": {"name": "zk-old"}, "spec": {"selector": null}})),
            ("zk-0.zk-old:2888", json!({"metadata": {"name": "zk-0"}})),
            ("zk-0.default:2888", json!({"metadata": {"name": "a"}})),
            ("zk-0.elsewhere:2888", json!({"metadata": {"name": "a"}})),
        ] {
            assert!(dials(name).with(service(patch.clone())).found(&RULE).is_empty(), "{name} {patch}");
        }
        let unknown = dials("zk-0.zk-old:2888").unknown(crate::cluster::Kind::Service);
        assert!(unknown.found(&RULE).is_empty());
    }

    #[test]
    fn only_a_headless_service_is_looked_at() {
        let ordinary = service(json!({"spec": {"clusterIP": null, "selector": {"app": "a"}}}));
        assert!(set(json!({})).with(ordinary).found(&RULE).is_empty());
        assert!(set(json!({})).found(&RULE).is_empty());
        let negative = selecting(json!({"app": "zk"})).scaled_to(i32::MIN);
        assert!(negative.found(&RULE).is_empty());
    }
}
