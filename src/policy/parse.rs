//! From a document to a compiled policy.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{self, ExemptionSpec, PolicySpec, WholeDocument};
use super::exemptions::{CompiledExemption, LONGEST_REASON, NamespaceExemption};
use super::plain::plain;
use super::subjects::{SubjectPatterns, names, service_account};
use super::{
    CompiledClassRule, CompiledRuleSetting, Policy, PolicyOrigin, Profile, Scope, checks, mutate,
    per_pod_services, rule_index,
};
use crate::model::{Kind, KindFacts, did_you_mean, pointer_step};
use crate::rules::{self, Params};
use crate::software::{ImagePatterns, Patterns};

/// The most rules or names of a `StatefulSetExemption`.
const MOST_IN_EXEMPTION: usize = 100;
/// The longest of these, in letters; that of an object's name.
const LONGEST_NAME: usize = 253;

/// An error in a policy, and its place.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct PolicyError {
    /// JSON pointer into the document.
    pub pointer: String,
    /// The error.
    pub message: String,
    /// The place in the text that is the value of that field, in bytes.
    pub offset: Option<usize>,
}

/// The profile of this name, which is part of the program.
pub(super) fn shipped(profile: Profile) -> anyhow::Result<Policy> {
    let text = match profile {
        Profile::Baseline => include_str!("../../policies/baseline.yaml"),
        Profile::Strict => include_str!("../../policies/strict.yaml"),
    };
    Ok(Policy { origin: PolicyOrigin::Profile, ..Policy::from_json(&embedded(text)?)? })
}

fn embedded(text: &str) -> anyhow::Result<Value> {
    Ok(crate::manifest::document(text)?.to_json())
}

impl Policy {
    /// Compiles a policy. Unknown fields, rules, parameters and malformed patterns are errors.
    pub fn from_json(document: &Value) -> Result<Self, PolicyError> {
        let document: WholeDocument<PolicySpec> = read(document, Kind::Policy)?;
        let spec = document.spec.unwrap_or_default();
        let name = document.metadata.name;
        let checks = checks::compile(checks::Written {
            policy: &name,
            cap: spec.enforcement.level(),
            variables: spec.variables,
            params: spec.params,
            checks: spec.checks,
        })?;
        Ok(Self {
            name,
            origin: PolicyOrigin::default(),
            checks,
            priority: spec.priority,
            scope: scope(spec.r#match)?,
            classes: each(spec.classes, "/spec/classes", class_rule)?,
            settings: settings(spec.rules)?,
            exemptions: each(spec.exemptions, "/spec/exemptions", exemption)?,
            annotation_exemptions: spec.annotation_exemptions,
            annotation_exemptions_by: spec.annotation_exemptions_by.as_ref().map(subjects).transpose()?,
            exemption_namespaces: spec.exemption_namespaces.map(Into::into),
            operated: spec.operated,
            on_missing_companion: spec.on_missing_companion,
            enforcement: spec.enforcement,
            mutate: mutate::compile(spec.mutate.unwrap_or_default())?,
            per_pod_services: spec.service_per_pod.map(per_pod_services::compile).transpose()?,
        })
    }
}

impl NamespaceExemption {
    /// Compiles a `StatefulSetExemption`. Unknown fields, rules and malformed patterns are errors.
    pub fn from_json(document: &Value) -> Result<Self, PolicyError> {
        let document: WholeDocument<ExemptionSpec> = read(document, Kind::Exemption)?;
        let namespace = document.metadata.namespace.filter(|namespace| !namespace.is_empty());
        let namespace = namespace.ok_or_else(|| error("/metadata", "the field `namespace` is missing"))?;
        let spec = document.spec.ok_or_else(|| error("", "the field `spec` is missing"))?;
        let name = document.metadata.name;
        namespace_exemption(namespace, name, spec)
            .map_err(|error| PolicyError { pointer: format!("/spec{}", error.pointer), ..error })
    }
}

/// Reads a document of this kind.
fn read<S: DeserializeOwned>(document: &Value, kind: Kind) -> Result<WholeDocument<S>, PolicyError> {
    let KindFacts { api_version, name, .. } = kind.facts();
    let is_other = |field: &str, wanted: &str| {
        document.get(field).and_then(Value::as_str).is_some_and(|text| text != wanted)
    };
    if is_other("apiVersion", api_version) || is_other("kind", name) {
        return Err(error("/apiVersion", format!("a policy is apiVersion {api_version}, kind {name}")));
    }
    refuse_lists(document, "", "")?;
    let document: WholeDocument<S> =
        serde_path_to_error::deserialize(document).map_err(|error| PolicyError {
            pointer: crate::manifest::pointer_of(error.path()),
            message: plain(&error.into_inner().to_string()),
            offset: None,
        })?;
    Ok(document)
}

fn error(pointer: &str, message: impl Into<String>) -> PolicyError {
    PolicyError { pointer: pointer.to_owned(), message: message.into(), offset: None }
}

/// The fields that are maps, wherever they are.
const MAPS: [&str; 13] = [
    "annotationExemptionsBy",
    "metadata",
    "spec",
    "match",
    "namespaceSelector",
    "objectSelector",
    "selector",
    "exemptionNamespaces",
    "matchLabels",
    "mutate",
    "servicePerPod",
    "labels",
    "annotations",
];

/// Refuses a list where a map is wanted: serde takes its items for the fields, in the order in which this program has them.
fn refuse_lists(value: &Value, key: &str, pointer: &str) -> Result<(), PolicyError> {
    match value {
        Value::Array(_) if key.is_empty() || MAPS.contains(&key) => {
            let (pointer, message) = (pointer.to_owned(), "expected a map, found a list".to_owned());
            Err(PolicyError { pointer, message, offset: None })
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| refuse_lists(item, "", &format!("{pointer}/{index}")))
        }
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            refuse_lists(value, key, &format!("{pointer}/{}", pointer_step(key)))
        }),
        _ => Ok(()),
    }
}

