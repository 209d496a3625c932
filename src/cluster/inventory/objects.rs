//! The kept parts of the objects of a file: the model, and the places of its fields.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Position;
use super::parse::{misspelt, mistyped, parse};
use crate::cluster::{ClusterObject, Kind};
use crate::manifest::{Elsewhere, KeyTable, Manifest, Note, Outline, ParsedDuplicateKey, Source, read_each};

/// Whether objects are kept as they are written beside their models. Checks of policies and the comparison with an old state read
/// them; they take several times the memory of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepValues {
    Yes,
    No,
}

/// The objects of a file, of whatever kind.
#[derive(Debug, Default)]
pub struct FileObjects {
    pub(super) objects: Vec<FileObject>,
    pub(super) notes: Vec<Note>,
}

/// One object of a file.
#[derive(Debug)]
pub(super) struct FileObject {
    pub(super) manifest: ManifestRecord,
    pub(super) kind: Box<str>,
    pub(super) name: Option<Box<str>>,
    /// The model that the rules read; `None` where they do not look at its kind, or it cannot be read.
    pub(super) model: Option<ClusterObject>,
}

/// The kept parts of a manifest once its object has been read.
#[derive(Clone, Debug)]
pub struct ManifestRecord {
    /// The file it is in.
    pub file: Arc<Source>,
    /// The line and the column at which it starts.
    pub start: (u32, u32),
    pub api_version: Box<str>,
    /// `metadata.namespace`.
    pub namespace: Option<Box<str>>,
    /// Whether `spec.selector` has anything in it.
    pub has_selector: bool,
    /// The keys that the object has twice.
    pub duplicate_keys: Box<[ParsedDuplicateKey]>,
    /// The object as it is written, where values are kept.
    pub values: Option<Box<Value>>,
    /// Whether it is the output of a renderer: it is not as it is written, and is not edited.
    pub is_rendered: bool,
    outline: Outline,
    /// The keys of the outlines of its file; `None` until that is read.
    keys: Option<Arc<KeyTable>>,
    elsewhere: Elsewhere,
}

impl FileObjects {
    /// Reads a source, whose text is `text`.
    pub fn read(source: &Arc<Source>, text: &str, keep: KeepValues) -> Self {
        let (mut read, mut keys) = (Self::default(), KeyTable::default());
        let notes = read_each(source, text, &mut |manifest| read.add(manifest, keep, &mut keys));
        read.notes.splice(0..0, notes);
        read.share(keys);
        read
    }

    /// The objects that a renderer has made, and notes on them.
    pub fn rendered(manifests: Vec<Manifest<'_>>, notes: Vec<Note>, keep: KeepValues) -> Self {
        let (mut read, mut keys) = (Self { objects: Vec::new(), notes }, KeyTable::default());
        for manifest in manifests {
            read.add(manifest, keep, &mut keys);
        }
        read.share(keys);
        for object in &mut read.objects {
            object.manifest.is_rendered = true;
        }
        read
    }

    /// The note on a source that cannot be read.
    pub fn unread(note: Note) -> Self {
        Self { objects: Vec::new(), notes: vec![note] }
    }

    /// Gives the files other names.
    pub fn rename_files(&mut self, new_name: impl Fn(&str) -> String) {
        // With the file itself, so that no other one comes to its address.
        let mut renamed: HashMap<*const Source, (Arc<Source>, Arc<Source>)> = HashMap::new();
        let mut rename = |file: &mut Arc<Source>| {
            let new = || (Arc::clone(file), file.renamed(new_name(&file.name)));
            let (_, new) = renamed.entry(Arc::as_ptr(file)).or_insert_with(new);
            *file = Arc::clone(new);
        };
        for FileObject { manifest, .. } in &mut self.objects {
            rename(&mut manifest.file);
            manifest.elsewhere.files().for_each(&mut rename);
        }
        for note in &mut self.notes {
            rename(&mut note.file);
        }
    }

    /// Adds an object, and after the other notes what is wrong with it.
    fn add(&mut self, mut manifest: Manifest<'_>, keep: KeepValues, keys: &mut KeyTable) {
        let kind = Kind::of_manifest(&manifest.api_version, &manifest.kind);
        let model = kind.and_then(|kind| parse(kind, &mut manifest, &mut self.notes));
        match kind {
            Some(_) => self.notes.extend(misspelt(&manifest)),
            None => self.notes.extend(mistyped(&manifest)),
        }
        let name = manifest.name.as_deref().map(Box::from);
        let (kind, is_kept) = (manifest.kind.as_str().into(), model.is_some());
        self.objects.push(FileObject {
            manifest: ManifestRecord::of(manifest, is_kept, keep, keys),
            kind,
            name,
            model,
        });
    }

    /// Gives each object the keys of all.
    fn share(&mut self, keys: KeyTable) {
        let keys = Arc::new(keys);
        for object in &mut self.objects {
            object.manifest.keys = Some(Arc::clone(&keys));
        }
    }
}

impl ManifestRecord {
    /// For an object that rules do not look at, only its identity is kept.
    fn of(manifest: Manifest<'_>, is_kept: bool, keep: KeepValues, keys: &mut KeyTable) -> Self {
        let Manifest { file, node, api_version, namespace, duplicate_keys, elsewhere, .. } = manifest;
        let selector = node.pointer("/spec/selector").and_then(|selector| selector.as_map());
        Self {
            start: (node.line, node.column),
            has_selector: selector.is_some_and(|entries| entries.iter().any(|entry| !entry.value.is_null())),
            values: (is_kept && keep == KeepValues::Yes).then(|| Box::new(node.to_json())),
            outline: if is_kept { Outline::of(&node, keys) } else { Outline::default() },
            file,
            api_version: api_version.into(),
            namespace: namespace.map(Box::from),
            duplicate_keys: duplicate_keys.into(),
            is_rendered: false,
            keys: None,
            elsewhere,
        }
    }

    /// Where a field is written, or what is nearest to it.
    pub fn position(&self, path: &str) -> Position {
        let elsewhere = self.elsewhere.find(path).cloned();
        elsewhere.unwrap_or_else(|| Position {
            file: Arc::clone(&self.file),
            span: self.outline.locate(path, self.keys.as_deref()),
        })
    }
}
