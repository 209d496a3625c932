//! Objects of one kind, by name, by namespace and by what others look them up by.

use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::{DiffItem, Entry};

use super::names::KeySet;
use crate::model::{
    Autoscaler, Claim, ConfigMap, DisruptionBudget, Labels, Namespace, Object, Pod, PolicyDocument, Service,
    StatefulSet, Workload,
};

/// An object that can be found by more than its name.
pub(super) trait Indexed: Object + Clone + PartialEq {
    /// The keys it is found by within its namespace.
    fn keys(&self) -> Vec<IndexKey<'_>>;
}

/// The keys by which an object can be found, beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum IndexKey<'a> {
    /// A label of the pods, or one that a selector asks for.
    Label(&'a str, &'a str),
    /// That it may select, or be selected by, something other than a plain label.
    AnyLabel,
    /// A selector that asks for labels that pods only get while they run.
    RunTimeLabels,
    /// The Service that governs it.
    GoverningService(&'a str),
    /// The ensemble it is a part of.
    Ensemble(&'a str),
    /// Kind and name of the custom resource that owns it.
    Owner(&'a str, &'a str),
    /// The release, empty where it names none, and the replica set that it names.
    ReplicaSet(&'a str, &'a str),
    /// The cluster that it names, as Elasticsearch does.
    Cluster(&'a str),
    /// The name of what it scales.
    Scales(&'a str),
}

/// Objects of one kind over all namespaces. A copy costs nothing and a change costs the logarithm of the size, whatever
/// shares the rest: the maps are persistent.
///
/// Keys are `NAMESPACE NUL NAME`. No part can hold a NUL: the API server refuses it. The index has the keys of the objects by a
/// hash of namespace and what they are found by: an object is found by many things, and spelt out they would take more memory than
/// the object.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    objects: OrdMap<Arc<str>, Arc<T>>,
    index: OrdMap<u64, KeySet>,
    /// With a secret of its own, as for any hash over names that others choose.
    hasher: RandomState,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { objects: OrdMap::new(), index: OrdMap::new(), hasher: RandomState::new() }
    }
}

impl<T: Indexed> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        // Many kinds have no objects.
        if self.objects.is_empty() {
            return None;
        }
        with_joined(namespace, name, |key| self.objects.get(key)).map(|object| &**object)
    }

    /// Every object, by namespace and name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.objects.values().map(|object| &**object)
    }

    /// Every object, to be shared.
    pub(super) fn shared(&self) -> impl Iterator<Item = &Arc<T>> {
        self.objects.values()
    }

    /// The objects of `namespace`, by name.
    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<&T> {
        self.each_in_namespace(namespace).collect()
    }

    /// The objects, found one after the other.
    pub(super) fn each_in_namespace(&self, namespace: &str) -> impl Iterator<Item = &T> {
        let prefix = join(&[namespace, ""]);
        let entries = self.objects.range::<_, str>((Bound::Included(&*prefix), Bound::Unbounded));
        let entries = entries.take_while(move |(key, _)| key.starts_with(&*prefix));
        entries.map(|(_, object)| &**object)
    }

    /// The objects of `namespace` that have `key` among their keys, by name.
    pub(super) fn by_key(&self, namespace: &str, key: IndexKey<'_>) -> Vec<&T> {
        self.each_by_key(namespace, key).collect()
    }

    /// The objects of `namespace` that have the rarest of `keys`, by name, found one after the other; all of them where there are
    /// no keys.
    pub(super) fn each_by_rarest_key<'k>(
        &self,
        namespace: &str,
        keys: impl Iterator<Item = IndexKey<'k>>,
    ) -> impl Iterator<Item = &T> {
        let mut lists = keys.map(|key| self.names(namespace, key)).peekable();
        let names = match lists.peek() {
            Some(_) => lists.min_by_key(|names| names.map_or(0, KeySet::len)).flatten(),
            None => self.names(namespace, IndexKey::AnyLabel),
        };
        self.named(namespace, names)
    }

    /// The objects of `namespace` that have `key` among their keys, by name, found one after the other.
    pub(super) fn each_by_key(&self, namespace: &str, key: IndexKey<'_>) -> impl Iterator<Item = &T> {
        self.named(namespace, self.names(namespace, key))
    }

    fn names(&self, namespace: &str, key: IndexKey<'_>) -> Option<&KeySet> {
        // A hash is not needed to see that there is nothing.
        if self.index.is_empty() { None } else { self.index.get(&self.hash(namespace, key)) }
    }

    /// Two keys may have the same hash: an object of another namespace may be among the names.
    fn named<'a>(&'a self, namespace: &str, names: Option<&'a KeySet>) -> impl Iterator<Item = &'a T> {
        let found = names.into_iter().flat_map(KeySet::iter).filter_map(|name| self.objects.get(&**name));
        found.map(|object| &**object).filter(move |object| *object.metadata().namespace == *namespace)
    }

    /// The keys of the objects that are new, different or gone since `older`. What both share is not looked at.
    pub(super) fn changed_since<'a>(&'a self, older: &'a Self) -> impl Iterator<Item = &'a str> {
        older.objects.diff(&self.objects).map(|item| match item {
            DiffItem::Add(key, _) | DiffItem::Update { new: (key, _), .. } | DiffItem::Remove(key, _) => {
                &**key
            }
        })
    }

    /// Takes an object over from an older table, if it is there and the same: most of a list is what was known before.
    pub(super) fn take_over(&mut self, older: &Self, object: Arc<T>) {
        let (namespace, name) = (&*object.metadata().namespace, &*object.metadata().name);
        match older.objects.get_key_value(&*join(&[namespace, name])) {
            Some((key, known)) if *known == object => self.insert_as(Arc::clone(key), Arc::clone(known)),
            _ => self.insert(object),
        }
    }

    /// Whether nothing has happened to it since it was a copy of the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.objects.ptr_eq(&other.objects)
    }

    /// Whether it has this very object.
    pub(super) fn contains(&self, object: &T) -> bool {
        let metadata = object.metadata();
        self.get(&metadata.namespace, &metadata.name) == Some(object)
    }

    pub(super) fn insert(&mut self, object: Arc<T>) {
        let (namespace, name) = (&*object.metadata().namespace, &*object.metadata().name);
        let (key, keys) = (join(&[namespace, name]), object.keys());
        if let Some(old) = self.objects.get_mut(&*key)
            && old.keys() == keys
        {
            *old = object;
            return;
        }
        self.remove(namespace, name);
        self.insert_as(key.into(), object);
    }

    /// Adds an object that is not there.
    fn insert_as(&mut self, key: Arc<str>, object: Arc<T>) {
        for index in object.keys() {
            match self.index.entry(self.hash(&object.metadata().namespace, index)) {
                Entry::Occupied(mut names) => names.get_mut().insert(&key),
                Entry::Vacant(vacant) => drop(vacant.insert(KeySet::One(Arc::clone(&key)))),
            }
        }
        self.objects.insert(key, object);
    }

    /// Takes an object out, if it is there.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        let key = join(&[namespace, name]);
        if let Some((key, old)) = self.objects.remove_with_key(&*key) {
            for index in old.keys() {
                let hash = self.hash(namespace, index);
                if self.index.get_mut(&hash).is_some_and(|names| names.remove(&key)) {
                    self.index.remove(&hash);
                }
            }
        }
    }

    /// Takes out the objects of which `is_there` is not true of namespace and name.
    pub(super) fn retain(&mut self, is_there: &dyn Fn(&str, &str) -> bool) {
        let names = self.iter().map(Object::metadata).map(|metadata| (&*metadata.namespace, &*metadata.name));
        let gone: Vec<(String, String)> = names
            .filter(|(namespace, name)| !is_there(namespace, name))
            .map(|(one, two)| (one.to_owned(), two.to_owned()))
            .collect();
        for (namespace, name) in gone {
            self.remove(&namespace, &name);
        }
    }

    fn hash(&self, namespace: &str, key: IndexKey<'_>) -> u64 {
        self.hasher.hash_one((namespace, key))
    }
}

