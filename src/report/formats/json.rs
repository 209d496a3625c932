//! The report for programs.

use std::io;

use serde::Serialize;

use crate::manifest::{Note, NoteKind};
use crate::model::ObjectRef;
use crate::report::{Gap, GapKind, Located, Report};
use crate::verdict::{Edit, Exempt, Level};

#[derive(Serialize)]
struct JsonReport<'a> {
    findings: Vec<JsonFinding<'a>>,
    summary: Summary,
    notes: Vec<NoteItem<'a>>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    rule: &'a str,
    level: Level,
    object: &'a ObjectRef,
    class: Option<ClassItem>,
    path: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    message: &'a str,
    remedy: &'a str,
    edits: &'a [Edit],
    exempt: Option<&'a Exempt>,
}

#[derive(Serialize)]
struct ClassItem {
    name: String,
    because: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    objects: usize,
    stateful_sets: usize,
    deny: usize,
    warn: usize,
    audit: usize,
    exempt: usize,
}

#[derive(Serialize)]
struct NoteItem<'a> {
    kind: &'static str,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    message: &'a str,
}

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let document = JsonReport {
        findings: report.findings.iter().map(item).collect(),
        summary: Summary {
            objects: report.objects,
            stateful_sets: report.stateful_sets,
            deny: report.count(Level::Deny),
            warn: report.count(Level::Warn),
            audit: report.count(Level::Audit),
            exempt: report.exempt(),
        },
        notes: report.notes.iter().map(note).chain(report.gaps.iter().map(gap)).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn item(Located { finding, position, .. }: &Located) -> JsonFinding<'_> {
    JsonFinding {
        rule: finding.rule.as_str(),
        level: finding.level,
        object: &finding.object,
        class: finding
            .class
            .as_ref()
            .map(|class| ClassItem { name: class.class.to_string(), because: class.because.to_string() }),
        path: &finding.path,
        file: position.as_ref().map(|position| &*position.file.name),
        line: position.as_ref().map(|position| position.span.line),
        column: position.as_ref().map(|position| position.span.column),
        message: &finding.message,
        remedy: &finding.remedy,
        edits: &finding.edits,
        exempt: finding.exempt.as_ref(),
    }
}

fn note(note: &Note) -> NoteItem<'_> {
    let kind = match note.kind {
        NoteKind::Unreadable => "unreadable",
        NoteKind::TooLarge => "tooLarge",
        NoteKind::NotAManifest => "notAManifest",
        NoteKind::Template => "template",
        NoteKind::Partial => "partial",
        NoteKind::Ignored => "ignored",
        NoteKind::Skipped => "skipped",
    };
    let (line, column) = (Some(note.line), Some(note.column));
    NoteItem { kind, file: Some(&note.file.name), line, column, message: &note.message }
}

fn gap(gap: &Gap) -> NoteItem<'_> {
    let kind = match gap.kind {
        GapKind::Unknown => "unknown",
        GapKind::Unreadable => "unreadable",
    };
    NoteItem { kind, file: None, line: None, column: None, message: &gap.message }
}
