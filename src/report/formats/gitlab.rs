//! GitLab's code quality report: a subset of Code Climate's format.

use std::borrow::Cow;
use std::io;

use serde::Serialize;

use crate::manifest::Note;
use crate::model::printable;
use crate::report::fingerprint::Fingerprints;
use crate::report::paths::RepositoryPaths;
use crate::report::{Located, Report};
use crate::verdict::Level;

#[derive(Serialize)]
struct GitlabIssue<'a> {
    description: String,
    check_name: &'a str,
    fingerprint: Cow<'a, str>,
    severity: &'static str,
    location: GitlabLocation<'a>,
}

#[derive(Serialize)]
struct GitlabLocation<'a> {
    path: Cow<'a, str>,
    lines: GitlabLines,
}

#[derive(Serialize)]
struct GitlabLines {
    begin: u32,
}

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let counting = report.findings.iter().filter(|located| located.counts());
    let mut fingerprints = Fingerprints::default();
    let failures = report.not_judged().map(|note| ("critical", note));
    let misspelt = report.misspelt().map(|note| ("minor", note));
    let paths = &report.paths;
    let notes = failures
        .chain(misspelt)
        .map(|(severity, note)| issue_of_note(severity, note, paths, &mut fingerprints));
    let issues: Vec<GitlabIssue<'_>> = counting.map(|located| issue(located, paths)).chain(notes).collect();
    serde_json::to_writer_pretty(&mut *out, &issues)?;
    writeln!(out)
}

fn issue<'a>(located: &'a Located, paths: &RepositoryPaths) -> GitlabIssue<'a> {
    let finding = &located.finding;
    let text = format!("{}: {}. Fix: {}", finding.object, finding.message, finding.remedy);
    let position = located.position.as_ref();
    GitlabIssue {
        description: printable(&text).into_owned(),
        check_name: finding.rule.as_str(),
        fingerprint: Cow::Borrowed(&located.fingerprint),
        severity: match finding.level {
            Level::Deny => "critical",
            Level::Warn => "minor",
            Level::Audit | Level::Off => "info",
        },
        location: GitlabLocation {
            // GitLab drops an issue without a place.
            path: position.map_or("cluster".into(), |position| paths.within(&position.file.name)),
            lines: GitlabLines { begin: position.map_or(1, |position| position.span.line) },
        },
    }
}

fn issue_of_note<'a>(
    severity: &'static str,
    note: &'a Note,
    paths: &RepositoryPaths,
    fingerprints: &mut Fingerprints,
) -> GitlabIssue<'a> {
    let (name, path) = (note.kind.name(), paths.within(&note.file.name));
    GitlabIssue {
        description: note.message.clone(),
        check_name: name,
        fingerprint: Cow::Owned(fingerprints.of(&[name, &path, &note.message])),
        severity,
        location: GitlabLocation { path, lines: GitlabLines { begin: note.line } },
    }
}
