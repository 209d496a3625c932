//! `deployment-claim-shared`

use super::edits::recreate;
use super::{FieldEdit, FieldPlace, Params, Violations, WorkloadContext};
use crate::model::{Autoscaler, Claim, Object, ObjectRef, OneMount};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A Deployment, or a ReplicaSet that no Deployment has made, has two or more replicas that write to one PersistentVolumeClaim
    /// which only one node (`ReadWriteOnce`) or one pod (`ReadWriteOncePod`) may mount. It is judged when the object is created or
    /// edited, and when it is scaled from one pod to more. An autoscaler (HorizontalPodAutoscaler, ScaledObject) that may start a
    /// second pod of it is a warning.
    ///
    /// Claims that several nodes may mount (`ReadWriteMany`, `ReadOnlyMany`) and read-only mounts are let be, and so are ephemeral
    /// volumes, of which each pod has its own. Where the claim is in the same files, or in the cluster, its access modes are read;
    /// where it is not known, the finding is only recorded.
    ///
    /// ## Why
    ///
    /// All pods of a Deployment get the same claim. A pod on another node than the first waits in `ContainerCreating` with a
    /// `Multi-Attach error` for ever. On the same node both write the same files, which databases do not survive.
    ///
    /// ## How to fix
    ///
    /// One replica, with the strategy `Recreate`; or a `ReadWriteMany` claim, if the software can share its files; or a
    /// StatefulSet, which makes a claim for each pod.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: wiki}
    /// spec:
    ///   replicas: 2
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
    ///   replicas: 2
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
    /// spec: {accessModes: [ReadWriteMany]}
    /// ```
    "deployment-claim-shared": "replicas of a Deployment share a claim that only one node or pod can mount",
    triggers: [Workload, WorkloadScale],
    reads: [Claim, Autoscaler, ScaledObject],
    check: Workload(check),
}

fn check(at: &WorkloadContext<'_>, _: &Params, out: &mut Violations) {
    let pods = PodCount::of(at);
    if pods.most <= 1 {
        return;
    }
    let spec = &at.workload.template().spec;
    for (index, volume, source) in spec.written_claims() {
        let claim = at.claim(&source.claim_name);
        let mount = claim.map(Claim::mounted_by_one);
        // On several nodes, or the access mode is not written.
        if mount == Some(None) {
            continue;
        }
        let has_folders = spec.has_folders_per_pod(&volume.name);
        let consequence = match mount.flatten() {
            Some(OneMount::Pod) => "ReadWriteOncePod lets one pod use it, so the others stay Pending",
            Some(OneMount::Node) if has_folders => {
                "it is ReadWriteOnce, so pods on another node than the first wait for ever (Multi-Attach error)"
            }
            Some(OneMount::Node) => {
                "it is ReadWriteOnce, so pods on another node than the first wait for ever (Multi-Attach error), and pods on one \
                 node write the same files"
            }
            None => "if it is ReadWriteOnce, only pods on one node can start, and they write the same files",
        };
        let message =
            format!("{} the one PersistentVolumeClaim {}: {consequence}", pods.mount(at), source.claim_name);
        let path = format!("/spec/template/spec/volumes/{index}/persistentVolumeClaim/claimName");
        let found =
            out.add(FieldPlace::in_set(path), message, remedy(at, pods.scaler)).keyed(&*source.claim_name);
        if let Some(scaler) = pods.scaler {
            // It is not known whether it ever will.
            found.related_to(FieldPlace::of(scaler.reference(), "/spec/scaleTargetRef")).at_most(Level::Warn);
        } else {
            found.edit(FieldEdit::replicas(1)).edits(recreate(at.workload));
        }
        match claim {
            Some(claim) => {
                found.related_to(FieldPlace::of(claim.reference(), "/spec/accessModes"));
                found.at_most(if has_folders { Level::Warn } else { Level::Deny });
            }
            None => {
                found.at_most(Level::Audit);
            }
        }
    }
}

/// How many pods there may be.
struct PodCount<'a> {
    most: i32,
    /// The object that may start so many pods, where there is only one so far.
    scaler: Option<&'a Autoscaler>,
}

impl<'a> PodCount<'a> {
    fn of(at: &WorkloadContext<'a>) -> Self {
        // Without replicas an autoscaler is off.
        let scalers = if at.replicas == 1 { at.autoscalers() } else { Vec::new() };
        let scaler = scalers.into_iter().find(|scaler| scaler.max_replicas() > 1);
        Self { most: scaler.map_or(at.replicas, Autoscaler::max_replicas), scaler }
    }

    fn mount(&self, at: &WorkloadContext<'_>) -> String {
        let (most, called) = (self.most, at.called());
        match self.scaler.map(Object::reference) {
            Some(ObjectRef { kind, name, .. }) => {
                format!("{kind} {name} may start up to {most} pods of {called}, which mount")
            }
            None => format!("{most} pods of {called} mount"),
        }
    }
}

fn remedy(at: &WorkloadContext<'_>, scaler: Option<&Autoscaler>) -> String {
    let strategy = if at.workload.rollout(1).is_some() { " and spec.strategy.type to Recreate" } else { "" };
    let fewer = match scaler.map(Object::reference) {
        Some(ObjectRef { kind, name, .. }) => format!("delete {kind} {name}"),
        None => format!("set spec.replicas to 1{strategy}"),
    };
    format!(
        "{fewer}; or use a ReadWriteMany claim, if the software can share its files, or a StatefulSet \
         with a volumeClaimTemplate, which makes a claim for each pod"
    )
}
