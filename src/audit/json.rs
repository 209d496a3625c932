//! The report for programs.

use std::io;

use serde::Serialize;

use super::report::{Located, Report};
use crate::manifest::{Note, NoteKind};
use crate::model::ObjectRef;
use crate::policy::{Exempt, Level};

#[derive(Serialize)]
struct Document<'a> {
    findings: Vec<Item<'a>>,
    summary: Summary,
    notes: Vec<NoteItem<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    rule: &'a str,
    level: Level,
    object: &'a ObjectRef,
    class: Option<ClassItem>,
    path: &'a str,
    file: &'a str,
    line: u32,
    column: u32,
    message: &'a str,
    remedy: &'a str,
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
    file: &'a str,
    line: u32,
    column: u32,
    message: &'a str,
}

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let document = Document {
        findings: report.findings.iter().map(item).collect(),
        summary: Summary {
            objects: report.objects,
            stateful_sets: report.stateful_sets,
            deny: report.count(Level::Deny),
            warn: report.count(Level::Warn),
            audit: report.count(Level::Audit),
            exempt: report.exempt(),
        },
        notes: report.notes.iter().map(note).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn item(Located { finding, position, .. }: &Located) -> Item<'_> {
    Item {
        rule: finding.rule.id,
        level: finding.level,
        object: &finding.object,
        class: finding
            .class
            .as_ref()
            .map(|class| ClassItem { name: class.class.to_string(), because: class.because.to_string() }),
        path: &finding.path,
        file: &position.file.name,
        line: position.span.line,
        column: position.span.column,
        message: &finding.message,
        remedy: &finding.remedy,
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
    };
    NoteItem { kind, file: &note.file.name, line: note.line, column: note.column, message: &note.message }
}
