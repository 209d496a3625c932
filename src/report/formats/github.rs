//! Workflow commands, which GitHub shows beside the lines of a pull request.

use std::io;

use crate::manifest::Note;
use crate::report::text::{workflow_message, workflow_property};
use crate::report::{GapKind, Located, Report};
use crate::verdict::Level;

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    for located in report.gravest_first().into_iter().filter(|located| located.counts()) {
        write_finding(report, located, out)?;
    }
    for note in report.not_judged() {
        write_note(report, ("error", "not judged"), note, out)?;
    }
    for note in report.misspelt() {
        write_note(report, ("warning", "misspelt field"), note, out)?;
    }
    for gap in report.gaps.iter().filter(|gap| gap.kind == GapKind::Unreadable) {
        writeln!(out, "::error title=not judged::{}", workflow_message(&gap.message))?;
    }
    Ok(())
}

fn write_note(
    report: &Report,
    (command, title): (&str, &str),
    note: &Note,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let path = report.paths.within(&note.file.name);
    let (file, message) = (workflow_property(&path), workflow_message(&note.message));
    writeln!(out, "::{command} file={file},line={},col={},title={title}::{message}", note.line, note.column)
}

fn write_finding(report: &Report, located: &Located, out: &mut dyn io::Write) -> io::Result<()> {
    let finding = &located.finding;
    let command = match finding.level {
        Level::Deny => "error",
        Level::Warn => "warning",
        Level::Audit | Level::Off => "notice",
    };
    write!(out, "::{command} ")?;
    if let Some(position) = &located.position {
        let path = report.paths.within(&position.file.name);
        let (file, span) = (workflow_property(&path), position.span);
        write!(out, "file={file},line={},col={},endColumn={},", span.line, span.column, span.end_column)?;
    }
    let title = workflow_property(finding.rule.as_str());
    let text = format!("{}: {}\nFix: {}", finding.object, finding.message, finding.remedy);
    writeln!(out, "title={title}::{}", workflow_message(&text))
}
