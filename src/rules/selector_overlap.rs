//! `selector-overlap`

use super::budgets::enumerate;
use super::{FieldPlace, Params, SetContext, Violations};
use crate::model::{Object, ObjectRef, Workload};
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
    let overlap = Overlap::of(at);
    let found: Vec<ObjectRef> = [&overlap.sets[..], &overlap.adopters, &overlap.others].concat();
    let Some(first) = found.first() else { return found };
    let mut message = format!(
        "its selector also selects the pods of {}: budgets, Services and autoscalers that go by these labels count the pods of both",
        named(&found)
    );
    if !overlap.adopters.is_empty() {
        let (adopt, delete) =
            if overlap.adopters.len() == 1 { ("adopts", "deletes") } else { ("adopt", "delete") };
        let orphans = format!(
            "; {} {adopt} pods of {} that are orphaned, and {delete} those too many",
            named(&overlap.adopters),
            at.name()
        );
        message.push_str(&orphans);
    }
    // An overlap that existed before the update cannot be fixed by it.
    let level = if at.set.ensemble().is_some() || overlap.is_passing() { Level::Warn } else { Level::Deny };
    out.add(FieldPlace::in_set("/spec/selector"), message, overlap.remedy(at))
        .at_most(level)
        .related_to(FieldPlace::of(first.clone(), "/spec/selector"));
    found
}

/// The others whose pods the selector of a set selects.
struct Overlap {
    /// Sets that select the pods of the set too.
    sets: Vec<ObjectRef>,
    /// Workloads of other kinds that do.
    adopters: Vec<ObjectRef>,
    /// The sets that do not.
    others: Vec<ObjectRef>,
}

impl Overlap {
    fn of(at: &SetContext<'_>) -> Self {
        let (selector, labels) = (&at.set.spec.selector, at.set.spec.template.labels());
        let sets = at.other_sets(selector).into_iter().filter(|other| other.spec.selector.matches(labels));
        // The selector of a Job is generated where none is written.
        let adopts = |workload: &&Workload| {
            !workload.spec.selector.is_empty() && workload.spec.selector.matches(labels)
        };
        let (adopters, others): (Vec<&Workload>, Vec<&Workload>) =
            at.other_workloads(selector).into_iter().partition(adopts);
        let references = |workloads: Vec<&Workload>| workloads.into_iter().map(Object::reference).collect();
        Self {
            sets: sets.map(Object::reference).collect(),
            adopters: references(adopters),
            others: references(others),
        }
    }

    /// Whether it is only about pods that end by themselves, and that take none of the set's.
    fn is_passing(&self) -> bool {
        let is_job = |other: &ObjectRef| matches!(other.kind, "Job" | "CronJob");
        self.sets.is_empty() && self.adopters.is_empty() && self.others.iter().all(is_job)
    }

    fn remedy(&self, at: &SetContext<'_>) -> String {
        let mut parts = Vec::new();
        if !self.adopters.is_empty() {
            parts.push(format!(
                "delete {} and create anew with other labels in spec.selector and spec.template.metadata.labels; do not delete {} \
                 with --cascade=orphan before",
                named(&self.adopters),
                at.name()
            ));
        }
        if !self.others.is_empty() {
            parts.push(format!(
                "give the pods of {} other labels in spec.template.metadata.labels, which spec.selector of {} does not select",
                named(&self.others),
                at.name()
            ));
        }
        if !self.sets.is_empty() {
            let rename = "give each StatefulSet a label of its own in spec.selector and spec.template.metadata.labels; a selector is \
                          immutable, so delete the set with --cascade=orphan, give its pods the label (kubectl label) and create it \
                          again";
            parts.push(rename.to_owned());
        }
        parts.join("; ")
    }
}

/// Finds whose pods the governing Service catches, but for those that are told already.
fn check_service(at: &SetContext<'_>, told: &[ObjectRef], out: &mut Violations) {
    let Some(service) =
        at.headless_service().filter(|service| service.selects(at.set.spec.template.labels()))
    else {
        return;
    };
    let caught: Vec<ObjectRef> =
        at.caught_by(service).into_iter().filter(|other| !told.contains(other)).collect();
    let Some(first) = caught.first() else { return };
    let name = &service.metadata.name;
    let message = format!(
        "Service {name}, which governs it, also selects the pods of {}: clients and members that resolve {name} reach those too",
        named(&caught)
    );
    let remedy =
        format!("add a label that only the pods of {} have to spec.selector of Service {name}", at.name());
    let field = FieldPlace::of(service.reference(), "/spec/selector");
    out.add(FieldPlace::in_set("/spec/serviceName"), message, remedy)
        .at_most(Level::Warn)
        .related_to(field)
        .related_to(FieldPlace::of(first.clone(), "/spec/template/metadata/labels"));
}

/// `StatefulSet a, StatefulSet b and Deployment c`.
fn named(objects: &[ObjectRef]) -> String {
    enumerate(objects.iter().map(|other| format!("{} {}", other.kind, other.name)))
}
