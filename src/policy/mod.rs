//! Which rules apply to an object, at which level, with which parameters, and who is exempt until when.
//!
//! All of it is decided here, for every caller: a rule only says what is wrong.

mod checks;
mod classify;
mod document;
mod exemptions;
mod explain;
mod lint;
mod mutate;
mod namespace_selector;
mod objects;
mod parse;
mod per_pod_services;
mod plain;
mod schema;
mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::Arc;

use crate::model::{Because, Class, Classified, LabelSelector, Labels, Metadata};
use crate::rules::{self, Check as RuleCheck, NO_PARAMS, Params};
use crate::software::{Catalogue, ImagePatterns, Patterns};
use crate::verdict::{Level, RuleId};
pub use checks::{Check, CheckedResource, Checks, FailurePolicy};
use exemptions::Exemption;
pub use exemptions::{Exemptness, NamespaceExemption};
pub use explain::{Decision, DecisionExemption, Explanation};
pub use lint::{PolicyWarning, lint};
use mutate::Mutate;
pub use mutate::{Asked, ServicePerPod};
pub use objects::{Malformed, PolicyObjects};
pub use parse::PolicyError;
pub use per_pod_services::{PerPodServices, TrafficPolicy};
pub use schema::{exemption_schema, policy_schema, status_schema};
pub use status::{Condition, PolicyStatus, statuses};

/// A shipped set of levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Denies only what is certainly broken.
    #[default]
    Baseline,
    /// Denies whatever can be proven.
    Strict,
}

/// All policies that are in force, with the shipped one under them, and all `StatefulSetExemption`s.
#[derive(Clone, Debug)]
pub struct Policies {
    /// By falling priority, then by name; the shipped profile last.
    by_strength: Vec<Arc<Policy>>,
    /// By namespace, then by name.
    exemptions: BTreeMap<Box<str>, Vec<Arc<NamespaceExemption>>>,
    software: &'static Catalogue,
}

/// One policy, compiled.
#[derive(Debug)]
pub struct Policy {
    name: String,
    origin: PolicyOrigin,
    priority: i32,
    scope: Scope,
    classes: Vec<ClassRule>,
    /// For each rule, in the order of [`rules::ALL`], what the policy says of it.
    settings: Vec<Vec<Setting>>,
    exemptions: Vec<Exemption>,
    annotation_exemptions: Option<bool>,
    exemption_namespaces: Option<LabelSelector>,
    operated: Option<Operated>,
    on_missing_companion: Option<OnMissingCompanion>,
    enforcement: Enforcement,
    checks: Checks,
    mutate: Mutate,
    per_pod_services: Option<PerPodServices>,
}

/// Where a policy comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum PolicyOrigin {
    /// It is a profile, which is part of the program.
    Profile,
    /// File, line and column.
    File(String),
    #[default]
    Cluster,
}

/// The highest level that a policy gives. A policy below `deny` is on trial: it adds findings and takes none away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Enforcement {
    Audit,
    Warn,
    #[default]
    Deny,
}

/// What becomes of a denial where an operator asks for a change to its own object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Operated {
    /// It is a warning. This is the default.
    Warn,
    Enforce,
}

/// The highest level of a finding about a missing object when a StatefulSet is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
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
    /// Those of the namespace.
    exemptions: &'a [Arc<NamespaceExemption>],
    namespace_labels: Option<&'a Labels>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Certain,
    /// It depends on labels of a namespace that are not known.
    Unknown,
}

/// What applies to one rule and one subject.
#[derive(Clone, Copy, Debug)]
pub struct Ruling<'a> {
    pub level: Level,
    pub params: &'a Params,
    /// The policy that decides the level; `None` where no policy names the rule.
    policy: Option<&'a Policy>,
    /// The level that the policy gives, before its `enforcement` caps it.
    uncapped: Level,
    /// The policy that would make it milder than `deny`, and of which it is not known whether it applies. The level is `warn`
    /// then.
    pub undecided: Option<&'a str>,
}

impl Policies {
    /// The shipped profile with `policies` over it.
    pub fn new(profile: Profile, policies: Vec<Policy>) -> anyhow::Result<Self> {
        Self::with_exemptions(profile, policies.into_iter().map(Arc::new), [])
    }

    /// The shipped profile with `policies` over it, and `exemptions` where the policies let them count.
    pub fn with_exemptions(
        profile: Profile,
        policies: impl IntoIterator<Item = Arc<Policy>>,
        exemptions: impl IntoIterator<Item = Arc<NamespaceExemption>>,
    ) -> anyhow::Result<Self> {
        let shipped = vec![Arc::new(parse::shipped(profile)?)];
        let mut all =
            Self { by_strength: shipped, exemptions: BTreeMap::new(), software: Catalogue::shipped()? };
        all.add_policies(policies);
        all.add_exemptions(exemptions);
        Ok(all)
    }

    /// Adds policies beside those that there are.
    pub fn add_policies(&mut self, policies: impl IntoIterator<Item = Arc<Policy>>) {
        let shipped = self.by_strength.pop();
        self.by_strength.extend(policies);
        self.by_strength.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
        self.by_strength.extend(shipped);
    }

    /// Adds exemptions beside those that there are.
    pub fn add_exemptions(&mut self, exemptions: impl IntoIterator<Item = Arc<NamespaceExemption>>) {
        for exemption in exemptions {
            self.exemptions.entry(exemption.namespace().into()).or_default().push(exemption);
        }
        for exemptions in self.exemptions.values_mut() {
            exemptions.sort_by(|a, b| a.name().cmp(b.name()));
        }
    }

