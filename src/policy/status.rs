//! What is said of a policy or an exemption in its `status`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What Stateward says of a policy or an exemption.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyStatus {
    /// The generation that this is about.
    pub observed_generation: i64,
    /// How many StatefulSets it matches.
    pub matched_sets: i64,
    /// Ready: whether this generation is in force. Effective: whether all parts of it have an effect.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// As Kubernetes has conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Ready or Effective.
    pub r#type: String,
    /// True, False or Unknown.
    pub status: String,
    /// One word for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// When the status last changed.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// The generation that this is about.
    #[serde(default)]
    pub observed_generation: i64,
}
