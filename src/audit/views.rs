//! The snapshot that the objects of each context see.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use super::applied::taken_for_others;
use super::contexts::Contexts;
use crate::cluster::inventory::{Inventory, ObjectName, Position, UnitKind, by_ref};
use crate::cluster::{Cluster, Kind};
use crate::model::ObjectRef;

/// How often, on average, an object may be put into the one namespace that its context names. Alternatives that share thousands of
/// objects must not cost the product of both.
const MOST_TWINS: usize = 64;

/// Bytes of ConfigMaps that are copied into the sets that take them. Many sets may name one ConfigMap.
const MOST_TAKEN: usize = 16 << 20;

/// A snapshot for each context.
#[derive(Debug)]
pub(super) struct Views<'a> {
    inventory: &'a Inventory,
    contexts: &'a Contexts,
    clusters: Vec<Cluster>,
    /// The objects of each context, its parents aside, in the order of their names.
    named: Vec<Vec<u32>>,
}

impl<'a> Views<'a> {
    pub(super) fn of(inventory: &'a Inventory, contexts: &'a Contexts) -> Self {
        let mut views = Self { inventory, contexts, clusters: Vec::new(), named: Vec::new() };
        let mut builder = ViewBuilder::of(inventory, contexts);
        let mut plain: Vec<Cluster> = Vec::with_capacity(contexts.list.len());
        for (number, context) in contexts.list.iter().enumerate() {
            let base = match context.parent {
                Some(parent) => plain[parent].clone(),
                None => builder.joined(context.unit),
            };
            let mut cluster = base;
            inventory.insert_into(&mut cluster, context.own.iter().copied());
            builder.fill_environment(&mut cluster, &context.own);
            plain.push(cluster.clone());
            builder.finish(&mut cluster, number);
            views.clusters.push(cluster);
            views.named.push(inventory.sorted_by_name(context.own.iter().copied()));
        }
        views
    }

    /// The snapshot that the objects of this context see.
    pub(super) fn cluster(&self, context: usize) -> &Cluster {
        &self.clusters[context]
    }

    /// Where a field of an object is written, as it is seen from this context.
    pub(super) fn locate(&self, context: usize, object: &ObjectRef, path: &str) -> Option<Position> {
        let names = self.inventory.names_of(object);
        let seen = names.iter().find_map(|name| self.item_seen(context, name));
        let found = match seen {
            Some(item) => self.inventory.item(item),
            None => names.iter().find_map(|name| self.inventory.last_named(name)),
        };
        found.map(|found| found.manifest.position(path))
    }

    /// Whether an object of this name is seen from this context.
    pub(super) fn has(&self, context: usize, name: &ObjectName) -> bool {
        self.item_seen(context, name).is_some()
    }

    fn item_seen(&self, context: usize, name: &ObjectName) -> Option<usize> {
        let mut above = successors(Some(context), |context| self.contexts.list[*context].parent);
        // If several objects have one name, the last counts.
        above
            .find_map(|context| self.inventory.of_name(&self.named[context], by_ref(name)).last())
            .map(|item| *item as usize)
    }
}

/// The data from which the snapshots are built.
struct ViewBuilder<'a> {
    inventory: &'a Inventory,
    contexts: &'a Contexts,
    /// Whether the manifest of an item says its namespace.
    is_written: Vec<bool>,
    /// The objects of all units that share no object, in the namespaces that they write; and the same without the default one.
    shared: Cluster,
    shared_elsewhere: Cluster,
    /// Units that define what another one defines: they are alternatives.
    apart: BTreeSet<usize>,
    /// Units in which some manifest does not say its namespace.
    unwritten: BTreeSet<usize>,
    /// The kinds that a text which could not be read may hold, whatever its unit, in a namespace that others write.
    hidden: BTreeSet<&'static str>,
    /// By context, the namespaces that are written in it and above.
    namespaces: Vec<WrittenNamespaces<'a>>,
    twins_left: usize,
    taken_left: usize,
}

/// Which namespaces some manifests write.
#[derive(Clone, Copy, Default)]
struct WrittenNamespaces<'a> {
    only: Option<&'a str>,
    has_several: bool,
    has_unwritten: bool,
}

