//! What is kept of the objects of a file: the model, and where its fields are written.

use std::sync::Arc;

use serde_json::Value;

use super::Position;
use crate::cluster::{ClusterObject, Kind};
use crate::manifest::{DuplicateKey, Manifest, Note, NoteKind, Outline, Source, pointer_of, read_each};
use crate::model::printable;

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
    /// What the rules read; `None` where they do not look at its kind, or it cannot be read.
    pub(super) model: Option<ClusterObject>,
}

/// What is kept of a manifest once its object has been read.
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
    pub duplicate_keys: Box<[DuplicateKey]>,
    /// The object as it is written, where values are kept.
    pub values: Option<Box<Value>>,
    outline: Outline,
}

impl FileObjects {
    /// Reads a source.
    pub fn read(source: &Arc<Source>, keep: KeepValues) -> Self {
        let mut read = Self::default();
        let notes = read_each(source, &mut |manifest| read.add(manifest, keep));
        read.notes.splice(0..0, notes);
        read
    }

    /// What manifests and notes say.
    pub fn of(manifests: Vec<Manifest<'_>>, notes: Vec<Note>, keep: KeepValues) -> Self {
        let mut read = Self { objects: Vec::new(), notes };
        for manifest in manifests {
            read.add(manifest, keep);
        }
        read
    }

    /// Adds an object, and after the other notes what is wrong with it.
    fn add(&mut self, manifest: Manifest<'_>, keep: KeepValues) {
        let kind = Kind::of_manifest(&manifest.api_version, &manifest.kind);
        let model = kind.and_then(|kind| match parse(kind, &manifest) {
            Ok(model) => Some(model),
            Err(note) => {
                self.notes.push(note);
                None
            }
        });
        let name = manifest.name.as_deref().map(Box::from);
        let (kind, is_kept) = (manifest.kind.as_str().into(), model.is_some());
        self.objects.push(FileObject {
            manifest: ManifestRecord::of(manifest, is_kept, keep),
            kind,
            name,
            model,
        });
    }
}

impl ManifestRecord {
    /// Of an object that rules do not look at, only what tells it from others is kept.
    fn of(manifest: Manifest<'_>, is_kept: bool, keep: KeepValues) -> Self {
        let Manifest { file, node, api_version, namespace, duplicate_keys, .. } = manifest;
        let selector = node.pointer("/spec/selector").and_then(|selector| selector.as_map());
        Self {
            start: (node.line, node.column),
            has_selector: selector.is_some_and(|entries| entries.iter().any(|entry| !entry.value.is_null())),
            values: (is_kept && keep == KeepValues::Yes).then(|| Box::new(node.to_json())),
            outline: if is_kept { Outline::of(&node, &file.text) } else { Outline::default() },
            file,
            api_version: api_version.into(),
            namespace: namespace.map(Box::from),
            duplicate_keys: duplicate_keys.into(),
        }
    }

    /// Where a field is written, or what is nearest to it.
    pub fn position(&self, path: &str) -> Position {
        Position { file: Arc::clone(&self.file), span: self.outline.locate(path, &self.file.text) }
    }
}

/// Reads an object's fields. One that has them of another type than Kubernetes would be refused by the API server, and what is
/// not known of it must not be taken for absent.
fn parse(kind: Kind, manifest: &Manifest<'_>) -> Result<ClusterObject, Note> {
    let read = ClusterObject::deserialize(kind, &manifest.node);
    // Reads it again, only to say where it is wrong.
    let read = read.or_else(|_| {
        let mut track = serde_path_to_error::Track::new();
        let traced = serde_path_to_error::Deserializer::new(&manifest.node, &mut track);
        ClusterObject::deserialize(kind, traced).map_err(|error| (track.path(), error))
    });
    read.map(|object| before_v1(object, &manifest.api_version)).map_err(|(path, error)| {
        let span = manifest.node.locate(&pointer_of(&path));
        let name = manifest.name.as_deref().unwrap_or_default();
        let message = printable(&format!("{} {name}: {path}: {error}", manifest.kind)).into_owned();
        Note {
            file: Arc::clone(&manifest.file),
            line: span.line,
            column: span.column,
            kind: NoteKind::Unreadable,
            message,
            hides: vec![kind.name()],
        }
    })
}

/// Before policy/v1, an empty selector of a budget selected nothing.
fn before_v1(mut object: ClusterObject, api_version: &str) -> ClusterObject {
    if let ClusterObject::DisruptionBudget(budget) = &mut object
        && api_version == "policy/v1beta1"
    {
        let budget = Arc::make_mut(budget);
        budget.spec.selector = budget.spec.selector.take().filter(|selector| !selector.is_empty());
    }
    object
}
