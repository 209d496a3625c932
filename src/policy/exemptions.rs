//! Who is exempt from a rule, and until when: by a policy, by a `StatefulSetExemption`, or by annotations.

use jiff::Timestamp;

use super::scope::Certainty;
use super::subjects::SubjectPatterns;
use super::{Applicable, Policy, namespace_selector};
use crate::change::Requester;
use crate::model::{EXEMPT, EXEMPT_REASON, LabelSelector, Metadata, cut, printable};
use crate::rules::RefusedExemption;
use crate::software::Patterns;
use crate::verdict::Exempt;

/// The longest reason that is taken or repeated: in letters of a `StatefulSetExemption`, in bytes of an annotation.
pub(super) const LONGEST_REASON: usize = 1024;

/// An entry of a policy's `exemptions`.
#[derive(Debug)]
pub(super) struct CompiledExemption {
    pub(super) rules: Vec<String>,
    pub(super) namespaces: Patterns,
    pub(super) names: Patterns,
    pub(super) reason: String,
    pub(super) expires_at: Option<Timestamp>,
}

/// One `StatefulSetExemption`, compiled.
#[derive(Debug)]
pub struct NamespaceExemption {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) rules: Vec<String>,
    pub(super) names: Patterns,
    pub(super) selector: Option<LabelSelector>,
    pub(super) reason: String,
    pub(super) expires_at: Option<Timestamp>,
}

/// Whether an object is exempt from a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exemptness<'a> {
    /// Nothing exempts it.
    No,
    /// Why it is.
    Yes(Exempt),
    /// It was: of the exemptions that ended, the last one.
    Ended(Exempt),
    /// It is if this policy applies, or does not, which is not known.
    Undecided(&'a str),
}

impl<'a> Exemptness<'a> {
    /// The answer of two sources: what exempts for certain counts, then what may exempt.
    fn or(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Yes(_) => self,
            Self::No => other(),
            Self::Undecided(_) => match other() {
                yes @ Self::Yes(_) => yes,
                _ => self,
            },
            Self::Ended(one) => match other() {
                Self::No => Self::Ended(one),
                Self::Ended(other) if other.expires_at < one.expires_at => Self::Ended(one),
                other => other,
            },
        }
    }

    /// An exemption that is about the object, at this time.
    fn of(exempt: Exempt, certainty: Certainty, policy: &'a str, now: Timestamp) -> Self {
        match certainty {
            _ if exempt.expires_at.is_some_and(|end| end <= now) => Self::Ended(exempt),
            Certainty::Certain => Self::Yes(exempt),
            Certainty::Unknown => Self::Undecided(policy),
        }
    }
}

