//! A snapshot from manifests, with the place each object was read from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Cluster, ClusterObject, Kind};
use crate::change::{DuplicateKey, Written};
use crate::manifest::{Manifest, Note, NoteKind, Source, Span, read};
use crate::model::{ObjectRef, StatefulSet, printable};

/// The objects of some manifests, as far as they matter here.
#[derive(Debug, Default)]
pub struct Inventory {
    items: Vec<InventoryObject>,
    /// What was passed over or could not be read.
    pub notes: Vec<Note>,
    /// How many objects were read, of whatever kind.
    pub objects: usize,
    /// The namespace of objects that name none.
    default_namespace: Box<str>,
    /// Whether somebody has said that it is this one.
    namespace_is_given: bool,
    by_name: BTreeMap<ObjectName, Vec<usize>>,
    /// Which objects each file holds, by its name.
    files: BTreeMap<String, Range<usize>>,
}

/// An object and where it was written.
#[derive(Debug)]
struct InventoryObject {
    manifest: Manifest,
    object: ClusterObject,
}

/// Of more objects of one name the nearest is not looked for in other files.
const MOST_OF_ONE_NAME: usize = 64;

/// Kind, namespace and name.
type ObjectName = (&'static str, Box<str>, Box<str>);

/// An object of the inventory.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Where and how it is written.
    pub manifest: &'a Manifest,
    object: &'a ClusterObject,
}

/// A place in a file.
#[derive(Clone, Debug)]
pub struct Position {
    /// The file.
    pub file: Arc<Source>,
    /// What to underline in it.
    pub span: Span,
}

impl Inventory {
    /// An empty inventory. Objects that name no namespace are put into `namespace`, or into `default` where that is `None`.
    pub fn new(namespace: Option<&str>) -> Self {
        Self {
            default_namespace: namespace.unwrap_or("default").into(),
            namespace_is_given: namespace.is_some(),
            ..Self::default()
        }
    }

    /// Reads one source, adding its objects and what else there is to say of it.
    pub fn add(&mut self, source: &Arc<Source>) {
        let (manifests, notes) = read(source);
        self.notes.extend(notes);
        self.objects += manifests.len();
        let start = self.items.len();
        for manifest in manifests {
            self.add_manifest(manifest);
        }
        self.files.insert(source.name.clone(), start..self.items.len());
    }

    fn add_manifest(&mut self, manifest: Manifest) {
        let Some(kind) = Kind::of_manifest(&manifest.api_version, &manifest.kind) else { return };
        let parsed = parse(kind, &manifest);
        match parsed {
            Ok(mut object) => {
                if object.metadata().namespace.is_empty() {
                    move_to(&mut object, &self.default_namespace);
                }
                let (index, name) = (self.items.len(), name_of(&object));
                self.by_name.entry(name).or_default().push(index);
                self.items.push(InventoryObject { manifest, object });
            }
            Err(note) => self.notes.push(note),
        }
    }

    /// The StatefulSets, in the order in which they were read, each with where and how it is written.
    pub fn sets(&self) -> impl Iterator<Item = (&StatefulSet, &Manifest)> {
        self.items.iter().filter_map(|item| match &item.object {
            ClusterObject::StatefulSet(set) => Some((set, &item.manifest)),
            _ => None,
        })
    }

