//! The report for people, in the way rustc shows its own.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level as Severity, Origin, Renderer, Snippet};

use super::summary;
use crate::cluster::inventory::Position;
use crate::manifest::{Excerpt, Lines, Note, NoteKind, Source};
use crate::model::{printable, printable_lines};
use crate::report::{GapKind, Located, Report};
use crate::rules;
use crate::verdict::Level;

/// How many contexts are named.
const MOST_CONTEXTS: usize = 10;

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let renderer = Renderer::styled();
    let mut files = RecentFiles::default();
    for block in blocks(report) {
        writeln!(out, "{}\n", renderer.render(&[BlockTexts::of(&block, &mut files).group()]))?;
    }
    write_unread(report, out)?;
    if report.is_quiet
        && !report.is_incomplete()
        && !report.findings.iter().any(|located| report.fails(located))
    {
        return Ok(());
    }
    writeln!(out, "{}", summary::line(report))?;
    let rules = report.by_rule();
    if rules.len() > 1 {
        let width = rules.iter().map(|(_, _, count)| count.to_string().len()).max().unwrap_or_default();
        for (rule, level, count) in rules {
            writeln!(out, "  {count:width$} {:5} {}", level.name(), printable(rule))?;
        }
    }
    write_contexts(report, out)?;
    for gap in report.gaps.iter().filter(|gap| gap.kind == GapKind::Unknown) {
        writeln!(out, "{}", printable(&gap.message))?;
    }
    if let Some(passed_over) = passed_over(&report.notes) {
        writeln!(out, "{passed_over}")?;
    }
    Ok(())
}

fn write_unread(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    for note in &report.notes {
        let what = match note.kind {
            NoteKind::NotRendered | NoteKind::Empty => "NOT JUDGED",
            kind if kind.is_failure() => "cannot read",
            NoteKind::DefinedTwice
            | NoteKind::IgnoreComment
            | NoteKind::Default
            | NoteKind::UnknownField
            | NoteKind::DeletionUnknown
                if !report.is_quiet =>
            {
                "note:"
            }
            _ => continue,
        };
        let place = note.place();
        writeln!(out, "{what} {}: {}\n", printable(&place), printable(&note.message))?;
    }
    for gap in report.gaps.iter().filter(|gap| gap.kind == GapKind::Unreadable) {
        writeln!(out, "cannot read {}\n", printable(&gap.message))?;
    }
    Ok(())
}

fn write_contexts(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let contexts = &report.contexts;
    if contexts.len() < 2 {
        return Ok(());
    }
    let names = contexts
        .iter()
        .take(MOST_CONTEXTS)
        .map(|context| printable(&context.name))
        .collect::<Vec<_>>()
        .join(", ");
    let more = match contexts.len().saturating_sub(MOST_CONTEXTS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    writeln!(
        out,
        "judged apart, in {} contexts: {names}{more} (--together judges all as one)",
        contexts.len()
    )
}

fn is_shown(report: &Report, located: &Located) -> bool {
    !located.is_known && (!report.is_quiet || report.fails(located))
}

/// The findings to show, each with those that the same edit ends.
fn blocks(report: &Report) -> Vec<Vec<&Located>> {
    let mut blocks: Vec<Vec<&Located>> = Vec::new();
    let mut by_edit = HashMap::new();
    for located in report.gravest_first().into_iter().filter(|located| is_shown(report, located)) {
        let finding = &located.finding;
        let file = located.position.as_ref().map(|position| &*position.file.name);
        // The same edit as data, or in the same words.
        let edit = match &finding.edits[..] {
            [] => format!("{} {}", finding.object, finding.remedy),
            edits => serde_json::to_string(edits).unwrap_or_default(),
        };
        let edit = (edit, file, finding.counts());
        let block = *by_edit.entry(edit).or_insert(blocks.len());
        match blocks.get_mut(block) {
            Some(block) => block.push(located),
            None => blocks.push(vec![located]),
        }
    }
    blocks
}

/// How many files are kept of those that have been shown: what is found in one is shown together.
const MOST_FILES: usize = 4;

/// The lines of the files that were shown last.
#[derive(Default)]
struct RecentFiles(VecDeque<(Arc<Source>, Lines)>);

impl RecentFiles {
    fn excerpt(&mut self, position: &Position) -> Excerpt {
        // Two rendered files may have one name.
        let known = self.0.iter().position(|(file, _)| Arc::ptr_eq(file, &position.file));
        let (file, lines) = known
            .and_then(|at| self.0.remove(at))
            .unwrap_or_else(|| (Arc::clone(&position.file), Lines::new(&position.file)));
        let excerpt = lines.excerpt(position.span);
        self.0.push_front((file, lines));
        self.0.truncate(MOST_FILES);
        excerpt
    }
}

/// A part of a line, and where it is.
type ShownPlace<'a> = (Excerpt, &'a Position);

