//! A Namespace.

use serde::Deserialize;

use super::{Metadata, nullable};

/// The fields of a Namespace that rules read: its labels, and whether it is being deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Namespace {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
}
