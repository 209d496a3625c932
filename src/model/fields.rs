//! The fields that Kubernetes knows, from its own schema.

use std::sync::LazyLock;

use k8s_openapi::api::{apps, autoscaling, batch, core, policy};
use serde::Deserialize;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::Kind;

/// The fields of a struct by name, each with the fields of its own struct. Empty for maps with any keys, such as labels, and for values
/// that are no struct.
#[derive(Debug, Default)]
pub struct Fields(Vec<(&'static str, Fields)>);

/// The Kubernetes version of the schema.
pub const KUBERNETES_VERSION: &str = "1.37";

impl Fields {
    /// The fields of a kind's objects, in the API versions that are served now.
    pub fn of_kind(kind: Kind, api_version: &str) -> Option<&'static Self> {
        macro_rules! fields {
            ($($kind:ident $version:literal $object:ty,)+) => {
                match (kind, api_version) {
                    $((Kind::$kind, $version) => {
                        static FIELDS: LazyLock<Fields> = LazyLock::new(Fields::of::<$object>);
                        Some(&FIELDS)
                    })+
                    _ => None,
                }
            };
        }
        fields! {
            StatefulSet "apps/v1" apps::v1::StatefulSet,
            Deployment "apps/v1" apps::v1::Deployment,
            ReplicaSet "apps/v1" apps::v1::ReplicaSet,
            DaemonSet "apps/v1" apps::v1::DaemonSet,
            Service "v1" core::v1::Service,
            Namespace "v1" core::v1::Namespace,
            Claim "v1" core::v1::PersistentVolumeClaim,
            ConfigMap "v1" core::v1::ConfigMap,
            Pod "v1" core::v1::Pod,
            DisruptionBudget "policy/v1" policy::v1::PodDisruptionBudget,
            Autoscaler "autoscaling/v2" autoscaling::v2::HorizontalPodAutoscaler,
            Autoscaler "autoscaling/v1" autoscaling::v1::HorizontalPodAutoscaler,
            Job "batch/v1" batch::v1::Job,
            CronJob "batch/v1" batch::v1::CronJob,
        }
    }

    /// The fields that a type asks for while it is deserialized. Empty if the type asks for more than a [`FieldRecorder`] supports.
    fn of<T: for<'de> Deserialize<'de>>() -> Self {
        let mut fields = Self::default();
        let read = T::deserialize(FieldRecorder(&mut fields));
        if read.is_ok() { fields } else { Self::default() }
    }

    /// Whether any key is allowed.
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields of this field's value, directly or in the items of its list; `None` if there is no such field.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let index = self.0.binary_search_by_key(&by_length(name), |(name, _)| by_length(name)).ok()?;
        self.0.get(index).map(|(_, fields)| fields)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }
}

/// The sort key of a struct's fields. Most names differ in length, which is quick to compare.
fn by_length(name: &str) -> (usize, &str) {
    (name.len(), name)
}

/// Deserializes as an object that has every field, and records the fields that a type asks for.
struct FieldRecorder<'f>(&'f mut Fields);

/// A value that is valid for every string field, and for a time.
const SAMPLE: &str = "1970-01-01T00:00:00Z";

/// The fields whose type accepts only one value. They contain no other fields.
const CONSTANTS: [&str; 2] = ["apiVersion", "kind"];

impl<'de> Deserializer<'de> for FieldRecorder<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Self(Fields(fields)) = self;
        fields.extend(names.iter().map(|name| (*name, Fields::default())));
        fields.sort_unstable_by_key(|(name, _)| by_length(name));
        let variable = fields.iter_mut().filter(|(name, _)| !CONSTANTS.contains(name));
        visitor.visit_map(MapDeserializer::new(variable.map(|(name, fields)| (*name, FieldRecorder(fields)))))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new([self].into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let none: [(&str, &str); 0] = [];
        visitor.visit_map(MapDeserializer::new(none.into_iter()))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(false)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i32(0)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i64(0)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(SAMPLE)
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct enum
        identifier ignored_any
    }
}

impl IntoDeserializer<'_> for FieldRecorder<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_kubernetes_has_its_fields() {
        for kind in Kind::ALL {
            let is_custom = kind.facts().group.contains('.');
            let fields = Fields::of_kind(kind, kind.facts().api_version);
            assert_eq!(fields.is_some_and(|fields| !fields.is_open()), !is_custom, "{kind:?}");
        }
        assert!(Fields::of_kind(Kind::StatefulSet, "apps/v1beta1").is_none());
    }

    #[test]
    fn fields_are_known_at_any_depth() {
        let set = Fields::of_kind(Kind::StatefulSet, "apps/v1").unwrap();
        let at = |path: &str| path.split('.').try_fold(set, |fields, name| fields.get(name));
        for known in [
            "apiVersion",
            "kind",
            "metadata.annotations",
            "metadata.creationTimestamp",
            "spec.replicas",
            "spec.template.spec.containers.resources.limits",
            "spec.template.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution.topologyKey",
            "spec.volumeClaimTemplates.spec.resources.requests",
            "spec.updateStrategy.rollingUpdate.maxUnavailable",
        ] {
            assert!(at(known).is_some(), "{known}");
        }
        for unknown in ["replicas", "spec.replica", "spec.template.spec.container"] {
            assert!(at(unknown).is_none(), "{unknown}");
        }
        assert!(at("metadata.labels").unwrap().is_open());
    }
}
