//! A `StatefulSetPolicy` as people write it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::PerPodServices;
use crate::model::{Class, LabelSelector, Operator, POD_NAME_LABEL, Requirement};
use crate::verdict::Level;

/// The whole document, as a file or a custom resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) metadata: Name,
    #[serde(default)]
    pub(super) spec: Spec,
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
}

#[derive(Debug, Deserialize)]
pub(super) struct Name {
    pub(super) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Spec {
    pub(super) priority: i32,
    pub(super) r#match: Match,
    pub(super) classes: Vec<ClassRule>,
    pub(super) rules: Vec<RuleSetting>,
    pub(super) exemptions: Vec<Exemption>,
    pub(super) annotation_exemptions: Option<bool>,
    pub(super) mutate: Option<Mutate>,
    pub(super) service_per_pod: Option<PerPodServices>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Match {
    pub(super) namespaces: Vec<String>,
    pub(super) exclude_namespaces: Vec<String>,
    pub(super) namespace_selector: Option<Selector>,
    pub(super) object_selector: Option<Selector>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ClassRule {
    pub(super) class: Class,
    #[serde(default)]
    pub(super) images: Vec<String>,
    pub(super) selector: Option<Selector>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RuleSetting {
    pub(super) rule: String,
    pub(super) level: Level,
    pub(super) when_likely: Option<Level>,
    #[serde(default)]
    pub(super) classes: Vec<Class>,
    #[serde(default)]
    pub(super) params: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Mutate {
    pub(super) service_per_pod: Option<ServicePerPod>,
    pub(super) pod_name_label: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ServicePerPod {
    #[serde(default = "pod_name_label")]
    pub(super) label: String,
    pub(super) ports: String,
}

/// The label that is there without any help.
fn pod_name_label() -> String {
    POD_NAME_LABEL.to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Exemption {
    pub(super) rules: Vec<String>,
    #[serde(default = "everything")]
    pub(super) namespaces: Vec<String>,
    #[serde(default = "everything")]
    pub(super) names: Vec<String>,
    pub(super) reason: String,
    pub(super) expires_at: Option<Timestamp>,
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

/// A label selector that, unlike [`LabelSelector`], refuses what it does not know: here nobody has checked it before.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Selector {
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
    #[serde(default)]
    match_expressions: Vec<Expression>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expression {
    key: String,
    operator: KnownOperator,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum KnownOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl From<Selector> for LabelSelector {
    fn from(selector: Selector) -> Self {
        Self {
            match_labels: selector.match_labels.into_iter().collect(),
            match_expressions: selector.match_expressions.into_iter().map(Requirement::from).collect(),
        }
    }
}

impl From<Expression> for Requirement {
    fn from(expression: Expression) -> Self {
        Self {
            key: expression.key.into(),
            operator: match expression.operator {
                KnownOperator::In => Operator::In,
                KnownOperator::NotIn => Operator::NotIn,
                KnownOperator::Exists => Operator::Exists,
                KnownOperator::DoesNotExist => Operator::DoesNotExist,
            },
            values: expression.values.into_iter().map(Into::into).collect(),
        }
    }
}
