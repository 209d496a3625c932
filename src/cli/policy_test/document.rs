//! A file of cases, as people write it.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::super::ProfileName;
use crate::verdict::Level;

/// Policies, and what they are to find.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TestFile {
    /// Beside the file that names them.
    #[serde(default)]
    pub(super) policies: Vec<PathBuf>,
    #[serde(default)]
    pub(super) profile: ProfileName,
    pub(super) tests: Vec<Case>,
}

/// Objects, a change, and the findings.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// What exists. Without a change these are judged, as manifests are.
    #[serde(default)]
    pub(super) objects: Vec<Value>,
    pub(super) change: Option<CaseChange>,
    /// When it happens.
    pub(super) now: Option<Timestamp>,
    #[serde(default)]
    pub(super) expect: Vec<Expected>,
}

/// What is asked for. One of the first four is given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CaseChange {
    pub(super) create: Option<Value>,
    pub(super) update: Option<Update>,
    pub(super) scale: Option<ScaleChange>,
    pub(super) delete: Option<Value>,
    #[serde(default)]
    pub(super) user: String,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    pub(super) from: Value,
    pub(super) to: Value,
}

/// A change of the replica count of a StatefulSet among the objects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScaleChange {
    pub(super) name: String,
    #[serde(default = "default_namespace")]
    pub(super) namespace: String,
    pub(super) from: i32,
    pub(super) to: i32,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// One finding.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) rule: String,
    pub(super) level: Level,
    /// A part of its message.
    pub(super) message: Option<String>,
    /// Whether an exemption covers it.
    #[serde(default)]
    pub(super) exempt: bool,
}
