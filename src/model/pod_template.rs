//! The fields of a pod template that rules read.

use std::sync::Arc;

use serde::Deserialize;

use super::metadata::presence;
use super::{Container, DialledName, LabelSelector, Labels, Metadata, NodeAffinity, VolumeMount, nullable};

/// `spec.template`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Labels and annotations of the pods.
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: PodSpec,
}

/// `spec.template.spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The main containers. Objects of a snapshot with equal containers share them.
    #[serde(deserialize_with = "nullable::shared_list")]
    pub containers: Arc<[Container]>,
    #[serde(deserialize_with = "nullable::list")]
    pub init_containers: Vec<Container>,
    #[serde(deserialize_with = "nullable::field")]
    pub affinity: Affinity,
    /// The node that the pods are put on without the scheduler; empty where the scheduler chooses.
    #[serde(deserialize_with = "nullable::field")]
    pub node_name: Box<str>,
    /// Labels that the pod's node must have.
    #[serde(deserialize_with = "nullable::field")]
    pub node_selector: Labels,
    /// `topologySpreadConstraints`.
    #[serde(deserialize_with = "nullable::list")]
    pub topology_spread_constraints: Vec<SpreadConstraint>,
    /// Seconds between TERM and KILL; absent means 30.
    pub termination_grace_period_seconds: Option<i64>,
    #[serde(deserialize_with = "nullable::list")]
    pub volumes: Vec<Volume>,
    /// Whether the pod uses its node's network, where two pods cannot listen on the same port.
    #[serde(deserialize_with = "nullable::field")]
    pub host_network: bool,
    /// In snapshots: the result of [`StatefulSet::dialled_name`](super::StatefulSet::dialled_name), kept before the environment, the probes
    /// and the init containers are dropped.
    #[serde(skip)]
    pub dialled: Option<Box<DialledName>>,
}

/// `affinity`.
#[expect(clippy::struct_field_names, reason = "each is named as in Kubernetes")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    /// The pods that this pod must not, or should not, run beside.
    #[serde(deserialize_with = "nullable::field")]
    pub pod_anti_affinity: PodAntiAffinity,
    /// The pods that this pod must run beside. Few templates have it.
    pub pod_affinity: Option<Box<PodAffinity>>,
    #[serde(deserialize_with = "nullable::field")]
    pub node_affinity: NodeAffinity,
}

impl Affinity {
    /// The required terms of `podAffinity`.
    pub fn required_beside(&self) -> &[AffinityTerm] {
        self.pod_affinity.as_deref().map_or(&[], |affinity| &affinity.required)
    }
}

/// The required part of `podAffinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", deserialize_with = "nullable::list")]
    pub required: Vec<AffinityTerm>,
}

/// `podAntiAffinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodAntiAffinity {
    /// Required terms: the scheduler leaves the pod pending rather than break one.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", deserialize_with = "nullable::list")]
    pub required: Vec<AffinityTerm>,
    /// Preferred terms: the scheduler tries to keep them.
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution", deserialize_with = "nullable::list")]
    pub preferred: Vec<WeightedTerm>,
}

/// A preferred term.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightedTerm {
    #[serde(deserialize_with = "nullable::field")]
    pub pod_affinity_term: AffinityTerm,
}

/// One term of pod affinity or anti-affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AffinityTerm {
    /// The node label whose value the pods share with those selected, or may not share.
    #[serde(deserialize_with = "nullable::field")]
    pub topology_key: Box<str>,
    /// The pods that the term selects; absent selects none.
    pub label_selector: Option<LabelSelector>,
    /// The namespaces that are searched; empty, with no `namespace_selector`, means the pod's own.
    #[serde(deserialize_with = "nullable::list")]
    pub namespaces: Vec<Box<str>>,
    /// Further namespaces that are searched; `{}` means all.
    pub namespace_selector: Option<LabelSelector>,
    /// Label keys whose values the pods must share.
    #[serde(deserialize_with = "nullable::list")]
    pub match_label_keys: Vec<Box<str>>,
    /// Label keys whose values the pods must not share.
    #[serde(deserialize_with = "nullable::list")]
    pub mismatch_label_keys: Vec<Box<str>>,
}

/// One of `topologySpreadConstraints`; it always counts pods of the pod's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    /// The node label over whose values the pods are spread.
    #[serde(deserialize_with = "nullable::field")]
    pub topology_key: Box<str>,
    /// The scheduler's behaviour if the constraint cannot be met.
    #[serde(deserialize_with = "nullable::field")]
    pub when_unsatisfiable: WhenUnsatisfiable,
    /// The pods that are counted; absent counts none.
    pub label_selector: Option<LabelSelector>,
    /// Label keys whose values the counted pods must share.
    #[serde(deserialize_with = "nullable::list")]
    pub match_label_keys: Vec<Box<str>>,
    /// How many more pods than the emptiest domain another domain may have.
    #[serde(deserialize_with = "nullable::field")]
    pub max_skew: i32,
}

