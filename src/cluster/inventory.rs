//! A snapshot from manifests, with the place each object was read from.

mod found;
mod names;
mod objects;
mod parse;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

pub use self::found::Found;
use self::names::name_of;
pub use self::names::{ObjectName, by_ref};
use self::objects::FileObject;
pub use self::objects::{FileObjects, KeepValues, ManifestRecord};
use super::{Cluster, ClusterObject, Kind, SharedParts};
pub use crate::manifest::Position;
use crate::manifest::{Note, Source};
use crate::model::StatefulSet;

/// The objects of some manifests, as far as they matter here.
#[derive(Debug, Default)]
pub struct Inventory {
    items: Vec<InventoryObject>,
    notes: Vec<Note>,
    /// For each note, the unit it belongs to: in their order, as they were read.
    note_units: Vec<usize>,
    units: Vec<Unit>,
    definitions: Vec<Definition>,
    /// The namespace of objects that name none.
    default_namespace: Box<str>,
    /// Whether the command line gives that namespace.
    namespace_is_given: bool,
    /// The items in the order of their names; made when it is first asked for.
    by_name: OnceLock<Vec<u32>>,
    shared: SharedParts,
}

/// Objects that are applied together: an argument of the command line, or a rendered kustomization or chart.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// The name in the report.
    pub name: Box<str>,
    pub kind: UnitKind,
}

/// The kind of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnitKind {
    /// An argument: files as they are.
    #[default]
    Files,
    Kustomization,
    /// A chart, whose release says the namespace of its objects.
    Chart,
}

impl UnitKind {
    /// Whether its files are the output of one renderer: they are never alternatives to each other.
    pub fn is_rendered(self) -> bool {
        self != Self::Files
    }

    /// The name of a unit that lies in a folder.
    pub fn unit_name(self, folder: &str) -> String {
        format!("{folder}{}", self.suffix())
    }

    /// The folder in the name of a unit that was rendered.
    pub fn rendered_folder(name: &str) -> Option<&str> {
        [Self::Kustomization, Self::Chart].into_iter().find_map(|kind| name.strip_suffix(kind.suffix()))
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Files => "",
            Self::Kustomization => " (kustomization)",
            Self::Chart => " (chart)",
        }
    }
}

/// An object of whatever kind, as far as it takes to see that two files define the same one.
#[derive(Clone, Debug)]
pub struct Definition {
    pub unit: usize,
    pub file: Arc<Source>,
    pub line: u32,
    pub column: u32,
    /// API group, kind, namespace and name.
    pub key: Box<str>,
    /// The object among `items`, where it is of a kind that the rules look at.
    pub item: Option<usize>,
    /// Whether the manifest itself says the namespace; a Namespace is its own.
    pub has_namespace: bool,
    /// Namespaces are written beside every variant of an application: they make no alternatives.
    pub is_namespace: bool,
}

/// An object and where it was written.
#[derive(Debug)]
struct InventoryObject {
    manifest: ManifestRecord,
    object: ClusterObject,
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

    /// Starts a unit: objects that are added from here on are applied apart from those before.
    pub fn begin(&mut self, unit: Unit) {
        self.units.push(unit);
    }

    /// Reads one source, adding its objects and what else there is to say of it.
    pub fn add(&mut self, source: &Arc<Source>) {
        self.add_read(FileObjects::read(source, &source.text(), KeepValues::Yes));
    }

    /// Adds what has been read of a source.
    pub fn add_read(&mut self, file: FileObjects) {
        for note in file.notes {
            self.add_note(note);
        }
        for object in file.objects {
            let mut definition = self.definition(&object);
            definition.item = object.model.map(|model| self.add_item(object.manifest, model));
            self.definitions.push(definition);
        }
    }

    /// Adds what is to be said of a source that gave no manifest.
    pub fn add_note(&mut self, note: Note) {
        let unit = self.unit();
        self.notes.push(note);
        self.note_units.push(unit);
    }

    /// Notes on texts that were skipped or could not be read.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The notes that belong to some of [`Inventory::units`].
    pub fn notes_of(&self, units: Range<usize>) -> &[Note] {
        let start = self.note_units.partition_point(|unit| *unit < units.start);
        let end = self.note_units.partition_point(|unit| *unit < units.end);
        self.notes.get(start..end).unwrap_or_default()
    }

    /// How many objects were read, of whatever kind.
    pub fn objects(&self) -> usize {
        self.definitions.len()
    }

    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Every object that was read, in that order.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    fn unit(&mut self) -> usize {
        if self.units.is_empty() {
            self.units.push(Unit::default());
        }
        self.units.len() - 1
    }