fn join(parts: &[&str]) -> String {
    parts.join("\0")
}

/// Namespaces and names together are hardly ever longer.
const MOST_JOINED: usize = 256;

/// Calls `look` with what [`join`] gives, for which no memory is allocated.
fn with_joined<T>(namespace: &str, name: &str, look: impl FnOnce(&str) -> T) -> T {
    let mut room = [0; MOST_JOINED];
    let (start, end) = (namespace.len() + 1, namespace.len() + 1 + name.len());
    if end > MOST_JOINED {
        return look(&join(&[namespace, name]));
    }
    room[..start - 1].copy_from_slice(namespace.as_bytes());
    room[start..end].copy_from_slice(name.as_bytes());
    match str::from_utf8(&room[..end]) {
        Ok(key) => look(key),
        Err(_) => look(&join(&[namespace, name])),
    }
}

/// A selector is filed under one of its labels: whatever it selects has that label. The fewer objects have it, the less there is
/// to look through.
pub(super) fn selector_key(labels: &Labels) -> IndexKey<'_> {
    let rarest = labels.iter().min_by_key(|(key, _)| commonness(key));
    rarest.map_or(IndexKey::AnyLabel, |(key, value)| IndexKey::Label(key, value))
}

/// The number of objects in one namespace that may share a value of a label.
fn commonness(key: &str) -> u8 {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    match name {
        "instance" | "release" | "pod-name" => 0,
        "component" | "managed-by" | "part-of" | "role" | "tier" => 2,
        _ => 1,
    }
}

