//! `service-in-use`

use serde_json::Value;

use super::edits::labels_json;
use super::{Changed, FieldEdit, FieldPlace, Params, SetContext, Transition, Violations};
use crate::cluster::Lookup;
use crate::model::{Class, Object, Service};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A change to a Service leaves a StatefulSet with running pods without a working governing Service: it is deleted, is no
    /// longer headless, or no longer selects the pods. A deletion is a warning in every profile, because the set may be deleted
    /// next, as `kubectl delete -f` and `helm uninstall` do; a policy with `onMissingCompanion: deny` refuses it, and so does
    /// `stateward.dev/protected: "true"` on the set. One that is created for a set that waits for it, and cannot work, is a
    /// warning. So is a change after which it names the members of a consensus group only once they are ready
    /// (`publishNotReadyAddresses` switched off), or that takes its selector off: the addresses that it has then stay as they are.
    /// What did not work before the change is not held against it.
    ///
    /// ## Why
    ///
    /// The governing Service is what the members' DNS names hang on. The moment it goes, members that restart cannot find
    /// the others, and clients that resolve a member's name fail, while every pod still looks healthy.
    ///
    /// ## How to fix
    ///
    /// Where the set is to stay, create the Service again at once: names are found again within seconds. Where all of it is to go,
    /// go on. To make another Service headless, create it under its own name beside this one.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: Service, name: zk}
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: zk}
    /// spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: zk}}
    /// ---
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
    /// case:
    ///   delete: {kind: Service, name: zk-client}
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: zk-client}
    /// spec: {selector: {app: zk}}
    /// ---
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
    "service-in-use": "a StatefulSet loses its governing Service",
    triggers: [Service],
    reads: [StatefulSet],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let at = step.after;
    let Changed::Service(changed) = at.changed else { return };
    let (before, after) = (step.before.map(SetContext::governing_service), at.governing_service());
    let is_left_alone = loses_selector(at, before, after);
    let Some(harm) = harm(at, after).or_else(|| is_left_alone.then(|| LEFT_ALONE.to_owned())) else {
        check_unready(at, changed, before, after, out);
        return;
    };
    let worked = |service: &Service| service.is_headless() && selects(at, service);
    let created = match before {
        Some(Lookup::Present(service)) if worked(service) => false,
        Some(Lookup::Present(_)) => return,
        _ => true,
    };
    if at.replicas <= 0 || (created && after.present().is_none()) {
        return;
    }
    let (set, pods) = (at.name(), at.replicas);
    let message =
        format!("it governs StatefulSet {set}, whose pods ({pods}) are found by its names, and {harm}");
    let remedy = match after {
        Lookup::Present(_) => {
            let keep = if created { "make" } else { "keep" };
            format!("{keep} it headless with a selector for {}", at.set.selecting())
        }
        _ => format!(
            "delete StatefulSet {set} as well, or create the Service again at once; the annotation stateward.dev/protected on the \
             set refuses its deletion"
        ),
    };
    let violation = out.add(FieldPlace::of(changed.reference(), "/spec"), message, remedy);
    violation.edits(after.present().map_or_else(Vec::new, |service| edits(at, service)));
    violation.related_to(FieldPlace::in_set("/spec/serviceName"));
    // Something may write the endpoints from now on.
    if created || is_left_alone {
        violation.at_most(Level::Warn);
    }
    if at.view.is_deletion() {
        violation.lost_companion();
    }
}

/// Makes the Service one that governs the set. Clients may use what it is now.
fn edits(at: &SetContext<'_>, service: &Service) -> Vec<FieldEdit> {
    let set = |path: &str, value: Value| {
        FieldEdit::set(FieldPlace::of(service.reference(), path), value).unsafe_to_apply()
    };
    let mut edits = Vec::new();
    if !service.is_headless() {
        edits.push(set("/spec/clusterIP", "None".into()));
    }
    if !matches!(&*service.spec.type_, "" | "ClusterIP") {
        edits.push(set("/spec/type", "ClusterIP".into()));
    }
    let labels = at.set.selecting_labels();
    if !selects(at, service) {
        edits.push(set("/spec/selector", labels_json(&labels)));
    }
    if labels.is_empty() { Vec::new() } else { edits }
}

/// Members of a consensus group must find each other to become ready.
fn check_unready(
    at: &SetContext<'_>,
    changed: &Service,
    before: Option<Lookup<&Service>>,
    after: Lookup<&Service>,
    out: &mut Violations,
) {
    let publishes = |service: &Service| service.spec.publish_not_ready_addresses;
    let named_all = before.and_then(Lookup::present).is_some_and(publishes);
    let hides = after.present().is_some_and(|service| !publishes(service));
    let is_group = at.class.class == Class::Quorum && at.replicas > 1 && !at.is_ready_at_once();
    if !(named_all && hides && is_group) {
        return;
    }
    let message = format!(
        "it governs StatefulSet {}, and it would name its members only once they are ready, but they must find each other to \
         become ready",
        at.name()
    );
    let place = FieldPlace::of(changed.reference(), "/spec/publishNotReadyAddresses");
    out.add(place, message, "keep spec.publishNotReadyAddresses: true").at_most(Level::Warn);
}

/// The fault of the governing Service after the change.
fn harm(at: &SetContext<'_>, after: Lookup<&Service>) -> Option<String> {
    match after {
        Lookup::Present(service) if !service.is_headless() => Some("it would not be headless".to_owned()),
        Lookup::Present(service) if !selects(at, service) => {
            Some(format!("it would select {} and not them", service.spec.selector))
        }
        Lookup::Present(_) => None,
        Lookup::Absent | Lookup::Unknown => Some("it would be gone".to_owned()),
    }
}

const LEFT_ALONE: &str = "it would have no selector: the addresses that it has stay as they are, and a pod that gets another one is not found";

/// Whether it selects the pods and then selects none by itself.
fn loses_selector(at: &SetContext<'_>, before: Option<Lookup<&Service>>, after: Lookup<&Service>) -> bool {
    let selected = before
        .and_then(Lookup::present)
        .is_some_and(|service| service.selects(at.set.spec.template.labels()));
    selected
        && after.present().is_some_and(|service| service.is_headless() && service.spec.selector.is_empty())
}

/// Without a selector the endpoints are written by hand.
fn selects(at: &SetContext<'_>, service: &Service) -> bool {
    service.spec.selector.is_empty() || service.selects(at.set.spec.template.labels())
}
