//! `shared-claim`

use std::collections::BTreeSet;

use super::{FieldPlace, Params, SetContext, Violations};
use crate::model::{Claim, Class};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// The pod template of a set with two or more replicas mounts a PersistentVolumeClaim by name, so that all pods get the same
    /// one. A claim template of the volume's name takes its place and is what one wants; a claim whose volume says
    /// `readOnly: true`, or that is known to be `ReadOnlyMany`, is only read and is let be.
    ///
    /// It is only recorded where every mount is read-only or a folder of the pod's own (`subPathExpr`), and where the claim is
    /// known to be `ReadWriteMany` (in the same files or the live cluster), unless it is all the storage that the members of a
    /// consensus group have.
    ///
    /// ## Why
    ///
    /// A StatefulSet gives each pod storage of its own; here it does not. Two databases on one directory corrupt it, or the second
    /// refuses to start because of the first one's lock. And most claims are `ReadWriteOnce`: only one node can attach them, so the
    /// pods either share that node or wait for ever.
    ///
    /// ## How to fix
    ///
    /// Make a claim template of it: every pod then has a claim of its own. `volumeClaimTemplates` cannot be changed on a set that
    /// exists: delete it with `--cascade=orphan`, create it again and delete its pods one by one, each after its data was copied.
    ///
    /// Where one copy is meant (a `ReadWriteMany` claim of uploads), say so: `stateward.dev/exempt: shared-claim` with a reason.
    /// What is only read is mounted with `readOnly: true`.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: postgres}
    /// spec:
    ///   replicas: 3
    ///   serviceName: postgres
    ///   selector: {matchLabels: {app: postgres}}
    ///   template:
    ///     metadata: {labels: {app: postgres}}
    ///     spec:
    ///       volumes: [{name: data, persistentVolumeClaim: {claimName: postgres}}]
    ///       containers: [{name: postgres, image: "postgres:17.2"}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: postgres}
    /// spec:
    ///   replicas: 3
    ///   serviceName: postgres
    ///   selector: {matchLabels: {app: postgres}}
    ///   template:
    ///     metadata: {labels: {app: postgres}}
    ///     spec:
    ///       containers: [{name: postgres, image: "postgres:17.2"}]
    ///   volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
    /// ```
    "shared-claim": "all replicas mount one claim",
    needs_peers: true,
    triggers: [Set, Scale],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let volumes = &at.set.spec.template.spec.volumes;
    let templates: BTreeSet<&str> =
        at.set.spec.volume_claim_templates.iter().map(|template| &*template.metadata.name).collect();
    for (index, volume) in volumes.iter().enumerate() {
        let Some(claim) = volume.persistent_volume_claim.as_ref().filter(|claim| !claim.read_only) else {
            continue;
        };
        if claim.claim_name.is_empty() || templates.contains(&*volume.name) {
            continue;
        }
        let (replicas, name, volume) = (at.replicas, &claim.claim_name, &volume.name);
        let known = at.view.claim(at.namespace(), name);
        if known.is_some_and(Claim::is_only_read) {
            continue;
        }
        // A claim that is not mounted is not written, but manifests that leave the mounts out prove nothing.
        let is_kept_apart = at.set.spec.template.spec.has_folders_per_pod(volume);
        let consequence = match at.class.class {
            _ if is_kept_apart => "each only reads it or has a folder of its own in it",
            Class::Quorum => "the members overwrite each other's copy of the data",
            Class::Singleton => "two instances write the same data",
            Class::Replicated => "each can overwrite what the others have written",
        };
        let message = format!(
            "each of the {replicas} pods mounts the one PersistentVolumeClaim {name}: {consequence}, and if it is ReadWriteOnce they \
             only start on one node"
        );
        let remedy = format!(
            "replace volume {volume} by a volumeClaimTemplate named {volume}, which makes a claim for each pod"
        );
        let path = format!("/spec/template/spec/volumes/{index}/persistentVolumeClaim/claimName");
        let is_meant = is_kept_apart || is_meant_to_be_shared(at, known);
        let level = if is_meant { Level::Audit } else { Level::Deny };
        out.add(FieldPlace::in_set(path), message, remedy).keyed(&**name).at_most(level);
    }
}

