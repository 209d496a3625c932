//! Which rules apply to an object, at which level, with which parameters, and who is exempt until when.
//!
//! All of it is decided here, for every caller: a rule only says what is wrong.

mod classify;
mod document;
mod lint;
mod mutate;
mod namespace_selector;
mod parse;
mod per_pod_services;
mod plain;

use jiff::Timestamp;

use crate::model::{Class, EXEMPT, EXEMPT_REASON, LabelSelector, Labels, Metadata, cut, printable};
use crate::rules::{self, NO_PARAMS, Params, Rule};
use crate::software::{Catalogue, ImagePatterns, Patterns};
use crate::verdict::{Exempt, Level};
pub use lint::{PolicyWarning, lint};
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
    operated: Option<Operated>,
    on_missing_companion: Option<OnMissingCompanion>,
    enforcement: Enforcement,
    mutate: Mutate,
    per_pod_services: Option<PerPodServices>,
}

/// The highest level that a policy gives. A policy below `deny` is on trial: it adds findings and takes none away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Enforcement {
    Audit,
    Warn,
    #[default]
    Deny,
}

/// What becomes of a denial where an operator asks for a change to its own object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Operated {
    /// It is a warning. This is the default.
    Warn,
    Enforce,
}

/// The highest level of a finding about a missing object when a StatefulSet is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnMissingCompanion {
    /// The default: the object may come with the same manifests.
    Warn,
    Deny,
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
    images: ImagePatterns,
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
    /// It depends on labels of a namespace that are not known.
    Unknown,
}

/// Whether an object is exempt from a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exemptness<'a> {
    /// Nothing exempts it.
    No,
    /// Why it is.
    Yes(Exempt),
    /// It is if this policy applies, or does not, which is not known.
    Undecided(&'a str),
}

/// What applies to one rule and one subject.
#[derive(Clone, Copy, Debug)]
pub struct Ruling<'a> {
    pub level: Level,
    pub params: &'a Params,
    /// The policy that would make it milder than `deny`, and of which it is not known whether it applies. The level is `warn`
    /// then.
    pub undecided: Option<&'a str>,
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
        match &self.namespace_selector {
            None => Some(Certainty::Certain),
            Some(selector) => namespace_selector::selects(selector, namespace, namespace_labels),
        }
    }
}

impl<'a> Applicable<'a> {
    /// What applies to the rule at `index` of [`rules::ALL`] for a subject of this class. The strongest policy that names the
    /// rule decides, after those on trial, of which the highest level counts where it is higher. A policy that may or may not apply
    /// never denies, and never switches off: it makes a denial a warning.
    pub fn ruling(&self, index: usize, class: Class, only_likely: bool) -> Ruling<'a> {
        let mut mildest: Option<(Level, &'a str)> = None;
        let mut decided = Ruling { level: Level::Off, params: &NO_PARAMS, undecided: None };
        for (policy, certainty) in &self.policies {
            let policy: &'a Policy = policy;
            let Some(setting) = policy.setting(index, class) else {
                continue;
            };
            let level = setting.when_likely.filter(|_| only_likely).unwrap_or(setting.level);
            let capped = level.min(policy.enforcement.level());
            match certainty {
                Certainty::Certain => {
                    if capped > decided.level {
                        decided = Ruling { level: capped, params: &setting.params, undecided: None };
                    }
                    if !policy.is_on_trial() {
                        break;
                    }
                }
                Certainty::Unknown if policy.is_on_trial() => {}
                Certainty::Unknown if mildest.is_none_or(|(milder, _)| level < milder) => {
                    mildest = Some((level, &policy.name));
                }
                Certainty::Unknown => {}
            }
        }
        match mildest {
            Some((milder, policy)) if milder < Level::Deny && decided.level == Level::Deny => {
                Ruling { level: Level::Warn, undecided: Some(policy), ..decided }
            }
            _ => decided,
        }
    }

    /// Whether an operator may be denied what it asks for its own objects: `operated: enforce`.
    pub fn enforces_on_operators(&self) -> bool {
        self.decided(|policy| policy.operated) == Some(Operated::Enforce)
    }

