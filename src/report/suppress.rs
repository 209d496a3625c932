//! Comments that exempt findings and silence notes: `# stateward:ignore NAME[,NAME] -- reason`. A name is that of a rule or of a kind
//! of notes.
//!
//! Behind a value, or on a line of its own before one, a comment is about that line; before the first value of a document, also
//! before or behind the `---` that opens it, it is about the document. A comment without a reason has no effect, and one that has none is reported.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Report;
use crate::cluster::inventory::Inventory;
use crate::manifest::{Note, NoteKind, ScalarPlaces, Source};
use crate::model::did_you_mean;
use crate::rules;

const MARK: &str = "stateward:ignore";

#[derive(Debug, PartialEq, Eq)]
struct IgnoreComment {
    /// The place of the comment.
    line: u32,
    column: u32,
    /// The lines it is about.
    about: RangeInclusive<u32>,
    /// Rules and kinds of notes.
    names: Vec<String>,
    /// Empty where none is given.
    reason: String,
}

/// The comments of the files, each read once: several kustomizations may have read the same file.
#[derive(Default)]
struct Comments {
    files: Vec<OfFile>,
    /// For each source its index in `files`; `None` where there is no comment.
    by_source: HashMap<*const Source, Option<usize>>,
    by_text: HashMap<Arc<Source>, usize>,
}

/// The comments of one file.
struct OfFile {
    file: Arc<Source>,
    comments: Vec<IgnoreComment>,
    is_used: Vec<bool>,
    /// By the first line a comment is about, the comments; ranges do not overlap but for single lines in a document.
    by_line: BTreeMap<u32, Vec<usize>>,
}

/// Exempts the findings and takes out the notes that comments are about, and notes the comments that are of no use.
pub(crate) fn apply(report: &mut Report, inventory: &Inventory) {
    let mut comments = Comments::default();
    for definition in inventory.definitions() {
        comments.of(&definition.file);
    }
    for located in &mut report.findings {
        let Some(position) = &located.position else { continue };
        // A field of a rendered object may be in a file without objects, such as a patch.
        let Some(file) = comments.of(&position.file) else { continue };
        if let Some(reason) = file.reason(position.span.line, located.finding.rule.as_str()) {
            located.exempt("comment", &reason);
        }
    }
    report.notes.retain(|note| {
        let reason = comments.of(&note.file).and_then(|file| file.reason(note.line, note.kind.name()));
        reason.is_none()
    });
    report.notes.extend(comments.files.iter().flat_map(OfFile::notes));
}

impl Comments {
    /// The comments of a file, if it has any.
    fn of(&mut self, file: &Arc<Source>) -> Option<&mut OfFile> {
        let (files, by_text) = (&mut self.files, &mut self.by_text);
        let index = *self.by_source.entry(Arc::as_ptr(file)).or_insert_with(|| {
            let text = file.text();
            text.contains(MARK).then(|| {
                *by_text.entry(Arc::clone(file)).or_insert_with(|| {
                    files.push(OfFile::of(file, &text));
                    files.len() - 1
                })
            })
        });
        self.files.get_mut(index?)
    }
}

impl OfFile {
    fn of(file: &Arc<Source>, text: &str) -> Self {
        let comments = comments(text);
        let mut by_line: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, comment) in comments.iter().enumerate() {
            by_line.entry(*comment.about.start()).or_default().push(index);
        }
        Self { file: Arc::clone(file), is_used: vec![false; comments.len()], comments, by_line }
    }

    /// The reason of the comment that says not to mind `name` on `line`.
    fn reason(&mut self, line: u32, name: &str) -> Option<String> {
        let on_line = self.by_line.get(&line).into_iter().flatten();
        let is_about_more = |(_, list): &(&u32, &Vec<usize>)| {
            list.iter().any(|index| self.comments[*index].about.end() > self.comments[*index].about.start())
        };
        let document = self.by_line.range(..=line).rev().find(is_about_more).map(|(_, list)| list);
        let mut candidates = on_line.chain(document.into_iter().flatten());
        let found = candidates.find(|index| {
            let comment = &self.comments[**index];
            comment.about.contains(&line)
                && !comment.reason.is_empty()
                && comment.names.iter().any(|known| known == name)
        });
        let index = *found?;
        self.is_used[index] = true;
        Some(self.comments[index].reason.clone())
    }

    fn notes(&self) -> impl Iterator<Item = Note> {
        let useless = self.comments.iter().zip(&self.is_used).filter(|(_, is_used)| !**is_used);
        useless.map(|(comment, _)| {
            let names = comment.names.join(", ");
            let message = if names.is_empty() {
                format!("`{MARK}` names no rule and no note: write `# {MARK} NAME -- reason`")
            } else if comment.reason.is_empty() {
                format!("`{MARK} {names}` has no effect without a reason: write `# {MARK} NAME -- reason`")
            } else if let Some(unknown) = comment.names.iter().find(|name| !is_known(name)) {
                let known = rules::ALL.iter().map(|rule| rule.id).chain(kinds_of_notes());
                let meant = did_you_mean(unknown, known);
                format!("`{MARK} {names}` has no effect: there is no rule or note {unknown}{meant}")
            } else {
                format!("`{MARK} {names}` is not needed: {names} finds nothing here")
            };
            let file = Arc::clone(&self.file);
            let (line, column) = (comment.line, comment.column);
            Note { file, line, column, kind: NoteKind::IgnoreComment, message, hides: Vec::new() }
        })
    }
}

