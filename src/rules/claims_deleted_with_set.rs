//! `claims-deleted-with-set`

use super::{Changed, Params, Place, SetContext, Violations};
use crate::model::quorum::majority;
use crate::model::{ClaimRetention, Class};

rule! {
    /// ## What it checks
    ///
    /// A StatefulSet is deleted whose `persistentVolumeClaimRetentionPolicy.whenDeleted` is `Delete`: its claims go with it. Also
    /// told is the deletion of a consensus group (class `quorum`) that is running. With `--cascade=orphan` pods and claims stay.
    ///
    /// ## Why
    ///
    /// Nothing asks again. What the storage class does not retain is gone, for every replica at once. A consensus group whose set
    /// is deleted stops as a whole; with `--cascade=orphan` its pods run on, and nothing replaces one that fails. `kubectl replace
    /// --force` deletes first and creates then: where the new manifest is refused, the group is gone, and nothing comes in its place.
    ///
    /// ## How to fix
    ///
    /// Set `whenDeleted: Retain` first (it can be changed at any time), delete the set, and delete the claims by hand when their
    /// data is not needed any more. Before `kubectl replace --force`, see with `kubectl apply --dry-run=server` whether the new
    /// manifest would be refused.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: StatefulSet, name: db}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: db}
    /// spec:
    ///   replicas: 3
    ///   serviceName: db
    ///   selector: {matchLabels: {app: db}}
    ///   template:
    ///     metadata: {labels: {app: db}}
    ///     spec: {containers: [{name: db, image: "postgres:16"}]}
    ///   persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: StatefulSet, name: db}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: db}
    /// spec:
    ///   replicas: 3
    ///   serviceName: db
    ///   selector: {matchLabels: {app: db}}
    ///   template:
    ///     metadata: {labels: {app: db}}
    ///     spec: {containers: [{name: db, image: "postgres:16"}]}
    ///   persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain}
    ///   volumeClaimTemplates: [{metadata: {name: data}}]
    /// ```
    "claims-deleted-with-set": "a StatefulSet is deleted with its data",
    triggers: [SetDeletion],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let (set, name) = (at.set, at.name());
    let claims = set.spec.volume_claim_templates.len();
    let policy = set.spec.persistent_volume_claim_retention_policy;
    let leaves_all = matches!(at.changed, Changed::SetAlone);
    if claims > 0 && !leaves_all && policy.when_deleted == ClaimRetention::Delete {
        let message =
            format!("the claims of all {} replicas are deleted with it, and their data", at.replicas.max(0));
        let remedy =
            "set spec.persistentVolumeClaimRetentionPolicy.whenDeleted to Retain first, then delete it";
        out.add(Place::in_set("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted"), message, remedy);
        return;
    }
    let ready = set.observed().map_or(0, |(_, ready)| ready);
    if at.class.class == Class::Quorum && at.replicas > 1 && ready >= majority(at.replicas) {
        let running = format!("{ready} of {} members are running", at.replicas);
        let (message, remedy) = if leaves_all {
            let message = format!("{running} and run on, but nothing replaces one that fails");
            (
                message,
                format!(
                    "create StatefulSet {name} anew with the same selector and spec.replicas: {}",
                    at.replicas
                ),
            )
        } else {
            let remedy = format!(
                "scale StatefulSet {name} to 0 first to see who needs it; its claims stay; before kubectl replace --force, try kubectl apply \
                 --dry-run=server: what is refused after the deletion does not come back"
            );
            (format!("{running}: the group stops as a whole"), remedy)
        };
        out.add(Place::in_set(""), message, remedy).keyed("running").at_most(crate::verdict::Level::Warn);
    }
}
