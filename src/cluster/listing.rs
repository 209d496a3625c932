//! Objects as they are read from an API server, before they are in a snapshot.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Cluster, ClusterObject, Kind};
use crate::model::StatefulSet;

/// An object that exists but cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    pub kind: Kind,
    pub namespace: Box<str>,
    pub name: Box<str>,
    /// `metadata.resourceVersion`.
    pub version: Box<str>,
    /// The error of the deserializer.
    pub reason: String,
}

/// An object, or what is known of one that cannot be read.
pub type ObjectRead = Result<ClusterObject, Unreadable>;

/// A live cluster or one namespace of it, listed once.
#[derive(Debug, Default)]
pub struct Listing {
    /// The objects that could be read; where one namespace was asked for, its kinds are complete for that one.
    pub cluster: Cluster,
    /// The kinds that could not be listed, and why.
    pub failed: Vec<(Kind, String)>,
    pub unreadable: Vec<Unreadable>,
    /// StatefulSets with all of their fields, by namespace and name, where they were asked for.
    pub raw_sets: BTreeMap<(String, String), Value>,
}

impl Listing {
    /// A set with all of its fields.
    pub fn raw_set(&self, set: &StatefulSet) -> Option<&Value> {
        let (namespace, name) = (&set.metadata.namespace, &set.metadata.name);
        self.raw_sets.get(&(namespace.to_string(), name.to_string()))
    }

    /// Keeps a set with all of its fields.
    pub fn add_raw_set(&mut self, raw: Value) {
        let field = |field: &str| raw["metadata"][field].as_str().unwrap_or_default().to_owned();
        self.raw_sets.insert((field("namespace"), field("name")), raw);
    }
}

impl Cluster {
    /// Adds an object, or notes that it exists and cannot be read.
    pub fn insert_read(&mut self, read: ObjectRead) {
        match read {
            Ok(object) => object.insert_into(self),
            Err(Unreadable { kind, namespace, name, .. }) => self.set_unreadable(kind, &namespace, &name),
        }
    }
}
