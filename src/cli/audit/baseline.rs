//! Findings that were there before: a file of their fingerprints.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::iter;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::scope::RunScope;
use crate::report::{Located, Report};

const SCHEMA_VERSION: u32 = 2;

/// Its fingerprints have the files as the command line named them, and do not tell overlays apart.
const VERSION_1: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Baseline {
    schema_version: u32,
    findings: Vec<BaselineFinding>,
}

/// A finding. What it is known by is the fingerprint; the rest says whether a run looks at it, and is for people who read the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BaselineFinding {
    /// The path in the repository; empty in a live cluster.
    pub(super) file: String,
    pub(super) rule: String,
    object: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) namespace: String,
    /// The folder of the kustomization or chart that the object was rendered from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rendered_from: Option<String>,
    /// The other files that it is about, of which it would not be found without one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    related_files: BTreeSet<String>,
    fingerprint: String,
}

/// The findings of a baseline that a run has not found.
#[derive(Debug, Default)]
pub(super) struct BaselineRest {
    /// Those that the run does not look at, or leaves out of the report.
    pub(super) kept: Vec<BaselineFinding>,
    /// How many of these have a fingerprint that this version does not know them by.
    pub(super) of_version_1: usize,
    /// How many there are no more.
    pub(super) gone: usize,
}

impl Baseline {
    /// Reads a file, with the fingerprints that its findings have in `report`.
    pub(super) fn read(path: &Path, report: &Report) -> anyhow::Result<Self> {
        let name = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("cannot read the baseline {name}: {error}{}", hint(&error)))?;
        let mut baseline: Self = serde_json::from_str(&text).map_err(|error| {
            anyhow::anyhow!(
                "{name} is not a baseline: {error} (remove it or name another; --write-baseline writes one)"
            )
        })?;
        ensure!(
            [SCHEMA_VERSION, VERSION_1].contains(&baseline.schema_version),
            "{name} has schemaVersion {}, and this version reads {VERSION_1} and {SCHEMA_VERSION}",
            baseline.schema_version
        );
        if baseline.is_version_1() {
            baseline.update(report);
        }
        Ok(baseline)
    }

    /// The same where there may be no such file yet.
    pub(super) fn read_or_new(path: &Path, report: &Report) -> anyhow::Result<Self> {
        if path.exists() {
            return Self::read(path, report);
        }
        Ok(Self { schema_version: SCHEMA_VERSION, findings: Vec::new() })
    }

    pub(super) fn is_version_1(&self) -> bool {
        self.schema_version == VERSION_1
    }

    /// Brings the findings to what they are called in this version, as far as the command line names their files as it did then.
    fn update(&mut self, report: &Report) {
        let before = report.fingerprints_of_version_1();
        let now = report.findings.iter().map(|located| &located.fingerprint);
        let now: HashMap<String, &String> = before.into_iter().zip(now).collect();
        for finding in &mut self.findings {
            finding.file = report.paths.within(&finding.file).into_owned();
            if let Some(now) = now.get(&finding.fingerprint) {
                finding.fingerprint.clone_from(now);
            }
        }
    }

    pub(super) fn fingerprints(&self) -> HashSet<&str> {
        self.findings.iter().map(|finding| &*finding.fingerprint).collect()
    }

    /// What is in it besides the findings of a run, of which some are left out of the report.
    pub(super) fn rest(&self, report: &Report, left_out: &[Located], scope: &RunScope<'_>) -> BaselineRest {
        let found: HashSet<&str> = report.findings.iter().map(|located| &*located.fingerprint).collect();
        let left_out: HashMap<&str, &Located> =
            left_out.iter().map(|located| (&*located.fingerprint, located)).collect();
        let mut rest = BaselineRest::default();
        for finding in self.findings.iter().filter(|finding| !found.contains(&*finding.fingerprint)) {
            if let Some(located) = left_out.get(&*finding.fingerprint) {
                rest.kept.push(BaselineFinding::of(located, report));
            } else if scope.covers(finding) {
                rest.gone += 1;
            } else {
                rest.of_version_1 += usize::from(self.is_version_1());
                rest.kept.push(finding.clone());
            }
        }
        rest
    }

    /// Writes all findings of a report that count, and the others that are to be kept.
    pub(super) fn write(report: &Report, kept: Vec<BaselineFinding>, path: &Path) -> anyhow::Result<Self> {
        let counting = report.findings.iter().filter(|located| located.finding.counts());
        let mut findings: Vec<_> =
            counting.map(|located| BaselineFinding::of(located, report)).chain(kept).collect();
        findings.sort();
        let baseline = Self { schema_version: SCHEMA_VERSION, findings };
        let text = serde_json::to_string_pretty(&baseline)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(baseline)
    }
}

impl BaselineFinding {
    fn of(located: &Located, report: &Report) -> Self {
        let file = located.position.as_ref().map_or("", |position| &position.file.name);
        let folder = located.rendered_folder();
        let related = located.related.iter().filter_map(|related| related.position.as_ref());
        let related = related.map(|position| &position.file.name).filter(|name| *name != file);
        let object = &located.finding.object;
        Self {
            file: report.paths.within(file).into_owned(),
            rule: located.finding.rule.to_string(),
            object: object.to_string(),
            namespace: object.namespace.to_string(),
            rendered_from: folder.map(|folder| report.paths.within(folder).into_owned()),
            related_files: related.map(|name| report.paths.within(name).into_owned()).collect(),
            fingerprint: located.fingerprint.clone(),
        }
    }

    /// All that is read to find it: files, or the folder that they are rendered from.
    pub(super) fn origins(&self) -> impl Iterator<Item = &str> {
        let first = self.rendered_from.as_ref().unwrap_or(&self.file);
        let related = self.related_files.iter().filter(|_| self.rendered_from.is_none());
        iter::once(first).chain(related).map(String::as_str)
    }
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound { " (--write-baseline writes it)" } else { "" }
}
