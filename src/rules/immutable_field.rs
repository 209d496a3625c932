//! `immutable-field`

use super::{FieldPlace, Violations};
use crate::change::{ImmutableChange, OrphanedPods, WrittenObject};

rule! {
    /// ## What it checks
    ///
    /// With `stateward audit --from OLD` or `--base REV`: a StatefulSet whose `spec.selector`, `spec.serviceName`,
    /// `spec.podManagementPolicy` or `spec.volumeClaimTemplates` is not what it was in the old manifest. Of a StatefulSet only
    /// `replicas`, `template`, `updateStrategy`, `ordinals`, `minReadySeconds`, `revisionHistoryLimit` and
    /// `persistentVolumeClaimRetentionPolicy` may be changed.
    ///
    /// ## Why
    ///
    /// The API server refuses the whole update, so nothing else in it arrives either: a release stays half applied, and a
    /// GitOps tool tries again without end.
    ///
    /// ## How to fix
    ///
    /// Leave the field as it was. Where it must change, `kubectl delete statefulset NAME --cascade=orphan` before: pods and claims
    /// stay, and the new StatefulSet adopts the pods that its selector selects. What else there is to do:
    ///
    /// - `selector`: before the apply, give the pods the labels that the new selector asks for (`kubectl label`). Pods that it does
    ///   not select are not adopted, and their names are taken.
    /// - `volumeClaimTemplates` with one more: after the apply, delete the pods one by one. The controller cannot add a volume to a
    ///   pod that exists, and until all are replaced it does nothing else. Larger claims are set on the claims themselves; the
    ///   template only matters to pods that come later.
    /// - `serviceName`: after the apply, restart the pods one by one, and delete the old Service only then. A pod keeps the names
    ///   that it was created with.
    ///
    /// ## Fails
    ///
    /// The first document is the set as it is, the second as it will be.
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: web}
    /// spec:
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec: {containers: [{name: web, image: nginx}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: web}
    /// spec:
    ///   serviceName: web-headless
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec: {containers: [{name: web, image: nginx}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: web}
    /// spec:
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec: {containers: [{name: web, image: nginx}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: web}
    /// spec:
    ///   serviceName: web
    ///   selector: {matchLabels: {app: web}}
    ///   template:
    ///     metadata: {labels: {app: web}}
    ///     spec: {containers: [{name: web, image: "nginx:1.29"}]}
    /// ```
    "immutable-field": "a field is changed that cannot be changed",
    triggers: [Manifest],
    check: Text(check),
}

fn check(written: &WrittenObject, out: &mut Violations) {
    for ImmutableChange { path, pods } in &written.immutable_changes {
        let field = path.trim_start_matches('/').replace('/', ".");
        out.add(
            FieldPlace::of(written.object.clone(), *path),
            format!("{field} is changed, which the API server refuses: the apply fails"),
            format!(
                "leave {field} as it was, or delete the StatefulSet with --cascade=orphan before, so that its pods stay{}",
                besides(pods)
            ),
        );
    }
}

/// Further steps of the remedy, seen with the controllers of Kubernetes 1.36.
fn besides(pods: &OrphanedPods) -> String {
    match pods {
        OrphanedPods::Fit => String::new(),
        OrphanedPods::NotSelected(labels) => {
            let labels = if labels.is_empty() {
                "what the new selector asks for".to_owned()
            } else {
                labels.to_string()
            };
            format!(
                ", and then label them with {labels} (kubectl label --overwrite): those that the new selector does not select are \
                 not adopted, and none can be created under their names"
            )
        }
        OrphanedPods::LackVolumes(claims) => format!(
            ", and delete them one by one after the apply: a volume for the new claim template {} cannot be added to a pod that \
             exists, and the controller tries that without end",
            claims.join(" and ")
        ),
        OrphanedPods::NamedUnder(service) if service.is_empty() => {
            ", and restart them one by one after the apply: a pod has its name from when it was created"
                .to_owned()
        }
        OrphanedPods::NamedUnder(service) => format!(
            ", and restart them one by one after the apply: until then they have their names under Service {service}, which must \
             stay"
        ),
    }
}
