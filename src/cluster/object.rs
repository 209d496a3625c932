//! The objects that a snapshot holds, by kind.

use std::sync::Arc;

use serde::de::{Deserialize, Deserializer};

use super::Cluster;
use super::table::Table;
use crate::model::{
    Autoscaler, Claim, ConfigMap, DisruptionBudget, Kind, Metadata, Namespace, Object, ObjectsOnly, Pod,
    PolicyDocument, Service, StatefulSet, Workload,
};

/// For each kind: the type that is kept of its objects, and their table.
macro_rules! kinds {
    ($($kind:ident: $type:ident in $table:ident,)+) => {
        /// One object, which a snapshot shares.
        #[derive(Clone, Debug)]
        pub enum ClusterObject {
            $($kind(Arc<$type>),)+
        }

        /// The objects of a snapshot.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Tables {
            $(pub(super) $table: Table<$type>,)+
        }

        impl ClusterObject {
            /// Reads an object of this kind.
            pub fn deserialize<'de, D: Deserializer<'de>>(kind: Kind, deserializer: D) -> Result<Self, D::Error> {
                match kind {
                    $(Kind::$kind => {
                        let mut object = $type::deserialize(ObjectsOnly(deserializer))?;
                        object.set_kind(kind);
                        Ok(Self::$kind(Arc::new(object)))
                    })+
                }
            }

            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)+
                }
            }

            pub fn metadata(&self) -> &Metadata {
                match self {
                    $(Self::$kind(object) => object.metadata(),)+
                }
            }

            pub fn metadata_mut(&mut self) -> &mut Metadata {
                match self {
                    $(Self::$kind(object) => Arc::make_mut(object).metadata_mut(),)+
                }
            }
        }

        impl Tables {
            pub(super) fn len(&self, kind: Kind) -> usize {
                match kind {
                    $(Kind::$kind => self.$table.len(),)+
                }
            }

            pub(super) fn insert(&mut self, object: ClusterObject) {
                match object {
                    $(ClusterObject::$kind(object) => self.$table.insert(object),)+
                }
            }

            pub(super) fn remove(&mut self, kind: Kind, namespace: &str, name: &str) {
                match kind {
                    $(Kind::$kind => self.$table.remove(namespace, name),)+
                }
            }

            /// The names of the objects in a namespace.
            pub(super) fn names_in(&self, kind: Kind, namespace: &str) -> Vec<Box<str>> {
                match kind {
                    $(Kind::$kind => {
                        let objects = self.$table.each_in_namespace(namespace);
                        objects.map(|object| object.metadata().name.clone()).collect()
                    })+
                }
            }

            /// Takes out the objects of which `is_there` is not true of namespace and name.
            pub(super) fn retain(&mut self, kind: Kind, is_there: &dyn Fn(&str, &str) -> bool) {
                match kind {
                    $(Kind::$kind => self.$table.retain(is_there),)+
                }
            }

            pub(super) fn replace(&mut self, kind: Kind, other: Self) {
                match kind {
                    $(Kind::$kind => self.$table = other.$table,)+
                }
            }

            /// Inserts every object of `other`.
            pub(super) fn add(&mut self, other: &Self) {
                $(other.$table.shared().for_each(|object| self.$table.insert(Arc::clone(object)));)+
            }

            /// Inserts an object, sharing it with `older` where it is the same there.
            pub(super) fn take_over(&mut self, older: &Self, object: ClusterObject) {
                match object {
                    $(ClusterObject::$kind(object) => self.$table.take_over(&older.$table, object),)+
                }
            }

            pub(super) fn contains(&self, object: &ClusterObject) -> bool {
                match object {
                    $(ClusterObject::$kind(object) => self.$table.contains(object),)+
                }
            }

            /// The keys of the objects, of whatever kind, that are new, different or gone since `older`.
            pub(super) fn changed_since<'a>(&'a self, older: &'a Self) -> impl Iterator<Item = &'a str> {
                std::iter::empty()$(.chain(self.$table.changed_since(&older.$table)))+
            }

            pub(super) fn metadata(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Metadata> {
                match kind {
                    $(Kind::$kind => self.$table.get(namespace, name).map(Object::metadata),)+
                }
            }
        }
    };
}

kinds! {
    StatefulSet: StatefulSet in sets,
    Service: Service in services,
    DisruptionBudget: DisruptionBudget in budgets,
    Autoscaler: Autoscaler in autoscalers,
    Namespace: Namespace in namespaces,
    ScaledObject: Autoscaler in scaled_objects,
    Deployment: Workload in deployments,
    ReplicaSet: Workload in replica_sets,
    DaemonSet: Workload in daemon_sets,
    Job: Workload in jobs,
    CronJob: Workload in cron_jobs,
    Claim: Claim in claims,
    ConfigMap: ConfigMap in config_maps,
    Pod: Pod in pods,
    Policy: PolicyDocument in policies,
    Exemption: PolicyDocument in exemptions,
}

impl ClusterObject {
    /// Reads the JSON of an object of this kind.
    pub fn from_json(kind: Kind, json: &str) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let object = Self::deserialize(kind, &mut deserializer)?;
        deserializer.end()?;
        Ok(object)
    }

    /// Puts it in, in place of one of the same name.
    pub fn insert_into(self, cluster: &mut Cluster) {
        cluster.insert(self);
    }
}

impl Tables {
    /// The tables of the kinds whose pods are made from a template, apart from StatefulSets.
    pub(super) fn workloads(&self) -> [&Table<Workload>; Kind::WORKLOADS.len()] {
        [&self.deployments, &self.replica_sets, &self.daemon_sets, &self.jobs, &self.cron_jobs]
    }
}

macro_rules! from {
    ($($kind:ident),+) => {
        $(impl From<$kind> for ClusterObject {
            fn from(object: $kind) -> Self {
                Self::$kind(Arc::new(object))
            }
        })+
    };
}

from!(StatefulSet, Service, DisruptionBudget, Namespace, Claim, ConfigMap, Pod);

impl From<Autoscaler> for ClusterObject {
    fn from(object: Autoscaler) -> Self {
        let object = Arc::new(object);
        if object.kind == Kind::ScaledObject { Self::ScaledObject(object) } else { Self::Autoscaler(object) }
    }
}
