//! Where objects come from.

use super::{ClusterView, PendingChange};
use crate::model::{Autoscaler, DisruptionBudget, Metadata, Object, ObjectRef, Owner, Service, StatefulSet};

impl<'a> ClusterView<'a> {
    /// The controller that has made an object, if one has and the object is known: what is edited by hand it will undo.
    pub fn owner_of(&self, object: &ObjectRef) -> Option<&'a Owner> {
        self.metadata_of(object)?.owner.as_deref()
    }

    fn metadata_of(&self, object: &ObjectRef) -> Option<&'a Metadata> {
        let (cluster, namespace, name) = (self.cluster, &*object.namespace, &*object.name);
        match (object.kind, self.pending) {
            (StatefulSet::KIND, _) => self.set(namespace, name).present().map(Object::metadata),
            (Service::KIND, _) => self.service(namespace, name).present().map(Object::metadata),
            (DisruptionBudget::KIND, PendingChange::Budget(ns, n, budget))
                if (ns, n) == (namespace, name) =>
            {
                budget.map(Object::metadata)
            }
            (DisruptionBudget::KIND, _) => cluster.budgets.get(namespace, name).map(Object::metadata),
            (Autoscaler::KIND, _) => cluster.autoscalers.get(namespace, name).map(Object::metadata),
            _ => None,
        }
    }
}
