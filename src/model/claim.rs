//! A PersistentVolumeClaim.

use serde::Deserialize;

use super::{Metadata, nullable};

/// What is kept of a PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claim {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: ClaimSpec,
}

/// What is kept of its `spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// `ReadWriteOnce`, `ReadOnlyMany`, `ReadWriteMany`, `ReadWriteOncePod`.
    #[serde(deserialize_with = "nullable::list")]
    pub access_modes: Vec<Box<str>>,
}

/// What a claim can be mounted by only one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneMount {
    /// `ReadWriteOnce`: the pods of one node.
    Node,
    /// `ReadWriteOncePod`.
    Pod,
}

impl Claim {
    /// What it lets only one of mount it: a pod or a node. `None` where several nodes may, or where it does not say.
    pub fn mounted_by_one(&self) -> Option<OneMount> {
        let modes = || self.spec.access_modes.iter();
        let is_exclusive = |mode: &str| matches!(mode, "ReadWriteOnce" | "ReadWriteOncePod");
        if self.spec.access_modes.is_empty() || !modes().all(|mode| is_exclusive(mode)) {
            return None;
        }
        let is_for_node = modes().any(|mode| &**mode == "ReadWriteOnce");
        Some(if is_for_node { OneMount::Node } else { OneMount::Pod })
    }

    /// Whether no pod may write to it.
    pub fn is_only_read(&self) -> bool {
        let mut modes = self.spec.access_modes.iter().peekable();
        modes.peek().is_some() && modes.all(|mode| &**mode == "ReadOnlyMany")
    }

    /// Whether pods on several nodes may write to it.
    pub fn is_shared(&self) -> bool {
        self.spec.access_modes.iter().any(|mode| &**mode == "ReadWriteMany")
    }
}
