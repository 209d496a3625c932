//! `selector-overlap`

use super::{Params, Place, SetContext, Violations};
use crate::model::Object;
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// The selectors of two StatefulSets, or of a StatefulSet and a Deployment, ReplicaSet, DaemonSet or Job, select each other's
    /// pods. Other kinds are known in manifests and in an audit of a live cluster only.
    ///
    /// ## Why
    ///
    /// A controller adopts pods that its selector matches and that no controller owns: an orphaned pod of one set can become a
    /// pod of the other, with the claims of the first. Budgets, Services and spread that use the same labels count the pods of both.
    ///
    /// ## How to fix
    ///
    /// Give each a label of its own in `spec.selector` and in the template. A selector is immutable: delete the set with
    /// `--cascade=orphan` and create it again.
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
    reads: [StatefulSet],
    check: State(check),
}

/// Named at most; the others are counted.
const SHOWN: usize = 5;

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let (set, namespace) = (at.set, at.namespace());
    if set.spec.selector.is_empty() || !set.spec.selector.matches(set.spec.template.labels()) {
        return;
    }
    let sets = at.view.sets_matching(namespace, &set.spec.selector).into_iter().map(|(other, _)| other);
    let sets = sets.filter(|other| other.metadata.name != set.metadata.name && !other.metadata.deleting);
    let sets = sets.filter(|other| other.spec.selector.matches(set.spec.template.labels()));
    let workloads = at.view.workloads_matching(namespace, &set.spec.selector).into_iter();
    // What a controller owns has its labels from there.
    let workloads = workloads.filter(|workload| workload.metadata.owner.is_none());
    let others: Vec<_> = sets.map(Object::reference).chain(workloads.map(Object::reference)).collect();
    let Some(first) = others.first() else { return };
    let names: Vec<String> =
        others.iter().take(SHOWN).map(|other| format!("{} {}", other.kind, other.name)).collect();
    let more = others.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "its selector also selects the pods of {}{more}: an orphaned pod of one can be adopted by the other",
        names.join(", ")
    );
    let remedy = "give each a label of its own in spec.selector and spec.template.metadata.labels; a selector is immutable, so \
                  delete it with --cascade=orphan and create it again";
    // One that an update did not bring about cannot be mended by an update either.
    let level = if at.set.ensemble().is_some() { Level::Warn } else { Level::Deny };
    out.add(Place::in_set("/spec/selector"), message, remedy)
        .at_most(level)
        .related_to(Place::of(first.clone(), "/spec/selector"));
}
