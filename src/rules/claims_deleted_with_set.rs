//! `claims-deleted-with-set`

use super::{Changed, FieldPlace, Params, SetContext, Violations};
use crate::model::quorum::majority;
use crate::model::{ClaimRetention, Class, StatefulSet};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A StatefulSet is deleted whose `persistentVolumeClaimRetentionPolicy.whenDeleted` is `Delete`: its claims go with it. Also
    /// told is the deletion of a consensus group (class `quorum`) that is running, and of a set without which the others of its group
    /// are no majority, or just one, so that none of them can be spared. With `--cascade=orphan` pods and claims stay.
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
    /// data is not needed any more. Before `kubectl replace --force`, see with `kubectl create --dry-run=server` whether the new
    /// manifest would be refused: what is wrong already and only a warning in an update is refused in what is created. Where it
    /// would not be, the answer is that the set already exists.
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
        out.add(
            FieldPlace::in_set("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted"),
            message,
            remedy,
        );
        return;
    }
    if let Some(loss) = Loss::of(at) {
        let (message, remedy) = if leaves_all { loss.of_care(at) } else { loss.of_members(name) };
        out.add(FieldPlace::in_set(""), message, remedy).keyed("running").at_most(Level::Warn);
    }
}

/// The loss of a running group with one of its sets.
struct Loss {
    members: i32,
    ready: i32,
    /// How many are ready in other sets.
    left: i32,
}

impl Loss {
    /// `None` where the group does not run, or goes on without the set.
    fn of(at: &SetContext<'_>) -> Option<Self> {
        if at.class.class != Class::Quorum {
            return None;
        }
        let others = at.group_sets().unwrap_or_default().iter().skip(1);
        let own = at.set.observed().map_or(0, |(_, ready)| ready);
        // Where the controller has said nothing of the others, they are taken to run.
        let ready_of = |set: &StatefulSet, replicas| set.observed().map_or(replicas, |(_, ready)| ready);
        let (members, left) = others.fold((at.replicas, 0_i32), |(members, left), (set, replicas)| {
            (members.saturating_add(*replicas), left.saturating_add(ready_of(set, *replicas)))
        });
        let (ready, needed) = (left.saturating_add(own), majority(members));
        // Pods that stay are none that the others miss.
        let is_missed = left < needed || (left == needed && !matches!(at.changed, Changed::SetAlone));
        (members > 1 && own > 0 && ready >= needed && is_missed).then_some(Self { members, ready, left })
    }

    fn of_members(&self, name: &str) -> (String, String) {
        let Self { members, ready, left } = self;
        let needed = majority(*members);
        let loss = match left {
            0 => "the group stops as a whole".to_owned(),
            _ if *left == needed => {
                format!("without {name} {left} can vote, and {needed} must agree: none of them can be spared")
            }
            _ => format!("without {name} only {left} can vote, and {needed} must agree"),
        };
        let first = if *left == needed {
            "if it is to go for good, remove its members from the group with the group's own tool first"
                .to_owned()
        } else {
            format!("scale StatefulSet {name} to 0 first to see who needs it; its claims stay")
        };
        let remedy = format!(
            "{first}; before kubectl replace --force, try kubectl create --dry-run=server (it says at most that the set already exists): \
             what is refused after the deletion does not come back"
        );
        (format!("{ready} of {members} members are running: {loss}"), remedy)
    }

    /// With the set goes what replaces its pods.
    fn of_care(&self, at: &SetContext<'_>) -> (String, String) {
        let Self { members, ready, .. } = self;
        let remedy = format!(
            "create StatefulSet {} anew with the same selector and spec.replicas: {}; try kubectl create --dry-run=server before (it says \
             at most that the set already exists): what is wrong now is refused in what is created",
            at.name(),
            at.replicas
        );
        (
            format!(
                "{ready} of {members} members are running and run on, but nothing replaces one that fails"
            ),
            remedy,
        )
    }
}
