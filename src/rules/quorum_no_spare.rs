//! `quorum-no-spare`

use super::budgets::enumerate;
use super::members::match_list;
use super::{Changed, FieldPlace, Param, ParamKind, Params, SetContext, Transition, Violations};
use crate::change::PodRemoval;
use crate::cluster::Lookup;
use crate::model::quorum::majority;
use crate::model::{Object, Pod, StatefulSet};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A ready pod of a consensus group (class `quorum`) is deleted or evicted, or the group is scaled down, or gets other ordinals,
    /// while so many other members are not ready that fewer than a majority would be left. Members are counted over all StatefulSets
    /// of the group, by the pods themselves, which are read for the review; where they cannot be read, by the `status` of the sets.
    /// Of two that go in the same moment, one replica of Stateward lets the first go; two replicas do not know of each other. A pod
    /// that is not ready, or is being deleted already, may always go: no member is lost with it. With all members ready, and in a
    /// group of one, nothing is found. Kubelets and the system's own controllers are not asked.
    ///
    /// Also told, and never more than a warning: the pod template changes, or the partition of the rolling update is lowered, while
    /// a member is not ready, pods are managed in `Parallel`, and the last pod, or the last that the partition held back, is ready.
    /// A rolling update deletes that one first, whatever the others are.
    ///
    /// In strict it denies. With the parameter `onlyGroupEvictions`, as in baseline, it denies other ordinals and evictions of a group
    /// over several StatefulSets only, because no PodDisruptionBudget counts them together, and warns otherwise. A dry run is only warned. Where
    /// the majority is lost already, a deletion or a scale may be the repair: then it only warns, but an eviction still waits.
    ///
    /// `kubectl delete all -l app=NAME` deletes the pods before their StatefulSet: those that are denied are only error messages of the
    /// command, because the pods go when it then deletes the set.
    ///
    /// ## Why
    ///
    /// A group of 3 serves with 2. While one member restarts or catches up, the other two are the majority: the next pod that
    /// goes stops every write until one of the two is back.
    ///
    /// ## How to fix
    ///
    /// Wait until the members that are named are ready. An eviction that is refused is answered as a PodDisruptionBudget answers
    /// it, with status 429, so that `kubectl drain` waits and tries again by itself.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// case:
    ///   evict: {name: zk-0}
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
    /// status: {replicas: 3, readyReplicas: 2}
    /// ---
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: zk-0, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: zk, controller: true}]}
    /// spec: {nodeName: node-1}
    /// status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// case:
    ///   evict: {name: zk-0}
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
    /// status: {replicas: 3, readyReplicas: 3}
    /// ---
    /// apiVersion: v1
    /// kind: Pod
    /// metadata: {name: zk-0, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: zk, controller: true}]}
    /// spec: {nodeName: node-1}
    /// status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
    /// ```
    "quorum-no-spare": "a member goes while too few others are ready",
    classes: [Quorum],
    triggers: [Set, Scale, PodDeletion, Eviction],
    reads: [StatefulSet],
    passes_with_time: true,
    params: [ONLY_GROUP_EVICTIONS],
    check: Step(check),
}

const ONLY_GROUP_EVICTIONS: Param = Param {
    name: "onlyGroupEvictions",
    docs: "whether it is never more than a warning but for the eviction of a pod whose group is spread over several StatefulSets",
    kind: ParamKind::Switch,
};

/// Members whose pods are looked up one by one.
pub(super) const MOST_MEMBERS: i64 = 32;

fn check(step: &Transition<'_, '_>, params: &Params, out: &mut Violations) {
    match step.after.changed {
        Changed::Pod(removal) => check_removal(step.after, removal, params, out),
        Changed::Set => {
            check_scale(step, params, out);
            check_ordinals(step, out);
            check_rollout(step, out);
        }
        _ => {}
    }
}

