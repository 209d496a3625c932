//! The watched objects, as types of the kube client, with few fields because there are many objects.

use std::borrow::Cow;

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource, runtime::reflector::ObjectRef};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::model::{Annotations, LabelSelector, Labels, Metadata, PER_POD_LABEL, PER_POD_PORTS};
use crate::per_pod::owned::SetKey;
use crate::per_pod::service::PerPodService;
use crate::per_pod::set::{PerPodSet, SetSpec, SetStatus};

/// A StatefulSet, without most of it.
#[derive(Clone, Debug)]
pub(super) struct WatchedSet {
    meta: ObjectMeta,
    pub(super) set: PerPodSet,
}

/// A Service, without most of it.
#[derive(Clone, Debug)]
pub(super) struct WatchedService {
    meta: ObjectMeta,
    pub(super) service: PerPodService,
}

impl WatchedSet {
    pub(super) fn reference((namespace, name): &SetKey) -> ObjectRef<Self> {
        ObjectRef::new(name).within(namespace)
    }
}

#[derive(Deserialize)]
struct RawSet {
    #[serde(default)]
    metadata: RawMeta,
    #[serde(default)]
    spec: SetSpec,
    #[serde(default)]
    status: SetStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawMeta {
    name: Box<str>,
    namespace: Box<str>,
    uid: Box<str>,
    resource_version: String,
    labels: Labels,
    annotations: Annotations,
    deletion_timestamp: Option<IgnoredAny>,
}

impl<'de> Deserialize<'de> for WatchedSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let RawSet { metadata: raw, mut spec, status } = RawSet::deserialize(deserializer)?;
        let meta = meta(&raw.namespace, &raw.name, raw.resource_version);
        let mut metadata = Metadata {
            name: raw.name,
            namespace: raw.namespace,
            uid: raw.uid,
            deleting: raw.deletion_timestamp.is_some(),
            ..Metadata::default()
        };
        // For a set that asks for no Services only its identity matters: it may have asked before.
        if [PER_POD_LABEL, PER_POD_PORTS].iter().all(|key| raw.annotations.get(key).is_some()) {
            (metadata.labels, metadata.annotations) = (raw.labels, raw.annotations);
        } else {
            spec.selector = LabelSelector::default();
        }
        Ok(Self { meta, set: PerPodSet { metadata, spec, status } })
    }
}

impl<'de> Deserialize<'de> for WatchedService {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let service = PerPodService::deserialize(deserializer)?;
        let of = &service.metadata;
        let meta = meta(&of.namespace, &of.name, of.resource_version.to_string());
        Ok(Self { meta, service })
    }
}

/// The fields that the kube client itself reads.
fn meta(namespace: &str, name: &str, version: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        resource_version: Some(version),
        ..ObjectMeta::default()
    }
}

macro_rules! resource {
    ($type:ident, $group:literal, $kind:literal, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.meta
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.meta
            }
        }
    };
}

resource!(WatchedSet, "apps", "StatefulSet", "statefulsets");
resource!(WatchedService, "", "Service", "services");

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_set_that_asks_for_nothing_little_is_kept() {
        let set = |annotations: serde_json::Value| -> WatchedSet {
            serde_json::from_value(json!({
                "metadata": {"name": "web", "namespace": "n", "uid": "1", "resourceVersion": "7", "labels": {"a": "b"},
                    "annotations": annotations, "deletionTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{}]},
                "spec": {"replicas": 3, "template": {}},
                "status": {"conditions": [{"type": "stateward.dev/ServicePerPod", "status": "False", "reason": "R",
                    "message": "m"}]},
            }))
            .unwrap()
        };
        let asks = set(json!({"service-per-pod-label": "a", "service-per-pod-ports": "b"}));
        assert_eq!(asks.set.metadata.labels.get("a"), Some("b"));
        assert_eq!(asks.meta.resource_version.as_deref(), Some("7"));
        assert!(asks.set.metadata.deleting);
        assert_eq!(asks.set.status.condition_text.as_ref().unwrap().message, "m");
        let asks_not = set(json!({"service-per-pod-label": "a"}));
        assert_eq!((asks_not.set.metadata.labels, &*asks_not.set.metadata.uid), (Labels::default(), "1"));
    }
}
