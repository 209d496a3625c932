//! What is kept of a pod template.

use serde::Deserialize;

use super::metadata::presence;
use super::{LabelSelector, Labels, Metadata, nullable};

/// `spec.template`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Labels and annotations of the pods.
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    /// The pods' specification.
    #[serde(deserialize_with = "nullable::field")]
    pub spec: PodSpec,
}

/// `spec.template.spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The main containers; init containers are not kept.
    #[serde(deserialize_with = "nullable::list")]
    pub containers: Vec<Container>,
    /// Of which only pod anti-affinity is kept.
    #[serde(deserialize_with = "nullable::field")]
    pub affinity: Affinity,
    /// `topologySpreadConstraints`.
    #[serde(deserialize_with = "nullable::list")]
    pub topology_spread_constraints: Vec<SpreadConstraint>,
    /// Seconds between TERM and KILL; absent means 30.
    pub termination_grace_period_seconds: Option<i64>,
    /// The pod's volumes.
    #[serde(deserialize_with = "nullable::list")]
    pub volumes: Vec<Volume>,
    /// Whether the pod uses its node's network, where two of a kind cannot listen on one port.
    #[serde(deserialize_with = "nullable::field")]
    pub host_network: bool,
}

/// A main container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name in the pod.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// The image as written, with registry, tag and digest.
    #[serde(deserialize_with = "nullable::field")]
    pub image: Box<str>,
    /// Overrides the image's entry point.
    #[serde(deserialize_with = "nullable::list")]
    pub command: Vec<Box<str>>,
    /// Overrides the image's arguments.
    #[serde(deserialize_with = "nullable::list")]
    pub args: Vec<Box<str>>,
    /// Its environment, as far as it is written literally.
    #[serde(deserialize_with = "nullable::list")]
    pub env: Vec<EnvVar>,
    /// Its ports, of which only the host's are of interest.
    #[serde(deserialize_with = "nullable::list")]
    pub ports: Vec<ContainerPort>,
    /// Whether it has a readiness probe.
    #[serde(deserialize_with = "presence")]
    pub readiness_probe: bool,
}

/// One environment variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EnvVar {
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// Empty where it comes from elsewhere.
    #[serde(deserialize_with = "nullable::field")]
    pub value: Box<str>,
}

/// One container port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// The node's port it takes, 0 for none.
    #[serde(deserialize_with = "nullable::field")]
    pub host_port: i32,
}

/// `affinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    /// Which pods this one keeps away from.
    #[serde(deserialize_with = "nullable::field")]
    pub pod_anti_affinity: PodAntiAffinity,
}

/// `podAntiAffinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodAntiAffinity {
    /// The scheduler would rather leave the pod pending than break one of these.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", deserialize_with = "nullable::list")]
    pub required: Vec<AffinityTerm>,
    /// The scheduler tries.
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution", deserialize_with = "nullable::list")]
    pub preferred: Vec<WeightedTerm>,
}

/// A preferred term.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightedTerm {
    /// The term.
    #[serde(deserialize_with = "nullable::field")]
    pub pod_affinity_term: AffinityTerm,
}

/// One term of pod anti-affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AffinityTerm {
    /// The node label whose value the pods may not share.
    #[serde(deserialize_with = "nullable::field")]
    pub topology_key: Box<str>,
    /// Which pods; absent selects none.
    pub label_selector: Option<LabelSelector>,
    /// The namespaces it looks in; empty, with no `namespace_selector`, means the pod's own.
    #[serde(deserialize_with = "nullable::list")]
    pub namespaces: Vec<Box<str>>,
    /// More namespaces it looks in; `{}` means all.
    pub namespace_selector: Option<LabelSelector>,
    /// Keys of which the pods must share the value.
    #[serde(deserialize_with = "nullable::list")]
    pub match_label_keys: Vec<Box<str>>,
    /// Keys of which the pods must not share the value.
    #[serde(deserialize_with = "nullable::list")]
    pub mismatch_label_keys: Vec<Box<str>>,
}

/// One of `topologySpreadConstraints`; always about the pod's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    /// The node label over whose values the pods are spread.
    #[serde(deserialize_with = "nullable::field")]
    pub topology_key: Box<str>,
    /// What the scheduler does where it cannot.
    #[serde(deserialize_with = "nullable::field")]
    pub when_unsatisfiable: WhenUnsatisfiable,
    /// Which pods are counted; absent counts none.
    pub label_selector: Option<LabelSelector>,
    /// Keys of which the counted pods must share the value.
    #[serde(deserialize_with = "nullable::list")]
    pub match_label_keys: Vec<Box<str>>,
    /// How many pods more than the emptiest place another may have.
    #[serde(deserialize_with = "nullable::field")]
    pub max_skew: i32,
}

/// What the scheduler does with a pod that would break a spread constraint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum WhenUnsatisfiable {
    /// Schedules it all the same.
    ScheduleAnyway,
    /// Leaves it pending. Any other word counts as this one: the API server refuses it and says so itself.
    #[default]
    #[serde(other)]
    DoNotSchedule,
}

/// A volume of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Its name in the pod; a claim template of the same name takes its place.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
    /// The claim it mounts, if it mounts one by name.
    pub persistent_volume_claim: Option<ClaimSource>,
    /// Whether it is a folder of the node.
    #[serde(deserialize_with = "presence")]
    pub host_path: bool,
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

impl Container {
    /// The image without tag and digest: `quay.io/coreos/etcd`.
    pub fn repository(&self) -> &str {
        let untagged = self.image.split('@').next().unwrap_or(&self.image);
        match untagged.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => untagged,
        }
    }
}

impl PodTemplate {
    /// The labels the pods are made with.
    pub fn labels(&self) -> &Labels {
        &self.metadata.labels
    }
}

impl PodSpec {
    /// Whether two such pods cannot run on one node because they would take the same port of it.
    pub fn takes_host_ports(&self) -> bool {
        let mut ports = self.containers.iter().flat_map(|container| &container.ports);
        ports.any(|port| port.host_port > 0 || self.host_network)
    }
}
