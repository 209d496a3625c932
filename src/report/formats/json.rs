//! The report for programs.

use std::io;

use serde::Serialize;

use crate::cluster::inventory::Position;
use crate::manifest::Note;
use crate::model::ObjectRef;
use crate::report::{GapKind, KnowledgeGap, Located, Related, Report};
use crate::verdict::{Edit, Exempt, Level};

/// Grows by one when a name changes its meaning or goes; new names do not count.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonReport<'a> {
    schema_version: u32,
    stateward_version: &'static str,
    findings: Vec<JsonFinding<'a>>,
    summary: Summary,
    contexts: Vec<JsonContext<'a>>,
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
    /// The edits are of the object as it is rendered, and no edits of `file`.
    rendered: bool,
    exempt: Option<&'a Exempt>,
    related: Vec<JsonRelated<'a>>,
    context: Option<&'a str>,
    fingerprint: &'a str,
    known: bool,
}

#[derive(Serialize)]
struct JsonRelated<'a> {
    object: &'a ObjectRef,
    path: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
}

#[derive(Serialize)]
struct ClassItem {
    name: String,
    because: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonContext<'a> {
    name: &'a str,
    stateful_sets: usize,
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
    known: usize,
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
    let contexts = report.contexts.iter();
    let document = JsonReport {
        schema_version: SCHEMA_VERSION,
        stateward_version: env!("CARGO_PKG_VERSION"),
        findings: report.findings.iter().map(item).collect(),
        summary: Summary {
            objects: report.objects,
            stateful_sets: report.stateful_sets,
            deny: report.count(Level::Deny),
            warn: report.count(Level::Warn),
            audit: report.count(Level::Audit),
            exempt: report.exempt(),
            known: report.known(),
        },
        contexts: contexts
            .map(|context| JsonContext { name: &context.name, stateful_sets: context.stateful_sets })
            .collect(),
        notes: report.notes.iter().map(note).chain(report.gaps.iter().map(gap)).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn item(located: &Located) -> JsonFinding<'_> {
    let finding = &located.finding;
    let (file, line, column) = place(located.position.as_ref());
    JsonFinding {
        rule: finding.rule.as_str(),
        level: finding.level,
        object: &finding.object,
        class: finding
            .class
            .as_ref()
            .map(|class| ClassItem { name: class.class.to_string(), because: class.because.to_string() }),
        path: &finding.path,
        file,
        line,
        column,
        message: &finding.message,
        remedy: &finding.remedy,
        edits: &finding.edits,
        rendered: located.is_rendered,
        exempt: finding.exempt.as_ref(),
        related: located.related.iter().map(related).collect(),
        context: located.context.as_deref(),
        fingerprint: &located.fingerprint,
        known: located.is_known,
    }
}

fn related(Related { object, path, position }: &Related) -> JsonRelated<'_> {
    let (file, line, column) = place(position.as_ref());
    JsonRelated { object, path, file, line, column }
}

fn place(position: Option<&Position>) -> (Option<&str>, Option<u32>, Option<u32>) {
    let file = position.map(|position| &*position.file.name);
    let span = position.map(|position| position.span);
    (file, span.map(|span| span.line), span.map(|span| span.column))
}

fn note(note: &Note) -> NoteItem<'_> {
    let (line, column) = (Some(note.line), Some(note.column));
    NoteItem { kind: note.kind.name(), file: Some(&note.file.name), line, column, message: &note.message }
}

fn gap(gap: &KnowledgeGap) -> NoteItem<'_> {
    let kind = match gap.kind {
        GapKind::Unknown => "unknown",
        GapKind::Unreadable => "unreadable",
    };
    NoteItem { kind, file: None, line: None, column: None, message: &gap.message }
}
