//! A Namespace.

use serde::Deserialize;

use super::{Kind, Metadata, Object, nullable};

/// What is kept of a Namespace: its labels, and whether it is being deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Namespace {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
}

impl Object for Namespace {
    fn kind(&self) -> Kind {
        Kind::Namespace
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }
}
