//! A Pod that is to be created or deleted.

use serde::Deserialize;

use super::{Metadata, ObjectRef, nullable};

/// What is kept of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pod {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: PodPlacement,
    #[serde(deserialize_with = "nullable::field")]
    pub status: PodStatus,
}

/// What is kept of a Pod's `spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodPlacement {
    /// Empty until it is scheduled.
    #[serde(deserialize_with = "nullable::field")]
    pub node_name: Box<str>,
    /// Seconds it is given to end where the request does not say; absent means 30.
    pub termination_grace_period_seconds: Option<i64>,
}

/// What is kept of a Pod's `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(deserialize_with = "nullable::field")]
    pub phase: Box<str>,
}

impl Pod {
    /// Whether a process of it may be running somewhere.
    pub fn may_run(&self) -> bool {
        !self.spec.node_name.is_empty() && !matches!(&*self.status.phase, "Succeeded" | "Failed")
    }
}

impl Pod {
    pub fn reference(&self) -> ObjectRef {
        let Metadata { namespace, name, .. } = &self.metadata;
        ObjectRef { api_version: "v1", kind: "Pod", namespace: namespace.clone(), name: name.clone() }
    }
}
