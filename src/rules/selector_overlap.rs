//! `selector-overlap`

use super::budgets::enumerate;
use super::{Params, Place, SetContext, Violations};
use crate::model::{Kind, LabelSelector, Object, ObjectRef, StatefulSet, Workload};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// The selectors of two StatefulSets, or of a StatefulSet and a Deployment, ReplicaSet, DaemonSet or Job, select each other's
    /// pods. Also told, as a warning in every profile: the governing Services of two StatefulSets, of which nothing says that they
    /// are one group, select each other's pods; or the governing Service selects the pods of a Deployment, ReplicaSet or DaemonSet
    /// too. Other kinds than StatefulSets are known in manifests and in an audit of a live cluster only.
    ///
    /// ## Why
    ///
    /// Budgets, Services, autoscalers and spread that use the same labels count the pods of both. A Deployment adopts pods that its
    /// selector matches and that no controller owns, whatever their names: after `kubectl delete --cascade=orphan` the pods of the
    /// set are its own, and it deletes those that are too many. A Service that catches the pods of both sends the clients and the
    /// members of one application to the other.
    ///
    /// ## How to fix
    ///
    /// Give each a label of its own in `spec.selector` and in the template. A selector is immutable: delete the set with
    /// `--cascade=orphan`, give its pods the label (`kubectl label`), since a set adopts only pods that its selector selects, and
    /// create it again. Not so beside a Deployment, which would adopt the pods meanwhile: delete that one, and create it again with
    /// other labels.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: a}
    /// spec:
    ///   replicas: 1
    ///   serviceName: a
    ///   selector: {matchLabels: {app: db}}
    ///   template:
    ///     metadata: {labels: {app: db, set: a}}
    ///     spec: {containers: [{name: db, image: "postgres:16"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: b}
    /// spec:
    ///   replicas: 1
    ///   serviceName: b
    ///   selector: {matchLabels: {app: db}}
    ///   template:
    ///     metadata: {labels: {app: db, set: b}}
    ///     spec: {containers: [{name: db, image: "postgres:16"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: a}
    /// spec:
    ///   replicas: 1
    ///   serviceName: a
    ///   selector: {matchLabels: {app: db}}
    ///   template:
    ///     metadata: {labels: {app: db, set: a}}
    ///     spec: {containers: [{name: db, image: "postgres:16"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: b}
    /// spec:
    ///   replicas: 1
    ///   serviceName: b
    ///   selector: {matchLabels: {app: db-b}}
    ///   template:
    ///     metadata: {labels: {app: db-b, set: b}}
    ///     spec: {containers: [{name: db, image: "postgres:16"}]}
    /// ```
    "selector-overlap": "two workloads select each other's pods",
    triggers: [Set],
    reads: [StatefulSet, Service],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let set = at.set;
    let by_selector =
        if set.spec.selector.is_empty() || !set.spec.selector.matches(set.spec.template.labels()) {
            Vec::new()
        } else {
            check_selector(at, out)
        };
    check_service(at, &by_selector, out);
}

