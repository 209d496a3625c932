//! A PersistentVolumeClaim.

use serde::Deserialize;

use super::{Metadata, nullable};

/// The fields of a PersistentVolumeClaim that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claim {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: ClaimSpec,
}

/// The fields of a claim's `spec` that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// `ReadWriteOnce`, `ReadOnlyMany`, `ReadWriteMany`, `ReadWriteOncePod`.
    #[serde(deserialize_with = "nullable::list")]
    pub access_modes: Vec<Box<str>>,
}

/// The unit that only one of can mount a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneMount {
    /// `ReadWriteOnce`: the pods of one node.
    Node,
    /// `ReadWriteOncePod`.
    Pod,
}

impl Claim {
    /// The unit that only one of can mount the claim: a pod or a node. `None` if several nodes can, or if no access mode is given.
    pub fn mounted_by_one(&self) -> Option<OneMount> {
        let modes = || self.spec.access_modes.iter();
        let is_exclusive = |mode: &str| matches!(mode, "ReadWriteOnce" | "ReadWriteOncePod");
        if self.spec.access_modes.is_empty() || !modes().all(|mode| is_exclusive(mode)) {
            return None;
        }
        let is_for_node = modes().any(|mode| &**mode == "ReadWriteOnce");
        Some(if is_for_node { OneMount::Node } else { OneMount::Pod })
    }

    /// Whether no pod may write to the claim.
    pub fn is_only_read(&self) -> bool {
        let mut modes = self.spec.access_modes.iter().peekable();
        modes.peek().is_some() && modes.all(|mode| &**mode == "ReadOnlyMany")
    }

    /// Whether pods on several nodes may write to the claim.
    pub fn is_shared(&self) -> bool {
        self.spec.access_modes.iter().any(|mode| &**mode == "ReadWriteMany")
    }
}
