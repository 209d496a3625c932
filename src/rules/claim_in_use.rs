//! `claim-in-use`

use super::{Changed, FieldPlace, Params, SetContext, Violations};
use crate::model::quorum::majority;
use crate::model::{Class, Object};

rule! {
    /// ## What it checks
    ///
    /// A PersistentVolumeClaim is deleted that belongs to an ordinal that its StatefulSet still has.
    ///
    /// ## Why
    ///
    /// The claim stays in `Terminating` while its pod runs, and nothing shows it. The next time the pod is replaced, it waits for a
    /// claim that is gone, or starts with an empty one: the member has lost its data and its vote at a moment that was not chosen.
    ///
    /// ## How to fix
    ///
    /// To replace a member, remove it from the group with the software's own tool, delete the claim and at once the pod. To
    /// shrink the set, lower `spec.replicas` first; the claims of the removed ordinals are free then.
    ///
    /// To delete the whole application, delete the StatefulSet first. Where `kubectl delete -f` comes to a claim before its set, the
    /// claim is refused where this rule denies and all else goes; the same command once more deletes it. Of a Service or a budget only
    /// a warning is said then: they can be created again, and the mark on a claim cannot be taken back.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: PersistentVolumeClaim, name: data-zk-2}
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
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ---
    /// apiVersion: v1
    /// kind: PersistentVolumeClaim
    /// metadata: {name: data-zk-2}
    /// spec: {accessModes: [ReadWriteOnce]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: PersistentVolumeClaim, name: data-zk-2}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 1
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ---
    /// apiVersion: v1
    /// kind: PersistentVolumeClaim
    /// metadata: {name: data-zk-2}
    /// spec: {accessModes: [ReadWriteOnce]}
    /// ```
    "claim-in-use": "a claim is deleted while its pod still exists",
    triggers: [ClaimDeletion],
    reads: [StatefulSet],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let Changed::Claim(claim, ordinal) = at.changed else { return };
    if !at.set.ordinals(at.replicas).contains(&ordinal) {
        return;
    }
    let name = at.name();
    let lost = match at.class.class {
        Class::Quorum => "the member loses its data and its vote when the pod is replaced",
        Class::Singleton | Class::Replicated => "its data is gone when the pod is replaced",
    };
    let message =
        format!("pod {name}-{ordinal} uses it: it stays in Terminating while the pod runs, and {lost}");
    let shrunk = shrink(at, ordinal).map_or_else(String::new, |shrunk| format!("{shrunk}; "));
    let remedy = format!(
        "{shrunk}to have pod {name}-{ordinal} start with an empty claim on purpose, {}exempt StatefulSet {name} from claim-in-use \
         for that time; if all of it is to go, delete StatefulSet {name} first",
        match at.class.class {
            Class::Quorum => "remove its member with the group's own tool first and ",
            Class::Singleton | Class::Replicated => "",
        }
    );
    out.add(FieldPlace::of(claim.reference(), ""), message, remedy)
        .related_to(FieldPlace::in_set("/spec/replicas"));
}

/// The edit after which the set has no such ordinal, where some pods stay and no other rule refuses it: a consensus group keeps an odd
/// number of members, which are a majority of those there are.
fn shrink(at: &SetContext<'_>, ordinal: i64) -> Option<String> {
    let fewer = i32::try_from(ordinal - i64::from(at.set.spec.ordinals.start)).ok()?;
    let name = at.name();
    if at.class.class != Class::Quorum {
        return (fewer > 0)
            .then(|| format!("to shrink it, lower spec.replicas of StatefulSet {name} to {fewer} first"));
    }
    let members = at.members()?;
    let left = members.checked_sub(at.replicas)?.checked_add(fewer)?;
    let odd = if left % 2 == 0 { left - 1 } else { left };
    let replicas = fewer - (left - odd);
    (replicas > 0 && odd >= majority(members)).then(|| {
        format!(
            "to shrink the group, remove the members that leave with the group's own tool, and set spec.replicas of StatefulSet {name} \
             to {replicas} first"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::testing::{set, set_json};

    fn shrunk(class: Class, replicas: i32, ordinal: i64) -> Option<i32> {
        let scene = set(json!({"spec": {"ordinals": {"start": 1}}})).class(class).scaled_to(replicas);
        let said = scene.with_context(|at| shrink(at, ordinal + 1))?;
        said.split(" to ").last()?.split(' ').next()?.parse().ok()
    }

    #[test]
    fn the_count_to_shrink_to_is_one_that_is_allowed() {
        for (replicas, ordinal, expected) in [
            (5, 4, Some(3)),
            (5, 3, Some(3)),
            (5, 2, None),
            (5, 0, None),
            (3, 2, None),
            (4, 3, Some(3)),
            (7, 6, Some(5)),
            (7, 5, Some(5)),
            (7, 4, None),
            (1, 0, None),
        ] {
            assert_eq!(shrunk(Class::Quorum, replicas, ordinal), expected, "{replicas} {ordinal}");
        }
        assert_eq!(shrunk(Class::Replicated, 3, 2), Some(2));
        assert_eq!(shrunk(Class::Replicated, 3, 0), None, "to stop it is no remedy");
    }

    #[test]
    fn members_in_other_sets_count() {
        let member = |name: &str, replicas: i32| {
            json!({"metadata": {"name": name, "annotations": {"stateward.dev/ensemble": "zk"}},
                "spec": {"replicas": replicas}})
        };
        let group = set(member("a", 3)).with(set_json(member("b", 2)));
        let said = group.with_context(|at| shrink(at, 2)).unwrap();
        assert!(said.ends_with("to 1 first"), "three of five stay: {said}");
    }
}