impl<'a> Applicable<'a> {
    /// Whether the object is exempt from a rule or a check at this time, by its id.
    pub fn exemption(&self, rule: &str, metadata: &Metadata, now: Timestamp) -> Exemptness<'a> {
        let policies = self.policies.iter();
        let by_policy = policies.fold(Exemptness::No, |found, (policy, certainty)| {
            found.or(|| policy.exemption(rule, metadata, *certainty, now))
        });
        by_policy
            .or(|| self.namespace_exemption(rule, metadata, now))
            .or(|| self.annotation_exemption(rule, metadata))
    }

    /// By a `StatefulSetExemption`, where a policy lets those of the namespace count.
    fn namespace_exemption(&self, rule: &str, metadata: &Metadata, now: Timestamp) -> Exemptness<'a> {
        let mut about =
            self.exemptions.iter().filter(|exemption| exemption.is_about(rule, metadata)).peekable();
        let Some((certainty, policy)) =
            about.peek().and_then(|_| self.honours_exemptions(&metadata.namespace))
        else {
            return Exemptness::No;
        };
        about.fold(Exemptness::No, |found, exemption| {
            found.or(|| Exemptness::of(exemption.exempt(), certainty, policy, now))
        })
    }

    /// Whether a policy lets the exemptions of a namespace count, and its name; the first that certainly does, or else one that may.
    pub(super) fn honours_exemptions(&self, namespace: &str) -> Option<(Certainty, &'a str)> {
        let answers = self.policies.iter().filter_map(|(policy, certainty)| {
            let policy: &'a Policy = policy;
            let selector = policy.exemption_namespaces.as_ref()?;
            let selected = namespace_selector::selects(selector, namespace, self.namespace_labels)?;
            let both = if selected == Certainty::Certain { *certainty } else { selected };
            Some((both, &*policy.name))
        });
        answers.min_by_key(|(certainty, _)| *certainty == Certainty::Unknown)
    }

    /// What the strongest policy allows that says anything of it, and the policy that is to be known for certain to say so.
    fn allowed(&self, setting: impl Fn(&Policy) -> Option<bool>) -> (bool, Option<&'a str>) {
        let mut undecided: Option<(bool, &'a str)> = None;
        for (policy, certainty) in &self.policies {
            let policy: &'a Policy = policy;
            match (setting(policy), certainty) {
                (Some(allowed), Certainty::Certain) => return without(allowed, undecided),
                (Some(allowed), Certainty::Unknown) => {
                    undecided = undecided.or(Some((allowed, &policy.name)));
                }
                (None, _) => {}
            }
        }
        without(true, undecided)
    }

    /// Whether annotations exempt that were set by this requester, or by one who might; and the policy that is to be known.
    fn annotations_count(&self, set_by: Option<&Requester>) -> (bool, Option<&'a str>) {
        let counted = self.allowed(|policy| policy.annotation_exemptions);
        let Some(requester) = set_by else { return counted };
        let may_set = |policy: &Policy| Some(policy.exemption_setters()?.include(requester));
        match (counted, self.allowed(may_set)) {
            (counted @ (false, None), _) => counted,
            (_, refused @ (false, None)) => refused,
            ((counted, doubt), (may_set, other)) => (counted && may_set, doubt.or(other)),
        }
    }

    /// Whether an annotation would exempt if the requesting user set it.
    pub fn honours_annotations(&self) -> bool {
        self.annotations_count(self.asked_by.map(|asked| asked.requester)) == (true, None)
    }

    /// Who sets exempting annotations with this change and certainly may not, where such annotations count at all.
    pub fn refused_exemption(&self) -> Option<RefusedExemption<'a>> {
        let requester = self.asked_by.filter(|asked| asked.sets_exemption)?.requester;
        let counts = self.annotations_count(None) == (true, None);
        let refuses = counts && self.annotations_count(Some(requester)) == (false, None);
        let (_, policy) = self.exemption_setters().filter(|_| refuses)?;
        Some(RefusedExemption { user: &requester.username, policy })
    }

    /// Who may set the exempting annotations, and the policy that decides it.
    pub(super) fn exemption_setters(&self) -> Option<(&'a SubjectPatterns, &'a str)> {
        let certain = self.policies.iter().filter(|(_, certainty)| *certainty == Certainty::Certain);
        let mut policies = certain.map(|(policy, _)| *policy);
        policies.find_map(|policy| Some((policy.exemption_setters()?, &*policy.name)))
    }

    fn annotation_exemption(&self, rule: &str, metadata: &Metadata) -> Exemptness<'a> {
        let Some(reason) = exempting_reason(rule, metadata) else { return Exemptness::No };
        let set_by = self.asked_by.filter(|asked| asked.sets_exemption).map(|asked| asked.requester);
        match self.annotations_count(set_by) {
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
fn exempting_reason<'m>(rule: &str, metadata: &'m Metadata) -> Option<&'m str> {
    let rules = metadata.annotations.get(EXEMPT)?;
    let reason = metadata.annotations.get(EXEMPT_REASON).map(str::trim)?;
    let is_named = rules.split(',').any(|id| id.trim() == rule);
    (is_named && !reason.is_empty()).then_some(reason)
}

fn names_rule(rules: &[String], rule: &str) -> bool {
    rules.iter().any(|id| id == rule || id == "*")
}

impl Policy {
    /// Who may set the exempting annotations. A policy on trial makes no denial of what is exempt.
    fn exemption_setters(&self) -> Option<&SubjectPatterns> {
        self.annotation_exemptions_by.as_ref().filter(|_| !self.is_on_trial())
    }

    fn exemption(
        &self,
        rule: &str,
        metadata: &Metadata,
        certainty: Certainty,
        now: Timestamp,
    ) -> Exemptness<'_> {
        let about = self.exemptions.iter().filter(|exemption| {
            names_rule(&exemption.rules, rule)
                && exemption.namespaces.matches(&metadata.namespace)
                && exemption.names.matches(&metadata.name)
        });
        about.fold(Exemptness::No, |found, exemption| {
            let exempt = || Exempt {
                by: format!("policy {}", self.name),
                reason: exemption.reason.clone(),
                expires_at: exemption.expires_at,
            };
            found.or(|| Exemptness::of(exempt(), certainty, &self.name, now))
        })
    }
}

impl NamespaceExemption {
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is about this object of its namespace, whatever the rule.
    pub(super) fn selects(&self, metadata: &Metadata) -> bool {
        self.names.matches(&metadata.name)
            && self.selector.as_ref().is_none_or(|selector| selector.matches(&metadata.labels))
    }

    fn is_about(&self, rule: &str, metadata: &Metadata) -> bool {
        names_rule(&self.rules, rule) && self.selects(metadata)
    }

    fn exempt(&self) -> Exempt {
        let by = format!("StatefulSetExemption {}", self.name);
        Exempt {
            by,
            reason: cut(printable(&self.reason).into_owned(), LONGEST_REASON),
            expires_at: self.expires_at,
        }
    }
}

/// Whether the exempting annotations of an object are others than it had.
pub fn alters_exemption(before: Option<&Metadata>, after: &Metadata) -> bool {
    let is_other = |key| before.and_then(|before| before.annotations.get(key)) != after.annotations.get(key);
    is_other(EXEMPT) || is_other(EXEMPT_REASON)
}
