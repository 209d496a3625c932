//! A StatefulSet, and the Scale of one.

use serde::Deserialize;

use super::{LabelSelector, Labels, Metadata, Object, PodTemplate, nullable};

/// The label that names each pod, and the one that numbers it; the controller adds both.
pub const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// What is kept of a StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StatefulSet {
    /// Its metadata.
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    /// Its specification.
    #[serde(deserialize_with = "nullable::field")]
    pub spec: StatefulSetSpec,
}

/// What is kept of a StatefulSet's `spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetSpec {
    /// Absent means 1.
    pub replicas: Option<i32>,
    /// The governing Service; may be empty.
    #[serde(deserialize_with = "nullable::field")]
    pub service_name: Box<str>,
    /// Which pods are its own.
    #[serde(deserialize_with = "nullable::field")]
    pub selector: LabelSelector,
    /// What its pods are made from.
    #[serde(deserialize_with = "nullable::field")]
    pub template: PodTemplate,
    /// Each pod gets a claim of its own from each of these.
    #[serde(deserialize_with = "nullable::list")]
    pub volume_claim_templates: Vec<ClaimTemplate>,
    /// `Parallel`, or one after the other.
    #[serde(deserialize_with = "nullable::field")]
    pub pod_management_policy: Box<str>,
    /// How the pods are numbered.
    #[serde(deserialize_with = "nullable::field")]
    pub ordinals: Ordinals,
}

/// One of `volumeClaimTemplates`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClaimTemplate {
    /// Of which the name is a volume's name in the pod.
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
}

/// `ordinals`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ordinals {
    /// The first pod's number.
    #[serde(deserialize_with = "nullable::field")]
    pub start: i32,
}

impl StatefulSet {
    /// The replica count it asks for.
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// The labels of the pod with this number: the template's, and those the controller adds.
    pub fn pod_labels(&self, ordinal: i64) -> Labels {
        let own = [
            (POD_NAME_LABEL, format!("{}-{ordinal}", self.metadata.name)),
            (POD_INDEX_LABEL, ordinal.to_string()),
        ];
        let template = self.spec.template.labels().iter();
        template.map(|(key, value)| (key, value.to_owned())).chain(own).collect()
    }

    /// What to select its pods by: its own selector, else all their labels.
    pub fn selecting(&self) -> String {
        let labels = self.spec.template.labels();
        if self.spec.selector.is_empty() || !self.spec.selector.matches(labels) {
            labels.to_string()
        } else {
            self.spec.selector.to_string()
        }
    }

    /// Whether `other` runs an image that this one runs, and says nothing of its ensemble.
    pub fn resembles(&self, other: &Self) -> bool {
        let images = |set: &'_ Self| -> Vec<String> {
            set.spec
                .template
                .spec
                .containers
                .iter()
                .map(|container| container.repository().to_owned())
                .collect()
        };
        let (mine, others) = (images(self), images(other));
        other.ensemble().is_none() && mine.iter().any(|image| others.contains(image))
    }

    /// The ensemble it says it is a part of.
    pub fn ensemble(&self) -> Option<&str> {
        self.metadata.annotations.get("stateward.dev/ensemble").filter(|name| !name.is_empty())
    }
}

impl Object for StatefulSet {
    const KIND: &'static str = "StatefulSet";
    const API_VERSION: &'static str = "apps/v1";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// An `autoscaling/v1` Scale: all that a scale request says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Scale {
    /// The name and namespace of what is scaled; none of its labels and annotations.
    #[serde(deserialize_with = "nullable::field")]
    pub metadata: Metadata,
    /// Its specification.
    #[serde(deserialize_with = "nullable::field")]
    pub spec: ScaleSpec,
}

/// `spec` of a Scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ScaleSpec {
    /// The count; unlike a StatefulSet's, absent means 0 (it is omitted when 0).
    #[serde(deserialize_with = "nullable::field")]
    pub replicas: i32,
}