fn check_removal(at: &SetContext<'_>, removal: PodRemoval<'_>, params: &Params, out: &mut Violations) {
    let (pod, name) = (removal.pod, &removal.pod.metadata.name);
    let is_member = at.set.ordinal_of_pod(name, at.class.voters_among(at.replicas)).is_some();
    let Some(members) = at.voters().filter(|_| is_member && pod.is_serving()) else { return };
    let Some(others) = MemberReadiness::of(at, Some(name)) else { return };
    let (ready, needed) = (others.ready.saturating_add(1), majority(members));
    if ready >= members || others.ready >= needed {
        return;
    }
    let (group, has_majority) = (at.group_name(), ready >= needed);
    let message = if has_majority {
        format!(
            "{ready} of the {members} members of {group} are ready and {needed} must be: without {name} the group stops"
        )
    } else {
        format!(
            "{ready} of the {members} members of {group} are ready, fewer than a majority: without {name} one more is missing"
        )
    };
    let again = if removal.is_eviction { "; kubectl drain tries again by itself" } else { "" };
    let remedy = match at.absent_voters() {
        Some(absent) if at.replicas <= needed => match_list(at, absent),
        _ => format!("wait until {} ready{again}", others.awaited(&group)),
    };
    let violation = out.add(FieldPlace::of(pod.reference(), ""), message, remedy);
    violation.related_to(FieldPlace::in_set("/status/readyReplicas"));
    let denies = if params.switch(&ONLY_GROUP_EVICTIONS) {
        removal.is_eviction && at.sets_with_members().len() > 1
    } else {
        removal.is_eviction || has_majority
    };
    if at.dry_run || !denies {
        violation.at_most(Level::Warn);
    }
}

fn check_scale(step: &Transition<'_, '_>, params: &Params, out: &mut Violations) {
    let (Some(before), Some(members)) = (step.before, step.members()) else { return };
    let (old, new) = (members.before, members.after);
    let needed = majority(old);
    // Where fewer than a majority stay, ready or not, another rule says so.
    if new >= old || new < needed {
        return;
    }
    let (Some(all), Some(staying)) =
        (MemberReadiness::of(before, None), MemberReadiness::of(step.after, None))
    else {
        return;
    };
    if staying.ready >= needed {
        return;
    }
    let group = step.after.group_name();
    let message = format!(
        "{} of the {new} members of {group} that stay are ready, and {needed} of the {old} must agree to let the others go",
        staying.ready
    );
    let remedy = format!(
        "wait until {} ready, then set spec.replicas to {}",
        staying.awaited(&group),
        step.after.replicas
    );
    let violation = out.add(FieldPlace::in_set("/spec/replicas"), message, remedy);
    if all.ready < needed || step.after.dry_run || params.switch(&ONLY_GROUP_EVICTIONS) {
        violation.at_most(Level::Warn);
    }
}

/// Other ordinals end members as a smaller count does, and their claims do not come back with a larger one.
fn check_ordinals(step: &Transition<'_, '_>, out: &mut Violations) {
    let (Some(before), at) = (step.before, step.after) else { return };
    let (old, new) = (before.set.ordinals(before.replicas), at.set.ordinals(at.replicas));
    let (Some(was), Some(is)) = (before.members(), at.members()) else { return };
    if old.start == new.start || old.is_empty() || new.is_empty() || old.end - old.start > MOST_MEMBERS {
        return;
    }
    let mut going =
        old.filter(|ordinal| !new.contains(ordinal)).map(|ordinal| at.set.pod_name(ordinal)).peekable();
    let Some(first) = going.peek().cloned() else { return };
    let others = is.saturating_sub(at.replicas);
    let members = others.saturating_add(before.replicas);
    let needed = majority(members);
    let going: Vec<Lookup<&Pod>> = going.map(|name| at.view.pod(at.namespace(), &name)).collect();
    let staying = members.saturating_sub(i32::try_from(going.len()).unwrap_or(i32::MAX));
    // Where fewer than a majority stay, ready or not, another rule says so.
    let Some(all) = MemberReadiness::of(before, None).filter(|_| staying >= needed && was > 1) else {
        return;
    };
    let serving = going.iter().filter(|pod| matches!(pod, Lookup::Present(pod) if pod.is_serving()));
    let ready = all.ready.saturating_sub(i32::try_from(serving.count()).unwrap_or(i32::MAX));
    if ready >= needed || going.iter().any(|pod| matches!(pod, Lookup::Unknown)) {
        return;
    }
    let group = at.group_name();
    let message = format!(
        "{ready} of the {staying} members of {group} that keep their ordinals are ready, and {needed} of {members} must agree: without \
         {first} the group stops"
    );
    let remedy =
        format!("wait until {} ready, then set spec.ordinals.start to {}", all.awaited(&group), new.start);
    let violation = out.add(FieldPlace::in_set("/spec/ordinals/start"), message, remedy);
    if all.ready < needed || at.dry_run {
        violation.at_most(Level::Warn);
    }
}

