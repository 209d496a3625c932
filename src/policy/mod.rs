//! Which rules apply to an object, at which level, with which parameters, and who is exempt until when.
//!
//! All of it is decided here, for every caller: a rule only says what is wrong.

mod classify;
mod document;
mod mutate;
mod parse;
mod per_pod_services;

use jiff::Timestamp;

use crate::model::{Class, LabelSelector, Labels, Metadata, cut, escaped};
use crate::rules::{self, NO_PARAMS, Params, Rule};
use crate::software::{Catalogue, Patterns};
use crate::verdict::{Exempt, Level};
use mutate::Mutate;
pub use mutate::{Asked, ServicePerPod};
pub use parse::PolicyError;
pub use per_pod_services::{PerPodServices, TrafficPolicy};

/// A shipped set of levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Denies only what is certainly broken.
    #[default]
    Baseline,
    /// Denies whatever can be proven.
    Strict,
}

/// All policies that are in force, with the shipped one under them.
#[derive(Debug)]
pub struct Policies {
    /// By falling priority, then by name; the shipped profile last.
    policies: Vec<Policy>,
    software: &'static Catalogue,
}

/// One policy, compiled.
#[derive(Debug)]
pub struct Policy {
    name: String,
    priority: i32,
    scope: Scope,
    classes: Vec<ClassRule>,
    /// For each rule, in the order of [`rules::ALL`], what the policy says of it.
    settings: Vec<Vec<Setting>>,
    exemptions: Vec<Exemption>,
    annotation_exemptions: Option<bool>,
    mutate: Mutate,
    per_pod_services: Option<PerPodServices>,
}

#[derive(Debug)]
struct Scope {
    namespaces: Patterns,
    exclude_namespaces: Patterns,
    namespace_selector: Option<LabelSelector>,
    object_selector: Option<LabelSelector>,
}

#[derive(Debug)]
struct ClassRule {
    class: Class,
    images: Patterns,
    selector: Option<LabelSelector>,
}

#[derive(Debug)]
struct Setting {
    level: Level,
    when_likely: Option<Level>,
    classes: Vec<Class>,
    params: Params,
}

#[derive(Debug)]
struct Exemption {
    rules: Vec<String>,
    namespaces: Patterns,
    names: Patterns,
    reason: String,
    expires_at: Option<Timestamp>,
}

/// What policies select by.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The metadata of the StatefulSet (or of what else is read from a file).
    pub metadata: &'a Metadata,
    /// The labels of its namespace; `None` where they are unknown.
    pub namespace_labels: Option<&'a Labels>,
}

/// The policies that are about one subject.
#[derive(Debug)]
pub struct Applicable<'a> {
    policies: Vec<(&'a Policy, Certainty)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Certain,
    /// It depends on labels of a namespace nobody knows.
    Unknown,
}

/// What applies to one rule and one subject.
#[derive(Clone, Copy, Debug)]
pub struct Ruling<'a> {
    /// The level.
    pub level: Level,
    /// The parameters.
    pub params: &'a Params,
}

impl Policies {
    /// The shipped profile with `policies` over it.
    pub fn new(profile: Profile, policies: Vec<Policy>) -> anyhow::Result<Self> {
        let mut policies = policies;
        policies.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
        policies.push(parse::shipped(profile)?);
        Ok(Self { policies, software: Catalogue::shipped()? })
    }

    /// The policies that are about this subject, the strongest first.
    pub fn applicable(&self, subject: Subject<'_>) -> Applicable<'_> {
        let policies = self.policies.iter();
        let policies = policies.filter_map(|policy| Some((policy, policy.scope.covers(subject)?))).collect();
        Applicable { policies }
    }
}

impl Scope {
    /// Whether it covers the subject: `None` for no.
    fn covers(&self, Subject { metadata, namespace_labels }: Subject<'_>) -> Option<Certainty> {
        let namespace = &*metadata.namespace;
        let named = self.namespaces.is_empty() || self.namespaces.matches(namespace);
        let selected = self.object_selector.as_ref().is_none_or(|s| s.matches(&metadata.labels));
        if !named || !selected || self.exclude_namespaces.matches(namespace) {
            return None;
        }
        match (&self.namespace_selector, namespace_labels) {
            (None, _) => Some(Certainty::Certain),
            (Some(_), None) => Some(Certainty::Unknown),
            (Some(selector), Some(labels)) => selector.matches(labels).then_some(Certainty::Certain),
        }
    }
}

impl<'a> Applicable<'a> {
    /// What applies to the rule at `index` of [`rules::ALL`] for a subject of this class. The strongest policy that names the
    /// rule decides; one that may or may not apply can only make it milder, because what is unknown never denies.
    pub fn ruling(&self, index: usize, class: Class, only_likely: bool) -> Ruling<'a> {
        let mut cap = Level::Deny;
        for (policy, certainty) in &self.policies {
            let Some(setting) = policy.setting(index, class) else {
                continue;
            };
            let level = setting.when_likely.filter(|_| only_likely).unwrap_or(setting.level);
            match certainty {
                Certainty::Certain => {
                    return Ruling { level: level.min(cap), params: &setting.params };
                }
                Certainty::Unknown => cap = cap.min(level),
            }
        }
        Ruling { level: Level::Off, params: &NO_PARAMS }
    }

    /// Whether someone has exempted the object from `rule` at this time.
    pub fn exemption(&self, rule: &Rule, metadata: &Metadata, now: Timestamp) -> Option<Exempt> {
        let mut certain = self.policies.iter().filter(|(_, certainty)| *certainty == Certainty::Certain);
        let by_policy = certain.find_map(|(policy, _)| policy.exemption(rule, metadata, now));
        by_policy.or_else(|| self.annotation_exemption(rule, metadata))
    }

    fn annotation_exemption(&self, rule: &Rule, metadata: &Metadata) -> Option<Exempt> {
        let annotations = &metadata.annotations;
        let rules = annotations.get("stateward.dev/exempt")?;
        let reason =
            annotations.get("stateward.dev/exempt-reason").map(str::trim).filter(|r| !r.is_empty())?;
        let named = rules.split(',').any(|id| id.trim() == rule.id);
        let allowed =
            self.policies.iter().find_map(|(policy, _)| policy.annotation_exemptions).unwrap_or(true);
        (named && allowed).then(|| Exempt {
            by: "annotation".to_owned(),
            reason: cut(escaped(reason).into_owned(), LONGEST_REASON),
            expires_at: None,
        })
    }
}

impl Policy {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn setting(&self, rule: usize, class: Class) -> Option<&Setting> {
        self.settings[rule]
            .iter()
            .find(|setting| setting.classes.is_empty() || setting.classes.contains(&class))
    }

    fn exemption(&self, rule: &Rule, metadata: &Metadata, now: Timestamp) -> Option<Exempt> {
        let applies = |exemption: &&Exemption| {
            exemption.rules.iter().any(|id| id == rule.id || id == "*")
                && exemption.namespaces.matches(&metadata.namespace)
                && exemption.names.matches(&metadata.name)
                && exemption.expires_at.is_none_or(|end| now < end)
        };
        let exemption = self.exemptions.iter().find(applies)?;
        Some(Exempt {
            by: format!("policy {}", self.name),
            reason: exemption.reason.clone(),
            expires_at: exemption.expires_at,
        })
    }
}

/// The longest reason of an annotation that is repeated, in bytes.
const LONGEST_REASON: usize = 1024;

/// The position of a rule in [`rules::ALL`].
fn rule_index(id: &str) -> Option<usize> {
    rules::ALL.iter().position(|rule| rule.id == id)
}
