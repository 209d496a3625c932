//! One object of an inventory.

use super::ManifestRecord;
use super::names::{NameRef, ObjectName, name_of};
use crate::change::{DuplicateKey, WrittenObject};
use crate::cluster::ClusterObject;
use crate::model::StatefulSet;

/// An object of the inventory.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Where and how it is written.
    pub manifest: &'a ManifestRecord,
    pub(super) object: &'a ClusterObject,
}

impl<'a> Found<'a> {
    /// The identity of the object.
    pub fn name(&self) -> ObjectName {
        name_of(self.object)
    }

    /// The identity, borrowed.
    pub fn name_ref(&self) -> NameRef<'a> {
        let metadata = self.object.metadata();
        (self.object.kind().name(), &metadata.namespace, &metadata.name)
    }

    /// The StatefulSet, if it is one.
    pub fn set(&self) -> Option<&'a StatefulSet> {
        match self.object {
            ClusterObject::StatefulSet(set) => Some(set),
            _ => None,
        }
    }

    /// Whether it is a Deployment or a ReplicaSet.
    pub fn is_workload(&self) -> bool {
        matches!(self.object, ClusterObject::Deployment(_) | ClusterObject::ReplicaSet(_))
    }

    /// The object.
    pub fn object(&self) -> &'a ClusterObject {
        self.object
    }

    /// How it is written, apart from what it says.
    pub fn how(&self) -> WrittenObject {
        let metadata = self.object.metadata();
        let duplicate_keys = self.manifest.duplicate_keys.iter().map(|key| DuplicateKey {
            pointer: key.pointer.clone(),
            lines: (!self.manifest.is_rendered).then_some((key.first_line, key.line)),
        });
        WrittenObject {
            object: self.object.kind().reference(&metadata.namespace, &metadata.name),
            metadata: metadata.clone(),
            api_version: self.manifest.api_version.to_string(),
            has_selector: self.manifest.has_selector,
            duplicate_keys: duplicate_keys.collect(),
            immutable_changes: Vec::new(),
        }
    }
}