    /// The check of this id.
    pub fn check(&self, id: &RuleId) -> Option<&Check> {
        self.by_strength.iter().flat_map(|policy| policy.checks.iter()).find(|check| check.id == *id)
    }

    /// Whether a check reads StatefulSets as requests have them: a snapshot keeps less.
    pub fn read_raw_sets(&self) -> bool {
        self.by_strength.iter().any(|policy| policy.checks.read_raw_sets)
    }

    /// The policies that are about this subject, the strongest first.
    pub fn applicable<'a>(&'a self, subject: Subject<'a>) -> Applicable<'a> {
        let policies = self.by_strength.iter();
        let policies =
            policies.filter_map(|policy| Some((&**policy, policy.scope.covers(subject)?))).collect();
        let exemptions = self.exemptions.get(&*subject.metadata.namespace).map_or(&[][..], |all| all);
        Applicable { policies, exemptions, namespace_labels: subject.namespace_labels }
    }
}

impl Scope {
    /// Whether it leaves out nothing.
    fn is_everything(&self) -> bool {
        self.namespaces.is_empty()
            && self.exclude_namespaces.is_empty()
            && self.namespace_selector.is_none()
            && self.object_selector.is_none()
    }

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
    /// What applies to the rule at `index` of [`rules::ALL`] for a subject that was classified so, or has no class. Where a policy
    /// that may or may not apply decides the class, a rule that would deny under the one class and not under the other does not
    /// deny.
    pub fn ruling_for<'r>(&'r self, index: usize, class: Option<&'r Classified>) -> Ruling<'r> {
        let rule = &rules::ALL[index];
        // How a manifest is written is judged without a class.
        let Some(class) = class.filter(|_| !matches!(rule.check, RuleCheck::Text(_))) else {
            return self.ruling(index, Class::Replicated, false);
        };
        let under = |other: Class| self.ruling(index, other, class.is_only_likely());
        let ruling = under(class.class);
        let Because::Undecided { policy, alternative, .. } = &class.because else { return ruling };
        if ruling.level != Level::Deny || matches!(rule.check, RuleCheck::PodRemoval(_)) {
            return ruling;
        }
        let denies = rule.is_for_class(*alternative) && under(*alternative).level == Level::Deny;
        if denies { ruling } else { Ruling { level: Level::Warn, undecided: Some(policy), ..ruling } }
    }

    /// What policies say of the rule at `index` for this class, the strongest first, down to the policy that is certain to apply
    /// and not on trial.
    fn settings(
        &self,
        index: usize,
        class: Class,
    ) -> impl Iterator<Item = (&'a Policy, Certainty, &'a Setting)> {
        let mut is_decided = false;
        let settings = self.policies.iter().filter_map(move |(policy, certainty)| {
            let policy: &'a Policy = policy;
            Some((policy, *certainty, policy.setting(index, class)?))
        });
        settings.take_while(move |(policy, certainty, _)| {
            let decides = *certainty == Certainty::Certain && !policy.is_on_trial();
            !mem::replace(&mut is_decided, decides)
        })
    }

    /// What applies to the rule at `index` of [`rules::ALL`] for a subject of this class. The strongest policy that names the
    /// rule decides, after those on trial, of which the highest level counts where it is higher. A policy that may or may not apply
    /// never denies, and never switches off: it makes a denial a warning.
    pub fn ruling(&self, index: usize, class: Class, only_likely: bool) -> Ruling<'a> {
        let mut mildest: Option<(Level, &'a str)> = None;
        let mut decided = Ruling {
            level: Level::Off,
            params: &NO_PARAMS,
            policy: None,
            uncapped: Level::Off,
            undecided: None,
        };
        for (policy, certainty, setting) in self.settings(index, class) {
            let level = setting.when_likely.filter(|_| only_likely).unwrap_or(setting.level);
            let capped = level.min(policy.enforcement.level());
            match certainty {
                Certainty::Certain => {
                    if capped > decided.level || decided.level == Level::Off {
                        decided = Ruling {
                            level: capped,
                            params: &setting.params,
                            policy: Some(policy),
                            uncapped: level,
                            undecided: None,
                        };
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

    /// The checks of the policies that certainly apply.
    pub fn checks(&self) -> impl Iterator<Item = (&'a Policy, &'a Check)> {
        let certain = self.policies.iter().filter(|(_, certainty)| *certainty == Certainty::Certain);
        certain.flat_map(|(policy, _)| {
            let policy: &'a Policy = policy;
            policy.checks.iter().map(move |check| (policy, check))
        })
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
}

impl fmt::Display for PolicyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile => f.write_str("built-in profile"),
            Self::File(place) => f.write_str(place),
            Self::Cluster => f.write_str("in the cluster"),
        }
    }
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

    /// The same policy, read from this place: file, line and column.
    #[must_use]
    pub fn from_file(self, place: String) -> Self {
        Self { origin: PolicyOrigin::File(place), ..self }
    }

    /// The ids of the rules that it sets a level of, and of its own checks.
    pub fn named_rules(&self) -> impl Iterator<Item = String> {
        let set = self.settings.iter().zip(rules::ALL).filter(|(settings, _)| !settings.is_empty());
        let set = set.map(|(_, rule)| rule.id.to_owned());
        set.chain(self.checks.iter().map(|check| check.id.as_str().to_owned()))
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
}

/// The position of a rule in [`rules::ALL`].
fn rule_index(id: &str) -> Option<usize> {
    rules::ALL.iter().position(|rule| rule.id == id)
}