    fn definition(&mut self, object: &FileObject) -> Definition {
        let FileObject { manifest, kind, name, .. } = object;
        let unit = self.unit();
        let group = manifest.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        let namespace = manifest.namespace.as_deref().unwrap_or(&self.default_namespace);
        // An object without a name (`generateName`) is never the same as another.
        let number = self.definitions.len().to_string();
        let name = name.as_deref().unwrap_or(&number);
        let is_namespace = group.is_empty() && &**kind == "Namespace";
        let (line, column) = manifest.start;
        Definition {
            unit,
            file: Arc::clone(&manifest.file),
            line,
            column,
            key: [group, kind, namespace, name].join("\0").into(),
            item: None,
            has_namespace: manifest.namespace.is_some() || is_namespace,
            is_namespace,
        }
    }

    /// Adds an object of a kind that the rules look at.
    fn add_item(&mut self, manifest: ManifestRecord, mut object: ClusterObject) -> usize {
        if object.metadata().namespace.is_empty() {
            move_to(&mut object, &self.default_namespace);
        }
        self.shared.share(&mut object);
        let index = self.items.len();
        self.by_name = OnceLock::new();
        self.items.push(InventoryObject { manifest, object });
        index
    }

    /// The StatefulSets, in the order in which they were read, each with where and how it is written.
    pub fn sets(&self) -> impl Iterator<Item = (&StatefulSet, &ManifestRecord)> {
        self.items.iter().filter_map(|item| match &item.object {
            ClusterObject::StatefulSet(set) => Some((&**set, &item.manifest)),
            _ => None,
        })
    }

    /// An object by its place in the order in which they were read.
    pub fn item(&self, index: usize) -> Option<Found<'_>> {
        self.items.get(index).map(|InventoryObject { manifest, object }| Found { manifest, object })
    }

    /// How many objects of kinds that the rules look at there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// All objects together as a snapshot: what is not in it does not exist, unless something could not be read that may hold
    /// it. Of objects with one name the last counts, as it does to kubectl.
    pub fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::default();
        for kind in Kind::written() {
            let hidden = self.notes.iter().any(|note| note.hides.contains(&kind.name()));
            cluster.set_complete(kind, !hidden);
        }
        self.insert_into(&mut cluster, 0..self.items.len());
        let items: Vec<usize> = (0..self.items.len()).collect();
        self.join_namespaces(&mut cluster, &items);
        cluster
    }

    /// Objects that name no namespace are applied into one that only the command line says. Where all others of a context name
    /// the same one and the command line is silent, it will be that: objects of both sorts see each other. `items` are the
    /// objects of the context.
    pub fn join_namespaces(&self, cluster: &mut Cluster, items: &[usize]) {
        let items = || items.iter().filter_map(|index| self.items.get(*index));
        let named: BTreeSet<&str> = items().filter_map(|item| item.manifest.namespace.as_deref()).collect();
        let mut named = named.into_iter();
        let (Some(only), None, false) = (named.next(), named.next(), self.namespace_is_given) else { return };
        let present: BTreeSet<ObjectName> = items().map(|item| name_of(&item.object)).collect();
        let is_budget = |item: &&InventoryObject| matches!(item.object, ClusterObject::DisruptionBudget(_));
        let (budgets, others): (Vec<&InventoryObject>, Vec<&InventoryObject>) = items().partition(is_budget);
        for item in others.into_iter().chain(budgets) {
            let other = if item.manifest.namespace.is_some() { &*self.default_namespace } else { only };
            let mut twin = item.object.clone();
            move_to(&mut twin, other);
            if !present.contains(&name_of(&twin)) && !overlaps(cluster, &twin) {
                twin.insert_into(cluster);
            }
        }
    }

    /// Puts some objects into a snapshot. Of objects with one name the last counts, as it does to kubectl.
    pub fn insert_into(&self, cluster: &mut Cluster, items: impl IntoIterator<Item = usize>) {
        for item in items.into_iter().filter_map(|index| self.items.get(index)) {
            item.object.clone().insert_into(cluster);
        }
    }

    /// The namespace of objects that name none.
    pub fn default_namespace(&self) -> &str {
        &self.default_namespace
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

fn move_to(object: &mut ClusterObject, namespace: &str) {
    if object.kind().facts().is_namespaced {
        object.metadata_mut().namespace = namespace.into();
    }
}
