//! Who is exempt from a rule, and until when: by a policy, by a `StatefulSetExemption`, or by annotations.

use jiff::Timestamp;

use super::{Applicable, Certainty, Policy, namespace_selector};
use crate::model::{EXEMPT, EXEMPT_REASON, LabelSelector, Metadata, cut, printable};
use crate::software::Patterns;
use crate::verdict::Exempt;

/// The longest reason that is taken or repeated: in letters of a `StatefulSetExemption`, in bytes of an annotation.
pub(super) const LONGEST_REASON: usize = 1024;

/// An entry of a policy's `exemptions`.
#[derive(Debug)]
pub(super) struct Exemption {
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

    fn annotation_exemption(&self, rule: &str, metadata: &Metadata) -> Exemptness<'a> {
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
