//! An object of any kind that a snapshot holds.

use super::{Cluster, Kind};
use crate::model::{Autoscaler, DisruptionBudget, Metadata, Namespace, Service, StatefulSet};

/// One object, on its way into a snapshot.
#[allow(clippy::large_enum_variant, reason = "it lives for one call, and a box for each would cost more")]
#[derive(Clone, Debug)]
pub enum ClusterObject {
    /// A StatefulSet.
    Set(StatefulSet),
    /// A Service.
    Service(Service),
    /// A PodDisruptionBudget.
    Budget(DisruptionBudget),
    /// A HorizontalPodAutoscaler.
    Autoscaler(Autoscaler),
    /// A Namespace.
    Namespace(Namespace),
}

impl ClusterObject {
    /// Reads the JSON of an object of this kind.
    pub fn from_json(kind: Kind, json: &str) -> Result<Self, serde_json::Error> {
        match kind {
            Kind::StatefulSet => serde_json::from_str(json).map(Self::Set),
            Kind::Service => serde_json::from_str(json).map(Self::Service),
            Kind::DisruptionBudget => serde_json::from_str(json).map(Self::Budget),
            Kind::Autoscaler => serde_json::from_str(json).map(Self::Autoscaler),
            Kind::Namespace => serde_json::from_str(json).map(Self::Namespace),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Set(_) => Kind::StatefulSet,
            Self::Service(_) => Kind::Service,
            Self::Budget(_) => Kind::DisruptionBudget,
            Self::Autoscaler(_) => Kind::Autoscaler,
            Self::Namespace(_) => Kind::Namespace,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Set(set) => &set.metadata,
            Self::Service(service) => &service.metadata,
            Self::Budget(budget) => &budget.metadata,
            Self::Autoscaler(autoscaler) => &autoscaler.metadata,
            Self::Namespace(namespace) => &namespace.metadata,
        }
    }

    /// Its metadata, to put it elsewhere.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        match self {
            Self::Set(set) => &mut set.metadata,
            Self::Service(service) => &mut service.metadata,
            Self::Budget(budget) => &mut budget.metadata,
            Self::Autoscaler(autoscaler) => &mut autoscaler.metadata,
            Self::Namespace(namespace) => &mut namespace.metadata,
        }
    }

    /// Puts it in, in place of one of the same name.
    pub fn insert_into(self, cluster: &mut Cluster) {
        match self {
            Self::Set(set) => cluster.insert_set(set),
            Self::Service(service) => cluster.insert_service(service),
            Self::Budget(budget) => cluster.insert_budget(budget),
            Self::Autoscaler(autoscaler) => cluster.insert_autoscaler(autoscaler),
            Self::Namespace(namespace) => cluster.insert_namespace(namespace),
        }
    }
}
