//! `StatefulSetPolicy` and `StatefulSetExemption` as people write them.
//!
//! Files, custom resources, the CustomResourceDefinitions and the schemas for editors all come from these types. The comments on
//! public names are what `kubectl explain` shows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::checks::{CheckDocument, CheckVariable};
use super::{Enforcement, OnMissingCompanion, OperatorMode, PerPodServices};
use crate::model::{Class, LabelSelector, POD_NAME_LABEL, Requirement, SelectorOperator};
use crate::verdict::Level;

/// A whole document, as a file or a custom resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(super) struct WholeDocument<S> {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    pub(super) metadata: DocumentMetadata,
    pub(super) spec: Option<S>,
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "a map")]
pub(super) struct DocumentMetadata {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

/// Which rules apply to which StatefulSets, at which level, and who is exempt.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields, default)]
pub(super) struct PolicySpec {
    /// Of the policies that match a StatefulSet and name a rule, the one with the highest priority decides its level. Of two with the
    /// same priority the one whose name comes first.
    pub(super) priority: i32,
    /// The StatefulSets that the policy is about; without it, all.
    pub(super) r#match: Match,
    /// The class of StatefulSets by image or label. The first entry that matches decides, unless a StatefulSet has the annotation
    /// stateward.dev/class.
    pub(super) classes: Vec<ClassRule>,
    /// The levels of rules. Of several entries for one rule the first that is about the class of the StatefulSet decides.
    pub(super) rules: Vec<RuleSetting>,
    /// StatefulSets that rules pass over, until a time.
    pub(super) exemptions: Vec<Exemption>,
    /// Whether the annotations stateward.dev/exempt and stateward.dev/exempt-reason of a StatefulSet count. They do unless a policy
    /// says false.
    pub(super) annotation_exemptions: Option<bool>,
    /// The users who may set these annotations; without it, all who may change the StatefulSet. They do not count when another user
    /// sets them.
    pub(super) annotation_exemptions_by: Option<SubjectLists>,
    /// The namespaces whose StatefulSetExemptions count, among those that the policy is about. Without any policy that names their
    /// namespace they do not.
    pub(super) exemption_namespaces: Option<Selector>,
    /// Whether an operator is denied what it asks for its own objects (enforce), or warned (warn, the default).
    pub(super) operated: Option<OperatorMode>,
    /// Whether a StatefulSet may be denied on creation for an object that is still to be created (deny), or a warning is all (warn,
    /// the default).
    pub(super) on_missing_companion: Option<OnMissingCompanion>,
    /// The highest level that the policy gives: audit and warn put it on trial, where it adds findings and takes none away.
    pub(super) enforcement: Enforcement,
    /// Values that the expressions of the checks share, as variables.NAME.
    pub(super) variables: Vec<CheckVariable>,
    /// Values of your own that expressions read as params.NAME.
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub(super) params: serde_json::Map<String, serde_json::Value>,
    /// Checks of your own, in CEL.
    pub(super) checks: Vec<CheckDocument>,
    /// Additions to StatefulSets and pods when they are created.
    pub(super) mutate: Option<Mutate>,
    /// Settings of the Services that are made for single pods.
    pub(super) service_per_pod: Option<PerPodServices>,
}

/// The users that ask for a change: each that one of the lists names.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields, default)]
pub(super) struct SubjectLists {
    /// Names of users, with * for any letters.
    pub(super) users: Vec<String>,
    /// Names of groups, with * for any letters.
    pub(super) groups: Vec<String>,
    /// Service accounts, as those of controllers and of continuous delivery.
    pub(super) service_accounts: Vec<ServiceAccount>,
}

/// A service account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(super) struct ServiceAccount {
    /// Its namespace, with * for any letters.
    pub(super) namespace: String,
    /// Its name, with * for any letters.
    pub(super) name: String,
}

/// The StatefulSets that a policy is about: those for which all of this is true.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields, default)]
pub(super) struct Match {
    /// Names of namespaces, with * for any letters; without it, all namespaces.
    pub(super) namespaces: Vec<String>,
    /// Names of namespaces that the policy is not about, with * for any letters.
    pub(super) exclude_namespaces: Vec<String>,
    /// By the labels of the namespace.
    pub(super) namespace_selector: Option<Selector>,
    /// By the labels of the StatefulSet.
    pub(super) object_selector: Option<Selector>,
}

