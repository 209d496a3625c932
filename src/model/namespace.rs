//! A Namespace.

use serde::Deserialize;

use super::{Metadata, Object, nullable};

/// What is kept of a Namespace: its labels, and whether it is being deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Its metadata.
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
}

impl Object for Namespace {
    const KIND: &'static str = "Namespace";
    const API_VERSION: &'static str = "v1";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}
