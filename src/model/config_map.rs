//! A ConfigMap, read from manifests only: its configuration files contain the names that an application dials.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Metadata, nullable};

/// The fields of a ConfigMap that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub data: BTreeMap<Box<str>, Option<Box<str>>>,
}

impl ConfigMap {
    /// The text under a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.data.get(key)?.as_deref()
    }

    /// The texts, each with its key.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.data.iter().filter_map(|(key, text)| Some((&**key, text.as_deref()?)))
    }
}
