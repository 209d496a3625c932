//! What is found, and what becomes of it.

use crate::model::{Classified, ObjectRef};
use crate::policy::{Exempt, Level};
use crate::rules::Rule;

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
    pub rule: &'static Rule,
    /// What becomes of it.
    pub level: Level,
    /// The StatefulSet that is judged (or what else is read from a file).
    pub subject: ObjectRef,
    /// Its class, and why; only a StatefulSet has one.
    pub class: Option<Classified>,
    /// The object to edit: the subject, or what changed beside it.
    pub object: ObjectRef,
    /// JSON pointer of the field in `object`.
    pub path: String,
    /// What was seen and why it matters.
    pub message: String,
    /// The edit that fixes it.
    pub remedy: String,
    /// Other objects that are part of it, with a JSON pointer into each.
    pub related: Vec<(ObjectRef, String)>,
    /// Why it does not count, if it does not.
    pub exempt: Option<Exempt>,
}

impl Verdict {
    /// The findings that count, at this level.
    pub fn at(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.counts() && finding.level == level)
    }

    /// Whether this rule has a finding that counts.
    pub fn names(&self, rule: &Rule) -> bool {
        self.findings.iter().any(|finding| finding.counts() && finding.rule == rule)
    }

    /// Whether the change is refused.
    pub fn is_denied(&self) -> bool {
        self.at(Level::Deny).next().is_some()
    }
}

impl Finding {
    /// Whether nobody has exempted it.
    pub fn counts(&self) -> bool {
        self.exempt.is_none()
    }

    /// Whether a reader would learn nothing new from it.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        (self.rule, &self.object, &self.path, &self.message)
            == (other.rule, &other.object, &other.path, &other.message)
    }
}
