//! Comments that exempt findings: `# stateward:ignore RULE[,RULE] -- reason`.
//!
//! Behind a value, or on a line of its own before one, a comment is about that line; before the first value of a document it is
//! about the document. A comment without a reason exempts nothing, and one that exempts nothing is reported.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Report;
use crate::cluster::inventory::Inventory;
use crate::manifest::{Note, NoteKind, Source};
use crate::model::did_you_mean;
use crate::rules;

const MARK: &str = "stateward:ignore";

#[derive(Debug, PartialEq, Eq)]
struct IgnoreComment {
    /// Where it is written.
    line: u32,
    column: u32,
    /// The lines it is about.
    about: RangeInclusive<u32>,
    rules: Vec<String>,
    /// Empty where none is given.
    reason: String,
}

/// The comments of one file.
struct OfFile {
    file: Arc<Source>,
    comments: Vec<IgnoreComment>,
    is_used: Vec<bool>,
    /// By the first line a comment is about, the comments; ranges do not overlap but for single lines in a document.
    by_line: BTreeMap<u32, Vec<usize>>,
}

/// Exempts the findings that comments are about, and notes the comments that are of no use.
pub(crate) fn apply(report: &mut Report, inventory: &Inventory) {
    let mut files: HashMap<*const Source, OfFile> = HashMap::new();
    let mut order = Vec::new();
    for definition in inventory.definitions() {
        let key = Arc::as_ptr(&definition.file);
        files.entry(key).or_insert_with(|| {
            order.push(key);
            OfFile::read(&definition.file)
        });
    }
    for located in &mut report.findings {
        let Some(position) = &located.position else { continue };
        // A field of a rendered object may be in a file without objects, such as a patch.
        let key = Arc::as_ptr(&position.file);
        let file = files.entry(key).or_insert_with(|| {
            order.push(key);
            OfFile::read(&position.file)
        });
        if let Some(reason) = file.reason(position.span.line, located.finding.rule.as_str()) {
            located.exempt("comment", &reason);
        }
    }
    for file in order.iter().filter_map(|key| files.get(key)) {
        report.notes.extend(file.notes());
    }
}

impl OfFile {
    fn read(file: &Arc<Source>) -> Self {
        let text = file.text();
        let comments = if text.contains(MARK) { comments(&text) } else { Vec::new() };
        let mut by_line: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, comment) in comments.iter().enumerate() {
            by_line.entry(*comment.about.start()).or_default().push(index);
        }
        Self { file: Arc::clone(file), is_used: vec![false; comments.len()], comments, by_line }
    }

    /// The reason of the comment that exempts a finding of `rule` on `line`.
    fn reason(&mut self, line: u32, rule: &str) -> Option<String> {
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
                && comment.rules.iter().any(|r| r == rule)
        });
        let index = *found?;
        self.is_used[index] = true;
        Some(self.comments[index].reason.clone())
    }

    fn notes(&self) -> impl Iterator<Item = Note> {
        let useless = self.comments.iter().zip(&self.is_used).filter(|(_, is_used)| !**is_used);
        useless.map(|(comment, _)| {
            let rules = comment.rules.join(", ");
            let message = if comment.reason.is_empty() {
                format!("`{MARK} {rules}` exempts nothing without a reason: write `# {MARK} RULE -- reason`")
            } else if let Some(unknown) = comment.rules.iter().find(|rule| !is_rule(rule)) {
                let meant = did_you_mean(unknown, rules::ALL.iter().map(|rule| rule.id));
                format!("`{MARK} {rules}` exempts nothing: there is no rule {unknown}{meant}")
            } else {
                format!("`{MARK} {rules}` is not needed: {rules} finds nothing here")
            };
            let file = Arc::clone(&self.file);
            let (line, column) = (comment.line, comment.column);
            Note { file, line, column, kind: NoteKind::IgnoreComment, message, hides: Vec::new() }
        })
    }
}

/// Whether there may be a rule of this name; `POLICY/CHECK` is a policy's own check.
fn is_rule(name: &str) -> bool {
    name.contains('/') || rules::named(name).is_some()
}

/// The comments of a text.
fn comments(text: &str) -> Vec<IgnoreComment> {
    let mut found: Vec<IgnoreComment> = Vec::new();
    // Comments that are about a document whose end, or a line whose number, is not known yet.
    let (mut of_document, mut of_next): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let (mut has_content, mut start, mut line) = (false, 1, 0);
    for text_line in text.lines() {
        line += 1;
        if text_line.starts_with("---") {
            close(&mut found, &mut of_document, start..=line);
            (has_content, start) = (false, line);
            continue;
        }
        let is_comment = text_line.trim_start().starts_with('#');
        if let Some(comment) = comment(text_line, line) {
            let list = if is_comment && has_content { &mut of_next } else { &mut of_document };
            if is_comment {
                list.push(found.len());
            }
            found.push(comment);
        }
        if !is_comment && !text_line.trim().is_empty() {
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
    let (rules, reason) = rest.split_once(" -- ").unwrap_or((rest, ""));
    let rules = rules.split([',', ' ', '\t']).filter(|rule| !rule.is_empty()).map(str::to_owned);
    let column = u32::try_from(before.chars().count()).unwrap_or(u32::MAX).saturating_add(1);
    Some(IgnoreComment {
        line,
        column,
        about: line..=line,
        rules: rules.collect(),
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
        let about: Vec<_> = found.iter().map(|c| (c.rules.join("+"), c.about.clone(), &*c.reason)).collect();
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
}