/// The scheduler's behaviour for a pod that would break a spread constraint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum WhenUnsatisfiable {
    /// Schedules the pod anyway.
    ScheduleAnyway,
    /// Leaves the pod pending. Any other word counts as this one: the API server refuses it with its own error.
    #[default]
    #[serde(other)]
    DoNotSchedule,
}

/// A volume of the pod.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether a field is there, as Kubernetes names it"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// The volume's name in the pod; a claim template of the same name replaces the volume.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// The claim that the volume refers to by name.
    pub persistent_volume_claim: Option<ClaimSource>,
    /// Whether it is a folder of the node.
    #[serde(deserialize_with = "presence")]
    pub host_path: bool,
    #[serde(deserialize_with = "presence")]
    pub empty_dir: bool,
    /// Whether its claim is created for the pod and deleted with it.
    #[serde(deserialize_with = "presence")]
    pub ephemeral: bool,
    /// Whether it is a folder of an NFS server.
    #[serde(deserialize_with = "presence")]
    pub nfs: bool,
    pub config_map: Option<Box<ConfigMapFiles>>,
    pub projected: Option<Box<Projected>>,
}

/// A volume with the files of a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfigMapFiles {
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// The keys that become files; empty means all.
    #[serde(deserialize_with = "nullable::list")]
    pub items: Vec<ConfigMapItem>,
}

/// A key of a ConfigMap as a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfigMapItem {
    #[serde(deserialize_with = "nullable::field")]
    pub key: Box<str>,
    /// The file's path in the volume.
    #[serde(deserialize_with = "nullable::field")]
    pub path: Box<str>,
}

impl ConfigMapFiles {
    /// The path in the volume of the file of a key; `None` if the key becomes no file.
    pub fn path_of<'p>(&'p self, key: &'p str) -> Option<&'p str> {
        if self.items.is_empty() {
            return Some(key);
        }
        let item = self.items.iter().find(|item| *item.key == *key)?;
        Some(if item.path.is_empty() { key } else { &item.path })
    }
}

/// Several sources as one volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Projected {
    #[serde(deserialize_with = "nullable::list")]
    pub sources: Vec<ProjectedSource>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectedSource {
    pub config_map: Option<ConfigMapFiles>,
}

/// `persistentVolumeClaim` of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSource {
    /// The claim's name.
    #[serde(deserialize_with = "nullable::field")]
    pub claim_name: Box<str>,
    /// Whether no container can write to it.
    #[serde(deserialize_with = "nullable::field")]
    pub read_only: bool,
}

impl Volume {
    /// Whether the volume's data certainly disappears with the pod, or stays behind on its node.
    pub fn is_volatile(&self) -> bool {
        self.empty_dir
            || self.ephemeral
            || self.host_path
            || self.config_map.is_some()
            || self.projected.is_some()
    }

    /// The ConfigMaps whose files the volume holds.
    pub fn config_maps(&self) -> impl Iterator<Item = &ConfigMapFiles> {
        let sources = self.projected.iter().flat_map(|projected| &projected.sources);
        let projected = sources.filter_map(|source| source.config_map.as_ref());
        self.config_map.as_deref().into_iter().chain(projected)
    }
}

impl PodTemplate {
    /// The labels of the pods.
    pub fn labels(&self) -> &Labels {
        &self.metadata.labels
    }
}

impl PodSpec {
    /// Init containers, then main containers.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(self.containers.iter())
    }

    /// The claims that a container may write to, by name, each with the index of its volume.
    pub fn written_claims(&self) -> impl Iterator<Item = (usize, &Volume, &ClaimSource)> {
        self.volumes.iter().enumerate().filter_map(|(index, volume)| {
            let claim = volume.persistent_volume_claim.as_ref()?;
            let is_written = || self.all_containers().any(|container| container.writes_volume(&volume.name));
            (!claim.read_only && !claim.claim_name.is_empty() && is_written())
                .then_some((index, volume, claim))
        })
    }

    /// Whether a container mounts the volume, and each pod only reads it or writes to a folder of its own.
    pub fn has_folders_per_pod(&self, volume: &str) -> bool {
        let mounts = self
            .all_containers()
            .flat_map(|container| container.volume_mounts.iter().map(move |mount| (container, mount)));
        let mut mounts = mounts.filter(|(_, mount)| *mount.name == *volume).peekable();
        let is_apart = |(container, mount): (&Container, &VolumeMount)| {
            mount.read_only || container.has_own_folder(mount)
        };
        mounts.peek().is_some() && mounts.all(is_apart)
    }

    /// The ConfigMaps whose files the volumes hold.
    pub fn config_map_files(&self) -> impl Iterator<Item = &ConfigMapFiles> {
        self.volumes.iter().flat_map(Volume::config_maps)
    }

    /// Whether two such pods cannot run on one node because they would take the same host port.
    pub fn takes_host_ports(&self) -> bool {
        let mut ports = self.containers.iter().flat_map(|container| &container.ports);
        ports.any(|port| port.host_port > 0 || self.host_network)
    }
}