impl Indexed for StatefulSet {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        let labels = self.spec.template.labels().iter().map(|(key, value)| IndexKey::Label(key, value));
        let mut keys: Vec<IndexKey<'_>> = labels.collect();
        keys.push(IndexKey::GoverningService(&self.spec.service_name));
        keys.extend(self.ensemble().map(IndexKey::Ensemble));
        keys.extend(self.operator().map(|owner| IndexKey::Owner(&owner.kind, &owner.name)));
        let release = self.instance().unwrap_or_default();
        keys.extend(self.replica_set_name().map(|name| IndexKey::ReplicaSet(release, name)));
        keys.extend(self.cluster_name().map(IndexKey::Cluster));
        keys.push(IndexKey::AnyLabel);
        keys
    }
}

impl Indexed for Service {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        vec![selector_key(&self.spec.selector)]
    }
}

impl Indexed for DisruptionBudget {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        let Some(selector) = &self.spec.selector else { return Vec::new() };
        let at_run_time = selector.depends_on_run_time().then_some(IndexKey::RunTimeLabels);
        [selector_key(&selector.match_labels)].into_iter().chain(at_run_time).collect()
    }
}

impl Indexed for Workload {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        let labels = self.labels().iter().map(|(key, value)| IndexKey::Label(key, value));
        labels.chain([IndexKey::AnyLabel]).collect()
    }
}

impl Indexed for Namespace {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        Vec::new()
    }
}

impl Indexed for Claim {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        Vec::new()
    }
}

impl Indexed for ConfigMap {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        Vec::new()
    }
}

impl Indexed for Pod {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        Vec::new()
    }
}

impl Indexed for PolicyDocument {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        Vec::new()
    }
}

impl Indexed for Autoscaler {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        vec![IndexKey::Scales(&self.spec.scale_target_ref.name)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_filed_under_the_label_that_the_fewest_have() {
        for (labels, rarest) in [
            (
                &[
                    ("app.kubernetes.io/component", "server"),
                    ("app.kubernetes.io/instance", "a"),
                    ("app", "b"),
                ][..],
                IndexKey::Label("app.kubernetes.io/instance", "a"),
            ),
            (&[("tier", "db"), ("app", "b"), ("name", "c")], IndexKey::Label("app", "b")),
            (&[("role", "db")], IndexKey::Label("role", "db")),
            (&[], IndexKey::AnyLabel),
        ] {
            assert_eq!(selector_key(&labels.iter().copied().collect()), rarest, "{labels:?}");
        }
    }
}
