//! A StatefulSet, as far as its per-pod Services go.

use serde::{Deserialize, Deserializer};

use super::problem::{CONDITION, ConditionText};
use crate::model::{Kind, LabelSelector, Metadata, Object, SelectorOperator};

/// The fields of a StatefulSet that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PerPodSet {
    pub metadata: Metadata,
    pub spec: SetSpec,
    pub status: SetStatus,
}

/// The fields of its `spec` that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SetSpec {
    /// Absent means 1.
    pub replicas: Option<i32>,
    /// How the pods are numbered.
    pub ordinals: Option<SetOrdinals>,
    /// Which pods are its own.
    pub selector: LabelSelector,
}

/// `ordinals`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SetOrdinals {
    /// The first pod's number.
    pub start: Option<i32>,
}

/// The fields of its `status` that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SetStatus {
    /// How many pods there are, those that are about to go included.
    pub replicas: i32,
    /// The text of our condition, if it is there.
    #[serde(rename = "conditions", deserialize_with = "ours")]
    pub condition_text: Option<Box<ConditionText>>,
}

fn ours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<ConditionText>>, D::Error> {
    let conditions = Option::<Vec<SetCondition>>::deserialize(deserializer)?.unwrap_or_default();
    let ours = conditions.into_iter().find(|condition| condition.kind == CONDITION);
    Ok(ours.map(|condition| Box::new(condition.condition_text)))
}

#[derive(Deserialize)]
struct SetCondition {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(flatten)]
    condition_text: ConditionText,
}

impl PerPodSet {
    /// The numbers of its pods.
    pub fn ordinals(&self) -> std::ops::Range<i64> {
        let start = i64::from(self.spec.ordinals.and_then(|ordinals| ordinals.start).unwrap_or(0));
        start..start + i64::from(self.replicas())
    }

    /// Whether there are more pods than asked for, by a status that counts those that are terminating: a scale-down goes on.
    pub fn has_superfluous_pods(&self) -> bool {
        self.status.replicas > self.replicas()
    }

    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }

    /// The selector of its pods as a query has it; `None` where it would select all pods of the namespace, or none.
    pub fn pod_selector(&self) -> Option<String> {
        let selector = &self.spec.selector;
        let is_valid = selector.requirements().all(|wanted| wanted.operator != SelectorOperator::Invalid);
        (is_valid && !selector.is_empty()).then(|| selector.to_string())
    }
}

impl Object for PerPodSet {
    fn kind(&self) -> Kind {
        Kind::StatefulSet
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }
}