    /// Whether a set may be denied that is created before its companions, and a companion that is deleted before its set:
    /// `onMissingCompanion: deny`.
    pub fn denies_missing_companions(&self) -> bool {
        self.decided(|policy| policy.on_missing_companion) == Some(OnMissingCompanion::Deny)
    }

    /// What the strongest policy says that is certain to apply and not on trial.
    fn decided<T>(&self, setting: impl Fn(&Policy) -> Option<T>) -> Option<T> {
        let certain = self.policies.iter().filter(|(_, certainty)| *certainty == Certainty::Certain);
        let mut certain = certain.filter(|(policy, _)| !policy.is_on_trial());
        certain.find_map(|(policy, _)| setting(policy))
    }

    /// Whether the object is exempt from `rule` at this time.
    pub fn exemption(&self, rule: &Rule, metadata: &Metadata, now: Timestamp) -> Exemptness<'a> {
        let mut undecided = None;
        for (policy, certainty) in &self.policies {
            let policy: &'a Policy = policy;
            match (policy.exemption(rule, metadata, now), certainty) {
                (Some(exempt), Certainty::Certain) => return Exemptness::Yes(exempt),
                (Some(_), Certainty::Unknown) => undecided = undecided.or(Some(&*policy.name)),
                (None, _) => {}
            }
        }
        let by_annotation = self.annotation_exemption(rule, metadata);
        match (by_annotation, undecided) {
            (Exemptness::No, Some(policy)) => Exemptness::Undecided(policy),
            (by_annotation, _) => by_annotation,
        }
    }

    /// Whether annotations exempt at all, and the policy that is to be known for certain to say so.
    fn annotation_exemptions(&self) -> (bool, Option<&'a str>) {
        let mut undecided: Option<(bool, &'a str)> = None;
        for (policy, certainty) in &self.policies {
            let policy: &'a Policy = policy;
            match (policy.annotation_exemptions, certainty) {
                (Some(allowed), Certainty::Certain) => return without(allowed, undecided),
                (Some(allowed), Certainty::Unknown) => {
                    undecided = undecided.or(Some((allowed, &policy.name)));
                }
                (None, _) => {}
            }
        }
        without(true, undecided)
    }

    /// Whether an annotation exempts where one is set.
    pub fn honours_annotations(&self) -> bool {
        self.annotation_exemptions() == (true, None)
    }

    fn annotation_exemption(&self, rule: &Rule, metadata: &Metadata) -> Exemptness<'a> {
        let Some(reason) = exempting_reason(rule, metadata) else { return Exemptness::No };
        match self.annotation_exemptions() {
            (_, Some(policy)) => Exemptness::Undecided(policy),
            (false, None) => Exemptness::No,
            (true, None) => {
                let reason = cut(printable(reason).into_owned(), LONGEST_REASON);
                let by = "annotation".to_owned();
                Exemptness::Yes(Exempt { by, reason, expires_at: None })
            }
        }
    }
}

/// What is allowed, and the policy that would make it different if it applied.
fn without(allowed: bool, undecided: Option<(bool, &str)>) -> (bool, Option<&str>) {
    (allowed, undecided.filter(|(other, _)| *other != allowed).map(|(_, policy)| policy))
}

/// The reason that the annotations give for an exemption from this rule.
fn exempting_reason<'m>(rule: &Rule, metadata: &'m Metadata) -> Option<&'m str> {
    let rules = metadata.annotations.get(EXEMPT)?;
    let reason = metadata.annotations.get(EXEMPT_REASON).map(str::trim)?;
    let is_named = rules.split(',').any(|id| id.trim() == rule.id);
    (is_named && !reason.is_empty()).then_some(reason)
}

impl Enforcement {
    fn level(self) -> Level {
        match self {
            Self::Audit => Level::Audit,
            Self::Warn => Level::Warn,
            Self::Deny => Level::Deny,
        }
    }
}

impl Policy {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `enforcement` caps it.
    fn is_on_trial(&self) -> bool {
        self.enforcement != Enforcement::Deny
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
