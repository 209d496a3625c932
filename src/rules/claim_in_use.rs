//! `claim-in-use`

use super::{Changed, Params, Place, SetContext, Violations};
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
    let remedy = format!(
        "lower spec.replicas of StatefulSet {name} to {} first; if all of it is to go, delete StatefulSet {name} first; to have pod \
         {name}-{ordinal} start with an empty claim on purpose, exempt StatefulSet {name} from claim-in-use for that time",
        ordinal - i64::from(at.set.spec.ordinals.start)
    );
    out.add(Place::of(claim.reference(), ""), message, remedy).related_to(Place::in_set("/spec/replicas"));
}
