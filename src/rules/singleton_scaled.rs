//! `singleton-scaled`

use super::{FieldEdit, Params, Place, SetContext, Violations};

rule! {
    /// ## What it checks
    ///
    /// A StatefulSet of class `singleton` has more than one replica, by its manifest or by `kubectl scale`.
    ///
    /// ## Why
    ///
    /// The class says that at most one instance may ever run: two of them write to one store, hold one licence or
    /// answer under one identity. A StatefulSet keeps that promise only as long as it has one replica.
    ///
    /// ## How to fix
    ///
    /// Set `spec.replicas` to 1. If the software does tolerate several instances, say so with `stateward.dev/class:
    /// replicated` or `quorum`.
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
    "singleton-scaled": "more than one instance of what may run once",
    classes: [Singleton],
    triggers: [Set, Scale],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    if at.replicas <= 1 {
        return;
    }
    let message = format!("{} instances would run side by side, and at most one may ever run", at.replicas);
    out.add(Place::in_set("/spec/replicas"), message, "set spec.replicas to 1")
        .edit(FieldEdit::replicas(1))
        .weighing(at.replicas);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn more_is_worse() {
        let weight = |n| set(json!({})).class(Class::Singleton).scaled_to(n).found(&RULE)[0].weight;
        assert!(weight(3) > weight(2));
    }
}
