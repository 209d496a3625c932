//! `deployment-holds-database`

use super::{FieldPlace, Params, Violations, WorkloadContext};

rule! {
    /// ## What it checks
    ///
    /// A Deployment, or a ReplicaSet that no Deployment has made, runs software that the catalogue knows to keep data, and keeps it
    /// on a PersistentVolumeClaim.
    ///
    /// ## Why
    ///
    /// It works, with one replica and the strategy `Recreate`, until a node is cut off: a ReplicaSet starts a second pod at once,
    /// while the first may still run and write. A StatefulSet does not start a pod before the old one of that name is known to be
    /// gone. It also gives each pod a claim and a name of its own, so that the database can grow to several members.
    ///
    /// ## How to fix
    ///
    /// Make it a StatefulSet: `spec.serviceName` names a headless Service, and a claim template takes the place of the volume. A
    /// claim that exists is taken over if it has the name `TEMPLATE-SET-0`.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 1
    ///   strategy: {type: Recreate}
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       volumes: [{name: data, persistentVolumeClaim: {claimName: etcd}}]
    ///       containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.1", volumeMounts: [{name: data, mountPath: /data}]}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 1
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       volumes: [{name: data, emptyDir: {}}]
    ///       containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.1", volumeMounts: [{name: data, mountPath: /data}]}]
    /// ```
    "deployment-holds-database": "a Deployment keeps the data of a database",
    triggers: [Workload],
    check: Workload(check),
}

fn check(at: &WorkloadContext<'_>, _: &Params, out: &mut Violations) {
    let Some(software) = at.class.software.as_ref().filter(|software| !software.keeps_no_data) else {
        return;
    };
    let Some((index, _, source)) = at.workload.template().spec.written_claims().next() else { return };
    let message = format!(
        "PersistentVolumeClaim {} holds data of {} ({software}): where its pod's node is cut off, a second pod starts while the first \
         may still write",
        source.claim_name, software.name
    );
    let remedy = "make it a StatefulSet with a volumeClaimTemplate: it starts a pod only when the old one is gone, and gives each \
                  pod a claim and a name of its own";
    let path = format!("/spec/template/spec/volumes/{index}/persistentVolumeClaim/claimName");
    out.add(FieldPlace::in_set(path), message, remedy);
}