    /// All objects that matter here, in the order in which they were read.
    pub fn written(&self) -> impl Iterator<Item = Found<'_>> {
        self.items.iter().map(|InventoryObject { manifest, object }| Found { manifest, object })
    }

    /// All objects together as a snapshot: what is not in it does not exist, unless something could not be read that may hold
    /// it. Of objects with one name the last counts, as it does to kubectl.
    pub fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::default();
        for kind in Kind::ALL {
            let hidden = self.notes.iter().any(|note| note.hides.contains(&kind.name()));
            cluster.set_complete(kind, !hidden);
        }
        for item in &self.items {
            item.object.clone().insert_into(&mut cluster);
        }
        self.join_namespaces(&mut cluster);
        cluster
    }

    /// The snapshot as it looks from each file.
    pub fn neighbourhoods(&self) -> FileViews<'_> {
        let mut doubles: BTreeMap<&Path, Vec<&InventoryObject>> = BTreeMap::new();
        let mut doubles_by_file: BTreeMap<&str, Vec<&InventoryObject>> = BTreeMap::new();
        for index in self.by_name.values().filter(|items| items.len() > 1).flatten() {
            let item = &self.items[*index];
            doubles.entry(folder(&item.manifest.file)).or_default().push(item);
            doubles_by_file.entry(&item.manifest.file.name).or_default().push(item);
        }
        FileViews { cluster: self.cluster(), doubles, doubles_by_file, near: None }
    }

    /// Objects that name no namespace are applied into one that only the command line says. Where all others name the same one
    /// and nobody has said otherwise, it will be that: objects of both sorts see each other.
    fn join_namespaces(&self, cluster: &mut Cluster) {
        let named: BTreeSet<&str> =
            self.items.iter().filter_map(|item| item.manifest.namespace.as_deref()).collect();
        let mut named = named.into_iter();
        let (Some(only), None, false) = (named.next(), named.next(), self.namespace_is_given) else { return };
        let is_budget = |item: &&InventoryObject| matches!(item.object, ClusterObject::DisruptionBudget(_));
        let (budgets, others): (Vec<&InventoryObject>, Vec<&InventoryObject>) =
            self.items.iter().partition(is_budget);
        for item in others.into_iter().chain(budgets) {
            let other = if item.manifest.namespace.is_some() { &*self.default_namespace } else { only };
            let mut twin = item.object.clone();
            move_to(&mut twin, other);
            if !self.by_name.contains_key(&name_of(&twin)) && !overlaps(cluster, &twin) {
                twin.insert_into(cluster);
            }
        }
    }

    /// The manifest of an object that is to be edited: that in the same file as `near`, in the same folder, or the only one.
    pub fn manifest_of(&self, object: &ObjectRef, near: &Source) -> Result<&Manifest, String> {
        let name = |namespace: &str| (object.kind, namespace.into(), object.name.clone());
        let items = self
            .by_name
            .get(&name(&object.namespace))
            .or_else(|| self.by_name.get(&name(&self.default_namespace)))
            .ok_or_else(|| format!("{object} is not in these files"))?;
        let manifests = |items: &[usize]| items.iter().map(|index| &self.items[*index].manifest).collect();
        let file = self.files.get(&near.name).cloned().unwrap_or_default();
        let bound = |end: usize| items.partition_point(|index| *index < end);
        let mut found: Vec<&Manifest> = manifests(&items[bound(file.start)..bound(file.end)]);
        if found.is_empty() && items.len() <= MOST_OF_ONE_NAME {
            found = manifests(items);
            let is_near = |manifest: &&Manifest| folder(&manifest.file) == folder(near);
            if found.iter().any(is_near) {
                found.retain(is_near);
            }
        }
        match found[..] {
            [only] => Ok(only),
            _ => Err(format!("{object} is written {} times", items.len())),
        }
    }

    /// Where a field of an object is written. Of several objects of that name, the one in the same file as `near`, or the last.
    pub fn locate(&self, object: &ObjectRef, path: &str, near: &Source) -> Option<Position> {
        let name = |namespace: &str| (object.kind, namespace.into(), object.name.clone());
        let items = self
            .by_name
            .get(&name(&object.namespace))
            .or_else(|| self.by_name.get(&name(&self.default_namespace)))?;
        let near = self.files.get(&near.name).cloned().unwrap_or_default();
        let before_end = items[..items.partition_point(|index| *index < near.end)].last();
        let same_file = before_end.filter(|index| **index >= near.start);
        let manifest = &self.items[*same_file.or(items.last())?].manifest;
        Some(position(manifest, path))
    }
}

/// Whether a budget is about pods that already have one. That a namespace is only presumed must not make two budgets collide.
fn overlaps(cluster: &Cluster, object: &ClusterObject) -> bool {
    let ClusterObject::DisruptionBudget(budget) = object else { return false };
    let has_one = |set: &&StatefulSet| {
        !cluster.budgets_selecting(&set.metadata.namespace, set.spec.template.labels()).is_empty()
    };
    cluster.sets_selected_by(budget).iter().any(has_one)
}

