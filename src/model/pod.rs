//! A Pod that is to be created, deleted or evicted, or a member of a consensus group that is read by name.

use serde::{Deserialize, Deserializer};

use super::{Metadata, Owner, nullable};

/// The fields of a Pod that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pod {
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: PodPlacement,
    #[serde(deserialize_with = "nullable::field")]
    pub status: PodStatus,
}

/// The fields of a Pod's `spec` that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodPlacement {
    /// Empty until the pod is scheduled.
    #[serde(deserialize_with = "nullable::field")]
    pub node_name: Box<str>,
    /// Seconds until KILL if the request gives no other time; absent means 30.
    pub termination_grace_period_seconds: Option<i64>,
}

/// The fields of a Pod's `status` that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(deserialize_with = "nullable::field")]
    pub phase: Box<str>,
    /// Whether the condition `Ready` is `True`.
    #[serde(rename = "conditions", deserialize_with = "has_ready")]
    pub ready: bool,
}

/// One of `status.conditions`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PodCondition {
    #[serde(rename = "type", deserialize_with = "nullable::field")]
    name: Box<str>,
    #[serde(deserialize_with = "nullable::field")]
    status: Box<str>,
}

fn has_ready<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let conditions: Vec<PodCondition> = nullable::list(deserializer)?;
    Ok(conditions.iter().any(|condition| &*condition.name == "Ready" && &*condition.status == "True"))
}

impl Pod {
    /// Whether a process of the pod may be running on a node.
    pub fn may_run(&self) -> bool {
        !self.spec.node_name.is_empty() && !matches!(&*self.status.phase, "Succeeded" | "Failed")
    }

    /// Whether the pod serves and will continue to. A pod that is being deleted often stays ready until its last second.
    pub fn is_serving(&self) -> bool {
        self.status.ready && !self.metadata.deleting
    }

    /// The StatefulSet that owns the pod.
    pub fn stateful_set(&self) -> Option<&Owner> {
        self.metadata.owner.as_deref().filter(|owner| owner.is_stateful_set())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_pod_serves_while_it_is_ready_and_stays() {
        let pod = |metadata: Value, conditions: Value| -> Pod {
            serde_json::from_value(json!({"metadata": metadata, "status": {"conditions": conditions}}))
                .unwrap()
        };
        let condition = |name: &str, status: &str| json!([null, {"type": name, "status": status}]);
        for (conditions, serves) in [
            (condition("Ready", "True"), true),
            (condition("Ready", "False"), false),
            (condition("Ready", "Unknown"), false),
            (condition("ContainersReady", "True"), false),
            (json!([]), false),
            (json!(null), false),
        ] {
            assert_eq!(pod(json!({}), conditions.clone()).is_serving(), serves, "{conditions}");
            let going = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
            assert!(!pod(going, conditions).is_serving());
        }
        assert!(!Pod::default().is_serving());
    }
}
