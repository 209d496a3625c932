//! `claims-deleted-on-scale`

use super::{FieldEdit, FieldPlace, Params, SetContext, Violations};
use crate::model::ClaimRetention;

rule! {
    /// ## What it checks
    ///
    /// `persistentVolumeClaimRetentionPolicy` of a consensus group (class `quorum`) says `Delete` for `whenScaled` or for
    /// `whenDeleted`. Without `volumeClaimTemplates` there is nothing to delete.
    ///
    /// ## Why
    ///
    /// With `whenScaled: Delete`, a member that is scaled away, for an hour or by mistake, comes back with an empty disk: it has
    /// forgotten its vote, and the group has lost a copy of its data. Scaled to 0 for maintenance, the group has lost all of them.
    /// With `whenDeleted: Delete` one `kubectl delete` takes all data along, and so does a tool that deletes the set and creates it
    /// anew to change a field that cannot be edited.
    ///
    /// ## How to fix
    ///
    /// Set both to `Retain`, which is also what leaving them out means. Delete a member's claim by hand once it has been removed
    /// from the group; the group's, once there is a backup.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: etcd}
    /// spec:
    ///   replicas: 3
    ///   serviceName: etcd
    ///   persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]
    ///   volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
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
    ///   persistentVolumeClaimRetentionPolicy: {whenScaled: Retain}
    ///   selector: {matchLabels: {app: etcd}}
    ///   template:
    ///     metadata: {labels: {app: etcd}}
    ///     spec:
    ///       containers: [{name: etcd, image: "quay.io/coreos/etcd:v3.5.9"}]
    ///   volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
    /// ```
    "claims-deleted-on-scale": "members' data is deleted with their pods",
    classes: [Quorum],
    triggers: [Set],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let spec = &at.set.spec;
    if spec.volume_claim_templates.is_empty() {
        return;
    }
    let policy = spec.persistent_volume_claim_retention_policy;
    let name = at.name();
    let fields = [
        (
            policy.when_scaled,
            "whenScaled",
            format!(
                "scaling {name} down deletes the data of the members that go; a member that comes back has forgotten its vote"
            ),
        ),
        (
            policy.when_deleted,
            "whenDeleted",
            format!(
                "deleting StatefulSet {name}, if only to create it anew, deletes the data of all members"
            ),
        ),
    ];
    for (retention, field, message) in fields {
        if retention == ClaimRetention::Delete {
            let remedy = format!("set spec.persistentVolumeClaimRetentionPolicy.{field} to Retain");
            let path = format!("/spec/persistentVolumeClaimRetentionPolicy/{field}");
            let edit = FieldEdit::set(FieldPlace::in_set(&*path), "Retain");
            out.add(FieldPlace::in_set(path), message, remedy).edit(edit);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::set;
    use super::*;

    #[test]
    fn each_field_that_deletes() {
        for (policy, found) in [
            (json!(null), 0),
            (json!({"whenScaled": null, "whenDeleted": null}), 0),
            (json!({"whenScaled": "Retain", "whenDeleted": "Retain"}), 0),
            (json!({"whenScaled": "delete"}), 0),
            (json!({"whenScaled": "Delete"}), 1),
            (json!({"whenDeleted": "Delete"}), 1),
            (json!({"whenScaled": "Delete", "whenDeleted": "Delete"}), 2),
        ] {
            let scene = |templates| {
                set(
                    json!({"spec": {"persistentVolumeClaimRetentionPolicy": policy, "volumeClaimTemplates": templates}}),
                )
            };
            assert_eq!(scene(json!([{"metadata": {"name": "data"}}])).found(&RULE).len(), found, "{policy}");
            assert_eq!(scene(json!([])).found(&RULE).len(), 0, "{policy} of nothing");
        }
    }
}
