//! `protection-lost`

use super::{FieldPlace, Params, SetContext, Transition, Violations};
use crate::model::{Annotations, CLASS, Class, EXEMPT, EXEMPT_REASON, PROTECTED, annotation_pointer};

rule! {
    /// ## What it checks
    ///
    /// An update after which a StatefulSet is no longer known as `quorum` or `singleton`: the annotation `stateward.dev/class`, an
    /// image or a command has changed, or the annotation `stateward.dev/protected` is gone. Also an exemption by annotation that is
    /// added.
    ///
    /// ## Why
    ///
    /// From then on the rules for its class do not apply: the next scale from 5 to 1 passes without a word. That may be meant, but
    /// it should not happen as a side effect of a new image name. A replica count that changes in the same update is judged by the
    /// old class as well: the pods are still what they were. A later update is judged by the new class alone.
    ///
    /// ## How to fix
    ///
    /// Keep or set the annotation `stateward.dev/class` on the StatefulSet if the application is still the same.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: raft, annotations: {stateward.dev/class: quorum}}
    /// spec:
    ///   replicas: 3
    ///   serviceName: raft
    ///   selector: {matchLabels: {app: raft}}
    ///   template:
    ///     metadata: {labels: {app: raft}}
    ///     spec: {containers: [{name: raft, image: "example/raft:1"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: raft}
    /// spec:
    ///   replicas: 3
    ///   serviceName: raft
    ///   selector: {matchLabels: {app: raft}}
    ///   template:
    ///     metadata: {labels: {app: raft}}
    ///     spec: {containers: [{name: raft, image: "example/raft:1"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: raft, annotations: {stateward.dev/class: quorum}}
    /// spec:
    ///   replicas: 3
    ///   serviceName: raft
    ///   selector: {matchLabels: {app: raft}}
    ///   template:
    ///     metadata: {labels: {app: raft}}
    ///     spec: {containers: [{name: raft, image: "example/raft:1"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: raft, annotations: {stateward.dev/class: quorum, note: x}}
    /// spec:
    ///   replicas: 3
    ///   serviceName: raft
    ///   selector: {matchLabels: {app: raft}}
    ///   template:
    ///     metadata: {labels: {app: raft}}
    ///     spec: {containers: [{name: raft, image: "example/raft:1"}]}
    /// ```
    "protection-lost": "an update takes a class or a protection away",
    triggers: [Set],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let (Some(before), after) = (step.before, step.after) else { return };
    let (old, new) = (before.class.class, after.class.class);
    if old != new && old != Class::Replicated {
        let message = format!(
            "it was known as {old} ({}) and is {new} now ({}): the rules for {old} do not apply any more",
            before.class.because, after.class.because
        );
        let remedy = format!("set the annotation stateward.dev/class: {old}, if it still is one");
        out.add(FieldPlace::in_set(annotation_pointer(CLASS)), message, remedy);
    }
    if before.set.is_protected() && !after.set.is_protected() {
        let message = "it may be deleted from now on, with its Service, budgets and claims";
        let remedy = "keep the annotation stateward.dev/protected: \"true\", unless it is to be deleted";
        out.add(FieldPlace::in_set(annotation_pointer(PROTECTED)), message, remedy);
    }
    exempted(before, after, out);
}

/// The rules and checks that the annotations exempt the set from with this change. `annotation-ignored` names those that do not exist.
fn exempted(before: &SetContext<'_>, after: &SetContext<'_>, out: &mut Violations) {
    if !after.honours_annotations {
        return;
    }
    let was: Vec<&str> = exempt_ids(&before.set.metadata.annotations).collect();
    let exists = |id: &&str| super::named(id).is_some() || after.exempted_checks.contains(id);
    let ids = exempt_ids(&after.set.metadata.annotations).filter(|id| !was.contains(id)).filter(exists);
    let shown = ids.collect::<Vec<_>>().join(", ");
    if shown.is_empty() {
        return;
    }
    let shown: String = shown.chars().take(120).collect();
    let message = format!("the rules {shown} do not apply to it from now on");
    let remedy = "remove the annotation stateward.dev/exempt when it is not needed any more";
    out.add(FieldPlace::in_set(annotation_pointer(EXEMPT)), message, remedy);
}

/// What the annotations exempt from: without a reason, from nothing.
fn exempt_ids(annotations: &Annotations) -> impl Iterator<Item = &str> {
    let has_reason = annotations.get(EXEMPT_REASON).is_some_and(|reason| !reason.trim().is_empty());
    let exempt = annotations.get(EXEMPT).filter(|_| has_reason).unwrap_or_default();
    exempt.split(',').map(str::trim).filter(|id| !id.is_empty())
}