/// The class of the StatefulSets that run an image or have labels.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.images) && size(self.images) > 0) || has(self.selector)",
    "message": "a class needs `images` or a `selector`",
}]))]
pub(super) struct ClassRule {
    /// quorum: one consensus group over all pods. singleton: at most one instance may ever run. replicated: everything else.
    pub(super) class: Class,
    /// Images without tag and digest; * stands for any letters within one part of the path.
    #[serde(default)]
    pub(super) images: Vec<String>,
    /// By the labels of the StatefulSet.
    pub(super) selector: Option<Selector>,
}

/// The level of one rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(super) struct RuleSetting {
    /// The name of the rule; `stateward explain` lists them.
    pub(super) rule: String,
    /// deny refuses a change, warn prints a warning, audit only counts it, off switches the rule off.
    pub(super) level: Level,
    /// The level where the class of the StatefulSet is not certain.
    pub(super) when_likely: Option<Level>,
    /// The classes of StatefulSets that this entry is about; without it, all.
    #[serde(default)]
    pub(super) classes: Vec<Class>,
    /// Parameters of the rule; `stateward explain RULE` lists them.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub(super) params: serde_json::Map<String, serde_json::Value>,
}

/// Additions to StatefulSets and pods when they are created.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields, default)]
pub(super) struct Mutate {
    /// The annotations that ask for a Service for each pod.
    pub(super) service_per_pod: Option<ServicePerPod>,
    /// The key of a label that each pod gets, with its name as the value.
    pub(super) pod_name_label: Option<String>,
}

/// The annotations that ask for a Service for each pod.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(super) struct ServicePerPod {
    /// The label with each pod's name, which the Services select by.
    #[serde(default = "pod_name_label")]
    pub(super) label: String,
    /// port:targetPort, more after a comma.
    pub(super) ports: String,
}

/// The label that is there without any help.
fn pod_name_label() -> String {
    POD_NAME_LABEL.to_owned()
}

/// StatefulSets that rules pass over, until a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
pub(super) struct Exemption {
    /// The names of the rules; * for all.
    pub(super) rules: Vec<String>,
    /// Names of namespaces, with * for any letters; without it, all that the policy is about.
    #[serde(default = "everything")]
    pub(super) namespaces: Vec<String>,
    /// Names of StatefulSets, with * for any letters; without it, all.
    #[serde(default = "everything")]
    pub(super) names: Vec<String>,
    /// Why; it is shown wherever the exemption is used.
    #[schemars(regex(pattern = r"\S"))]
    pub(super) reason: String,
    /// When the exemption ends; without it, never.
    #[serde(default, deserialize_with = "time")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(super) expires_at: Option<Timestamp>,
}

/// StatefulSets of the namespace that rules pass over, until a time. It counts where a policy's exemptionNamespaces selects the
/// namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.names) || has(self.selector)",
    "message": "say which StatefulSets: `names`, where \"*\" is all of the namespace, or a `selector`",
}]))]
pub(super) struct ExemptionSpec {
    /// The names of the rules; * for all.
    #[schemars(length(min = 1, max = 100), inner(length(max = 253)))]
    pub(super) rules: Vec<String>,
    /// Names of StatefulSets, with * for any letters. With a selector too, both must match.
    #[schemars(length(min = 1, max = 100), inner(length(max = 253)))]
    pub(super) names: Option<Vec<String>>,
    /// By the labels of the StatefulSet.
    pub(super) selector: Option<Selector>,
    /// Why; it is shown wherever the exemption is used.
    #[schemars(regex(pattern = r"\S"), length(max = 1024))]
    pub(super) reason: String,
    /// When the exemption ends; without it, never.
    #[serde(default, deserialize_with = "time")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
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

// Unlike `LabelSelector` it refuses unknown fields: no API server has validated the policy in a file.
/// A label selector; what selects has all of the labels and fulfils all of the expressions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "a map", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub(super) struct Selector {
    /// Labels with their values.
    #[serde(default)]
    pub(super) match_labels: BTreeMap<String, String>,
    /// Requirements on labels.
    #[serde(default)]
    pub(super) match_expressions: Vec<Expression>,
}

/// A requirement on one label.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "a map", deny_unknown_fields)]
pub(super) struct Expression {
    /// The key of the label.
    pub(super) key: String,
    /// How the label and the values relate.
    pub(super) operator: KnownOperator,
    /// The values to compare the label with.
    #[serde(default)]
    pub(super) values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
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
                KnownOperator::In => SelectorOperator::In,
                KnownOperator::NotIn => SelectorOperator::NotIn,
                KnownOperator::Exists => SelectorOperator::Exists,
                KnownOperator::DoesNotExist => SelectorOperator::DoesNotExist,
            },
            values: expression.values.into_iter().map(Into::into).collect(),
        }
    }
}
