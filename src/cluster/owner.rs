//! The controllers that own objects.

use super::{ClusterView, PendingChange};
use crate::model::{Kind, Metadata, Object, ObjectRef, Owner};

impl<'a> ClusterView<'a> {
    /// The last of the controllers of an object, if the object is known and has one: it undoes what is edited by hand.
    pub fn maker_of(&self, object: &ObjectRef) -> Option<&'a Owner> {
        self.last_owner(self.metadata_of(object)?)
    }

    /// The controller that owns an object; where that is a StatefulSet, the controller of the set. A set makes pods and claims only,
    /// so what it owns else was made for it by its own controller: an operator.
    pub fn last_owner(&self, metadata: &'a Metadata) -> Option<&'a Owner> {
        let owner = metadata.owner.as_deref()?;
        if !owner.is_stateful_set() {
            return Some(owner);
        }
        self.set(&metadata.namespace, &owner.name).present()?.metadata.owner.as_deref()
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
