//! `deployment-claim-rolling`

use super::edits::recreate;
use super::{FieldPlace, Params, Violations, WorkloadContext, enumerate};
use crate::model::{Claim, Object, OneMount};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A Deployment of one replica writes to a PersistentVolumeClaim that only one node (`ReadWriteOnce`) or one pod
    /// (`ReadWriteOncePod`) may mount, and its rolling update starts the new pod before it stops the old one. That is the default:
    /// of one replica, 25 % surge is one pod more and 25 % unavailable is none.
    ///
    /// Where the claim is in the same files, or in the cluster, its access modes are read; where it is not known, the finding is
    /// only recorded. So it is for other replica counts: `deployment-claim-shared` speaks of those.
    ///
    /// ## Why
    ///
    /// The old pod stays until the new one is ready. On another node the new pod cannot mount the claim while the old one has it:
    /// it waits in `ContainerCreating` with a `Multi-Attach error`, and the rollout never ends. On the same node both write the same
    /// files, or the second stops at the lock of the first. It works as long as the scheduler happens to choose the same node
    /// and the software shares its files, which is why it is found at a bad moment.
    ///
    /// ## How to fix
    ///
    /// `strategy: {type: Recreate}`: the old pod stops, then the new one starts. Or a StatefulSet, which also waits for the old
    /// pod where its node is lost.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: wiki}
    /// spec:
    ///   replicas: 1
    ///   selector: {matchLabels: {app: wiki}}
    ///   template:
    ///     metadata: {labels: {app: wiki}}
    ///     spec:
    ///       volumes: [{name: data, persistentVolumeClaim: {claimName: wiki}}]
    ///       containers: [{name: wiki, image: "example.com/wiki:2", volumeMounts: [{name: data, mountPath: /data}]}]
    /// ---
    /// apiVersion: v1
    /// kind: PersistentVolumeClaim
    /// metadata: {name: wiki}
    /// spec: {accessModes: [ReadWriteOnce]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: wiki}
    /// spec:
    ///   replicas: 1
    ///   strategy: {type: Recreate}
    ///   selector: {matchLabels: {app: wiki}}
    ///   template:
    ///     metadata: {labels: {app: wiki}}
    ///     spec:
    ///       volumes: [{name: data, persistentVolumeClaim: {claimName: wiki}}]
    ///       containers: [{name: wiki, image: "example.com/wiki:2", volumeMounts: [{name: data, mountPath: /data}]}]
    /// ---
    /// apiVersion: v1
    /// kind: PersistentVolumeClaim
    /// metadata: {name: wiki}
    /// spec: {accessModes: [ReadWriteOnce]}
    /// ```
    "deployment-claim-rolling": "a rolling update whose new pod cannot mount the claim of the old one",
    triggers: [Workload],
    reads: [Claim],
    check: Workload(check),
}

fn check(at: &WorkloadContext<'_>, _: &Params, out: &mut Violations) {
    // Zero replicas are judged like one.
    let Some(rollout) = at.workload.rollout(at.replicas.max(1)) else { return };
    if rollout.surge == 0 || rollout.unavailable >= at.replicas.max(1) {
        return;
    }
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for (_, _, source) in at.workload.template().spec.written_claims() {
        match at.claim(&source.claim_name) {
            Some(claim) => known.extend(claim.mounted_by_one().map(|mount| (claim, mount))),
            None => unknown.push(&*source.claim_name),
        }
    }
    if known.is_empty() && unknown.is_empty() {
        return;
    }
    let message = if known.is_empty() {
        format!(
            "a new version starts its pod before the old one stops: on another node it cannot mount {} meanwhile, if that is \
             ReadWriteOnce",
            named(&unknown)
        )
    } else {
        message(&known)
    };
    let remedy = "set spec.strategy.type to Recreate (and remove spec.strategy.rollingUpdate), so that the old pod stops first; or \
                  use a StatefulSet";
    let found =
        out.add(FieldPlace::in_set("/spec/strategy/type"), message, remedy).edits(recreate(at.workload));
    if known.is_empty() || at.replicas != 1 {
        found.at_most(Level::Audit);
    }
    for (claim, _) in known {
        found.related_to(FieldPlace::of(claim.reference(), "/spec/accessModes"));
    }
}

fn message(claims: &[(&Claim, OneMount)]) -> String {
    let names = named(&claims.iter().map(|(claim, _)| &*claim.metadata.name).collect::<Vec<_>>());
    let consequence = if claims.iter().any(|(_, mount)| *mount == OneMount::Pod) {
        "which one pod may use (ReadWriteOncePod): the new pod stays Pending, and the rollout never ends"
    } else {
        "which one node may mount (ReadWriteOnce): on another node the new pod waits for ever (Multi-Attach error), and on the \
         same node two versions write the same files"
    };
    format!("a new version starts its pod while the old one still has {names}, {consequence}")
}

fn named(claims: &[&str]) -> String {
    let plural = if claims.len() == 1 { "" } else { "s" };
    format!("PersistentVolumeClaim{plural} {}", enumerate(claims.iter().map(ToString::to_string)))
}
