//! The report for people, in the way rustc shows its own.

use std::fmt::Write as _;
use std::io;

use annotate_snippets::{AnnotationKind, Group, Level as Severity, Origin, Renderer, Snippet};

use crate::cluster::inventory::Position;
use crate::manifest::{Note, NoteKind};
use crate::report::{GapKind, Located, Report, is_failure};
use crate::rules;
use crate::verdict::Level;

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let renderer = Renderer::styled();
    for located in &report.findings {
        writeln!(out, "{}\n", renderer.render(&[group(located)]))?;
    }
    for note in report.notes.iter().filter(|note| is_failure(note.kind)) {
        writeln!(out, "cannot read {}:{}:{}: {}\n", note.file.name, note.line, note.column, note.message)?;
    }
    for gap in report.gaps.iter().filter(|gap| gap.kind == GapKind::Unreadable) {
        writeln!(out, "cannot read {}\n", gap.message)?;
    }
    writeln!(out, "{}", summary(report))?;
    for gap in report.gaps.iter().filter(|gap| gap.kind == GapKind::Unknown) {
        writeln!(out, "{}", gap.message)?;
    }
    if let Some(passed_over) = passed_over(&report.notes) {
        writeln!(out, "{passed_over}")?;
    }
    Ok(())
}

fn group(Located { finding, position, related }: &Located) -> Group<'_> {
    let severity = match finding.level {
        Level::Deny => Severity::ERROR.with_name("deny"),
        Level::Warn => Severity::WARNING.with_name("warn"),
        Level::Audit | Level::Off => Severity::INFO.with_name("audit"),
    };
    let title = severity.primary_title(&*finding.message).id(finding.rule.as_str());
    let object = finding.object.to_string();
    let mut group = match position {
        Some(position) => title.element(snippet(position, AnnotationKind::Primary, object)),
        None => title.element(Origin::path(format!("{object} {}", finding.path))),
    };
    for (object, position) in related {
        group = match position {
            Some(position) => group.element(snippet(position, AnnotationKind::Context, object.clone())),
            None => group.element(Origin::path(&**object)),
        };
    }
    if let Some(class) = finding
        .class
        .as_ref()
        .filter(|_| rules::find(&finding.rule).is_some_and(|rule| !rule.classes.is_empty()))
    {
        group = group.element(
            Severity::NOTE.with_name("class").message(format!("{} ({})", class.class, class.because)),
        );
    }
    group = group.element(Severity::HELP.with_name("fix").message(&*finding.remedy));
    if let Some(exempt) = &finding.exempt {
        group = group.element(
            Severity::NOTE.with_name("exempt").message(format!("by {}: {}", exempt.by, exempt.reason)),
        );
    }
    group
}

/// The line of a position. Only that line goes to the renderer: files of some megabytes with many findings are nothing special.
fn snippet(
    position: &Position,
    kind: AnnotationKind,
    label: String,
) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    let Position { file, span } = position;
    let number = usize::try_from(span.line).unwrap_or(1);
    let line = file.text.lines().nth(number.saturating_sub(1)).unwrap_or_default();
    let start = byte_of(line, span.column);
    let end = byte_of(line, span.end_column).max(start);
    Snippet::source(line).line_start(number).path(&*file.name).annotation(kind.span(start..end).label(label))
}

/// The byte at which a column, counted in characters from 1, starts.
fn byte_of(line: &str, column: u32) -> usize {
    let index = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    line.char_indices().nth(index).map_or(line.len(), |(byte, _)| byte)
}

fn summary(report: &Report) -> String {
    let looked =
        format!("{} in {}", count(report.stateful_sets, "StatefulSet"), count(report.objects, "object"));
    let [deny, warn, audit] = [Level::Deny, Level::Warn, Level::Audit].map(|level| report.count(level));
    let unread = match report.notes.iter().filter(|note| is_failure(note.kind)).count() {
        0 => String::new(),
        number => format!(" (and {} that cannot be read)", count(number, "text")),
    };
    if deny + warn + audit + report.exempt() == 0 {
        return format!("{looked}{unread}: nothing found");
    }
    let mut text = format!("{looked}{unread}: {deny} denied, {}", count(warn, "warning"));
    if audit > 0 {
        let _ = write!(text, ", {audit} for the record");
    }
    if report.exempt() > 0 {
        let _ = write!(text, ", {} exempt", report.exempt());
    }
    text
}

/// What was passed over, in one line.
fn passed_over(notes: &[Note]) -> Option<String> {
    let parts = [
        (NoteKind::Template, "unrendered template"),
        (NoteKind::Partial, "patch"),
        (NoteKind::NotAManifest, "text that is no manifest"),
        (NoteKind::Ignored, "text that kubectl ignores"),
    ];
    let parts = parts.into_iter().filter_map(|(kind, name)| {
        let number = notes.iter().filter(|note| note.kind == kind).count();
        (number > 0).then(|| format!("{number} × {name}"))
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| format!("passed over: {}", parts.join(", ")))
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
