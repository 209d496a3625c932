//! `quorum-scale-step`

use super::edits;
use super::members::claims_of_new_members;
use super::{CountEvidence, FieldPlace, MemberCounts, Params, Transition, Violations};
use crate::model::quorum::majority;
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// An update or a scale grows a consensus group (class `quorum`) so far that the members it has are no majority of
    /// those it will have: 3 to 6 or 7, 2 to 4. Sets that share `stateward.dev/ensemble` are counted together. To start
    /// from no members is no step, unless some have left their claims or their pods: through 0, or with the set deleted and created again, 0 to 7
    /// is a step from as many members as have a claim. On creation that is a warning.
    ///
    /// One member is a majority of nothing larger, so the smallest steps are let pass: 1 to 2, and 1 to 3 where pods
    /// start one after the other (`podManagementPolicy: OrderedReady`, the default), because the third then starts only
    /// when the second has joined the first. From 3 on there always is a safe step, whatever the policy: members may
    /// read the final count when they start, and the old ones restart to learn of it. Software that votes without keeping anything
    /// (Redis Sentinel) is let be.
    ///
    /// ## Why
    ///
    /// New members are empty. If they alone are a majority, they can elect a leader among themselves, and the members
    /// that have the data then join an empty group. If they are just too many to do without, nothing can be written
    /// until enough of them have copied all data.
    ///
    /// ## How to fix
    ///
    /// Grow in steps that keep the members with data in the majority (1, 3, 5, 7), and let the new ones join and catch
    /// up before the next. A set with `podManagementPolicy: Parallel` goes from 1 to 2 first; the policy cannot be
    /// changed later.
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
    ///   replicas: 7
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
    ///   replicas: 5
    ///   serviceName: etcd
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec: {containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]}
    /// ```
    "quorum-scale-step": "growing so far that those with data are outvoted",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let Some(MemberCounts { before, after, evidence }) = step.members() else {
        return;
    };
    let parallel = &*step.after.set.spec.pod_management_policy == "Parallel";
    let smallest_step = if parallel { 2 } else { 3 };
    let needed = majority(after);
    if before <= 0 || before >= needed || after <= smallest_step || step.after.keeps_no_data() {
        return;
    }
    // Claims of removed members are not empty: `quorum-claims-left` speaks of those.
    let with_claims = i32::try_from(claims_of_new_members(step).len()).unwrap_or(i32::MAX);
    if before.saturating_add(with_claims) >= needed {
        return;
    }
    // The largest group in which those with data are a majority.
    let farthest = before.saturating_mul(2).saturating_sub(1).max(smallest_step);
    let consequence = if after - before >= needed {
        "the new members can elect a leader without them"
    } else {
        "nothing can be written until new members have caught up"
    };
    let seen = match evidence {
        CountEvidence::Replicas => "",
        CountEvidence::Pods => " (by the pods that are still there)",
        CountEvidence::Claims => " (by the claims that were left)",
    };
    let message = format!(
        "{needed} of {after} members must agree, and only {before} would have the data{seen}: {consequence}"
    );
    let replicas = step.after.replicas.saturating_sub(after - farthest);
    let mut remedy =
        format!("set spec.replicas to {replicas} first, and let the new members join before going on");
    if farthest % 2 == 0 {
        remedy.push_str(" (that step needs an exemption from quorum-even)");
    }
    let edit = (farthest % 2 != 0).then(|| edits::members(step.after, replicas)).flatten();
    let violation = out.add(FieldPlace::in_set("/spec/replicas"), message, remedy).edits(edit);
    if step.before.is_none() {
        // A set that is created may be a second attempt, whose members have no data yet.
        violation.at_most(Level::Warn);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{set, set_json};
    use super::*;

    #[test]
    fn those_with_data_must_stay_the_majority() {
        for (before, after, ordered, parallel) in [
            (0, 3, false, false),
            (0, 7, false, false),
            (1, 2, false, false),
            (1, 3, false, true),
            (1, 4, true, true),
            (1, 5, true, true),
            (2, 3, false, false),
            (2, 4, true, true),
            (3, 5, false, false),
            (3, 6, true, true),
            (3, 7, true, true),
            (5, 9, false, false),
            (5, 3, false, false),
            (3, 0, false, false),
            (1, i32::MAX, true, true),
            (i32::MAX - 1, i32::MAX, false, false),
            (i32::MIN, 3, false, false),
        ] {
            for (policy, found) in [("OrderedReady", ordered), ("Parallel", parallel)] {
                let old = set(json!({"spec": {"replicas": before, "podManagementPolicy": policy}}));
                let new = old.clone().scaled_to(after);
                assert_eq!(
                    !new.found_after(&RULE, Some(&old)).is_empty(),
                    found,
                    "{before} to {after} {policy}"
                );
                assert!(new.found(&RULE).is_empty(), "a creation is no step");
            }
        }
    }

    #[test]
    fn the_remedy_is_the_farthest_safe_step() {
        let says = |before: i32, after: i32, policy: &str| {
            let old = set(json!({"spec": {"replicas": before, "podManagementPolicy": policy}}));
            let found = old.clone().scaled_to(after).found_after(&RULE, Some(&old));
            format!("{} -> {}", found[0].message, found[0].remedy)
        };
        assert!(says(3, 7, "").contains("can elect a leader without them -> set spec.replicas to 5 first"));
        assert!(says(3, 6, "").contains("caught up -> set spec.replicas to 5 first"));
        assert!(says(1, 5, "").contains("set spec.replicas to 3 first"));
        assert!(says(1, 3, "Parallel").contains("set spec.replicas to 2 first"));
        assert!(says(1, 3, "Parallel").contains("quorum-even"));
    }

    #[test]
    fn an_ensemble_counts_as_one() {
        let other = |replicas: i32| {
            set_json(json!({"metadata": {"name": "b", "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": replicas}}))
        };
        let old = set(
            json!({"metadata": {"annotations": {"stateward.dev/ensemble": "zk"}}, "spec": {"replicas": 1}}),
        );
        let found = |others, after| {
            let old = old.clone().with(other(others));
            old.clone().scaled_to(after).found_after(&RULE, Some(&old))
        };
        assert!(found(2, 3).is_empty(), "3 of 5");
        assert!(found(2, 5)[0].remedy.starts_with("set spec.replicas to 3 first"));
        assert!(!found(0, 5).is_empty());
        let unknown = old.clone().unknown(crate::cluster::Kind::StatefulSet);
        assert!(unknown.scaled_to(9).found_after(&RULE, Some(&old)).is_empty());
    }
}
