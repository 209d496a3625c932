//! `protected`

use super::{Changed, FieldPlace, Params, SetContext, Violations};
use crate::model::{Object, PROTECTED, annotation_pointer};

rule! {
    /// ## What it checks
    ///
    /// A StatefulSet with the annotation `stateward.dev/protected: "true"` is deleted, or its governing Service, a
    /// PodDisruptionBudget that selects its pods, or a claim of one of its ordinals.
    ///
    /// ## Why
    ///
    /// `kubectl delete -f`, `kubectl replace --force` and a chart that is uninstalled delete without asking. The annotation makes
    /// the deletion two steps, for a person and for a pipeline. Controllers that clean up after a deleted namespace are not held up.
    /// A StatefulSet that a custom resource owns goes when that is deleted: the garbage collector is not held up either.
    ///
    /// ## How to fix
    ///
    /// Remove the annotation `stateward.dev/protected` from the StatefulSet first, then delete.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: StatefulSet, name: db}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: db, annotations: {stateward.dev/protected: "true"}}
    /// spec:
    ///   replicas: 1
    ///   serviceName: db
    ///   selector: {matchLabels: {app: db}}
    ///   template:
    ///     metadata: {labels: {app: db}}
    ///     spec: {containers: [{name: db, image: "postgres:16"}]}
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: StatefulSet, name: db}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: db}
    /// spec:
    ///   replicas: 1
    ///   serviceName: db
    ///   selector: {matchLabels: {app: db}}
    ///   template:
    ///     metadata: {labels: {app: db}}
    ///     spec: {containers: [{name: db, image: "postgres:16"}]}
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ```
    "protected": "a protected StatefulSet, or what it needs, is deleted",
    triggers: [SetDeletion, Service, BudgetGone, ClaimDeletion],
    reads: [StatefulSet],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if !at.set.is_protected() {
        return;
    }
    let deleted = match at.changed {
        Changed::Set | Changed::SetAlone => at.set.reference(),
        Changed::Claim(claim, _) => claim.reference(),
        Changed::Service(service) if at.view.is_deletion() => service.reference(),
        Changed::Budget(budget) if at.view.is_deletion() => budget.reference(),
        Changed::Service(_) | Changed::Budget(_) | Changed::Autoscaler(_) | Changed::Pod(_) => return,
    };
    let name = at.name();
    let message = match at.changed {
        Changed::Set | Changed::SetAlone => {
            "the annotation stateward.dev/protected forbids its deletion".to_owned()
        }
        // Also of an ordinal that it has no more, or not at this moment.
        Changed::Claim(..) => format!(
            "it keeps data of StatefulSet {name}, and the annotation stateward.dev/protected there forbids its deletion"
        ),
        _ => format!(
            "StatefulSet {name} needs it, and the annotation stateward.dev/protected there forbids its deletion"
        ),
    };
    let remedy = format!(
        "remove the annotation first: kubectl annotate statefulset {name} -n {} stateward.dev/protected-",
        at.namespace()
    );
    out.add(FieldPlace::of(deleted, ""), message, remedy)
        .binding_operators()
        .related_to(FieldPlace::in_set(annotation_pointer(PROTECTED)));
}