/// Gives the workloads whose pods the selector selects.
fn check_selector(at: &SetContext<'_>, out: &mut Violations) -> Vec<ObjectRef> {
    let set = at.set;
    let sets = others(at, &set.spec.selector)
        .into_iter()
        .filter(|other| other.spec.selector.matches(set.spec.template.labels()));
    let workloads = workloads(at, &set.spec.selector);
    let adopts = |workload: &&Workload| {
        !workload.spec.selector.is_empty() && workload.spec.selector.matches(set.spec.template.labels())
    };
    let adopter = workloads.iter().copied().find(adopts).map(Object::reference);
    let found: Vec<ObjectRef> =
        sets.map(Object::reference).chain(workloads.into_iter().map(Object::reference)).collect();
    let Some(first) = found.first() else { return found };
    let mut message = format!(
        "its selector also selects the pods of {}: budgets, Services and autoscalers that go by these labels count the pods of both",
        named(&found)
    );
    if let Some(ObjectRef { kind, name, .. }) = &adopter {
        let orphans = format!(
            "; {kind} {name} adopts pods of {} that are orphaned, and deletes those too many",
            at.name()
        );
        message.push_str(&orphans);
    }
    let remedy = match adopter {
        Some(ObjectRef { kind, name, .. }) => format!(
            "delete {kind} {name} and create it again with other labels in spec.selector and spec.template.metadata.labels; do not \
             delete {} with --cascade=orphan before",
            at.name()
        ),
        None => "give each a label of its own in spec.selector and spec.template.metadata.labels; a selector is immutable, so delete \
                 the set with --cascade=orphan, give its pods the label (kubectl label) and create it again"
            .to_owned(),
    };
    // One that an update did not bring about cannot be mended by an update either.
    let level = if set.ensemble().is_some() { Level::Warn } else { Level::Deny };
    out.add(Place::in_set("/spec/selector"), message, remedy)
        .at_most(level)
        .related_to(Place::of(first.clone(), "/spec/selector"));
    found
}

/// Finds whose pods the governing Service catches, but for those that are told already.
fn check_service(at: &SetContext<'_>, told: &[ObjectRef], out: &mut Violations) {
    let Some(service) =
        at.headless_service().filter(|service| service.selects(at.set.spec.template.labels()))
    else {
        return;
    };
    let selector = LabelSelector { match_labels: service.spec.selector.clone(), ..LabelSelector::default() };
    let group = at.group_sets().unwrap_or_default();
    let is_of_group = |other: &StatefulSet| group.iter().any(|(member, _)| std::ptr::eq(*member, other));
    let is_caught_back = |other: &&StatefulSet| {
        let governing = at.view.service(at.namespace(), &other.spec.service_name).present();
        !is_of_group(other)
            && other.spec.service_name != at.set.spec.service_name
            && governing.is_some_and(|governing| governing.selects(at.set.spec.template.labels()))
    };
    let sets = others(at, &selector).into_iter().filter(is_caught_back).map(Object::reference);
    let serving =
        |workload: &&Workload| matches!(workload.kind, Kind::Deployment | Kind::ReplicaSet | Kind::DaemonSet);
    let workloads = workloads(at, &selector).into_iter().filter(serving).map(Object::reference);
    let caught: Vec<ObjectRef> = sets.chain(workloads).filter(|other| !told.contains(other)).collect();
    let Some(first) = caught.first() else { return };
    let name = &service.metadata.name;
    let message = format!(
        "Service {name}, which governs it, also selects the pods of {}: clients and members that resolve {name} reach those too",
        named(&caught)
    );
    let remedy =
        format!("add a label that only the pods of {} have to spec.selector of Service {name}", at.name());
    let field = Place::of(service.reference(), "/spec/selector");
    out.add(Place::in_set("/spec/serviceName"), message, remedy)
        .at_most(Level::Warn)
        .related_to(field)
        .related_to(Place::of(first.clone(), "/spec/template/metadata/labels"));
}

/// The other sets whose pods a selector selects.
fn others<'a>(at: &SetContext<'a>, selector: &LabelSelector) -> Vec<&'a StatefulSet> {
    let sets = at.view.sets_matching(at.namespace(), selector).into_iter().map(|(other, _)| other);
    sets.filter(|other| other.metadata.name != at.set.metadata.name && !other.metadata.deleting).collect()
}

/// The other workloads whose pods a selector selects. What a controller owns has its labels from there.
fn workloads<'a>(at: &SetContext<'a>, selector: &LabelSelector) -> Vec<&'a Workload> {
    let mut workloads = at.view.workloads_matching(at.namespace(), selector);
    workloads.retain(|workload| workload.metadata.owner.is_none());
    workloads
}

/// `StatefulSet a, StatefulSet b and Deployment c`.
fn named(objects: &[ObjectRef]) -> String {
    enumerate(objects.iter().map(|other| format!("{} {}", other.kind, other.name)))
}
