//! `claim-not-mounted`

use super::{FieldPlace, Params, SetContext, Violations};
use crate::model::Container;
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A claim template of `volumeClaimTemplates` is mounted by no container, init containers included, as a file system
    /// (`volumeMounts`) or as a block device (`volumeDevices`). Where no container mounts anything at all it is only a warning: the
    /// manifest may be a part of one.
    ///
    /// ## Why
    ///
    /// Every pod gets the claim, the disk is provided and paid for, and the data goes elsewhere: into the container's own file
    /// system, which is lost with every restart. It is usually a name that differs by a letter. Everything seems to work until a
    /// pod is replaced.
    ///
    /// ## How to fix
    ///
    /// Mount the claim where the software keeps its data: a `volumeMounts` entry whose `name` is that of the claim template. One
    /// that is not needed is removed; `volumeClaimTemplates` cannot be changed on a set that exists, so delete that with
    /// `--cascade=orphan` and create it again.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: postgres}
    /// spec:
    ///   serviceName: postgres
    ///   selector: {matchLabels: {app: postgres}}
    ///   template:
    ///     metadata: {labels: {app: postgres}}
    ///     spec:
    ///       containers:
    ///       - name: postgres
    ///         image: "postgres:17.2"
    ///         volumeMounts: [{name: tmp, mountPath: /tmp}]
    ///       volumes: [{name: tmp, emptyDir: {}}]
    ///   volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: postgres}
    /// spec:
    ///   serviceName: postgres
    ///   selector: {matchLabels: {app: postgres}}
    ///   template:
    ///     metadata: {labels: {app: postgres}}
    ///     spec:
    ///       containers:
    ///       - name: postgres
    ///         image: "postgres:17.2"
    ///         volumeMounts: [{name: data, mountPath: /var/lib/postgresql/data}]
    ///   volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
    /// ```
    "claim-not-mounted": "a claim that no container mounts",
    triggers: [Set],
    check: State(check),
}

fn check(at: &SetContext<'_>, _: &Params, out: &mut Violations) {
    let spec = &at.set.spec.template.spec;
    if spec.containers.is_empty() {
        return;
    }
    let has_mounts =
        |container: &Container| !container.volume_mounts.is_empty() || !container.volume_devices.is_empty();
    let level = if spec.all_containers().any(has_mounts) { Level::Deny } else { Level::Warn };
    for (index, template) in at.set.spec.volume_claim_templates.iter().enumerate() {
        let name = &template.metadata.name;
        if name.is_empty() || spec.all_containers().any(|container| container.uses_volume(name)) {
            continue;
        }
        let message = format!(
            "no container mounts {name}: each pod gets a claim {name}-{} that stays empty, and what is written elsewhere is lost \
             with the container",
            at.first_pod()
        );
        let remedy = format!("add a volumeMounts entry named {name} to the container that keeps data");
        let place = FieldPlace::in_set(format!("/spec/volumeClaimTemplates/{index}"));
        out.add(place, message, remedy).keyed(&**name).at_most(level);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::set;
    use super::*;

    #[test]
    fn a_claim_that_nothing_uses() {
        let mounts =
            |name: &str| json!({"name": "zk", "volumeMounts": [{"name": name, "mountPath": "/data"}]});
        let device = json!({"name": "zk", "volumeDevices": [{"name": "data", "devicePath": "/dev/x"}]});
        let (main, init) = ("containers", "initContainers");
        for (field, container, found) in [
            (main, mounts("data"), 0),
            (main, mounts("date"), 1),
            (main, device, 0),
            (main, json!({"name": "zk"}), 1),
            (init, mounts("data"), 0),
        ] {
            let scene = set(json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                "template": {"spec": {field: [container]}}}}));
            assert_eq!(scene.found(&RULE).len(), found, "{field} {container}");
            let refused = scene.found(&RULE).iter().any(|violation| violation.at_most == Level::Deny);
            assert_eq!(refused, found == 1 && container.get("volumeMounts").is_some(), "{container}");
        }
        let templates = json!([{"metadata": {"name": "data"}}, {"metadata": null}]);
        let none = set(
            json!({"spec": {"volumeClaimTemplates": templates, "template": {"spec": {"containers": []}}}}),
        );
        assert!(none.found(&RULE).is_empty(), "nothing is known of containers that are not there");
    }
}
