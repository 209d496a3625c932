//! The table of the kinds whose objects are read.

/// A kind whose objects are kept because some rule reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    #[default]
    StatefulSet,
    Service,
    DisruptionBudget,
    Autoscaler,
    Namespace,
    ScaledObject,
    Deployment,
    ReplicaSet,
    DaemonSet,
    Job,
    CronJob,
    Claim,
    ConfigMap,
    Pod,
    Policy,
    Exemption,
}

/// The sources of a kind's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindOrigin {
    /// Manifests, an audit of a live cluster, and watches.
    Watched,
    /// Like [`Self::Watched`], but a custom resource: a cluster may not serve it.
    WatchedIfServed,
    /// Manifests, and an audit of a live cluster.
    Listed,
    /// Manifests only.
    Files,
    /// Manifests, and live reads of a single object by name.
    Asked,
}

/// The names of a kind in the API.
#[derive(Clone, Copy, Debug)]
pub struct KindFacts {
    /// Empty for the core group.
    pub group: &'static str,
    /// The version that Stateward reads.
    pub version: &'static str,
    /// Other versions of manifests that have the same fields.
    pub other_versions: &'static [&'static str],
    /// `kind` in a manifest.
    pub name: &'static str,
    /// The name in paths and webhook rules.
    pub plural: &'static str,
    /// `GROUP/VERSION`, or `v1`.
    pub api_version: &'static str,
    pub is_namespaced: bool,
    pub origin: KindOrigin,
}

const fn core(name: &'static str, plural: &'static str, origin: KindOrigin) -> KindFacts {
    let (group, version, api_version) = ("", "v1", "v1");
    KindFacts { group, version, other_versions: &[], name, plural, api_version, is_namespaced: true, origin }
}

const fn apps(name: &'static str, plural: &'static str, origin: KindOrigin) -> KindFacts {
    let (group, version, api_version) = ("apps", "v1", "apps/v1");
    let other_versions = &["v1beta1", "v1beta2"];
    KindFacts { group, version, other_versions, name, plural, api_version, is_namespaced: true, origin }
}

const fn batch(name: &'static str, plural: &'static str) -> KindFacts {
    let (group, version, api_version) = ("batch", "v1", "batch/v1");
    let (other_versions, origin): (&[&str], _) = (&["v1beta1"], KindOrigin::Listed);
    KindFacts { group, version, other_versions, name, plural, api_version, is_namespaced: true, origin }
}

const fn stateward(name: &'static str, plural: &'static str) -> KindFacts {
    KindFacts {
        group: "stateward.dev",
        version: "v1alpha1",
        other_versions: &[],
        name,
        plural,
        api_version: "stateward.dev/v1alpha1",
        is_namespaced: true,
        origin: KindOrigin::WatchedIfServed,
    }
}

