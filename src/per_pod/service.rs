//! A Service as it is in the cluster, and whose it is.

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::set::PerPodSet;
use crate::model::{Labels, PER_POD_APPLIED};

/// The label with the set's name, on every Service made for a pod of it.
pub const OWNER_LABEL: &str = "stateward.dev/service-per-pod";
/// The label that says who makes an object.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "stateward");
/// The annotation by which Metacontroller knows what one of its decorators has made, and the decorator's name.
pub const DECORATOR: (&str, &str) = ("metacontroller.k8s.io/decorator-controller", "service-per-pod");

/// The fields of a Service that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PerPodService {
    pub metadata: Meta,
    pub spec: PerPodServiceSpec,
}

/// The fields of its `metadata` that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub name: Box<str>,
    pub namespace: Box<str>,
    /// Its identity.
    pub uid: Box<str>,
    pub resource_version: Box<str>,
    /// Its labels.
    pub labels: Labels,
    /// All its annotations.
    pub annotations: Labels,
    /// Whether it is being deleted.
    #[serde(rename = "deletionTimestamp", deserialize_with = "presence")]
    pub deleting: bool,
    /// Whom it belongs to.
    #[serde(rename = "ownerReferences", deserialize_with = "controller")]
    pub owner: Option<Box<ServiceOwner>>,
}

/// The one among its `ownerReferences` that is the controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceOwner {
    /// `StatefulSet`.
    pub kind: Box<str>,
    pub name: Box<str>,
    /// Its identity.
    pub uid: Box<str>,
    controller: bool,
}

/// The fields of its `spec` that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PerPodServiceSpec {
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// The labels it selects by.
    pub selector: Labels,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// `Cluster` or `Local`.
    pub external_traffic_policy: Option<Box<str>>,
    /// Who provides the load balancer.
    pub load_balancer_class: Option<Box<str>>,
    /// Who may come through it.
    pub load_balancer_source_ranges: Vec<String>,
    /// Whether each port has one on every node.
    pub allocate_load_balancer_node_ports: Option<bool>,
    /// Whether a pod is reached before it is ready.
    pub publish_not_ready_addresses: bool,
}

/// One of its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    pub name: Box<str>,
    /// `TCP`.
    pub protocol: Box<str>,
    /// Its number.
    pub port: u16,
    /// The pod's port.
    pub target_port: TargetPort,
}

/// A port of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TargetPort {
    /// By number.
    Number(u16),
    /// By name.
    Name(Box<str>),
}

impl Default for TargetPort {
    fn default() -> Self {
        Self::Number(0)
    }
}

fn presence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

fn controller<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<ServiceOwner>>, D::Error> {
    let owners = Option::<Vec<ServiceOwner>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(owners.into_iter().find(|owner| owner.controller).map(Box::new))
}

/// Which set a Service was made for, as a set sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Made for a pod of this very set.
    Ours,
    /// Made by Metacontroller's decorator for a pod of this very set.
    Metacontrollers,
    /// Made for a pod of a set of this name that was deleted without it, as `kubectl delete --cascade=orphan` does.
    Orphaned,
    /// Made for a pod of a set of this name that is gone: the garbage collector is about to come for it.
    Left,
    /// Not made for this set.
    Foreign,
}

impl PerPodService {
    /// Whose it is.
    pub fn standing(&self, set: &PerPodSet) -> Standing {
        let Meta { labels, annotations, owner, .. } = &self.metadata;
        let (name, label) = (&*set.metadata.name, labels.get(OWNER_LABEL));
        match owner {
            Some(owner) if owner.uid == set.metadata.uid && !owner.uid.is_empty() => {
                if label.is_some() || annotations.get(PER_POD_APPLIED).is_some() {
                    Standing::Ours
                } else if annotations.get(DECORATOR.0) == Some(DECORATOR.1) {
                    Standing::Metacontrollers
                } else {
                    Standing::Foreign
                }
            }
            Some(owner) if &*owner.kind == "StatefulSet" && &*owner.name == name && label == Some(name) => {
                Standing::Left
            }
            None if label == Some(name) && labels.get(MANAGED_BY.0) == Some(MANAGED_BY.1) => {
                Standing::Orphaned
            }
            _ => Standing::Foreign,
        }
    }

    /// Whether it is deleted when the set does not ask for it. A Service that has lost its owner is deleted too, or it would stay for
    /// ever; but only if it has all that we give a Service: it may be a copy made by hand.
    pub fn is_ours_to_delete(&self, set: &PerPodSet) -> bool {
        let metadata = &self.metadata;
        let ordinal = metadata.name.strip_prefix(&*set.metadata.name).and_then(|rest| rest.strip_prefix('-'));
        let is_pods = ordinal.is_some_and(|text| text.parse::<u32>().is_ok());
        !metadata.deleting
            && match self.standing(set) {
                Standing::Ours => true,
                Standing::Orphaned => is_pods && metadata.annotations.get(PER_POD_APPLIED).is_some(),
                Standing::Metacontrollers | Standing::Left | Standing::Foreign => false,
            }
    }

    /// Whether it has a load balancer, whose class cannot be changed.
    pub fn is_load_balancer(&self) -> bool {
        &*self.spec.kind == "LoadBalancer"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn standing(metadata: &Value) -> Standing {
        let set: PerPodSet =
            serde_json::from_value(json!({"metadata": {"name": "web", "uid": "1"}})).unwrap();
        let service: PerPodService = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        service.standing(&set)
    }

    #[test]
    fn a_service_is_whose_its_controller_is() {
        let owner = |name: &str, uid: &str, controller: bool| {
            json!([
                {"kind": "Deployment", "name": "x", "uid": "9"},
                {"kind": "StatefulSet", "name": name, "uid": uid, "controller": controller},
            ])
        };
        let label = json!({"stateward.dev/service-per-pod": "web"});
        let both =
            json!({"stateward.dev/service-per-pod": "web", "app.kubernetes.io/managed-by": "stateward"});
        let decorated = |by: &str| json!({"metacontroller.k8s.io/decorator-controller": by});
        for (metadata, expected) in [
            (json!({"labels": label, "ownerReferences": owner("web", "1", true)}), Standing::Ours),
            (
                json!({"annotations": {"stateward.dev/service-per-pod-applied": "x"},
                    "ownerReferences": owner("web", "1", true)}),
                Standing::Ours,
            ),
            (json!({"labels": label, "ownerReferences": owner("web", "1", false)}), Standing::Foreign),
            (json!({"labels": label, "ownerReferences": owner("web", "2", true)}), Standing::Left),
            (json!({"labels": both, "ownerReferences": owner("db", "2", true)}), Standing::Foreign),
            (json!({"ownerReferences": owner("web", "2", true)}), Standing::Foreign),
            (json!({"ownerReferences": owner("web", "1", true)}), Standing::Foreign),
            (
                json!({"annotations": decorated("service-per-pod"), "ownerReferences": owner("web", "1", true)}),
                Standing::Metacontrollers,
            ),
            (
                json!({"annotations": decorated("other"), "ownerReferences": owner("web", "1", true)}),
                Standing::Foreign,
            ),
            (json!({"annotations": decorated("service-per-pod")}), Standing::Foreign),
            (json!({"labels": both}), Standing::Orphaned),
            (json!({"labels": label}), Standing::Foreign),
            (json!({}), Standing::Foreign),
        ] {
            assert_eq!(standing(&metadata), expected, "{metadata}");
        }
    }
}
