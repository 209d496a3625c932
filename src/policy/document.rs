//! A `StatefulSetPolicy` as people write it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::{Enforcement, OnMissingCompanion, Operated, PerPodServices};
use crate::model::{Class, LabelSelector, Operator, POD_NAME_LABEL, Requirement};
use crate::verdict::Level;

/// The whole document, as a file or a custom resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
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
#[serde(expecting = "a map")]
pub(super) struct Name {
    pub(super) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields, default)]
pub(super) struct Spec {
    pub(super) priority: i32,
    pub(super) r#match: Match,
    pub(super) classes: Vec<ClassRule>,
    pub(super) rules: Vec<RuleSetting>,
    pub(super) exemptions: Vec<Exemption>,
    pub(super) annotation_exemptions: Option<bool>,
    pub(super) operated: Option<Operated>,
    pub(super) on_missing_companion: Option<OnMissingCompanion>,
    pub(super) enforcement: Enforcement,
    pub(super) mutate: Option<Mutate>,
    pub(super) service_per_pod: Option<PerPodServices>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields, default)]
pub(super) struct Match {
    pub(super) namespaces: Vec<String>,
    pub(super) exclude_namespaces: Vec<String>,
    pub(super) namespace_selector: Option<Selector>,
    pub(super) object_selector: Option<Selector>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(super) struct ClassRule {
    pub(super) class: Class,
    #[serde(default)]
    pub(super) images: Vec<String>,
    pub(super) selector: Option<Selector>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
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
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields, default)]
pub(super) struct Mutate {
    pub(super) service_per_pod: Option<ServicePerPod>,
    pub(super) pod_name_label: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
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
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(super) struct Exemption {
    pub(super) rules: Vec<String>,
    #[serde(default = "everything")]
    pub(super) namespaces: Vec<String>,
    #[serde(default = "everything")]
    pub(super) names: Vec<String>,
    pub(super) reason: String,
    #[serde(default, deserialize_with = "time")]
    pub(super) expires_at: Option<Timestamp>,
}

/// A time of RFC 3339, which may have an offset, small letters, and a fraction of however many digits.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    // Ends do not differ by less than a nanosecond.
    let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = fraction.split_at(digits);
    let dot = if fraction.is_empty() { "" } else { "." };
    let rounded = format!("{seconds}{dot}{}{zone}", fraction.get(..9).unwrap_or(fraction));
    let time = rounded.to_ascii_uppercase().parse();
    time.map(Some).map_err(|_| {
        D::Error::custom(format!("{text:?} is not a time of RFC 3339, such as 2027-01-31T00:00:00Z"))
    })
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

/// A label selector that, unlike [`LabelSelector`], refuses unknown fields: no API server has validated a policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(super) struct Selector {
    #[serde(default)]
    pub(super) match_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) match_expressions: Vec<Expression>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "a map", deny_unknown_fields)]
pub(super) struct Expression {
    pub(super) key: String,
    pub(super) operator: KnownOperator,
    #[serde(default)]
    pub(super) values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum KnownOperator {
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
