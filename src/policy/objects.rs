//! Policies and exemptions that are objects of a snapshot.

use std::sync::Arc;

use super::{NamespaceExemption, Policies, Policy, PolicyError};
use crate::cluster::Cluster;
use crate::model::{Object, ObjectRef};

/// An object that cannot be used, and why.
#[derive(Debug)]
pub struct Malformed {
    pub object: ObjectRef,
    pub error: PolicyError,
}

impl Policies {
    /// These with the exemptions of a snapshot; and those that cannot be used.
    pub fn with_exemptions_of(&self, cluster: &Cluster) -> (Self, Vec<Malformed>) {
        let mut malformed = Vec::new();
        let mut policies = self.clone();
        policies.add_exemptions(cluster.exemptions().filter_map(|document| {
            let exemption = NamespaceExemption::from_json(&document.to_json());
            let failed = |error| malformed.push(Malformed { object: document.reference(), error });
            exemption.map_err(failed).map(Arc::new).ok()
        }));
        (policies, malformed)
    }

    /// These with the policies and exemptions of a snapshot; and those that cannot be used.
    pub fn with_objects_of(&self, cluster: &Cluster) -> (Self, Vec<Malformed>) {
        let (mut policies, mut malformed) = self.with_exemptions_of(cluster);
        policies.add_policies(cluster.policies().filter_map(|document| {
            let policy = Policy::from_json(&document.to_json());
            let failed = |error| malformed.push(Malformed { object: document.reference(), error });
            policy.map_err(failed).map(Arc::new).ok()
        }));
        (policies, malformed)
    }
}