/// A claim that many nodes may write to, beside storage of the pods' own or for software that does not vote.
fn is_meant_to_be_shared(at: &SetContext<'_>, claim: Option<&Claim>) -> bool {
    let has_own = !at.set.spec.volume_claim_templates.is_empty() || at.class.class == Class::Replicated;
    has_own && claim.is_some_and(Claim::is_shared)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{RuleTest, set};
    use super::*;

    fn volumes(volumes: &Value) -> RuleTest {
        set(json!({"spec": {"template": {"spec": {"volumes": volumes}}}}))
    }

    #[test]
    fn a_claim_by_name_in_two_or_more_pods() {
        let one = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "zk"}}]);
        for (replicas, found) in [(i32::MIN, 0), (0, 0), (1, 0), (2, 1), (i32::MAX, 1)] {
            assert_eq!(volumes(&one).scaled_to(replicas).found(&RULE).len(), found, "{replicas}");
        }
        for (list, found) in [
            (json!(null), 0),
            (json!([null, {"name": "data", "emptyDir": {}}]), 0),
            (json!([{"name": "data", "persistentVolumeClaim": null}]), 0),
            (json!([{"name": "data", "persistentVolumeClaim": {"claimName": null}}]), 0),
            (json!([{"name": "data", "persistentVolumeClaim": {"claimName": "zk", "readOnly": true}}]), 0),
            (json!([{"name": "data", "persistentVolumeClaim": {"claimName": "zk", "readOnly": null}}]), 1),
            (
                json!([{"name": "a", "persistentVolumeClaim": {"claimName": "a"}}, {"name": "b", "persistentVolumeClaim": {"claimName": "b"}}]),
                2,
            ),
        ] {
            for class in [Class::Quorum, Class::Replicated] {
                assert_eq!(volumes(&list).class(class).found(&RULE).len(), found, "{list}");
            }
        }
    }

    #[test]
    fn what_is_meant_to_be_shared_is_only_recorded() {
        let scene = |mounts: Value, own: Value, class| {
            set(json!({"spec": {"volumeClaimTemplates": own, "template": {"spec": {
                "containers": [{"name": "zk", "volumeMounts": mounts}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "zk"}}]}}}}))
            .class(class)
        };
        let level = |scene: &RuleTest| scene.found(&RULE)[0].at_most;
        for (mounts, expected) in [
            (json!([{"name": "data"}]), Level::Deny),
            (json!([{"name": "data", "readOnly": true}, {"name": "x"}]), Level::Audit),
            (json!([{"name": "data", "subPathExpr": "$(POD_NAME)"}]), Level::Audit),
            (json!([{"name": "data", "readOnly": true}, {"name": "data"}]), Level::Deny),
            (json!([]), Level::Deny),
        ] {
            assert_eq!(level(&scene(mounts.clone(), json!([]), Class::Quorum)), expected, "{mounts}");
        }
        for (mode, own, class, expected) in [
            ("ReadWriteMany", json!([]), Class::Replicated, Level::Audit),
            ("ReadWriteMany", json!([{"metadata": {"name": "own"}}]), Class::Quorum, Level::Audit),
            ("ReadWriteMany", json!([]), Class::Quorum, Level::Deny),
            ("ReadWriteOnce", json!([]), Class::Replicated, Level::Deny),
        ] {
            let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "zk", "namespace": "default"},
                "spec": {"accessModes": [mode]}});
            let scene = scene(json!([{"name": "data"}]), own, class).with(claim);
            assert_eq!(level(&scene), expected, "{mode} {class}");
        }
    }

    #[test]
    fn a_claim_that_can_only_be_read_is_let_be() {
        for (modes, found) in [
            (json!(["ReadOnlyMany"]), 0),
            (json!(["ReadOnlyMany", "ReadWriteOnce"]), 1),
            (json!([]), 1),
            (json!(["ReadWriteMany"]), 1),
        ] {
            let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "zk", "namespace": "default"},
                "spec": {"accessModes": modes}});
            let volume = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "zk"}}]);
            assert_eq!(volumes(&volume).with(claim).found(&RULE).len(), found, "{modes}");
        }
    }

    #[test]
    fn a_claim_template_of_its_name_takes_its_place() {
        for (template, found) in [("data", 0), ("logs", 1)] {
            let scene = set(json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": template}}],
                "template": {"spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "zk"}}]}}}}));
            assert_eq!(scene.found(&RULE).len(), found, "{template}");
        }
    }
}
