//! `immutable-field`

use super::{Place, Violations};
use crate::change::Written;

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
    /// stay, and the new StatefulSet adopts the pods that its selector selects. Larger claims are set on the claims themselves;
    /// the template only matters to pods that come later.
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

fn check(written: &Written, out: &mut Violations) {
    for path in &written.immutable_changes {
        let field = path.trim_start_matches('/').replace('/', ".");
        out.add(
            Place::of(written.object.clone(), *path),
            format!("{field} is changed, which the API server refuses: the apply fails"),
            format!(
                "leave {field} as it was, or delete the StatefulSet with --cascade=orphan before, so that its pods stay"
            ),
        );
    }
}
