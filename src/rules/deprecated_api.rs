//! `deprecated-api`

use super::{FieldEdit, FieldPlace, Violations};
use crate::change::WrittenObject;

rule! {
    /// ## What it checks
    ///
    /// A manifest in a file is written in an apiVersion that current clusters no longer serve: a StatefulSet in `apps/v1beta1` or
    /// `apps/v1beta2`, gone since Kubernetes 1.16, a PodDisruptionBudget in `policy/v1beta1`, gone since 1.25, or a
    /// HorizontalPodAutoscaler in `autoscaling/v2beta1`, gone since 1.25, or `autoscaling/v2beta2`, gone since 1.26. The same of
    /// the other kinds that are read.
    ///
    /// ## Why
    ///
    /// Applying it fails with `no matches for kind`, usually on the day of a disaster or on the first day of a new cluster, since the
    /// objects that exist live on in the new version. A budget that is refused is easy to miss, because the rest is
    /// installed.
    ///
    /// ## How to fix
    ///
    /// Write the new version; what exists need not be deleted. What changes with it:
    ///
    /// - `apps/v1beta2` to `apps/v1`: nothing else.
    /// - `apps/v1beta1` to `apps/v1`: `spec.selector` must be written (it was taken from the template's labels) and cannot be changed
    ///   later; take the labels that the pods have now. Updates are rolled out by default (they waited for a person to delete the
    ///   pods): write `updateStrategy: {type: OnDelete}` to keep that.
    /// - `autoscaling/v2beta2` to `autoscaling/v2`: nothing else.
    /// - `autoscaling/v2beta1` to `autoscaling/v2`: each metric has a `target` with `type` and a value, in place of
    ///   `targetAverageUtilization`, `targetAverageValue` and `targetValue`.
    /// - `policy/v1beta1` to `policy/v1`: an empty selector (`{}`) selects all pods of the namespace; it selected none.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: policy/v1beta1
    /// kind: PodDisruptionBudget
    /// metadata: {name: zk}
    /// spec:
    ///   maxUnavailable: 1
    ///   selector: {matchLabels: {app: zk}}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: zk}
    /// spec:
    ///   maxUnavailable: 1
    ///   selector: {matchLabels: {app: zk}}
    /// ```
    "deprecated-api": "the apiVersion is no longer served",
    triggers: [Manifest],
    check: Text(check),
}

/// A version of a kind that is no longer served.
struct Removed {
    kind: &'static str,
    old: &'static str,
    new: &'static str,
    /// The first release without it.
    since: &'static str,
    /// Further edits.
    besides: &'static str,
}

const fn removed(kind: &'static str, old: &'static str, new: &'static str, since: &'static str) -> Removed {
    Removed { kind, old, new, since, besides: "" }
}

/// From Kubernetes' deprecated API migration guide.
const REMOVED: [Removed; 13] = [
    Removed {
        besides: ", write out spec.selector with the labels that the pods have, and spec.updateStrategy.type: OnDelete if updates \
                  are to wait as they did",
        ..removed("StatefulSet", "apps/v1beta1", "apps/v1", "1.16")
    },
    removed("StatefulSet", "apps/v1beta2", "apps/v1", "1.16"),
    Removed {
        besides: " and write out spec.selector (an empty one then selects all pods; it selected none), or delete it",
        ..removed("PodDisruptionBudget", "policy/v1beta1", "policy/v1", "1.25")
    },
    Removed {
        besides: " and give each metric a target with type and value",
        ..removed("HorizontalPodAutoscaler", "autoscaling/v2beta1", "autoscaling/v2", "1.25")
    },
    removed("HorizontalPodAutoscaler", "autoscaling/v2beta2", "autoscaling/v2", "1.26"),
    removed("Deployment", "apps/v1beta1", "apps/v1", "1.16"),
    removed("Deployment", "apps/v1beta2", "apps/v1", "1.16"),
    removed("ReplicaSet", "apps/v1beta1", "apps/v1", "1.16"),
    removed("ReplicaSet", "apps/v1beta2", "apps/v1", "1.16"),
    removed("DaemonSet", "apps/v1beta1", "apps/v1", "1.16"),
    removed("DaemonSet", "apps/v1beta2", "apps/v1", "1.16"),
    removed("Job", "batch/v1beta1", "batch/v1", "1.25"),
    removed("CronJob", "batch/v1beta1", "batch/v1", "1.25"),
];

fn check(written: &WrittenObject, out: &mut Violations) {
    let is_it =
        |removed: &&Removed| removed.kind == written.object.kind && removed.old == written.api_version;
    let Some(Removed { kind, old, new, since, besides }) = REMOVED.iter().find(is_it) else { return };
    let message = format!("no cluster since Kubernetes {since} knows a {kind} in {old}: applying it fails");
    // A selector that says something means what it meant.
    let besides = if *old == "policy/v1beta1" && written.has_selector { "" } else { besides };
    let remedy = format!("set apiVersion to {new}{besides}");
    let place = || FieldPlace::of(written.object.clone(), "/apiVersion");
    // An addition that a person has to choose is no edit.
    let edit = besides.is_empty().then(|| FieldEdit::set(place(), *new));
    out.add(place(), message, remedy).edits(edit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, KindFacts, Metadata, ObjectRef};

    fn says(kind: &'static str, api_version: &str) -> String {
        let object = ObjectRef { api_version: "", kind, namespace: "default".into(), name: "zk".into() };
        let mut out = Violations::default();
        let written = WrittenObject {
            has_selector: true,
            object,
            metadata: Metadata::default(),
            api_version: api_version.to_owned(),
            duplicate_keys: Vec::new(),
            immutable_changes: Vec::new(),
        };
        check(&written, &mut out);
        let found = out.into_vec();
        found
            .first()
            .map_or_else(String::new, |violation| format!("{} -> {}", violation.message, violation.remedy))
    }

    #[test]
    fn only_what_is_gone() {
        for (kind, version, new) in [
            ("StatefulSet", "apps/v1", ""),
            ("StatefulSet", "apps/v1beta1", "apps/v1,"),
            ("StatefulSet", "apps/v1beta2", "apps/v1"),
            ("PodDisruptionBudget", "policy/v1", ""),
            ("PodDisruptionBudget", "policy/v1beta1", "policy/v1"),
            ("HorizontalPodAutoscaler", "autoscaling/v2beta2", "autoscaling/v2"),
            ("HorizontalPodAutoscaler", "autoscaling/v2beta1", "autoscaling/v2 and"),
            ("HorizontalPodAutoscaler", "autoscaling/v2", ""),
            ("HorizontalPodAutoscaler", "autoscaling/v1", ""),
            ("CronJob", "batch/v1beta1", "batch/v1"),
            ("CronJob", "batch/v1", ""),
            ("Service", "v1", ""),
        ] {
            let says = says(kind, version);
            assert_eq!(says.is_empty(), new.is_empty(), "{says}");
            assert!(says.contains(new), "{says}");
        }
    }

    #[test]
    fn every_version_that_is_read_is_served_or_known_to_be_gone() {
        const SERVED: [(Kind, &str); 1] = [(Kind::Autoscaler, "v1")];
        for kind in Kind::ALL {
            let KindFacts { group, name, other_versions, .. } = kind.facts();
            for version in other_versions {
                let is_served = SERVED.contains(&(kind, version));
                assert_eq!(
                    says(name, &format!("{group}/{version}")).is_empty(),
                    is_served,
                    "{name} {version}"
                );
            }
        }
    }
}
