//! The controllers that own objects.

use super::{ClusterView, PendingChange};
use crate::model::{Kind, Metadata, Object, ObjectRef, Owner};

impl<'a> ClusterView<'a> {
    /// The controller that owns an object, if the object is known and has one: it undoes what is edited by hand.
    pub fn owner_of(&self, object: &ObjectRef) -> Option<&'a Owner> {
        self.metadata_of(object)?.owner.as_deref()
    }

    fn metadata_of(&self, object: &ObjectRef) -> Option<&'a Metadata> {
        let (namespace, name) = (&*object.namespace, &*object.name);
        match (Kind::named(object.kind)?, self.pending) {
            (Kind::StatefulSet, _) => self.set(namespace, name).present().map(Object::metadata),
            (Kind::Service, _) => self.service(namespace, name).present().map(Object::metadata),
            (Kind::DisruptionBudget, PendingChange::Budget(ns, n, budget))
                if (ns, n) == (namespace, name) =>
            {
                budget.map(Object::metadata)
            }
            (kind, _) => self.cluster.tables.metadata(kind, namespace, name),
        }
    }
}
