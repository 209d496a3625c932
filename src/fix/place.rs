//! Where objects stand in the documents of files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::PathStep;
use crate::cluster::inventory::ManifestRecord;
use crate::manifest::{self, Node, Source};

/// A document: its file, and the byte at which its text starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DocumentKey {
    pub(super) file: String,
    pub(super) start: usize,
}

/// One document of a file.
#[derive(Debug)]
pub(super) struct FileDocument {
    pub(super) file: Arc<FileText>,
    pub(super) range: Range<usize>,
    /// The line of the file on which it starts.
    line: u32,
    node: Node<'static>,
    /// The text of the document.
    pub(super) json: Value,
}

impl FileDocument {
    pub(super) fn text(&self) -> &str {
        self.file.text.get(self.range.clone()).unwrap_or_default()
    }
}

/// A file with its text.
#[derive(Debug)]
pub(super) struct FileText {
    pub(super) source: Arc<Source>,
    pub(super) text: Arc<str>,
    /// The first line and the bytes of each document.
    documents: Vec<(u32, Range<usize>)>,
}

/// An object's place.
#[derive(Clone, Debug)]
pub(super) struct ObjectPlace {
    pub(super) document: DocumentKey,
    /// Where it is in the document: nothing, or the item of a `List`.
    pub(super) path: Vec<PathStep>,
}

/// The documents that have been looked at.
#[derive(Debug, Default)]
pub(super) struct Documents {
    known: BTreeMap<DocumentKey, FileDocument>,
    files: BTreeMap<String, Arc<FileText>>,
}

impl Documents {
    pub(super) fn get(&self, key: &DocumentKey) -> Option<&FileDocument> {
        self.known.get(key)
    }

    /// Where an object is written.
    pub(super) fn place(&mut self, manifest: &ManifestRecord) -> Result<ObjectPlace, String> {
        let (source, (start, column)) = (&manifest.file, manifest.start);
        if !source.is_utf8 {
            return Err(format!("{} is not UTF-8 text, and only that is edited", source.name));
        }
        let file = self.files.entry(source.name.clone()).or_insert_with(|| Arc::new(FileText::of(source)));
        let next = file.documents.partition_point(|(line, _)| *line <= start);
        let (line, range) =
            file.documents.get(next.saturating_sub(1)).ok_or("its document is not found")?.clone();
        let key = DocumentKey { file: source.name.clone(), start: range.start };
        let document = match self.known.entry(key.clone()) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => free.insert(read(file, range, line)?),
        };
        let mut path = Vec::new();
        let at = (start - document.line + 1, column);
        if find(&document.node, at, &mut path) {
            Ok(ObjectPlace { document: key, path })
        } else {
            Err("it is not an object or an item of a List in a YAML document".to_owned())
        }
    }
}

impl FileText {
    fn of(source: &Arc<Source>) -> Self {
        let text = source.text();
        Self { source: Arc::clone(source), documents: manifest::documents(&text), text: text.into() }
    }
}

fn read(file: &Arc<FileText>, range: Range<usize>, line: u32) -> Result<FileDocument, String> {
    let text = file.text.get(range.clone()).unwrap_or_default();
    let node = manifest::document(text).map_err(|fault| fault.message)?.into_owned();
    let json = node.to_json();
    Ok(FileDocument { file: Arc::clone(file), range, line, node, json })
}

/// Finds the object that starts at a line and column, and the path to it.
fn find(node: &Node<'_>, at: (u32, u32), path: &mut Vec<PathStep>) -> bool {
    if (node.line, node.column) == at {
        return true;
    }
    let items = node.get("items").and_then(Node::as_list).unwrap_or_default();
    // Items stand in order, and each ends before the next starts.
    let next = items.partition_point(|item| (item.line, item.column) <= at);
    let Some(item) = next.checked_sub(1).and_then(|index| items.get(index)) else { return false };
    path.extend([PathStep::Key("items".to_owned()), PathStep::Item(next - 1)]);
    find(item, at, path)
}
