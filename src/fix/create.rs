//! The files as they will be: with edited documents, and with the objects that are created.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::document::is_json;
use super::place::{DocumentKey, Documents, FileDocument, FileText, ObjectPlace};
use super::render::{self, Lists};
use super::select::{Selected, SelectedChange};
use super::{FixedFile, LeftAlone, Reason};
use crate::model::ObjectRef;

/// The files that change, and new ones.
pub(super) fn files(
    documents: &Documents,
    edited: BTreeMap<DocumentKey, String>,
    selected: &[Selected<'_>],
) -> Vec<FixedFile> {
    let mut files: BTreeMap<String, FixedFile> = BTreeMap::new();
    // From the end, so that the ranges before stay what they are.
    for (key, text) in edited.into_iter().rev() {
        if let Some(document) = documents.get(&key) {
            existing(&mut files, &document.file).after.replace_range(document.range.clone(), &text);
        }
    }
    let wanted = selected.iter().flat_map(|one| &one.wanted);
    let creations = wanted.filter_map(|wanted| match wanted {
        SelectedChange::Create { object, beside, manifest } => {
            Some(((&beside.document.file, object.to_string()), (object, beside, manifest)))
        }
        SelectedChange::Edit { .. } => None,
    });
    // Two findings may want the same object: then it is created once.
    let creations: BTreeMap<_, _> = creations.collect();
    for (object, beside, manifest) in creations.into_values() {
        create(documents, object, beside, manifest, &mut files);
    }
    files
        .into_values()
        .filter(|file| file.before.as_ref().is_none_or(|before| **before != *file.after))
        .collect()
}

fn existing<'a>(files: &'a mut BTreeMap<String, FixedFile>, file: &FileText) -> &'a mut FixedFile {
    let name = &file.source.name;
    files.entry(name.clone()).or_insert_with(|| FixedFile {
        name: name.clone(),
        before: Some(Arc::clone(&file.text)),
        after: file.text.to_string(),
    })
}

/// Writes an object as a further document of the file in which `beside` is one; into a file of its own where that is JSON or a
/// `List`.
fn create(
    documents: &Documents,
    object: &ObjectRef,
    beside: &ObjectPlace,
    manifest: &Value,
    files: &mut BTreeMap<String, FixedFile>,
) {
    let Some(document) = documents.get(&beside.document) else { return };
    let text = render::block(manifest, Lists::of(&document.file.text));
    if let Some(path) = own_file(document, object, beside) {
        let name = path.display().to_string();
        files.insert(name.clone(), FixedFile { name, before: None, after: text });
    } else {
        append(&mut existing(files, &document.file).after, &text);
    }
}

/// The file that is made for an object which cannot be a further document of the file with `beside`, which is JSON or a `List`.
fn own_file(document: &FileDocument, object: &ObjectRef, beside: &ObjectPlace) -> Option<PathBuf> {
    if beside.path.is_empty() && !is_json(document.text()) {
        return None;
    }
    let name = format!("{}-{}.yaml", object.name, object.kind.to_ascii_lowercase());
    Some(Path::new(&document.file.source.name).with_file_name(name))
}

/// Takes out the findings of which an edit would make a file that exists already.
pub(super) fn leave_existing(
    documents: &Documents,
    selected: &mut Vec<Selected<'_>>,
    exists: impl Fn(&Path) -> bool,
    left: &mut Vec<LeftAlone>,
) {
    let taken = |wanted: &SelectedChange| {
        let SelectedChange::Create { object, beside, .. } = wanted else { return None };
        let path = own_file(documents.get(&beside.document)?, object, beside)?;
        exists(&path).then_some(path)
    };
    selected.retain(|one| {
        let Some(path) = one.wanted.iter().find_map(taken) else { return true };
        let why = format!("{} is to be made, and there is one already", path.display());
        left.push(LeftAlone::new(one.finding, Reason::NotEditable(why)));
        false
    });
}

/// Adds a document to a file, with the line breaks that the file has.
fn append(file: &mut String, document: &str) {
    let line_break = if file.contains("\r\n") { "\r\n" } else { "\n" };
    if !file.is_empty() && !file.ends_with('\n') {
        *file += line_break;
    }
    let is_separated =
        file.lines().rfind(|line| !line.trim().is_empty()).is_none_or(|line| line.trim_end() == "---");
    if !is_separated {
        *file += "---";
        *file += line_break;
    }
    *file += &document.replace('\n', line_break);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_added_with_one_separator_and_the_line_breaks_of_the_file() {
        for (file, expected) in [
            ("a: 1\n", "a: 1\n---\nb: 2\n"),
            ("a: 1", "a: 1\n---\nb: 2\n"),
            ("a: 1\n---\n", "a: 1\n---\nb: 2\n"),
            ("a: 1\r\n", "a: 1\r\n---\r\nb: 2\r\n"),
            ("", "b: 2\n"),
        ] {
            let mut text = file.to_owned();
            append(&mut text, "b: 2\n");
            assert_eq!(text, expected);
        }
    }
}
