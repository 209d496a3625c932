//! `JUnit` XML: a suite a context, a test a finding.
//!
//! What is below the level that fails the audit passes, with its text as output, so that the tests of a CI system fail where the
//! audit does.

use std::collections::BTreeMap;
use std::io;

use crate::manifest::Note;
use crate::report::text::{count, markup};
use crate::report::{Located, Report};

/// The suite name for findings in a live cluster, which belong to no context.
const CLUSTER: &str = "cluster";

#[derive(Default)]
struct Suite<'a> {
    findings: Vec<&'a Located>,
    stateful_sets: usize,
}

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let mut suites: BTreeMap<&str, Suite<'_>> = BTreeMap::new();
    for context in &report.contexts {
        suites.entry(&context.name).or_default().stateful_sets += context.stateful_sets;
    }
    for located in &report.findings {
        let context = located.context.as_deref().unwrap_or(CLUSTER);
        suites.entry(context).or_default().findings.push(located);
    }
    let unread: Vec<&Note> = report.not_judged().collect();
    let empty = suites.values().filter(|suite| suite.findings.is_empty()).count();
    let failures = report.findings.iter().filter(|located| report.fails(located)).count();
    let tests = report.findings.len() + empty + unread.len();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    let errors = unread.len();
    writeln!(
        out,
        r#"<testsuites name="stateward" tests="{tests}" failures="{failures}" errors="{errors}">"#
    )?;
    for (name, suite) in &suites {
        write_suite(report, name, suite, out)?;
    }
    if !unread.is_empty() {
        writeln!(
            out,
            r#"  <testsuite name="not judged" tests="{errors}" failures="0" errors="{errors}" skipped="0">"#
        )?;
        for note in unread {
            write_unread(report, note, out)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn write_suite(report: &Report, name: &str, suite: &Suite<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let failures = suite.findings.iter().filter(|located| report.fails(located)).count();
    let skipped = suite.findings.iter().filter(|located| !located.counts()).count();
    let (tests, name) = (suite.findings.len().max(1), markup(name));
    writeln!(
        out,
        r#"  <testsuite name="{name}" tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}">"#
    )?;
    if suite.findings.is_empty() {
        let sets = count(suite.stateful_sets, "StatefulSet");
        writeln!(out, r#"    <testcase classname="{name}" name="{sets}: nothing found"/>"#)?;
    }
    for located in &suite.findings {
        write_case(report, located, out)?;
    }
    writeln!(out, "  </testsuite>")
}

fn write_case(report: &Report, located: &Located, out: &mut dyn io::Write) -> io::Result<()> {
    let finding = &located.finding;
    let position = located.position.as_ref();
    let path = position.map(|position| report.paths.within(&position.file.name));
    let place = position
        .zip(path.as_ref())
        .map(|(position, path)| format!("{path}:{}:{}", position.span.line, position.span.column));
    let name = format!("{} {} {}", finding.rule, finding.object, finding.path);
    let file = markup(path.as_deref().unwrap_or_default());
    write!(out, r#"    <testcase classname="{file}" name="{}""#, markup(&name))?;
    if !file.is_empty() {
        write!(out, r#" file="{file}""#)?;
    }
    let text = format!(
        "{}\n{}\nFix: {}",
        markup(&place.unwrap_or_else(|| finding.object.to_string())),
        markup(&finding.message),
        markup(&finding.remedy)
    );
    let (level, message) = (finding.level, markup(&finding.message));
    match &finding.exempt {
        Some(exempt) => {
            let reason = format!("exempt {exempt}");
            writeln!(out, r#"><skipped message="{}"/></testcase>"#, markup(&reason))
        }
        None if located.is_known => {
            writeln!(out, r#"><skipped message="known from the baseline"/></testcase>"#)
        }
        None if report.fails(located) => {
            writeln!(out, r#"><failure type="{level}" message="{message}">{text}</failure></testcase>"#)
        }
        None => writeln!(out, "><system-out>{level}: {text}</system-out></testcase>"),
    }
}

fn write_unread(report: &Report, note: &Note, out: &mut dyn io::Write) -> io::Result<()> {
    let path = report.paths.within(&note.file.name);
    let (file, message) = (markup(&path), markup(&note.message));
    let (line, column) = (note.line, note.column);
    writeln!(
        out,
        r#"    <testcase classname="{file}" name="{file}" file="{file}"><error type="not judged" message="{message}">{file}:{line}:{column}: {message}</error></testcase>"#
    )
}
