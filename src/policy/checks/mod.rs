//! A policy's own checks: expressions of CEL, compiled when the policy is loaded.

mod compile;
mod document;
mod names;
mod schema;

use std::collections::BTreeSet;

use serde_json::Value;

use super::Policy;
use crate::cel::Program;
use crate::cluster::Kind;
use crate::verdict::{Level, RuleId};
pub(super) use compile::{Written, compile};
pub use document::CheckedResource;
pub use document::FailurePolicy;
pub(super) use document::{CheckDocument, CheckVariable};

/// The checks of one policy, with what their expressions share.
#[derive(Debug, Default)]
pub struct Checks {
    variables: Vec<(Box<str>, Program)>,
    params: Value,
    list: Vec<Check>,
    /// Whether one of them reads StatefulSets with all of their fields.
    pub(super) read_raw_sets: bool,
}

/// One check.
#[derive(Debug)]
pub struct Check {
    /// `POLICY/NAME`.
    pub id: RuleId,
    pub resources: Vec<CheckedResource>,
    pub conditions: Vec<Program>,
    pub expression: Program,
    pub message: Box<str>,
    pub message_expression: Option<Program>,
    pub remedy: Box<str>,
    /// JSON pointer of the field that it is about.
    pub path: Box<str>,
    /// The level that the policy gives, `enforcement` included.
    pub level: Level,
    pub failure_policy: FailurePolicy,
    /// All variables that its expressions read, also through `variables`.
    reads: BTreeSet<String>,
}

/// The variables that are about other objects than the one that changes, and the kinds they are read from.
const NEIGHBOURS: [(&str, &[Kind]); 7] = [
    ("services", &[Kind::Service]),
    ("disruptionBudgets", &[Kind::DisruptionBudget]),
    ("autoscalers", &[Kind::Autoscaler]),
    ("siblings", &[Kind::StatefulSet, Kind::Service]),
    ("members", &[Kind::StatefulSet, Kind::Service]),
    ("majority", &[Kind::StatefulSet, Kind::Service]),
    ("statefulSet", &[]),
];

impl Checks {
    /// The checks, in the order of the policy.
    pub fn iter(&self) -> impl Iterator<Item = &Check> {
        self.list.iter()
    }

    /// `variables.NAME`
    pub fn variable(&self, name: &str) -> Option<&Program> {
        self.variables.iter().find(|(known, _)| **known == *name).map(|(_, program)| program)
    }

    /// `params`
    pub fn params(&self) -> &Value {
        &self.params
    }
}

impl Check {
    /// Whether an expression of it reads this variable.
    pub fn reads(&self, variable: &str) -> bool {
        self.reads.contains(variable)
    }

    /// Whether it depends on the object as it was: then it is about the step and not about how things are.
    pub fn is_about_step(&self) -> bool {
        self.reads("oldObject")
    }

    /// Whether it reads a StatefulSet as the request has it, which the snapshot does not keep.
    fn reads_raw_set(&self) -> bool {
        self.resources.contains(&CheckedResource::Sets) && (self.reads("object") || self.reads("oldObject"))
    }

    /// Whether it reads what may come with the same manifests after a StatefulSet.
    pub fn reads_companions(&self) -> bool {
        ["services", "disruptionBudgets", "autoscalers"].into_iter().any(|name| self.reads(name))
    }

    /// Whether it depends on which sets form one consensus group.
    pub fn reads_group(&self) -> bool {
        ["siblings", "members", "majority"].into_iter().any(|name| self.reads(name))
    }

    /// The kinds of the other objects that it reads: a denial rests on what is known of them.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        let read = NEIGHBOURS.into_iter().filter(|(name, _)| self.reads(name));
        read.flat_map(|(_, kinds)| kinds).copied().collect()
    }
}

impl Policy {
    /// Its own checks.
    pub fn checks(&self) -> &Checks {
        &self.checks
    }
}
