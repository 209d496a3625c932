//! `quorum-scaled-to-zero`

use std::fmt::Write as _;

use super::{MemberCounts, Params, Place, Transition, Violations};

rule! {
    /// ## What it checks
    ///
    /// An update or a scale leaves a consensus group (class `quorum`) without members. Sets that share
    /// `stateward.dev/ensemble` are counted together: while others of them run, it is `quorum-scale-loses-majority` that
    /// may have something to say. A set that is created with none, or has none already, is only switched off.
    ///
    /// ## Why
    ///
    /// It ends every member: everything that depends on the group stops. It is right for maintenance and for a
    /// development cluster at night, and wrong as a slip of an autoscaler or of a values file. What the members keep in
    /// claims comes back with them; without `volumeClaimTemplates` their data usually does not.
    ///
    /// ## How to fix
    ///
    /// If it was not meant, keep the count. If it was, take a snapshot first, and start again with the count there was:
    /// what the members remember of each other still has that size.
    ///
    /// ## Fails
    ///
    /// The first document is the set as it is, the second as it will be.
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 3
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 0
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 0
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 3
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ```
    "quorum-scaled-to-zero": "all members are stopped",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let Some(MemberCounts { before: before @ 1.., after: 0, .. }) = step.members() else {
        return;
    };
    let (mut message, their) = match before {
        1 => ("the only member stops, and all that depends on it".to_owned(), "its"),
        _ => (format!("all {before} members stop, and all that depends on them"), "their"),
    };
    if step.after.set.spec.volume_claim_templates.is_empty() {
        let _ = write!(message, "; without volumeClaimTemplates {their} data may be gone");
    }
    let remedy = format!(
        "keep spec.replicas at {before}, unless it is to be switched off; then take a snapshot first"
    );
    out.add(Place::in_set("/spec/replicas"), message, remedy);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{RuleTest, set};
    use super::*;
    use crate::cluster::Kind;

    #[test]
    fn only_the_step_to_zero() {
        for (before, after, found) in [
            (3, 0, true),
            (1, 0, true),
            (0, 0, false),
            (3, 1, false),
            (0, 3, false),
            (-1, 0, false),
            (3, -1, false),
        ] {
            let old = set(json!({"spec": {"replicas": before}}));
            let new = old.clone().scaled_to(after);
            assert_eq!(!new.found_after(&RULE, Some(&old)).is_empty(), found, "{before} to {after}");
            assert!(new.found(&RULE).is_empty(), "a creation is no step");
        }
        let absent = set(json!({"spec": {"replicas": null}}));
        assert!(!absent.clone().scaled_to(0).found_after(&RULE, Some(&absent)).is_empty());
    }

    #[test]
    fn claims_bring_the_data_back() {
        let message = |patch| {
            let old = set(patch);
            old.clone().scaled_to(0).found_after(&RULE, Some(&old))[0].message.clone()
        };
        assert!(message(json!({})).contains("gone"));
        let claims = json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}});
        assert!(!message(claims).contains("gone"));
    }

    #[test]
    fn members_elsewhere_go_on() {
        let ensemble = json!({"metadata": {"annotations": {"stateward.dev/ensemble": "zk"}}});
        let mut other = super::super::testing::set_json(ensemble.clone());
        other["metadata"]["name"] = json!("zk-b");
        let alone = set(ensemble);
        let found = |scene: RuleTest| scene.clone().scaled_to(0).found_after(&RULE, Some(&scene)).len();
        assert_eq!(found(alone.clone()), 1);
        assert_eq!(found(alone.clone().unknown(Kind::StatefulSet)), 0);
        assert_eq!(found(alone.clone().with(other.clone())), 0);
        other["spec"]["replicas"] = json!(0);
        assert_eq!(found(alone.with(other)), 1);
    }
}