/// The controller deletes the last pod first, and only waits for those behind the one it deletes.
fn check_rollout(step: &Transition<'_, '_>, out: &mut Violations) {
    let (Some(before), at) = (step.before, step.after) else { return };
    let Some(name) = first_replaced(before, at) else { return };
    let Lookup::Present(pod) = at.view.pod(at.namespace(), &name) else { return };
    let Some(members) = at.members().filter(|_| pod.is_serving()) else { return };
    let Some(others) = MemberReadiness::of(at, Some(&name)) else { return };
    let (ready, needed) = (others.ready.saturating_add(1), majority(members));
    if ready >= members || ready < needed || others.ready >= needed {
        return;
    }
    let group = at.group_name();
    let message = format!(
        "{ready} of the {members} members of {group} are ready and {needed} must be: the rollout deletes {name} first, and without \
         it the group stops"
    );
    let awaited = others.awaited(&group);
    if at.set.spec.template == before.set.spec.template {
        let remedy = format!("wait until {awaited} ready, then lower the partition");
        let place = FieldPlace::in_set("/spec/updateStrategy/rollingUpdate/partition");
        out.add(place, message, remedy).at_most(Level::Warn);
        return;
    }
    let remedy = format!(
        "wait until {awaited} ready, then change the template; if the change is the repair, set spec.updateStrategy.type to OnDelete \
         with it and delete the pod that is not ready"
    );
    out.add(FieldPlace::in_set("/spec/template"), message, remedy).at_most(Level::Warn);
}

/// The pod that a rolling update deletes before all others, where it starts or goes on now.
fn first_replaced(before: &SetContext<'_>, at: &SetContext<'_>) -> Option<String> {
    let is_same_count = before.replicas == at.replicas && i64::from(at.replicas) <= MOST_MEMBERS;
    let first = at.set.replaced_first(before.set, at.replicas).filter(|_| is_same_count)?;
    Some(at.set.pod_name(first))
}

/// How many members of a group are ready, and which are not, as far as their names are known.
#[derive(Debug, Default)]
struct MemberReadiness {
    ready: i32,
    waiting: Vec<String>,
}

impl MemberReadiness {
    /// Over all sets of the group, without one pod of the judged set; `None` where that is not known of every set.
    fn of(at: &SetContext<'_>, without: Option<&str>) -> Option<Self> {
        let mut all = Self::default();
        for (set, replicas) in at.group_sets()?.iter().filter(|(_, replicas)| *replicas > 0) {
            let without = without.filter(|_| std::ptr::eq(*set, at.set));
            let of_set = Self::by_pods(at, set, *replicas, without)
                .or_else(|| Self::by_status(set, *replicas, without))?;
            all.ready = all.ready.saturating_add(of_set.ready);
            all.waiting.extend(of_set.waiting);
        }
        Some(all)
    }

    fn by_pods(at: &SetContext<'_>, set: &StatefulSet, replicas: i32, without: Option<&str>) -> Option<Self> {
        if i64::from(replicas) > MOST_MEMBERS {
            return None;
        }
        let mut found = Self::default();
        for name in set.ordinals(replicas).map(|ordinal| set.pod_name(ordinal)) {
            match at.view.pod(at.namespace(), &name) {
                _ if without == Some(&*name) => {}
                Lookup::Unknown => return None,
                Lookup::Present(pod) if pod.is_serving() => found.ready += 1,
                Lookup::Present(_) | Lookup::Absent => found.waiting.push(name),
            }
        }
        Some(found)
    }

    /// If there are fewer replicas than pods, the ready ones may be those that stay.
    fn by_status(set: &StatefulSet, replicas: i32, without: Option<&str>) -> Option<Self> {
        let (_, ready) = set.observed()?;
        let ready = ready.min(replicas).saturating_sub(i32::from(without.is_some())).max(0);
        Some(Self { ready, waiting: Vec::new() })
    }

