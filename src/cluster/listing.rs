//! Objects as they are read from an API server, before they are in a snapshot.

use super::{Cluster, ClusterObject, Kind};

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
    /// What could be read; where one namespace was asked for, its kinds are complete for that one.
    pub cluster: Cluster,
    /// The kinds that could not be listed, and why.
    pub failed: Vec<(Kind, String)>,
    pub unreadable: Vec<Unreadable>,
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
