//! From a document to a compiled policy.

use serde_json::Value;

use super::document::{self, Document};
use super::plain::plain;
use super::{ClassRule, Exemption, Policy, Profile, Scope, Setting, mutate, per_pod_services, rule_index};
use crate::model::{did_you_mean, pointer_step};
use crate::rules::{self, Params};
use crate::software::{ImagePatterns, Patterns};

/// What is wrong with a policy, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct PolicyError {
    /// JSON pointer into the document.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

const API_VERSION: &str = "stateward.dev/v1alpha1";
const KIND: &str = "StatefulSetPolicy";

/// The profile of this name, which is part of the program.
pub(super) fn shipped(profile: Profile) -> anyhow::Result<Policy> {
    let text = match profile {
        Profile::Baseline => include_str!("../../policies/baseline.yaml"),
        Profile::Strict => include_str!("../../policies/strict.yaml"),
    };
    Ok(Policy::from_json(&embedded(text)?)?)
}

fn embedded(text: &str) -> anyhow::Result<Value> {
    Ok(crate::manifest::document(text)?.to_json())
}

impl Policy {
    /// Whether a document says that it is a policy.
    pub fn is_one(api_version: &str, kind: &str) -> bool {
        api_version == API_VERSION && kind == KIND
    }

    /// Compiles a policy. Unknown fields, rules, parameters and malformed patterns are errors.
    pub fn from_json(document: &Value) -> Result<Self, PolicyError> {
        refuse_unsupported(document)?;
        refuse_lists(document, "", "")?;
        let document: Document = serde_path_to_error::deserialize(document).map_err(|error| PolicyError {
            pointer: crate::manifest::pointer_of(error.path()),
            message: plain(&error.into_inner().to_string()),
        })?;
        if !Self::is_one(&document.api_version, &document.kind) {
            let message = format!("a policy is apiVersion {API_VERSION}, kind {KIND}");
            return Err(PolicyError { pointer: "/apiVersion".to_owned(), message });
        }
        let spec = document.spec;
        Ok(Self {
            name: document.metadata.name,
            priority: spec.priority,
            scope: scope(spec.r#match)?,
            classes: each(spec.classes, "/spec/classes", class_rule)?,
            settings: settings(spec.rules)?,
            exemptions: each(spec.exemptions, "/spec/exemptions", exemption)?,
            annotation_exemptions: spec.annotation_exemptions,
            operated: spec.operated,
            on_missing_companion: spec.on_missing_companion,
            enforcement: spec.enforcement,
            mutate: mutate::compile(spec.mutate.unwrap_or_default())?,
            per_pod_services: spec.service_per_pod.map(per_pod_services::compile).transpose()?,
        })
    }
}

/// Parts of a policy that this version reads nowhere would be silently without effect.
fn refuse_unsupported(document: &Value) -> Result<(), PolicyError> {
    let pointer = "/spec/checks";
    if document.pointer(pointer).is_some_and(|value| !value.is_null()) {
        let message = "`checks` is not supported by this version of stateward".to_owned();
        return Err(PolicyError { pointer: pointer.to_owned(), message });
    }
    Ok(())
}

/// The fields that are maps, wherever they are.
const MAPS: [&str; 11] = [
    "metadata",
    "spec",
    "match",
    "namespaceSelector",
    "objectSelector",
    "selector",
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
            Err(PolicyError { pointer, message })
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
    let items = items.into_iter().enumerate();
    let items = items.map(|(index, item)| {
        compile(item)
            .map_err(|error| PolicyError { pointer: format!("{list}/{index}{}", error.pointer), ..error })
    });
    items.collect()
}

fn patterns(patterns: &[String], pointer: &str) -> Result<Patterns, PolicyError> {
    Patterns::new(patterns)
        .map_err(|error| PolicyError { pointer: pointer.to_owned(), message: error.to_string() })
}

fn scope(scope: document::Match) -> Result<Scope, PolicyError> {
    Ok(Scope {
        namespaces: patterns(&scope.namespaces, "/spec/match/namespaces")?,
        exclude_namespaces: patterns(&scope.exclude_namespaces, "/spec/match/excludeNamespaces")?,
        namespace_selector: scope.namespace_selector.map(Into::into),
        object_selector: scope.object_selector.map(Into::into),
    })
}

fn class_rule(rule: document::ClassRule) -> Result<ClassRule, PolicyError> {
    if rule.images.is_empty() && rule.selector.is_none() {
        let message = "a class needs `images` or a `selector`".to_owned();
        return Err(PolicyError { pointer: String::new(), message });
    }
    let images = ImagePatterns::new(&rule.images)
        .map_err(|message| PolicyError { pointer: "/images".to_owned(), message })?;
    Ok(ClassRule { class: rule.class, images, selector: rule.selector.map(Into::into) })
}

fn settings(list: Vec<document::RuleSetting>) -> Result<Vec<Vec<Setting>>, PolicyError> {
    let mut settings: Vec<Vec<Setting>> = rules::ALL.iter().map(|_| Vec::new()).collect();
    for (rule, setting) in each(list, "/spec/rules", rule_setting)? {
        settings[rule].push(setting);
    }
    Ok(settings)
}

fn rule_setting(setting: document::RuleSetting) -> Result<(usize, Setting), PolicyError> {
    let rule = known_rule(&setting.rule, "/rule")?;
    let params = Params::read(&setting.params, rules::ALL[rule].params)
        .map_err(|(name, message)| PolicyError { pointer: format!("/params/{name}"), message })?;
    let (level, when_likely) = (setting.level, setting.when_likely);
    Ok((rule, Setting { level, when_likely, classes: setting.classes, params }))
}

fn known_rule(id: &str, pointer: &str) -> Result<usize, PolicyError> {
    rule_index(id).ok_or_else(|| {
        let meant = did_you_mean(id, rules::ALL.iter().map(|rule| rule.id));
        let message = format!("there is no rule {id:?}{meant}; `stateward explain` lists them");
        PolicyError { pointer: pointer.to_owned(), message }
    })
}

fn exemption(exemption: document::Exemption) -> Result<Exemption, PolicyError> {
    for (index, id) in exemption.rules.iter().enumerate().filter(|(_, id)| *id != "*") {
        known_rule(id, &format!("/rules/{index}"))?;
    }
    if exemption.reason.trim().is_empty() {
        let message = "an exemption needs a reason".to_owned();
        return Err(PolicyError { pointer: "/reason".to_owned(), message });
    }
    Ok(Exemption {
        namespaces: patterns(&exemption.namespaces, "/namespaces")?,
        names: patterns(&exemption.names, "/names")?,
        rules: exemption.rules,
        reason: exemption.reason,
        expires_at: exemption.expires_at,
    })
}
