//! `singleton-scaled`

use super::edits::recreate;
use super::{Changed, FieldEdit, FieldPlace, Params, SetContext, Violations, WorkloadContext};
use crate::model::{Autoscaler, Object};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// An application of class `singleton` may run more than once at the same time. It is a singleton where the annotation
    /// `stateward.dev/class: singleton` or a policy says so; the shipped catalogue makes nothing one.
    ///
    /// - A StatefulSet has more than one replica, by its manifest or by `kubectl scale`.
    /// - An autoscaler (HorizontalPodAutoscaler, ScaledObject) may give a StatefulSet more than one replica. The autoscaler is
    ///   refused when it is created or edited; when the StatefulSet is, the same is a warning. Audits refuse both.
    /// - A Deployment, or a ReplicaSet that no Deployment has made, has more than one replica.
    /// - A Deployment has one replica and a rolling update, which starts the new pod before the old one stops.
    ///
    /// In a cluster, a Deployment or ReplicaSet that is a singleton by a policy alone is only looked at where it mounts a claim.
    ///
    /// ## Why
    ///
    /// Two instances of a singleton write to one store, hold one licence, or answer under one identity. A StatefulSet with one
    /// replica never has two: it starts a pod only when the one before is gone. A Deployment with one replica and the
    /// strategy `Recreate` comes near to that. Where a node is cut off, it starts a second pod although the first may still run.
    ///
    /// ## How to fix
    ///
    /// Set `spec.replicas` to 1. Of a Deployment, set `spec.strategy.type` to `Recreate` too. Delete the autoscaler, or set its
    /// maximum to 1. If several instances may run side by side after all, say so with `stateward.dev/class: replicated` or `quorum`.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: ledger, annotations: {stateward.dev/class: singleton}}
    /// spec:
    ///   replicas: 2
    ///   serviceName: ledger
    ///   selector: {matchLabels: {app: ledger}}
    ///   template:
    ///     metadata: {labels: {app: ledger}}
    ///     spec: {containers: [{name: ledger, image: "example.com/ledger:1.4"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: ledger, annotations: {stateward.dev/class: singleton}}
    /// spec:
    ///   replicas: 1
    ///   serviceName: ledger
    ///   selector: {matchLabels: {app: ledger}}
    ///   template:
    ///     metadata: {labels: {app: ledger}}
    ///     spec: {containers: [{name: ledger, image: "example.com/ledger:1.4"}]}
    /// ```
    "singleton-scaled": "more than one instance of an application that may run only once",
    classes: [Singleton],
    triggers: [Set, Scale, Autoscaler, Workload, WorkloadScale],
    check: StateAndWorkload(check, check_workload),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if let Changed::Autoscaler(scaler) = at.changed {
        return check_autoscaler(at, scaler, FieldPlace::of(scaler.reference(), "/spec/scaleTargetRef"), out);
    }
    for scaler in at.autoscalers() {
        check_autoscaler(at, scaler, FieldPlace::in_set("/spec/replicas"), out);
    }
    // The finding about the autoscaler above covers a count that it raises.
    if at.replicas <= 1 || (at.set.replicas() <= 1 && at.raised_by().is_some()) {
        return;
    }
    let message = format!("{} instances would run side by side, and at most one may ever run", at.replicas);
    out.add(FieldPlace::in_set("/spec/replicas"), message, "set spec.replicas to 1")
        .edit(FieldEdit::replicas(1))
        .weighing(at.replicas);
}