impl Found<'_> {
    /// How it is written, apart from what it says.
    pub fn how(&self) -> Written {
        let metadata = self.object.metadata();
        let duplicate_keys = self.manifest.duplicate_keys.iter().map(|key| DuplicateKey {
            pointer: key.pointer.clone(),
            first_line: key.first_line,
            last_line: key.line,
        });
        Written {
            object: self.object.kind().reference(&metadata.namespace, &metadata.name),
            metadata: metadata.clone(),
            api_version: self.manifest.api_version.clone(),
            has_selector: self.manifest.node.pointer("/spec/selector").is_some_and(|selector| {
                selector.as_map().is_some_and(|entries| entries.iter().any(|entry| !entry.value.is_null()))
            }),
            duplicate_keys: duplicate_keys.collect(),
        }
    }
}

/// Snapshots for manifests in which several objects have one name, as in folders with variants of an application.
#[derive(Debug)]
pub struct FileViews<'a> {
    cluster: Cluster,
    /// The objects that have their name with others, by folder.
    doubles: BTreeMap<&'a Path, Vec<&'a InventoryObject>>,
    /// The same by file.
    doubles_by_file: BTreeMap<&'a str, Vec<&'a InventoryObject>>,
    /// What was asked for last.
    near: Option<Near>,
}

/// The snapshot as one file sees it.
#[derive(Debug)]
struct Near {
    folder: PathBuf,
    file: String,
    of_folder: Cluster,
    of_file: Cluster,
}

impl FileViews<'_> {
    /// The snapshot of everything.
    pub fn all(&self) -> &Cluster {
        &self.cluster
    }

    /// The snapshot as the objects of `file` see it: of several of one name, that of the same file counts, then that of the same
    /// folder. Asked for file by file, each object is looked at twice and no more.
    pub fn of(&mut self, file: &Source) -> Cluster {
        if self.near.as_ref().is_none_or(|near| near.file != file.name) {
            let folder = folder(file);
            let items = self.doubles.get(folder).map(Vec::as_slice).unwrap_or_default();
            let known = self.near.take().filter(|near| near.folder == folder).map(|near| near.of_folder);
            let of_folder = known.unwrap_or_else(|| with(&self.cluster, items.iter().copied()));
            let same_file =
                self.doubles_by_file.get(file.name.as_str()).map(Vec::as_slice).unwrap_or_default();
            let of_file = with(&of_folder, same_file.iter().copied());
            let (folder, file) = (folder.to_owned(), file.name.clone());
            self.near = Some(Near { folder, file, of_folder, of_file });
        }
        self.near.as_ref().map_or_else(Cluster::default, |near| near.of_file.clone())
    }
}

/// A snapshot with some objects put in, the later in the place of the earlier.
fn with<'a>(cluster: &Cluster, items: impl Iterator<Item = &'a InventoryObject>) -> Cluster {
    let mut cluster = cluster.clone();
    for item in items {
        item.object.clone().insert_into(&mut cluster);
    }
    cluster
}

fn folder(file: &Source) -> &Path {
    Path::new(&file.name).parent().unwrap_or(Path::new(""))
}

/// Where a field of a manifest is written, or what is nearest to it.
pub fn position(manifest: &Manifest, path: &str) -> Position {
    Position { file: Arc::clone(&manifest.file), span: manifest.node.locate(path) }
}

/// Reads an object's fields. One that has them of another type than Kubernetes would be refused by the API server, and what is
/// not known of it must not be taken for absent.
fn parse(kind: Kind, manifest: &Manifest) -> Result<ClusterObject, Note> {
    let json = manifest.node.to_json();
    let mut track = serde_path_to_error::Track::new();
    let read = ClusterObject::deserialize(kind, serde_path_to_error::Deserializer::new(&json, &mut track));
    read.map(|object| before_v1(object, &manifest.api_version)).map_err(|error| {
        let path = track.path();
        let span = manifest.node.locate(&crate::manifest::pointer_of(&path));
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
        budget.spec.selector = budget.spec.selector.take().filter(|selector| !selector.is_empty());
    }
    object
}

/// What tells it from all others.
fn name_of(object: &ClusterObject) -> ObjectName {
    let metadata = object.metadata();
    (object.kind().name(), metadata.namespace.clone(), metadata.name.clone())
}

fn move_to(object: &mut ClusterObject, namespace: &str) {
    if !matches!(object, ClusterObject::Namespace(_)) {
        object.metadata_mut().namespace = namespace.into();
    }
}
