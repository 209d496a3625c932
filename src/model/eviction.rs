//! An Eviction: a request to delete a Pod, as `kubectl drain` sends it.

use serde::Deserialize;

use super::{Metadata, nullable};

/// The fields of an Eviction that rules read. It holds no more of the Pod than its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Eviction {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub delete_options: DeleteOptions,
}

/// The fields of `deleteOptions` that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteOptions {
    pub grace_period_seconds: Option<i64>,
    /// `[All]` for a dry run; `kubectl drain --dry-run=server` sets it only here, not in the request.
    #[serde(deserialize_with = "nullable::list")]
    pub dry_run: Vec<Box<str>>,
}

impl Eviction {
    pub fn is_dry_run(&self) -> bool {
        !self.delete_options.dry_run.is_empty()
    }
}