/// An autoscaler with a maximum of one replica only stops and starts the instance.
fn check_autoscaler(at: &SetContext<'_>, scaler: &Autoscaler, place: FieldPlace, out: &mut Violations) {
    let count = scaler.max_replicas();
    if count <= 1 {
        return;
    }
    let (set, reference) = (at.name(), scaler.reference());
    let (kind, name) = (reference.kind, &reference.name);
    let message = format!(
        "{kind} {name} may start up to {count} instances of StatefulSet {set} side by side, and at most one may ever run"
    );
    let remedy = format!("delete {kind} {name}");
    let violation = out.add(place, message, remedy);
    violation
        .edit(FieldEdit::remove(FieldPlace::of(reference.clone(), "")).unsafe_to_apply())
        .keyed(format!("{kind}/{name}"))
        .weighing(count)
        .related_to(FieldPlace::of(reference, "/spec/scaleTargetRef"));
    if matches!(at.changed, Changed::Set) {
        violation.unwanted_companion();
    }
    if at.class.is_only_likely() {
        violation.at_most(Level::Warn);
    }
}

fn check_workload(at: &WorkloadContext<'_>, _: &Params, out: &mut Violations) {
    // Zero replicas are judged like one, because the faults are there before it is scaled up.
    let replicas = at.replicas.max(1);
    let surge = at.workload.rollout(replicas).map_or(0, |rollout| rollout.surge);
    let most = replicas.saturating_add(surge);
    if most <= 1 {
        return;
    }
    let strategy = if surge > 0 { " and spec.strategy.type to Recreate" } else { "" };
    let found = if replicas > 1 {
        let message =
            format!("{} instances would run side by side, and at most one may ever run", at.replicas);
        let remedy = format!("set spec.replicas to 1{strategy}");
        out.add(FieldPlace::in_set("/spec/replicas"), message, remedy).edit(FieldEdit::replicas(1))
    } else {
        let message = "with each new version two instances run side by side until the old one stops, and at most one may ever run";
        let remedy = "set spec.strategy.type to Recreate (and remove spec.strategy.rollingUpdate), or use a StatefulSet";
        out.add(FieldPlace::in_set("/spec/strategy/type"), message, remedy)
    };
    found.edits(recreate(at.workload)).keyed("instances").weighing(most);
    if at.class.is_only_likely() || at.replicas < 1 {
        found.at_most(Level::Warn);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Companion;
    use super::super::testing::set;
    use super::*;
    use crate::model::Class;

    #[test]
    fn one_is_the_most() {
        for (replicas, found) in [
            (json!(null), false),
            (json!(i32::MIN), false),
            (json!(0), false),
            (json!(1), false),
            (json!(2), true),
            (json!(i32::MAX), true),
        ] {
            let scene = set(json!({"spec": {"replicas": replicas}})).class(Class::Singleton);
            assert_eq!(!scene.found(&RULE).is_empty(), found, "{replicas}");
        }
        assert!(set(json!({})).found(&RULE).is_empty(), "not a singleton");
    }

    #[test]
    fn an_autoscaler_of_the_set_is_told_where_it_may_start_a_second_pod() {
        let target = json!({"kind": "StatefulSet", "name": "zk"});
        let metadata = json!({"name": "zk", "namespace": "default"});
        for (kind, spec, found) in [
            ("HorizontalPodAutoscaler", json!({"maxReplicas": 3, "scaleTargetRef": target}), true),
            ("HorizontalPodAutoscaler", json!({"maxReplicas": 1, "scaleTargetRef": target}), false),
            ("ScaledObject", json!({"scaleTargetRef": target}), true),
            ("ScaledObject", json!({"maxReplicaCount": 1, "scaleTargetRef": target}), false),
        ] {
            let scaler = json!({"kind": kind, "metadata": metadata, "spec": spec});
            let test = set(json!({"spec": {"replicas": 1}})).class(Class::Singleton).with(scaler);
            let told = test.found(&RULE).into_iter().map(|violation| violation.companion);
            assert_eq!(
                told.collect::<Vec<_>>(),
                if found { vec![Some(Companion::Unwanted)] } else { Vec::new() },
                "{kind} {spec}"
            );
        }
    }

    #[test]
    fn more_is_worse() {
        let weight = |n| set(json!({})).class(Class::Singleton).scaled_to(n).found(&RULE)[0].weight;
        assert!(weight(3) > weight(2));
    }
}