impl Kind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 16] = [
        Self::StatefulSet,
        Self::Service,
        Self::DisruptionBudget,
        Self::Autoscaler,
        Self::Namespace,
        Self::ScaledObject,
        Self::Deployment,
        Self::ReplicaSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
        Self::Claim,
        Self::ConfigMap,
        Self::Pod,
        Self::Policy,
        Self::Exemption,
    ];

    /// The kinds other than StatefulSet that make pods from a template.
    pub const WORKLOADS: [Self; 5] =
        [Self::Deployment, Self::ReplicaSet, Self::DaemonSet, Self::Job, Self::CronJob];

    pub const fn facts(self) -> KindFacts {
        match self {
            Self::StatefulSet => apps("StatefulSet", "statefulsets", KindOrigin::Watched),
            Self::Service => core("Service", "services", KindOrigin::Watched),
            Self::DisruptionBudget => KindFacts {
                group: "policy",
                version: "v1",
                other_versions: &["v1beta1"],
                name: "PodDisruptionBudget",
                plural: "poddisruptionbudgets",
                api_version: "policy/v1",
                is_namespaced: true,
                origin: KindOrigin::Watched,
            },
            Self::Autoscaler => KindFacts {
                group: "autoscaling",
                version: "v2",
                other_versions: &["v1", "v2beta2", "v2beta1"],
                name: "HorizontalPodAutoscaler",
                plural: "horizontalpodautoscalers",
                api_version: "autoscaling/v2",
                is_namespaced: true,
                origin: KindOrigin::Watched,
            },
            Self::Namespace => {
                KindFacts { is_namespaced: false, ..core("Namespace", "namespaces", KindOrigin::Watched) }
            }
            Self::ScaledObject => KindFacts {
                group: "keda.sh",
                version: "v1alpha1",
                other_versions: &[],
                name: "ScaledObject",
                plural: "scaledobjects",
                api_version: "keda.sh/v1alpha1",
                is_namespaced: true,
                origin: KindOrigin::WatchedIfServed,
            },
            Self::Deployment => apps("Deployment", "deployments", KindOrigin::Listed),
            Self::ReplicaSet => apps("ReplicaSet", "replicasets", KindOrigin::Listed),
            Self::DaemonSet => apps("DaemonSet", "daemonsets", KindOrigin::Listed),
            Self::Job => batch("Job", "jobs"),
            Self::CronJob => batch("CronJob", "cronjobs"),
            Self::Claim => core("PersistentVolumeClaim", "persistentvolumeclaims", KindOrigin::Listed),
            Self::ConfigMap => core("ConfigMap", "configmaps", KindOrigin::Files),
            Self::Pod => core("Pod", "pods", KindOrigin::Asked),
            Self::Policy => {
                KindFacts { is_namespaced: false, ..stateward("StatefulSetPolicy", "statefulsetpolicies") }
            }
            Self::Exemption => stateward("StatefulSetExemption", "statefulsetexemptions"),
        }
    }

    /// `kind` in a manifest.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Whether its objects are watched.
    pub const fn is_watched(self) -> bool {
        matches!(self.facts().origin, KindOrigin::Watched | KindOrigin::WatchedIfServed)
    }

    /// Whether its objects configure how others are judged.
    pub const fn is_policy(self) -> bool {
        matches!(self, Self::Policy | Self::Exemption)
    }

    /// The kinds whose objects are watched.
    pub fn watched() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| kind.is_watched())
    }

    /// The kinds that an audit of a live cluster lists.
    pub fn listed() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|kind| !matches!(kind.facts().origin, KindOrigin::Files | KindOrigin::Asked))
    }

    /// The kinds whose objects people write. Excludes Pods: a pod that no file defines may still exist, because a controller creates it.
    pub fn written() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| kind.facts().origin != KindOrigin::Asked)
    }

    /// The kind of a manifest, if its objects are read. `extensions` served Deployments and others before `apps`.
    pub fn of_manifest(api_version: &str, name: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self::ALL.into_iter().find(|kind| {
            let facts = kind.facts();
            let is_version = version == facts.version || facts.other_versions.contains(&version);
            let was_in_extensions = group == "extensions" && version == "v1beta1" && facts.group == "apps";
            facts.name == name
                && ((group == facts.group && is_version) || (was_in_extensions && *kind != Self::StatefulSet))
        })
    }

    /// The kind that a manifest certainly means although no API server accepts what it says: wrong upper or lower case, or the wrong group.
    /// A group without a dot cannot be that of a custom resource.
    pub fn meant_by(api_version: &str, name: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        // Versions are always lower case.
        let is_loud = version.contains(char::is_uppercase);
        let is_meant = |kind: &Self| {
            let facts = kind.facts();
            let is_own = group == facts.group;
            let is_other =
                !group.contains('.') && !facts.group.contains('.') && !is_own && group != "extensions";
            facts.name.eq_ignore_ascii_case(name) && (is_own && (facts.name != name || is_loud) || is_other)
        };
        Self::written().find(is_meant).filter(|_| Self::of_manifest(api_version, name).is_none())
    }

    /// The kind of this name in a manifest.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_told_by_group_version_and_kind() {
        for (api_version, name, kind) in [
            ("apps/v1", "StatefulSet", Some(Kind::StatefulSet)),
            ("apps/v1beta1", "StatefulSet", Some(Kind::StatefulSet)),
            ("apps.kruise.io/v1beta1", "StatefulSet", None),
            ("v1", "Service", Some(Kind::Service)),
            ("serving.knative.dev/v1", "Service", None),
            ("extensions/v1beta1", "Deployment", Some(Kind::Deployment)),
            ("extensions/v1beta1", "StatefulSet", None),
            ("autoscaling/v2beta2", "HorizontalPodAutoscaler", Some(Kind::Autoscaler)),
            ("keda.sh/v1alpha1", "ScaledObject", Some(Kind::ScaledObject)),
        ] {
            assert_eq!(Kind::of_manifest(api_version, name), kind, "{api_version} {name}");
        }
    }

    #[test]
    fn what_no_api_server_knows_is_told_from_custom_resources() {
        for (api_version, name, kind) in [
            ("apps/v1", "Statefulset", Some(Kind::StatefulSet)),
            ("app/v1", "StatefulSet", Some(Kind::StatefulSet)),
            ("v1", "StatefulSet", Some(Kind::StatefulSet)),
            ("apps/v1", "Service", Some(Kind::Service)),
            ("v1", "service", Some(Kind::Service)),
            ("apps/V1", "StatefulSet", Some(Kind::StatefulSet)),
            ("V1", "Service", Some(Kind::Service)),
            ("apps/v1", "StatefulSet", None),
            ("apps/v1alpha1", "StatefulSet", None),
            ("apps.kruise.io/v1beta1", "StatefulSet", None),
            ("serving.knative.dev/v1", "Service", None),
            ("extensions/v1beta1", "Deployment", None),
            ("v1", "Servicy", None),
        ] {
            assert_eq!(Kind::meant_by(api_version, name), kind, "{api_version} {name}");
        }
    }

    #[test]
    fn the_api_version_is_that_of_group_and_version() {
        for kind in Kind::ALL {
            let KindFacts { group, version, api_version, .. } = kind.facts();
            let joined = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
            assert_eq!(api_version, joined);
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
    }
}