    /// The members to wait for, before `ready`.
    fn awaited(&self, group: &str) -> String {
        match &self.waiting[..] {
            [] => format!("the other members of {group} are"),
            [one] => format!("{one} is"),
            several => format!("{} are", enumerate(several.iter().cloned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{RuleTest, set};
    use super::*;
    use crate::model::Pod;

    fn pod(name: &str, ready: bool) -> Value {
        let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "zk", "controller": true});
        json!({"kind": "Pod", "metadata": {"name": name, "namespace": "default", "ownerReferences": [owner]},
            "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}})
    }

    fn of(replicas: i32, ready: Option<i32>) -> RuleTest {
        set(json!({"spec": {"replicas": replicas}, "status": {"replicas": replicas, "readyReplicas": ready}}))
    }

    fn said(test: &RuleTest, name: &str, is_eviction: bool) -> Option<(Level, String)> {
        let pod: Pod = serde_json::from_value(pod(name, true)).unwrap();
        let removal = PodRemoval { pod: &pod, grace_period: None, is_eviction };
        let found = test.found_removing(&RULE, removal).pop()?;
        Some((found.at_most, format!("{}; {}", found.message, found.remedy)))
    }

    #[test]
    fn the_status_of_the_set_decides_where_no_pods_are_known() {
        for (replicas, ready, found) in [
            (3, Some(3), None),
            (3, Some(2), Some(Level::Deny)),
            (3, Some(1), Some(Level::Warn)),
            (5, Some(4), None),
            (5, Some(3), Some(Level::Deny)),
            (1, Some(1), None),
            (2, Some(2), None),
            (2, Some(1), Some(Level::Warn)),
            (i32::MAX, Some(1), Some(Level::Warn)),
            (-3, Some(1), None),
        ] {
            let level = said(&of(replicas, ready), "zk-0", false).map(|(level, _)| level);
            assert_eq!(level, found, "{ready:?} of {replicas}");
        }
        let unknown = set(json!({"spec": {"replicas": 3}}));
        assert_eq!(said(&unknown, "zk-0", true), None, "nothing is known of the others");
        assert_eq!(said(&of(3, Some(2)), "zk-3", true), None, "it is on its way out");
    }

    #[test]
    fn an_eviction_waits_also_where_the_majority_is_lost() {
        assert_eq!(said(&of(3, Some(1)), "zk-0", true).unwrap().0, Level::Deny);
        assert_eq!(said(&of(3, Some(2)).dry_run(), "zk-0", true).unwrap().0, Level::Warn);
        let only = json!({"onlyGroupEvictions": true});
        let params = Params::read(only.as_object().unwrap(), RULE.params).unwrap();
        assert_eq!(said(&of(3, Some(2)).params(params), "zk-0", true).unwrap().0, Level::Warn);
    }

    #[test]
    fn pods_say_more_than_the_status() {
        let known = |ready: bool| {
            of(3, Some(3)).with(pod("zk-0", true)).with(pod("zk-1", true)).with(pod("zk-2", ready))
        };
        assert_eq!(said(&known(true), "zk-0", true), None);
        let (level, text) = said(&known(false), "zk-0", true).unwrap();
        assert_eq!(level, Level::Deny);
        assert!(
            text.contains("2 of the 3 members of StatefulSet zk are ready")
                && text.contains("until zk-2 is ready"),
            "{text}"
        );
        // It is ready to its last second.
        let mut going = pod("zk-2", true);
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert!(said(&known(true).with(going), "zk-0", true).is_some());
    }

    #[test]
    fn a_rollout_begins_with_the_last_pod() {
        let of = |patch: Value, image: &str, waiting: &[usize]| {
            let containers = json!([{"name": "zk", "image": image}]);
            let mut spec =
                json!({"podManagementPolicy": "Parallel", "template": {"spec": {"containers": containers}}});
            for (field, value) in patch.as_object().unwrap() {
                spec[field] = value.clone();
            }
            let status = json!({"replicas": 3, "readyReplicas": 3 - waiting.len()});
            let test = set(json!({"spec": spec, "status": status}));
            (0..3).fold(test, |test, n| test.with(pod(&format!("zk-{n}"), !waiting.contains(&n))))
        };
        let partition = |number: i32| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": number}}});
        for (patch, image, waiting, found) in [
            (json!({}), "zookeeper:3.9.1", &[0][..], true),
            (json!({}), "zookeeper:3.9.1", &[1], true),
            (json!({}), "zookeeper:3.9.1", &[2], false),
            (json!({}), "zookeeper:3.9.1", &[], false),
            (json!({}), "zookeeper:3.9.1", &[0, 1], false),
            (json!({}), "zookeeper:3.9", &[0], false),
            (partition(2), "zookeeper:3.9.1", &[0], true),
            (partition(3), "zookeeper:3.9.1", &[0], false),
            (json!({"updateStrategy": {"type": "OnDelete"}}), "zookeeper:3.9.1", &[0], false),
            (json!({"podManagementPolicy": "OrderedReady"}), "zookeeper:3.9.1", &[0], false),
        ] {
            let old = of(patch.clone(), "zookeeper:3.9", waiting);
            let levels = of(patch.clone(), image, waiting).found_after(&RULE, Some(&old));
            let levels: Vec<Level> = levels.into_iter().map(|violation| violation.at_most).collect();
            assert_eq!(
                levels,
                if found { vec![Level::Warn] } else { Vec::new() },
                "{patch} {image} {waiting:?}"
            );
        }
        for (held, lowered, waiting, found) in [
            (3, 0, &[0][..], true),
            (3, 2, &[0], true),
            (2, 1, &[0], true),
            (2, 1, &[1], false),
            (1, 2, &[0], false),
            (4, 3, &[0], false),
            (3, 0, &[], false),
        ] {
            let (old, new) = (partition(held), partition(lowered));
            let old = of(old, "zookeeper:3.9", waiting);
            let found_now = of(new, "zookeeper:3.9", waiting).found_after(&RULE, Some(&old));
            assert_eq!(!found_now.is_empty(), found, "partition {held} to {lowered} without {waiting:?}");
        }
        let unknown = |image: &str| {
            set(json!({"spec": {"podManagementPolicy": "Parallel",
                "template": {"spec": {"containers": [{"name": "zk", "image": image}]}}},
                "status": {"replicas": 3, "readyReplicas": 2}}))
        };
        assert!(unknown("zookeeper:3.9.1").found_after(&RULE, Some(&unknown("zookeeper:3.9"))).is_empty());
    }

    #[test]
    fn other_ordinals_keep_a_ready_majority() {
        let of = |start: i32, waiting: &[usize]| {
            let ready = 3 - waiting.len();
            let test = set(json!({"spec": {"replicas": 3, "ordinals": {"start": start}},
                "status": {"replicas": 3, "readyReplicas": ready}}));
            (0..4).fold(test, |test, n| test.with(pod(&format!("zk-{n}"), !waiting.contains(&n))))
        };
        for (from, to, waiting, found) in [
            (0, 1, &[][..], None),
            (0, 1, &[0], None),
            (0, 1, &[2], Some(Level::Deny)),
            (1, 2, &[3], Some(Level::Deny)),
            (1, 0, &[1], Some(Level::Deny)),
            (1, 0, &[3], None),
            (0, 1, &[0, 2], Some(Level::Warn)),
            (0, 3, &[2], None),
            (0, 0, &[2], None),
        ] {
            let found_now = of(to, waiting).found_after(&RULE, Some(&of(from, waiting))).pop();
            assert_eq!(found_now.map(|found| found.at_most), found, "{from} to {to} without {waiting:?}");
        }
        let unknown = |start: i32| {
            set(json!({"spec": {"replicas": 3, "ordinals": {"start": start}},
                "status": {"replicas": 3, "readyReplicas": 2}}))
        };
        assert!(
            unknown(1).found_after(&RULE, Some(&unknown(0))).is_empty(),
            "the one that goes may be the one"
        );
    }

    #[test]
    fn a_scale_keeps_a_ready_majority() {
        let step = |old: RuleTest, new: i32| {
            old.clone().scaled_to(new).found_after(&RULE, Some(&old)).pop().map(|violation| violation.at_most)
        };
        let pods = |waiting: &[usize]| {
            (0..5).fold(of(5, Some(5)), |test, n| test.with(pod(&format!("zk-{n}"), !waiting.contains(&n))))
        };
        for (waiting, new, found) in [
            (&[][..], 3, None),
            (&[4], 3, None),
            (&[0], 3, Some(Level::Deny)),
            (&[0], 4, None),
            (&[0, 1], 4, Some(Level::Deny)),
            (&[0, 1, 2], 4, Some(Level::Warn)),
            (&[0], 0, None),
            (&[0], 1, None),
            (&[0], 7, None),
        ] {
            assert_eq!(step(pods(waiting), new), found, "without {waiting:?} to {new}");
        }
        // Which of the pods are ready is not known: those that stay may be.
        assert_eq!(step(of(5, Some(4)), 3), None);
        assert_eq!(step(of(5, Some(2)), 3), Some(Level::Warn));
        assert_eq!(step(set(json!({"spec": {"replicas": 5}})), 3), None);
    }
}
