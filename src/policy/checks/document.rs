//! Checks as people write them in a policy.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::verdict::Level;

/// A value that the expressions of the policy's checks share.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(in crate::policy) struct CheckVariable {
    /// Expressions read it as variables.NAME.
    #[schemars(length(min = 1, max = 63))]
    pub(super) name: String,
    /// In CEL; it may read the variables before it.
    #[schemars(length(min = 1, max = 8192))]
    pub(super) expression: String,
}

/// A check of your own, in CEL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(in crate::policy) struct CheckDocument {
    /// Its findings, and exemptions from it, call it POLICY/NAME.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub(super) name: String,
    /// What changes it looks at; without it, statefulsets.
    #[serde(default = "sets")]
    #[schemars(length(min = 1, max = 2))]
    pub(super) resources: Vec<CheckedResource>,
    /// The check looks only at what fulfils all of these.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub(super) match_conditions: Vec<CheckCondition>,
    /// In CEL: true where all is well.
    #[schemars(length(min = 1, max = 8192))]
    pub(super) expression: String,
    /// What is wrong where the expression is false.
    #[schemars(length(max = 2048))]
    pub(super) message: Option<String>,
    /// In CEL: a text that is shown in place of the message.
    #[schemars(length(max = 8192))]
    pub(super) message_expression: Option<String>,
    /// What to change so that the expression is true.
    #[schemars(length(max = 2048))]
    pub(super) remedy: Option<String>,
    /// JSON pointer of the field to look at, such as /spec/volumeClaimTemplates.
    #[schemars(length(max = 1024))]
    pub(super) path: Option<String>,
    /// deny refuses a change, warn prints a warning, audit only counts it, off switches the check off.
    pub(super) level: Level,
    /// What becomes of an expression that has no value: Fail is a finding at the level of the check, Ignore is recorded only.
    #[serde(default)]
    pub(super) failure_policy: FailurePolicy,
}

/// A condition on what a check looks at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(super) struct CheckCondition {
    /// The name that people use.
    #[schemars(length(min = 1, max = 63))]
    #[expect(dead_code, reason = "for people; ValidatingAdmissionPolicies have it")]
    pub(super) name: String,
    /// In CEL: whether the check looks.
    #[schemars(length(min = 1, max = 8192))]
    pub(super) expression: String,
}

/// The kinds of change that a check can look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum CheckedResource {
    /// A StatefulSet is created or changed.
    #[serde(rename = "statefulsets")]
    Sets,
    /// Its replica count is changed through the scale subresource.
    #[serde(rename = "statefulsets/scale")]
    Scale,
}

/// The effect of an expression that has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    #[default]
    Fail,
    Ignore,
}

fn sets() -> Vec<CheckedResource> {
    vec![CheckedResource::Sets]
}
