//! `quorum-autoscaled`

use super::{Changed, FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::{Autoscaler, Object};

rule! {
    /// ## What it checks
    ///
    /// A HorizontalPodAutoscaler, or a ScaledObject of KEDA, scales a StatefulSet whose pods are one consensus group. One that may
    /// set only one count does nothing and is let be; `idleReplicaCount` of a ScaledObject is a further count.
    ///
    /// ## Why
    ///
    /// A consensus group does not get faster with more members: every write waits for a majority of them. An autoscaler passes
    /// through even counts, adds members faster than they can catch up, and takes members away without the group agreeing, down to
    /// fewer than a majority.
    ///
    /// ## How to fix
    ///
    /// Delete the autoscaler and choose 3, 5 or 7 members. For more reads add members without a vote (observers, learners),
    /// for more writes several groups.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: autoscaling/v2
    /// kind: HorizontalPodAutoscaler
    /// metadata: {name: zk}
    /// spec: {minReplicas: 3, maxReplicas: 7, scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: zk}}
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
    /// apiVersion: autoscaling/v2
    /// kind: HorizontalPodAutoscaler
    /// metadata: {name: zk}
    /// spec: {minReplicas: 3, maxReplicas: 7, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: zk}}
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
    "quorum-autoscaled": "an autoscaler scales a consensus group",
    classes: [Quorum],
    triggers: [Set, Autoscaler],
    reads: [StatefulSet, Autoscaler, ScaledObject],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if let Changed::Autoscaler(scaler) = at.changed {
        return report(at, scaler, FieldPlace::of(scaler.reference(), "/spec/scaleTargetRef"), out);
    }
    for scaler in at.autoscalers() {
        report(at, scaler, FieldPlace::in_set("/spec/replicas"), out);
    }
}

fn report(at: &SetContext<'_>, scaler: &Autoscaler, place: FieldPlace, out: &mut Violations) {
    let (least, most) = (scaler.min_replicas(), scaler.max_replicas());
    let idle = scaler.idle_replicas();
    let (set, reference) = (at.name(), scaler.reference());
    let (kind, name) = (reference.kind, &reference.name);
    let (counts, remedy, path) = match idle {
        _ if least < most => {
            let idle = idle.map_or_else(String::new, |idle| format!(", and {idle} while idle,"));
            let remedy = format!("delete {kind} {name} and give {set} 3 or 5 members");
            (format!("any count from {least} to {most}{idle}"), remedy, "")
        }
        Some(idle) => {
            let remedy = format!("remove spec.idleReplicaCount of {kind} {name}");
            (format!("{idle} while idle and {least} otherwise"), remedy, "/spec/idleReplicaCount")
        }
        None => return,
    };
    let message = format!(
        "{kind} {name} may set {counts} on StatefulSet {set}, whose members must agree to each that joins or leaves"
    );
    out.add(place, message, remedy)
        .edit(FieldEdit::remove(FieldPlace::of(reference.clone(), path)).unsafe_to_apply())
        .keyed(format!("{kind}/{name}"))
        .related_to(FieldPlace::of(reference, "/spec/scaleTargetRef"));
}
