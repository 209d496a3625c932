//! `quorum-scaled-to-zero`

use std::fmt::Write as _;

use super::{FieldPlace, MemberCounts, Params, Transition, Violations};
use crate::model::quorum::majority;

rule! {
    /// ## What it checks
    ///
    /// An update or a scale leaves a consensus group (class `quorum`) without members. Sets that share
    /// `stateward.dev/ensemble` are counted together: that one of them goes to 0 is told where the members that stay are just a
    /// majority, so that none of them can be spared; where they are fewer, it is `quorum-scale-loses-majority` that speaks. A set
    /// that is created with none, or has none already, is only switched off.
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
    /// To stop one set of several for a while is how its member is maintained. Leave the others alone until it is back. If it is
    /// to go for good, remove its member from the group with the group's own tool first.
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
    "quorum-scaled-to-zero": "members are stopped by a scale to 0",
    classes: [Quorum],
    triggers: [Set, Scale],
    reads: [StatefulSet],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    match step.members() {
        Some(MemberCounts { before: before @ 1.., after: 0, .. }) => all_stop(step, before, out),
        Some(MemberCounts { before, after, .. })
            if step.after.replicas <= 0 && after < before && after == majority(before) =>
        {
            last_spare_stops(step, before, after, out);
        }
        _ => {}
    }
}

fn all_stop(step: &Transition<'_, '_>, before: i32, out: &mut Violations) {
    let (mut message, their) = match before {
        1 => ("the only member stops, and all that depends on it".to_owned(), "its"),
        _ => (format!("all {before} members stop, and all that depends on them"), "their"),
    };
    let keeps_no_data = step.after.keeps_no_data();
    if step.after.set.spec.volume_claim_templates.is_empty() && !keeps_no_data {
        let _ = write!(message, "; without volumeClaimTemplates {their} data may be gone");
    }
    let own = replicas_before(step).unwrap_or(before);
    let snapshot = if keeps_no_data { "" } else { "; then take a snapshot first" };
    let remedy = format!("keep spec.replicas at {own}, unless it is to be switched off{snapshot}");
    out.add(FieldPlace::in_set("/spec/replicas"), message, remedy).of_group();
}

/// One of several sets stops. To maintain it, that is right.
fn last_spare_stops(step: &Transition<'_, '_>, before: i32, after: i32, out: &mut Violations) {
    let (group, own) = (step.after.group_name(), replicas_before(step).unwrap_or(before - after));
    let (member, it) = if own == 1 { ("its member", "it is") } else { ("its members", "they are") };
    let message = format!(
        "{member} stop{}, and {after} of {before} members of {group} must agree: none of the {after} that stay can be spared",
        if own == 1 { "s" } else { "" }
    );
    let mut remedy = format!(
        "set spec.replicas to {own} again before another member stops; if {it} to go for good, remove {member} from the group with \
         the group's own tool first"
    );
    if after % 2 == 0 {
        let _ = write!(
            remedy,
            ", and add one elsewhere: {after} members survive no more failures than {} do",
            after - 1
        );
    }
    out.add(FieldPlace::in_set("/spec/replicas"), message, remedy).keyed("last spare");
}

/// The replica count of the set alone, where it had one.
fn replicas_before(step: &Transition<'_, '_>) -> Option<i32> {
    step.before.map(|before| before.replicas).filter(|replicas| *replicas > 0)
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

    #[test]
    fn one_of_several_sets_is_told_where_no_member_can_be_spared_any_more() {
        let of = |name: &str, replicas: i32| json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}}, "spec": {"replicas": replicas}});
        for (own, others, found) in [
            (1, &[1, 1][..], true),
            (2, &[3], true),
            (1, &[1, 1, 1], true),
            (1, &[1, 1, 1, 1], false),
            (1, &[1], false),
            (2, &[1], false),
            (0, &[1, 1], false),
            (i32::MAX, &[i32::MAX], false),
        ] {
            let others = others.iter().enumerate().map(|(n, replicas)| of(&format!("zk-{n}"), *replicas));
            let old = others.map(super::super::testing::set_json).fold(set(of("zk", own)), RuleTest::with);
            let stopped = old.clone().scaled_to(0);
            assert_eq!(!stopped.found_after(&RULE, Some(&old)).is_empty(), found, "{own}");
            assert!(stopped.found_after(&RULE, Some(&stopped)).is_empty(), "it was stopped before");
        }
    }
}