impl<'a> ViewBuilder<'a> {
    fn of(inventory: &'a Inventory, contexts: &'a Contexts) -> Self {
        let mut is_written = vec![false; inventory.len()];
        let mut unit_of: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut apart, mut unwritten) = (BTreeSet::new(), BTreeSet::new());
        for definition in inventory.definitions() {
            if let Some(item) = definition.item {
                is_written[item] = definition.has_namespace;
                if !definition.has_namespace {
                    unwritten.insert(definition.unit);
                }
            }
            if definition.has_namespace && !definition.is_namespace {
                let first = *unit_of.entry(&definition.key).or_insert(definition.unit);
                if first != definition.unit {
                    apart.extend([first, definition.unit]);
                }
            }
        }
        let mut builder = Self {
            inventory,
            contexts,
            is_written,
            shared: Cluster::default(),
            shared_elsewhere: Cluster::default(),
            apart,
            unwritten,
            hidden: hidden_from_others(inventory),
            namespaces: Vec::new(),
            twins_left: inventory.len().saturating_mul(MOST_TWINS),
            taken_left: MOST_TAKEN,
        };
        builder.fill_shared();
        builder
    }

    fn fill_shared(&mut self) {
        if self.inventory.units().len() < 2 {
            return;
        }
        for context in self.contexts.list.iter().filter(|context| context.parent.is_none()) {
            if self.apart.contains(&context.unit) {
                continue;
            }
            let written: Vec<usize> =
                context.own.iter().copied().filter(|item| self.is_written[*item]).collect();
            let default = self.inventory.default_namespace();
            let is_elsewhere =
                |item: &usize| self.inventory.item(*item).is_some_and(|found| &*found.name().1 != default);
            self.inventory
                .insert_into(&mut self.shared_elsewhere, written.iter().copied().filter(is_elsewhere));
            self.inventory.insert_into(&mut self.shared, written);
        }
    }

    /// The objects of other units that a unit sees. An object without a namespace must not meet theirs in the default one.
    fn joined(&self, unit: usize) -> Cluster {
        if self.apart.contains(&unit) {
            return Cluster::default();
        }
        let shared = if self.unwritten.contains(&unit) { &self.shared_elsewhere } else { &self.shared };
        shared.clone()
    }

    /// Writes into sets what they take from ConfigMaps: sets that list each other there are one group.
    fn fill_environment(&mut self, cluster: &mut Cluster, items: &[usize]) {
        for set in items.iter().filter_map(|item| self.inventory.item(*item)?.set()) {
            let Some(taken) = taken_for_others(set, cluster) else { continue };
            if let Some(left) = self.taken_left.checked_sub(taken.bytes()) {
                self.taken_left = left;
                cluster.insert(set.with_taken(taken));
            }
        }
    }

    /// Says what is known completely, and lets objects without a namespace see the others of their context.
    fn finish(&mut self, cluster: &mut Cluster, number: usize) {
        let written = self.written(number);
        self.namespaces.push(written);
        let chain = || successors(Some(number), |context| self.contexts.list[*context].parent);
        let meets_others =
            self.inventory.units().len() > 1 && (written.only.is_some() || written.has_several);
        for kind in Kind::written() {
            let is_hidden = meets_others && self.hidden.contains(kind.name())
                || chain().any(|context| self.contexts.list[context].hidden.contains(kind.name()));
            cluster.set_complete(kind, !is_hidden);
        }
        if written.has_unwritten && !written.has_several && written.only.is_some() {
            let items: Vec<usize> =
                chain().flat_map(|context| &self.contexts.list[context].own).copied().collect();
            if let Some(left) = self.twins_left.checked_sub(items.len()) {
                self.twins_left = left;
                self.inventory.join_namespaces(cluster, &items);
            }
        }
    }

    fn written(&self, number: usize) -> WrittenNamespaces<'a> {
        let context = &self.contexts.list[number];
        let mut written = context.parent.map(|parent| self.namespaces[parent]).unwrap_or_default();
        for found in context.own.iter().filter_map(|item| self.inventory.item(*item)) {
            match (found.manifest.namespace.as_deref(), written.only) {
                (None, _) => written.has_unwritten = true,
                (Some(namespace), Some(only)) => written.has_several |= namespace != only,
                (namespace, None) => written.only = namespace,
            }
        }
        written
    }
}

/// A chart that could not be rendered hides nothing from others: it hardly ever writes a namespace, its release has one.
fn hidden_from_others(inventory: &Inventory) -> BTreeSet<&'static str> {
    let units = inventory.units().iter().enumerate().filter(|(_, unit)| unit.kind != UnitKind::Chart);
    let notes = units.flat_map(|(number, _)| inventory.notes_of(number..number.saturating_add(1)));
    notes.flat_map(|note| note.hides.iter().copied()).collect()
}
