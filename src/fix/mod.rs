//! The edits of findings, made in the files that were read.
//!
//! ```text
//! findings ─ select ─▶ edits by document ─ apply ─▶ what the document is to say ─ document ─▶ its text, read back
//!                  └─▶ objects to create ─ render ─▶ a document at the end of the file, or a file beside it
//! ```
//!
//! Pure: texts in, texts out. A finding's edits are made all together or not at all. What is not made says why.

mod apply;
mod create;
mod diff;
mod document;
mod place;
mod render;
mod select;
mod text_fix;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

pub use self::apply::{PathStep, ValueEdit, apply, steps};
pub use self::diff::unified;
use self::place::{DocumentKey, Documents};
use self::select::{Selected, SelectedChange};
pub use self::text_fix::attach;
use crate::cluster::inventory::Inventory;
use crate::manifest::WholeVariable;
use crate::model::ObjectRef;
use crate::report::Report;
use crate::verdict::{Finding, RuleId};

/// The result of the fixes.
#[derive(Debug, Default)]
pub struct Fixes {
    /// The files that change, by name.
    pub files: Vec<FixedFile>,
    /// How many findings are fixed.
    pub fixed: usize,
    /// The findings whose edits are not made.
    pub left: Vec<LeftAlone>,
}

/// A file that changes, or a new one.
#[derive(Debug)]
pub struct FixedFile {
    pub name: String,
    /// The present text; `None` for a new file.
    pub before: Option<Arc<str>>,
    pub after: String,
}

/// A finding whose edits are not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    pub rule: RuleId,
    pub object: ObjectRef,
    pub reason: Reason,
}

/// Why edits are not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A person has to look at them first.
    Unsafe,
    /// Another finding wants something else of the same field.
    Conflict(String),
    /// The text cannot be edited.
    NotEditable(String),
}

impl LeftAlone {
    fn new(finding: &Finding, reason: Reason) -> Self {
        Self { rule: finding.rule.clone(), object: finding.object.clone(), reason }
    }
}

/// Makes the edits of a report's findings in the files of its inventory: the safe ones, or all. No file is created of which `exists`
/// says that there is one.
pub fn fix(
    inventory: &Inventory,
    report: &Report,
    unsafe_too: bool,
    exists: impl Fn(&Path) -> bool,
) -> Fixes {
    let mut documents = Documents::default();
    let mut fixes = Fixes::default();
    let mut selected = select::select(inventory, report, unsafe_too, &mut documents, &mut fixes.left);
    create::leave_existing(&documents, &mut selected, exists, &mut fixes.left);
    let edited = edit_documents(&documents, &mut selected, &mut fixes.left);
    fixes.fixed = selected.len();
    fixes.files = create::files(&documents, edited, &selected);
    fixes
}

/// The new texts. Findings whose edits cannot be made are taken out, and what else they wanted with them.
fn edit_documents(
    documents: &Documents,
    selected: &mut Vec<Selected<'_>>,
    left: &mut Vec<LeftAlone>,
) -> BTreeMap<DocumentKey, String> {
    loop {
        let mut by_document: BTreeMap<&DocumentKey, Vec<usize>> = BTreeMap::new();
        for (index, one) in selected.iter().enumerate() {
            for key in one.documents() {
                by_document.entry(key).or_default().push(index);
            }
        }
        let (mut edited, mut failed) = (BTreeMap::new(), BTreeMap::new());
        for (key, wanting) in by_document {
            match edit_document(documents, key, selected, &wanting) {
                Ok(text) => drop(edited.insert(key.clone(), text)),
                Err(reason) => failed.extend(culprits(documents, key, selected, &wanting, &reason)),
            }
        }
        if failed.is_empty() {
            return edited;
        }
        let mut index = 0;
        selected.retain(|one| {
            let reason = failed.get(&index);
            left.extend(reason.map(|why| LeftAlone::new(one.finding, Reason::NotEditable(why.clone()))));
            index += 1;
            reason.is_none()
        });
    }
}

/// More findings than this in one document that cannot be edited are not tried one by one.
const MOST_TRIED: usize = 64;

/// Which findings make a document one that cannot be edited, and why; all of them where it is none alone.
fn culprits(
    documents: &Documents,
    key: &DocumentKey,
    selected: &[Selected<'_>],
    wanting: &[usize],
    reason: &str,
) -> BTreeMap<usize, String> {
    let all = || wanting.iter().map(|index| (*index, reason.to_owned())).collect();
    if wanting.len() > MOST_TRIED {
        return all();
    }
    let alone: BTreeMap<usize, String> = wanting
        .iter()
        .filter_map(|index| {
            edit_document(documents, key, selected, &[*index]).err().map(|reason| (*index, reason))
        })
        .collect();
    if alone.is_empty() { all() } else { alone }
}

/// The variable that is written at a path.
fn variable_at<'v>(at: &'v Value, path: &[PathStep]) -> Option<&'v str> {
    let found = path.iter().try_fold(at, |at, step| match step {
        PathStep::Item(index) => at.get(index),
        PathStep::Key(key) => at.get(key),
    });
    found?.as_str().filter(|text| WholeVariable::of(text).is_some())
}

fn edit_document(
    documents: &Documents,
    key: &DocumentKey,
    selected: &[Selected<'_>],
    wanting: &[usize],
) -> Result<String, String> {
    let document = documents.get(key).ok_or_else(|| "it is not there".to_owned())?;
    let wanted = wanting.iter().filter_map(|index| selected.get(*index)).flat_map(|one| &one.wanted);
    let edits = wanted.filter_map(|wanted| match wanted {
        SelectedChange::Edit { document, edit } if document == key => Some(edit),
        _ => None,
    });
    // Two findings may want the same: then it is done once.
    let mut done = BTreeSet::new();
    let edits: Vec<&ValueEdit> = edits.filter(|edit| done.insert(&edit.path)).collect();
    if let Some(variable) = edits.iter().find_map(|edit| variable_at(&document.json, &edit.path)) {
        return Err(format!("{variable} is filled in from elsewhere"));
    }
    let mut new: Value = document.json.clone();
    apply(&mut new, edits)?;
    if new == document.json {
        return Ok(document.text().to_owned());
    }
    document::edit(document.text(), &document.json, &new)
}