/// Compiles each item of a list, adding its place to an error.
fn each<T, U>(
    items: Vec<T>,
    list: &str,
    compile: impl Fn(T) -> Result<U, PolicyError>,
) -> Result<Vec<U>, PolicyError> {
    let items = items.into_iter().enumerate().map(|(index, item)| {
        compile(item)
            .map_err(|error| PolicyError { pointer: format!("{list}/{index}{}", error.pointer), ..error })
    });
    items.collect()
}

fn patterns(patterns: &[String], pointer: &str) -> Result<Patterns, PolicyError> {
    Patterns::new(patterns).map_err(|error| PolicyError {
        pointer: pointer.to_owned(),
        message: error.to_string(),
        offset: None,
    })
}

fn scope(scope: document::Match) -> Result<Scope, PolicyError> {
    Ok(Scope {
        namespaces: patterns(&scope.namespaces, "/spec/match/namespaces")?,
        exclude_namespaces: patterns(&scope.exclude_namespaces, "/spec/match/excludeNamespaces")?,
        namespace_selector: scope.namespace_selector.map(Into::into),
        object_selector: scope.object_selector.map(Into::into),
    })
}

fn class_rule(rule: document::ClassRule) -> Result<CompiledClassRule, PolicyError> {
    if rule.images.is_empty() && rule.selector.is_none() {
        let message = "a class needs `images` or a `selector`".to_owned();
        return Err(PolicyError { pointer: String::new(), message, offset: None });
    }
    let images = ImagePatterns::new(&rule.images).map_err(|message| PolicyError {
        pointer: "/images".to_owned(),
        message,
        offset: None,
    })?;
    Ok(CompiledClassRule { class: rule.class, images, selector: rule.selector.map(Into::into) })
}

fn settings(list: Vec<document::RuleSetting>) -> Result<Vec<Vec<CompiledRuleSetting>>, PolicyError> {
    let mut settings: Vec<Vec<CompiledRuleSetting>> = rules::ALL.iter().map(|_| Vec::new()).collect();
    for (rule, setting) in each(list, "/spec/rules", rule_setting)? {
        settings[rule].push(setting);
    }
    Ok(settings)
}

