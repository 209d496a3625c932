//! `quorum-claims-left`

use super::members::claims_of_new_members;
use super::{FieldPlace, MemberCounts, Params, Transition, Violations, enumerate};
use crate::cluster::Kind;
use crate::model::quorum::majority;

rule! {
    /// ## What it checks
    ///
    /// A consensus group (class `quorum`) grows, and some of the new pods have a claim already: members of these ordinals were removed
    /// before. In a cluster the claims are read when the group grows; only those of the first claim template.
    ///
    /// ## Why
    ///
    /// The controller keeps the claims of pods that it removes and gives them to the next pods of the same ordinals. These start
    /// with the data of a member that the group has removed: etcd refuses to start with it, and other software counts votes of a
    /// membership that is over.
    ///
    /// ## How to fix
    ///
    /// Delete the claims before the group grows, if their members were removed from it. Where they were only stopped and the group
    /// still counts them, it is right that they come back with their data.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// case:
    ///   scale: {name: etcd, from: 3, to: 5}
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
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ---
    /// apiVersion: v1
    /// kind: PersistentVolumeClaim
    /// metadata: {name: data-etcd-3}
    /// spec: {accessModes: [ReadWriteOnce]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// case:
    ///   scale: {name: etcd, from: 3, to: 5}
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
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ---
    /// apiVersion: v1
    /// kind: PersistentVolumeClaim
    /// metadata: {name: data-etcd-2}
    /// spec: {accessModes: [ReadWriteOnce]}
    /// ```
    "quorum-claims-left": "new members start with the data of members that were removed",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [Claim],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let left = claims_of_new_members(step);
    let Some(first) = left.first() else { return };
    let names = enumerate(left.iter().map(|claim| claim.metadata.name.to_string()));
    let (plural, verb) = if left.len() == 1 { ("", "is") } else { ("s", "are") };
    let message = format!(
        "PersistentVolumeClaim{plural} {names} {verb} left from members that were removed: the new pods start with their old data"
    );
    let mut remedy = format!("delete {names} first, if these members were removed from the group");
    let is_too_far = |members: MemberCounts| members.before < majority(members.after);
    if step.members().is_some_and(is_too_far) {
        remedy.push_str(", and then grow in steps that keep those with data in the majority");
    }
    let found = out.add(FieldPlace::in_set("/spec/replicas"), message, remedy);
    let claim = Kind::Claim.reference(step.after.namespace(), &first.metadata.name);
    found.related_to(FieldPlace::of(claim, ""));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{RuleTest, set};
    use super::*;

    fn with(claims: &[i64]) -> RuleTest {
        let scene = set(json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}));
        let claim = |n: &i64| -> Value {
            json!({"kind": "PersistentVolumeClaim", "metadata": {"name": format!("data-zk-{n}"), "namespace": "default"}})
        };
        claims.iter().map(claim).fold(scene, RuleTest::with)
    }

    #[test]
    fn claims_of_new_ordinals_are_named() {
        for (claims, old, new, found) in [
            (&[3_i64][..], 3, 5, true),
            (&[4], 3, 5, true),
            (&[0, 1, 2], 3, 5, false),
            (&[5], 3, 5, false),
            (&[3, 4], 5, 3, false),
            (&[0, 1, 2], 0, 3, false),
            (&[3], 3, i32::MAX, true),
        ] {
            let scene = with(claims);
            let violations =
                scene.clone().scaled_to(new).found_after(&RULE, Some(&scene.clone().scaled_to(old)));
            assert_eq!(!violations.is_empty(), found, "{claims:?}: {old} to {new}");
        }
        assert!(with(&[0, 1, 2, 3]).found(&RULE).is_empty(), "a creation is no growth");
    }
}
