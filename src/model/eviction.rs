//! An Eviction: a Pod that is asked to go, as `kubectl drain` asks.

use serde::Deserialize;

use super::{Metadata, nullable};

/// What is kept of an Eviction. Of the Pod it has no more than the name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Eviction {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub delete_options: DeleteOptions,
}

/// What is kept of an Eviction's `deleteOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteOptions {
    pub grace_period_seconds: Option<i64>,
    /// `[All]`; `kubectl drain --dry-run=server` says it here only, and not in the request.
    #[serde(deserialize_with = "nullable::list")]
    pub dry_run: Vec<Box<str>>,
}

impl Eviction {
    pub fn is_dry_run(&self) -> bool {
        !self.delete_options.dry_run.is_empty()
    }
}