fn rule_setting(setting: document::RuleSetting) -> Result<(usize, CompiledRuleSetting), PolicyError> {
    let rule = known_rule(&setting.rule, "/rule")?;
    let params = Params::read(&setting.params, rules::ALL[rule].params).map_err(|(name, message)| {
        PolicyError { pointer: format!("/params/{name}"), message, offset: None }
    })?;
    let (level, when_likely) = (setting.level, setting.when_likely);
    Ok((rule, CompiledRuleSetting { level, when_likely, classes: setting.classes, params }))
}

fn known_rule(id: &str, pointer: &str) -> Result<usize, PolicyError> {
    rule_index(id).ok_or_else(|| {
        let meant = did_you_mean(id, rules::ALL.iter().map(|rule| rule.id));
        let message = format!("there is no rule {id:?}{meant}; `stateward explain` lists them");
        PolicyError { pointer: pointer.to_owned(), message, offset: None }
    })
}

fn subjects(subjects: &document::SubjectLists) -> Result<SubjectPatterns, PolicyError> {
    let at = |list| format!("/spec/annotationExemptionsBy/{list}");
    let accounts =
        subjects.service_accounts.iter().map(|account| service_account(&account.namespace, &account.name));
    Ok(SubjectPatterns {
        users: patterns(&subjects.users, &at("users"))?,
        groups: patterns(&subjects.groups, &at("groups"))?,
        service_accounts: patterns(&accounts.collect::<Vec<_>>(), &at("serviceAccounts"))?,
        names: names(subjects),
    })
}

fn exemption(exemption: document::Exemption) -> Result<CompiledExemption, PolicyError> {
    known_rules(&exemption.rules)?;
    given_reason(&exemption.reason)?;
    Ok(CompiledExemption {
        namespaces: patterns(&exemption.namespaces, "/namespaces")?,
        names: patterns(&exemption.names, "/names")?,
        rules: exemption.rules,
        reason: exemption.reason,
        expires_at: exemption.expires_at,
    })
}

fn namespace_exemption(
    namespace: String,
    name: String,
    spec: ExemptionSpec,
) -> Result<NamespaceExemption, PolicyError> {
    bounded(&spec.rules, "/rules")?;
    known_rules(&spec.rules)?;
    given_reason(&spec.reason)?;
    if spec.reason.chars().count() > LONGEST_REASON {
        return Err(error("/reason", format!("a reason has at most {LONGEST_REASON} letters")));
    }
    if spec.names.is_none() && spec.selector.is_none() {
        let message = "say which StatefulSets: `names`, where \"*\" is all of the namespace, or a `selector`";
        return Err(error("", message));
    }
    spec.names.as_ref().map_or(Ok(()), |names| bounded(names, "/names"))?;
    let names = spec.names.unwrap_or_else(|| vec!["*".to_owned()]);
    Ok(NamespaceExemption {
        namespace,
        name,
        rules: spec.rules,
        names: patterns(&names, "/names")?,
        selector: spec.selector.map(Into::into),
        reason: spec.reason,
        expires_at: spec.expires_at,
    })
}

/// Users of a namespace write exemptions, so they must not cost much. The schema has the same limits.
fn bounded(list: &[String], pointer: &str) -> Result<(), PolicyError> {
    if list.is_empty() || list.len() > MOST_IN_EXEMPTION {
        return Err(error(pointer, format!("there must be from 1 to {MOST_IN_EXEMPTION} entries")));
    }
    match list.iter().position(|item| item.chars().count() > LONGEST_NAME) {
        Some(index) => {
            let pointer = format!("{pointer}/{index}");
            Err(error(&pointer, format!("a name has at most {LONGEST_NAME} letters")))
        }
        None => Ok(()),
    }
}

fn known_rules(rules: &[String]) -> Result<(), PolicyError> {
    // POLICY/CHECK may be of a policy that is still to come.
    let mut rules = rules.iter().enumerate().filter(|(_, id)| *id != "*" && !id.contains('/'));
    rules.try_for_each(|(index, id)| known_rule(id, &format!("/rules/{index}")).map(drop))
}

fn given_reason(reason: &str) -> Result<(), PolicyError> {
    if reason.trim().is_empty() { Err(error("/reason", "an exemption needs a reason")) } else { Ok(()) }
}