/// Label, file and place of another object.
type ShownRelated<'a> = (String, String, Option<ShownPlace<'a>>);

/// The texts of a block, as far as they have to be made.
struct BlockTexts<'a> {
    first: &'a Located,
    message: String,
    object: String,
    file: String,
    excerpt: Option<ShownPlace<'a>>,
    related: Vec<ShownRelated<'a>>,
    others: Vec<String>,
    class: Option<String>,
    remedy: String,
    exempt: Option<String>,
}

impl<'a> BlockTexts<'a> {
    fn of(block: &[&'a Located], files: &mut RecentFiles) -> Self {
        let first = block[0];
        let finding = &first.finding;
        let mut excerpt = |position: &'a Option<Position>| {
            position.as_ref().map(|position| (files.excerpt(position), position))
        };
        let own = excerpt(&first.position);
        let name = |position: &Option<Position>| {
            position.as_ref().map_or_else(String::new, |position| printable(&position.file.name).into_owned())
        };
        let related = first.related.iter().map(|related| {
            let label = match related.position {
                Some(_) => related.object.to_string(),
                None => format!("{} {}", related.object, related.path),
            };
            (printable(&label).into_owned(), name(&related.position), excerpt(&related.position))
        });
        let others = block.iter().skip(1).map(|other| {
            let finding = &other.finding;
            printable(&format!("{}[{}]: {}", finding.level, finding.rule, finding.message)).into_owned()
        });
        let has_class = rules::find(&finding.rule).is_some_and(|rule| !rule.classes.is_empty());
        let class = finding.class.as_ref().filter(|_| has_class);
        let object = match first.position {
            Some(_) => finding.object.to_string(),
            None => format!("{} {}", finding.object, finding.path),
        };
        let exempt = finding.exempt.as_ref().map(ToString::to_string);
        Self {
            first,
            message: printable_lines(&finding.message).into_owned(),
            object: printable(&object).into_owned(),
            file: name(&first.position),
            excerpt: own,
            related: related.collect(),
            others: others.collect(),
            class: class.map(|class| printable(&format!("{} ({})", class.class, class.because)).into_owned()),
            remedy: printable_lines(&finding.remedy).into_owned(),
            exempt: exempt.map(|exempt| printable(&exempt).into_owned()),
        }
    }

    fn group(&self) -> Group<'_> {
        let severity = match self.first.finding.level {
            Level::Deny => Severity::ERROR.with_name("deny"),
            Level::Warn => Severity::WARNING.with_name("warn"),
            Level::Audit | Level::Off => Severity::INFO.with_name("audit"),
        };
        let title = severity.primary_title(&*self.message).id(self.first.finding.rule.as_str());
        let mut group = match &self.excerpt {
            Some(place) => title.element(snippet(place, &self.file, AnnotationKind::Primary, &self.object)),
            None => title.element(Origin::path(&*self.object)),
        };
        for (label, file, place) in &self.related {
            group = match place {
                Some(place) => group.element(snippet(place, file, AnnotationKind::Context, label)),
                None => group.element(Origin::path(&**label)),
            };
        }
        for other in &self.others {
            group = group.element(Severity::NOTE.with_name("also").message(&**other));
        }
        if let Some(class) = &self.class {
            group = group.element(Severity::NOTE.with_name("class").message(&**class));
        }
        group = group.element(Severity::HELP.with_name("fix").message(&*self.remedy));
        if let Some(exempt) = &self.exempt {
            group = group.element(Severity::NOTE.with_name("exempt").message(&**exempt));
        }
        group
    }
}

fn snippet<'a>(
    (excerpt, position): &'a (Excerpt, &Position),
    file: &'a str,
    kind: AnnotationKind,
    label: &'a str,
) -> Snippet<'a, Annotation<'a>> {
    let number = usize::try_from(position.span.line).unwrap_or(1);
    // The column that stands beside the file is that of the excerpt.
    let label = match position.span.column {
        column if excerpt.is_cut => Cow::Owned(format!("{label} (column {column})")),
        _ => Cow::Borrowed(label),
    };
    let marked = kind.span(excerpt.start..excerpt.end).label(label);
    Snippet::source(&*excerpt.text).line_start(number).path(file).annotation(marked)
}

/// The skipped documents, in one line.
fn passed_over(notes: &[Note]) -> Option<String> {
    let parts: Vec<String> = [
        (NoteKind::Template, "unrendered template or chart"),
        (NoteKind::Partial, "patch"),
        (NoteKind::NotAManifest, "text that is not a manifest"),
        (NoteKind::Ignored, "text that kubectl ignores"),
        (NoteKind::Skipped, "file or folder that is not looked into"),
    ]
    .into_iter()
    .filter_map(|(kind, name)| {
        let number = notes.iter().filter(|note| note.kind == kind).count();
        (number > 0).then(|| format!("{number} × {name}"))
    })
    .collect();
    (!parts.is_empty()).then(|| format!("passed over: {}", parts.join(", ")))
}
