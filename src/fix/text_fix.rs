//! Edits as places in the files that were read, for tools that make them themselves.

use std::ops::Range;

use similar::{DiffOp, TextDiff};

use super::place::Documents;
use super::select::{Selected, resolve_all};
use super::{FixedFile, create, edit_documents};
use crate::cluster::inventory::Inventory;
use crate::report::{FileFix, Replacement, Report};

/// How many bytes of documents are edited for this: a finding costs its document.
const MOST_BYTES: usize = 64 << 20;

/// Adds to each finding the edits of files that end it, as far as they can be made.
pub fn attach(inventory: &Inventory, report: &mut Report) {
    let mut documents = Documents::default();
    let mut bytes_left = MOST_BYTES;
    for located in report.findings.iter_mut().filter(|located| located.counts()) {
        if located.finding.edits.is_empty() {
            continue;
        }
        let Ok(wanted) = resolve_all(inventory, located, &mut documents) else { continue };
        let mut selected = vec![Selected { finding: &located.finding, wanted }];
        let cost: usize = selected[0]
            .documents()
            .into_iter()
            .filter_map(|key| documents.get(key))
            .map(|d| d.text().len())
            .sum();
        let Some(left) = bytes_left.checked_sub(cost) else { return };
        bytes_left = left;
        let edited = edit_documents(&documents, &mut selected, &mut Vec::new());
        let fixes = create::files(&documents, edited, &selected);
        located.fixes = fixes.iter().map(file_fix).collect();
    }
}

fn file_fix(file: &FixedFile) -> FileFix {
    let before = file.before.as_deref().unwrap_or_default();
    FileFix { file: file.name.clone(), replacements: replacements(before, &file.after) }
}

/// The lines that differ, each run of them as one replacement.
fn replacements(before: &str, after: &str) -> Vec<Replacement> {
    let diff = TextDiff::from_lines(before, after);
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let changes = diff.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. }));
    let text = |range: Range<usize>| new.get(range).unwrap_or_default().concat();
    changes
        .map(|op| {
            let range = op.old_range();
            let (start, end) = (place(&old, range.start), place(&old, range.end));
            Replacement { start, end, text: text(op.new_range()) }
        })
        .collect()
}

/// The line and column, from 1, at which a line starts. After a last line without an end that is its end.
fn place(lines: &[&str], line: usize) -> (usize, usize) {
    match lines.last() {
        Some(last) if line == lines.len() && !last.ends_with('\n') => (line, last.chars().count() + 1),
        _ => (line + 1, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_lines_is_one_replacement() {
        let of = |before: &str, after: &str| {
            let replacements = replacements(before, after).into_iter();
            replacements.map(|r| (r.start, r.end, r.text)).collect::<Vec<_>>()
        };
        assert_eq!(of("a\nb\nc\n", "a\nB\nc\n"), [((2, 1), (3, 1), "B\n".to_owned())]);
        assert_eq!(of("a\nb\n", "a\nx\nb\n"), [((2, 1), (2, 1), "x\n".to_owned())]);
        assert_eq!(of("a\nb", "a\n"), [((2, 1), (2, 2), String::new())]);
        assert_eq!(of("a\n", "a\nb\n"), [((2, 1), (2, 1), "b\n".to_owned())]);
        assert_eq!(of("", "b\n"), [((1, 1), (1, 1), "b\n".to_owned())]);
        assert_eq!(of("a", "a\nb\n"), [((1, 1), (1, 2), "a\nb\n".to_owned())]);
        assert!(of("a\n", "a\n").is_empty());
    }
}
