//! The report for people, in the way rustc shows its own.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use annotate_snippets::{AnnotationKind, Group, Level as Severity, Origin, Renderer, Snippet};

use crate::cluster::inventory::Position;
use crate::manifest::{Excerpt, Lines, Note, NoteKind};
use crate::model::{printable, printable_lines};
use crate::report::{GapKind, Located, Report, is_failure};
use crate::rules;
use crate::verdict::Level;

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let renderer = Renderer::styled();
    let mut files = Files::default();
    for located in &report.findings {
        writeln!(out, "{}\n", renderer.render(&[group(located, &mut files)]))?;
    }
    for note in report.notes.iter().filter(|note| is_failure(note.kind)) {
        let (file, message) = (printable(&note.file.name), printable_lines(&note.message));
        writeln!(out, "cannot read {file}:{}:{}: {message}\n", note.line, note.column)?;
    }
    for gap in report.gaps.iter().filter(|gap| gap.kind == GapKind::Unreadable) {
        writeln!(out, "cannot read {}\n", printable_lines(&gap.message))?;
    }
    writeln!(out, "{}", summary(report))?;
    for gap in report.gaps.iter().filter(|gap| gap.kind == GapKind::Unknown) {
        writeln!(out, "{}", printable_lines(&gap.message))?;
    }
    if let Some(passed_over) = passed_over(&report.notes) {
        writeln!(out, "{passed_over}")?;
    }
    Ok(())
}

/// The lines of the files that have been shown, by name.
#[derive(Default)]
struct Files<'a>(HashMap<&'a str, Lines<'a>>);

impl<'a> Files<'a> {
    fn excerpt(&mut self, position: &'a Position) -> Excerpt {
        let file = &*position.file;
        self.0.entry(&file.name).or_insert_with(|| Lines::new(file)).excerpt(position.span)
    }
}

fn group<'a>(located: &'a Located, files: &mut Files<'a>) -> Group<'a> {
    let Located { finding, position, related } = located;
    let severity = match finding.level {
        Level::Deny => Severity::ERROR.with_name("deny"),
        Level::Warn => Severity::WARNING.with_name("warn"),
        Level::Audit | Level::Off => Severity::INFO.with_name("audit"),
    };
    let title = severity.primary_title(printable_lines(&finding.message)).id(finding.rule.as_str());
    let object = printable(&finding.object.to_string()).into_owned();
    let mut group = match position {
        Some(position) => title.element(snippet(position, AnnotationKind::Primary, object, files)),
        None => title.element(Origin::path(format!("{object} {}", printable(&finding.path)))),
    };
    for (object, position) in related {
        let object = printable(object);
        group = match position {
            Some(position) => {
                group.element(snippet(position, AnnotationKind::Context, object.into_owned(), files))
            }
            None => group.element(Origin::path(object)),
        };
    }
    if let Some(class) = finding
        .class
        .as_ref()
        .filter(|_| rules::find(&finding.rule).is_some_and(|rule| !rule.classes.is_empty()))
    {
        let because = format!("{} ({})", class.class, class.because);
        group = group.element(Severity::NOTE.with_name("class").message(printable(&because).into_owned()));
    }
    group = group.element(Severity::HELP.with_name("fix").message(printable_lines(&finding.remedy)));
    if let Some(exempt) = &finding.exempt {
        let reason = format!("by {}: {}", exempt.by, exempt.reason);
        group = group.element(Severity::NOTE.with_name("exempt").message(printable(&reason).into_owned()));
    }
    group
}

/// The part of a line that a position is in. Only that goes to the renderer: files of some megabytes with many findings
/// are nothing special.
fn snippet<'a>(
    position: &'a Position,
    kind: AnnotationKind,
    label: String,
    files: &mut Files<'a>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let Excerpt { text, start, end } = files.excerpt(position);
    let number = usize::try_from(position.span.line).unwrap_or(1);
    Snippet::source(text)
        .line_start(number)
        .path(printable(&position.file.name))
        .annotation(kind.span(start..end).label(label))
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
        let _ = write!(text, ", {audit} audit");
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
        (NoteKind::NotAManifest, "text that is not a manifest"),
        (NoteKind::Ignored, "text that kubectl ignores"),
        (NoteKind::Skipped, "file or folder that is not looked into"),
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
