//! Findings that were there before: a file of their fingerprints.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::report::Report;

const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Baseline {
    schema_version: u32,
    findings: Vec<BaselineFinding>,
}

/// A finding; all but the fingerprint is for people who read the file.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct BaselineFinding {
    file: String,
    rule: String,
    object: String,
    fingerprint: String,
}

/// Writes all findings that count.
pub(super) fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    let counting = report.findings.iter().filter(|located| located.finding.counts());
    let mut findings: Vec<BaselineFinding> = counting
        .map(|located| BaselineFinding {
            file: located.position.as_ref().map_or_else(String::new, |position| position.file.name.clone()),
            rule: located.finding.rule.to_string(),
            object: located.finding.object.to_string(),
            fingerprint: located.fingerprint.clone(),
        })
        .collect();
    findings.sort();
    let baseline = Baseline { schema_version: SCHEMA_VERSION, findings };
    let text = serde_json::to_string_pretty(&baseline)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound { " (--write-baseline writes it)" } else { "" }
}

/// The fingerprints in a file.
pub(super) fn read(path: &Path) -> anyhow::Result<HashSet<String>> {
    let name = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("cannot read the baseline {name}: {error}{}", hint(&error)))?;
    let baseline: Baseline = serde_json::from_str(&text).map_err(|error| {
        anyhow::anyhow!("{name} is not a baseline: {error} (--write-baseline writes one)")
    })?;
    anyhow::ensure!(
        baseline.schema_version == SCHEMA_VERSION,
        "{name} has schemaVersion {}, and this version reads {SCHEMA_VERSION}",
        baseline.schema_version
    );
    Ok(baseline.findings.into_iter().map(|known| known.fingerprint).collect())
}
