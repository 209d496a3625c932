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
    /// edited, and when it is scaled from one pod to more. The minimum of an autoscaler (HorizontalPodAutoscaler, ScaledObject)
    /// counts as replicas. One that only may start a second pod is a warning.
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
    if !pods.are_several() {
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
        let found = out.add(FieldPlace::in_set(path), message, pods.remedy(at)).keyed(&*source.claim_name);
        if let Some(scaler) = pods.scaler {
            found.related_to(FieldPlace::of(scaler.reference(), "/spec/scaleTargetRef"));
        } else {
            found.edit(FieldEdit::replicas(1)).edits(recreate(at.workload));
        }
        if !pods.are_certain() {
            found.at_most(Level::Warn);
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
    replicas: i32,
    /// The autoscaler that may start more than one pod.
    scaler: Option<&'a Autoscaler>,
}

impl<'a> PodCount<'a> {
    fn of(at: &WorkloadContext<'a>) -> Self {
        // Without replicas an autoscaler is off.
        let scalers = if at.replicas > 0 { at.autoscalers() } else { Vec::new() };
        let several = scalers.into_iter().filter(|scaler| scaler.max_replicas() > 1);
        // Of equals the last one: a ScaledObject comes after the HorizontalPodAutoscaler that KEDA makes of it.
        Self { replicas: at.replicas, scaler: several.max_by_key(|scaler| scaler.min_replicas()) }
    }

    /// More than one pod at some time.
    fn are_several(&self) -> bool {
        self.replicas > 1 || self.scaler.is_some()
    }

    /// Whether several pods will run, and not only may.
    fn are_certain(&self) -> bool {
        let is_kept = |scaler: &Autoscaler| {
            scaler.min_replicas() > 1 && scaler.idle_replicas().is_none_or(|idle| idle > 1)
        };
        self.replicas > 1 || self.scaler.is_some_and(is_kept)
    }

    fn mount(&self, at: &WorkloadContext<'_>) -> String {
        let (replicas, called) = (self.replicas, at.called());
        let Some(scaler) = self.scaler.filter(|scaler| replicas < scaler.min_replicas().max(2)) else {
            return format!("{replicas} pods of {called} mount");
        };
        let ObjectRef { kind, name, .. } = scaler.reference();
        let (least, most) = (scaler.min_replicas(), scaler.max_replicas());
        if least > 1 {
            let unless = scaler.unless_idle();
            format!("{kind} {name} keeps at least {least} pods of {called}{unless}, which mount")
        } else {
            format!("{kind} {name} may start up to {most} pods of {called}, which mount")
        }
    }

    fn remedy(&self, at: &WorkloadContext<'_>) -> String {
        let strategy =
            if at.workload.rollout(1).is_some() { " and spec.strategy.type to Recreate" } else { "" };
        let delete = self.scaler.map(|scaler| format!("delete {}", scaler.to_delete()));
        let scale = (self.replicas > 1).then(|| format!("set spec.replicas to 1{strategy}"));
        let fewer: Vec<String> = delete.into_iter().chain(scale).collect();
        format!(
            "{}; or use a ReadWriteMany claim, if the software can share its files, or a StatefulSet with a \
             volumeClaimTemplate, which makes a claim for each pod",
            fewer.join(" and ")
        )
    }
}