/// Whether there may be a rule or a kind of notes of this name; `POLICY/CHECK` is a policy's own check.
fn is_known(name: &str) -> bool {
    name.contains('/') || rules::named(name).is_some() || kinds_of_notes().any(|kind| kind == name)
}

/// The kinds of notes that a comment may silence: not what is said of comments.
fn kinds_of_notes() -> impl Iterator<Item = &'static str> {
    NoteKind::ALL.into_iter().filter(|kind| *kind != NoteKind::IgnoreComment).map(NoteKind::name)
}

/// The comments of a text.
fn comments(text: &str) -> Vec<IgnoreComment> {
    let mut found: Vec<IgnoreComment> = Vec::new();
    // Comments that are about a document whose end, or a line whose number, is not known yet.
    let (mut of_document, mut of_next): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let (mut has_content, mut start, mut line) = (false, 1, 0);
    let scalars = ScalarPlaces::of(text, MARK);
    for text_line in text.lines() {
        line += 1;
        let separator = text_line.strip_prefix("---");
        // Comments before the separator that opens a document are about that document.
        if separator.is_some() && has_content {
            close(&mut found, &mut of_document, start..=line);
            (has_content, start) = (false, line);
        }
        let is_comment = separator.unwrap_or(text_line).trim_start().starts_with('#');
        let comment = comment(text_line, line).filter(|comment| !scalars.hold(line, comment.column));
        if let Some(comment) = comment {
            let list = if is_comment && has_content { &mut of_next } else { &mut of_document };
            if is_comment {
                list.push(found.len());
            }
            found.push(comment);
        }
        if !is_comment && !separator.unwrap_or(text_line).trim().is_empty() {
            has_content = true;
            close(&mut found, &mut of_next, line..=line);
        }
    }
    close(&mut found, &mut of_document, start..=line.saturating_add(1));
    found
}

fn close(found: &mut [IgnoreComment], open: &mut Vec<usize>, about: RangeInclusive<u32>) {
    for index in open.drain(..) {
        found[index].about = about.clone();
    }
}

fn comment(text: &str, line: u32) -> Option<IgnoreComment> {
    let at = text.find(MARK)?;
    let before = text[..at].trim_end().strip_suffix('#')?;
    if !(before.is_empty() || before.ends_with([' ', '\t'])) {
        return None;
    }
    let rest = &text[at + MARK.len()..];
    let (names, reason) = rest.split_once(" -- ").unwrap_or((rest, ""));
    let names = names.split([',', ' ', '\t']).filter(|name| !name.is_empty()).map(str::to_owned);
    let column = u32::try_from(before.chars().count()).unwrap_or(u32::MAX).saturating_add(1);
    Some(IgnoreComment {
        line,
        column,
        about: line..=line,
        names: names.collect(),
        reason: reason.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_about_a_line_or_a_document() {
        let text = "# stateward:ignore a,b -- whole\nx: 1\ny: 2 # stateward:ignore c -- line\n# stateward:ignore d -- next\n\n# and\nz: 3\n---\n# stateward:ignore e\nw: '#stateward:ignore f -- no'\n";
        let found = comments(text);
        let about: Vec<_> = found.iter().map(|c| (c.names.join("+"), c.about.clone(), &*c.reason)).collect();
        assert_eq!(
            about,
            [
                ("a+b".to_owned(), 1..=8, "whole"),
                ("c".to_owned(), 3..=3, "line"),
                ("d".to_owned(), 7..=7, "next"),
                ("e".to_owned(), 8..=11, ""),
            ]
        );
    }

    #[test]
    fn comments_at_the_separator_are_about_the_document_behind_it() {
        let text = "# stateward:ignore a -- b\n---\nx: 1\n--- # stateward:ignore c -- d\n# stateward:ignore e -- f\ny: 2\n";
        let about: Vec<_> = comments(text).iter().map(|c| (c.names.join("+"), c.about.clone())).collect();
        assert_eq!(about, [("a".to_owned(), 1..=4), ("c".to_owned(), 4..=7), ("e".to_owned(), 4..=7)]);
    }

    #[test]
    fn texts_are_no_comments() {
        let text = "a: \"# stateward:ignore b -- c\"\nd: |\n  # stateward:ignore e -- f\ng: h # stateward:ignore i -- j\n";
        let names: Vec<_> = comments(text).iter().map(|c| c.names.join("+")).collect();
        assert_eq!(names, ["i"]);
    }
}
