//! A HorizontalPodAutoscaler, or a ScaledObject of KEDA.

use serde::Deserialize;

use super::{Kind, Metadata, nullable};

/// The fields of a HorizontalPodAutoscaler that rules read; they are the same in every version of `autoscaling`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Autoscaler {
    /// [`Kind::Autoscaler`] or [`Kind::ScaledObject`].
    #[serde(skip, default = "horizontal")]
    pub kind: Kind,
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "nullable::field")]
    pub spec: AutoscalerSpec,
}

fn horizontal() -> Kind {
    Kind::Autoscaler
}

impl Default for Autoscaler {
    fn default() -> Self {
        Self { kind: horizontal(), metadata: Metadata::default(), spec: AutoscalerSpec::default() }
    }
}

/// The fields of an autoscaler's `spec` that rules read. KEDA has its own names for the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerSpec {
    /// The object that it scales.
    #[serde(deserialize_with = "nullable::field")]
    pub scale_target_ref: ScaleTarget,
    /// Absent means 1 for a HorizontalPodAutoscaler and 0 for a ScaledObject.
    #[serde(alias = "minReplicaCount")]
    pub min_replicas: Option<i32>,
    /// The highest count it may set; required in a HorizontalPodAutoscaler; absent means 100 in a ScaledObject.
    #[serde(alias = "maxReplicaCount")]
    pub max_replicas: Option<i32>,
    /// Of a ScaledObject: the count that it sets while no trigger is active.
    #[serde(rename = "idleReplicaCount")]
    idle_replicas: Option<i32>,
}

/// `scaleTargetRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScaleTarget {
    /// `apps/v1`; some leave it out.
    #[serde(deserialize_with = "nullable::field")]
    pub api_version: Box<str>,
    /// `StatefulSet`, `Deployment` …
    #[serde(deserialize_with = "nullable::field")]
    pub kind: Box<str>,
    /// Its name, in the autoscaler's namespace.
    #[serde(deserialize_with = "nullable::field")]
    pub name: Box<str>,
}

impl Autoscaler {
    /// The lowest count it may set.
    pub fn min_replicas(&self) -> i32 {
        self.spec.min_replicas.unwrap_or(i32::from(self.kind != Kind::ScaledObject))
    }

    /// The highest count it may set.
    pub fn max_replicas(&self) -> i32 {
        self.spec.max_replicas.unwrap_or(if self.kind == Kind::ScaledObject { 100 } else { 0 })
    }

    /// JSON pointer of the field of [`Self::min_replicas`].
    pub fn min_path(&self) -> &'static str {
        if self.kind == Kind::ScaledObject { "/spec/minReplicaCount" } else { "/spec/minReplicas" }
    }

    /// The count below [`Self::min_replicas`] that a ScaledObject sets while no trigger is active. KEDA refuses others.
    pub fn idle_replicas(&self) -> Option<i32> {
        let is_keda = self.kind == Kind::ScaledObject;
        self.spec.idle_replicas.filter(|idle| is_keda && *idle < self.min_replicas())
    }

    /// Kind and name of the object to delete. KEDA makes a HorizontalPodAutoscaler again as long as its ScaledObject is there.
    pub fn to_delete(&self) -> String {
        match self.metadata.owner.as_deref() {
            Some(owner) if &*owner.kind == Kind::ScaledObject.name() => {
                format!("{} {}", owner.kind, owner.name)
            }
            _ => format!("{} {}", self.kind.name(), self.metadata.name),
        }
    }

    /// Ends "keeps at least N replicas" in messages.
    pub fn unless_idle(&self) -> &'static str {
        if self.idle_replicas().is_some() { ", except while idle" } else { "" }
    }

    /// The name of the StatefulSet it scales; `None` if it scales another kind.
    pub fn scaled_set(&self) -> Option<&str> {
        self.scaled(Kind::StatefulSet)
    }

    /// The name of the object it scales, if that is of this kind in the API group `apps`. For KEDA, an absent kind means Deployment.
    pub fn scaled(&self, kind: Kind) -> Option<&str> {
        let ScaleTarget { api_version, kind: written, name } = &self.spec.scale_target_ref;
        let group = api_version.split_once('/').map_or(&**api_version, |(group, _)| group);
        let is_default = written.is_empty() && self.kind == Kind::ScaledObject && kind == Kind::Deployment;
        ((&**written == kind.name() || is_default) && matches!(group, "apps" | "")).then_some(&**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaling(target: &str) -> Autoscaler {
        serde_json::from_str(&format!(r#"{{"spec":{{"scaleTargetRef":{target}}}}}"#)).unwrap()
    }

    #[test]
    fn it_scales_a_set_of_the_apps_group_only() {
        let set = scaling(r#"{"apiVersion":"apps/v1","kind":"StatefulSet","name":"zk"}"#);
        assert_eq!(set.scaled_set(), Some("zk"));
        assert_eq!(scaling(r#"{"kind":"StatefulSet","name":"zk"}"#).scaled_set(), Some("zk"));
        for other in [
            r#"{"apiVersion":"apps/v1","kind":"Deployment","name":"zk"}"#,
            r#"{"apiVersion":"apps.kruise.io/v1beta1","kind":"StatefulSet","name":"zk"}"#,
            "null",
        ] {
            assert_eq!(scaling(other).scaled_set(), None, "{other}");
        }
    }

    #[test]
    fn to_keda_no_kind_is_a_deployment() {
        let mut scaler = scaling(r#"{"name":"web"}"#);
        assert_eq!(scaler.scaled(Kind::Deployment), None);
        scaler.kind = Kind::ScaledObject;
        assert_eq!((scaler.scaled(Kind::Deployment), scaler.scaled_set()), (Some("web"), None));
    }

    #[test]
    fn only_keda_has_a_count_for_when_nothing_is_to_do() {
        let spec = r#"{"spec":{"minReplicaCount":3,"idleReplicaCount":0}}"#;
        let mut scaler: Autoscaler = serde_json::from_str(spec).unwrap();
        assert_eq!(scaler.idle_replicas(), None);
        scaler.kind = Kind::ScaledObject;
        assert_eq!(scaler.idle_replicas(), Some(0));
        scaler.spec.min_replicas = Some(0);
        assert_eq!(scaler.idle_replicas(), None, "it is not below the minimum");
    }

    #[test]
    fn an_absent_minimum_is_one() {
        assert_eq!(scaling("{}").min_replicas(), 1);
    }
}
