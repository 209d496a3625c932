//! Findings and the verdict.

mod level;

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::model::{Classified, ObjectRef};
pub use level::Level;

/// Which rule found something: the id of a shipped rule, or the name of a policy's own check.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct RuleId(Cow<'static, str>);

impl RuleId {
    /// The id of a shipped rule.
    pub const fn shipped(id: &'static str) -> Self {
        Self(Cow::Borrowed(id))
    }

    /// The id of a policy's own check.
    pub fn of_check(policy: &str, check: &str) -> Self {
        Self(Cow::Owned(format!("{policy}/{check}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a metric label, which needs no copy for a shipped rule.
    pub fn label(&self) -> Cow<'static, str> {
        self.0.clone()
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One change to one field that ends a finding.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    /// The object to change; for [`EditOperation::Create`] the one to make.
    pub object: ObjectRef,
    /// JSON pointer of the field; empty for a whole object.
    pub path: String,
    pub operation: EditOperation,
    /// The value to set or the object to create; null to remove.
    pub value: Value,
    /// Whether it can be applied without a person looking: it changes nothing but what the finding is about, and it is the one
    /// right answer.
    pub is_safe: bool,
}

/// The operation of an [`Edit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EditOperation {
    /// Sets the field, and the maps it is in where they are missing.
    Set,
    /// Removes the field.
    Remove,
    /// Creates the object beside the one of the finding.
    Create,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exempt {
    /// `policy NAME`, `StatefulSetExemption NAME`, `annotation` or `comment`.
    pub by: String,
    /// The reason given with the exemption.
    pub reason: String,
    /// When the exemption ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// `by policy teams until 2027-01-31T00:00:00Z: throw-away clusters`.
impl fmt::Display for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {}", self.by)?;
        if let Some(end) = self.expires_at {
            write!(f, " until {end}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Everything that was found, ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// All findings of all rules, the gravest first; those of one level in the order of the rules.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule says so.
    pub rule: RuleId,
    /// The level of the finding.
    pub level: Level,
    /// The StatefulSet that is judged (or what else is read from a file).
    pub subject: ObjectRef,
    /// Its class, and why; only a StatefulSet has one.
    pub class: Option<Classified>,
    /// The object to edit: the subject, or what changed beside it.
    pub object: ObjectRef,
    /// JSON pointer of the field in `object`.
    pub path: String,
    /// The problem and its effect on the application.
    pub message: String,
    /// The edit that fixes it, in words.
    pub remedy: String,
    /// The remedy as data, where there is one right answer; all edits together end the finding.
    pub edits: Vec<Edit>,
    /// Other objects that are part of it, with a JSON pointer into each.
    pub related: Vec<(ObjectRef, String)>,
    /// The consensus group of several StatefulSets that it is of: the same for each of them.
    pub group: Option<Box<str>>,
    /// Why it does not count, if it does not.
    pub exempt: Option<Exempt>,
    /// Whether the policies let an annotation of the subject exempt it.
    pub may_be_exempted: bool,
    /// Whether it says that an object is missing that may come with the same manifests.
    pub misses_companion: bool,
}

impl Verdict {
    /// The findings that count, at this level.
    pub fn at(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.counts() && finding.level == level)
    }

    /// The findings that would have been shown if no exemption covered them.
    pub fn exempt(&self) -> impl Iterator<Item = (&Finding, &Exempt)> {
        let shown = self.findings.iter().filter(|finding| finding.level >= Level::Warn);
        shown.filter_map(|finding| Some((finding, finding.exempt.as_ref()?)))
    }

    /// Whether this rule has a finding that counts.
    pub fn contains_rule(&self, rule: &RuleId) -> bool {
        self.findings.iter().any(|finding| finding.counts() && finding.rule == *rule)
    }

    /// Whether the change is refused.
    pub fn is_denied(&self) -> bool {
        self.at(Level::Deny).next().is_some()
    }
}

impl Finding {
    /// Whether no exemption covers it.
    pub fn counts(&self) -> bool {
        self.exempt.is_none()
    }

    /// A reader learns nothing new from a second finding with the same identity.
    pub(crate) fn identity(&self) -> (&RuleId, &ObjectRef, &str, &str) {
        (&self.rule, &self.object, &self.path, &self.message)
    }

    /// Equal for the findings of one rule about the sets of one consensus group; `None` for a finding about one set.
    pub(crate) fn group_identity(&self) -> Option<(&RuleId, &str, &str)> {
        Some((&self.rule, &self.subject.namespace, self.group.as_deref()?))
    }
}
