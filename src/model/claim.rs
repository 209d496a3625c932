//! A PersistentVolumeClaim.

use serde::Deserialize;

use super::{Kind, Metadata, Object, nullable};

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

impl Claim {
    /// Whether pods on several nodes may write to it.
    pub fn is_shared(&self) -> bool {
        self.spec.access_modes.iter().any(|mode| &**mode == "ReadWriteMany")
    }
}

impl Object for Claim {
    fn kind(&self) -> Kind {
        Kind::Claim
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }
}
