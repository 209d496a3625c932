//! Which rules apply to an object, at which level, with which parameters, and who is exempt until when.
//!
//! All of it is decided here, for every caller: a rule only says what is wrong.

mod applicable;
mod checks;
mod classify;
mod document;
mod exemptions;
mod explain;
mod faults;
mod lint;
mod mutate;
mod namespace_selector;
mod objects;
mod parse;
mod per_pod_services;
mod plain;
mod schema;
mod scope;
mod status;
mod subjects;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::model::{Class, LabelSelector};
use crate::rules::{self, Params};
use crate::software::{Catalogue, ImagePatterns};
use crate::verdict::{Level, RuleId};
pub use applicable::{Applicable, Ruling};
pub use checks::{Check, CheckedResource, Checks, FailurePolicy};
use exemptions::CompiledExemption;
pub use exemptions::{Exemptness, NamespaceExemption, alters_exemption};
pub use explain::{Decision, DecisionExemption, Explanation};
pub use faults::all_errors;
pub use lint::{PolicyWarning, lint};
use mutate::PolicyMutation;
pub use mutate::{PolicyValue, ServicePerPodAnnotations};
pub use objects::{MalformedPolicyObject, PolicyObjects};
pub use parse::PolicyError;
pub use per_pod_services::{PerPodServices, SettingsUnknown, TrafficPolicy};
pub use plain::plain;
pub use schema::{exemption_schema, policy_schema, status_schema};
pub use scope::Subject;
use scope::{Certainty, Scope};
pub use status::{PolicyStatus, StatusCondition, statuses};
use subjects::SubjectPatterns;

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
    /// Whether there are policies that have not been read yet.
    is_partial: bool,
    /// Stand for the policies that have settings of per-pod Services and cannot be used, the strongest first.
    per_pod_unread: Vec<Arc<Policy>>,
}

/// One policy, compiled.
#[derive(Debug)]
pub struct Policy {
    name: String,
    origin: PolicyOrigin,
    priority: i32,
    scope: Scope,
    classes: Vec<CompiledClassRule>,
    /// For each rule, in the order of [`rules::ALL`], what the policy says of it.
    settings: Vec<Vec<CompiledRuleSetting>>,
    exemptions: Vec<CompiledExemption>,
    annotation_exemptions: Option<bool>,
    annotation_exemptions_by: Option<SubjectPatterns>,
    exemption_namespaces: Option<LabelSelector>,
    operated: Option<OperatorMode>,
    on_missing_companion: Option<OnMissingCompanion>,
    enforcement: Enforcement,
    checks: Checks,
    mutate: PolicyMutation,
    per_pod_services: Option<PerPodServices>,
}

/// The source of a policy.
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

/// Whether a denial stands where an operator asks for a change to its own object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OperatorMode {
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
struct CompiledClassRule {
    class: Class,
    images: ImagePatterns,
    selector: Option<LabelSelector>,
}

#[derive(Debug)]
struct CompiledRuleSetting {
    level: Level,
    when_likely: Option<Level>,
    classes: Vec<Class>,
    params: Params,
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
        let mut all = Self {
            by_strength: shipped,
            exemptions: BTreeMap::new(),
            software: Catalogue::shipped()?,
            is_partial: false,
            per_pod_unread: Vec::new(),
        };
        all.add_policies(policies);
        all.add_exemptions(exemptions);
        Ok(all)
    }

    /// Adds policies beside those that there are.
    pub fn add_policies(&mut self, policies: impl IntoIterator<Item = Arc<Policy>>) {
        let shipped = self.by_strength.pop();
        self.by_strength.extend(policies);
        self.by_strength.sort_by(|a, b| a.strength().cmp(&b.strength()));
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

    /// The names that findings may have: the rules, and the checks of these policies.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        let checks = self.by_strength.iter().flat_map(|policy| policy.checks.iter());
        rules::ALL.iter().map(|rule| rule.id).chain(checks.map(|check| check.id.as_str()))
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
        Applicable { policies, exemptions, namespace_labels: subject.namespace_labels, asked_by: None }
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

    /// Sets the place that the policy was read from: file, line and column.
    #[must_use]
    pub fn from_file(self, place: String) -> Self {
        Self { origin: PolicyOrigin::File(place), ..self }
    }

    /// The ids of the rules that it sets a level of, and of its own checks.
    pub fn named_rules(&self) -> impl Iterator<Item = String> {
        let set = self
            .settings
            .iter()
            .zip(rules::ALL)
            .filter(|(settings, _)| !settings.is_empty())
            .map(|(_, rule)| rule.id.to_owned());
        set.chain(self.checks.iter().map(|check| check.id.as_str().to_owned()))
    }

    /// The sort key: the stronger of two policies has the smaller one.
    fn strength(&self) -> (Reverse<i32>, &str) {
        (Reverse(self.priority), &self.name)
    }

    /// Whether `enforcement` caps it.
    fn is_on_trial(&self) -> bool {
        self.enforcement != Enforcement::Deny
    }

    fn setting(&self, rule: usize, class: Class) -> Option<&CompiledRuleSetting> {
        self.settings[rule]
            .iter()
            .find(|setting| setting.classes.is_empty() || setting.classes.contains(&class))
    }
}

/// The position of a rule in [`rules::ALL`].
fn rule_index(id: &str) -> Option<usize> {
    rules::ALL.iter().position(|rule| rule.id == id)
}
