//! Objects of one kind, by name, by namespace and by what others look them up by.

use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, OrdSet};

use crate::model::{
    Autoscaler, Claim, ConfigMap, DisruptionBudget, Labels, Namespace, Object, Pod, PolicyDocument, Service,
    StatefulSet, Workload,
};

/// An object that can be found by more than its name.
pub(super) trait Indexed: Object + Clone + PartialEq {
    /// The keys it is found by within its namespace.
    fn keys(&self) -> Vec<IndexKey<'_>>;
}

/// What an object can be found by, beside its name.
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
    /// The release and the replica set that it names.
    ReplicaSet(&'a str, &'a str),
    /// The set that it scales.
    Scales(&'a str),
}

/// Objects of one kind over all namespaces. A copy costs nothing and a change costs the logarithm of the size, whatever
/// shares the rest: the maps are persistent.
///
/// Keys are `NAMESPACE NUL NAME`. No part can hold a NUL: the API server refuses it. The index has a hash of namespace and key
/// beside the object's own key, so that what belongs together is one range, by name: an object has many keys, and spelt out they
/// would take more memory than the object.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    objects: OrdMap<Arc<str>, Arc<T>>,
    index: OrdSet<(u64, Arc<str>)>,
    /// Before every name.
    first: Arc<str>,
    /// With a secret of its own, as for any hash over names that others choose.
    hasher: RandomState,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            objects: OrdMap::new(),
            index: OrdSet::new(),
            first: Arc::default(),
            hasher: RandomState::new(),
        }
    }
}

impl<T: Indexed> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        self.objects.get(&*join(&[namespace, name])).map(|object| &**object)
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
        let prefix = join(&[namespace, ""]);
        let entries = self.objects.range::<_, str>((Bound::Included(&*prefix), Bound::Unbounded));
        let entries = entries.take_while(|(key, _)| key.starts_with(&*prefix));
        entries.map(|(_, object)| &**object).collect()
    }

    /// The objects of `namespace` that have `key` among their keys, by name.
    pub(super) fn by_key(&self, namespace: &str, key: IndexKey<'_>) -> Vec<&T> {
        self.each_by_key(namespace, key).collect()
    }

    /// The objects of `namespace` that have the rarest of `keys`, by name; all of them where there are no keys. No more than that
    /// many are looked at for each key.
    pub(super) fn by_rarest_key<'k>(
        &self,
        namespace: &str,
        keys: impl Iterator<Item = IndexKey<'k>>,
    ) -> Vec<&T> {
        let mut lists: Vec<_> = keys.map(|key| (self.each_by_key(namespace, key), Vec::new())).collect();
        if lists.is_empty() {
            return self.by_key(namespace, IndexKey::AnyLabel);
        }
        loop {
            for (remaining, found) in &mut lists {
                match remaining.next() {
                    Some(object) => found.push(object),
                    None => return std::mem::take(found),
                }
            }
        }
    }

    /// The objects of `namespace` that have `key` among their keys, by name, found one after the other.
    pub(super) fn each_by_key(&self, namespace: &str, key: IndexKey<'_>) -> impl Iterator<Item = &T> {
        // Of most kinds there is nothing, and a hash is not needed to see that.
        let hash = (!self.index.is_empty()).then(|| self.hash(namespace, key));
        let from = hash.map(|hash| (Bound::Included((hash, Arc::clone(&self.first))), Bound::Unbounded));
        let entries = from.into_iter().flat_map(|from| self.index.range(from));
        let names = entries.take_while(move |(other, _)| Some(*other) == hash).map(|(_, name)| name);
        let found = names.filter_map(|name| self.objects.get(&**name)).map(|object| &**object);
        found.filter(move |object| *object.metadata().namespace == *namespace)
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
            self.index.insert((self.hash(&object.metadata().namespace, index), Arc::clone(&key)));
        }
        self.objects.insert(key, object);
    }

    /// Takes an object out, if it is there.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        let key = join(&[namespace, name]);
        if let Some((key, old)) = self.objects.remove_with_key(&*key) {
            for index in old.keys() {
                self.index.remove(&(self.hash(namespace, index), Arc::clone(&key)));
            }
        }
    }

    fn hash(&self, namespace: &str, key: IndexKey<'_>) -> u64 {
        self.hasher.hash_one((namespace, key))
    }
}

fn join(parts: &[&str]) -> String {
    parts.join("\0")
}

/// A selector is filed under one of its labels: whatever it selects has that label.
pub(super) fn selector_key(labels: &Labels) -> IndexKey<'_> {
    labels.iter().next().map_or(IndexKey::AnyLabel, |(key, value)| IndexKey::Label(key, value))
}

impl Indexed for StatefulSet {
    fn keys(&self) -> Vec<IndexKey<'_>> {
        let labels = self.spec.template.labels().iter().map(|(key, value)| IndexKey::Label(key, value));
        let mut keys: Vec<IndexKey<'_>> = labels.collect();
        keys.push(IndexKey::GoverningService(&self.spec.service_name));
        keys.extend(self.ensemble().map(IndexKey::Ensemble));
        keys.extend(self.operator().map(|owner| IndexKey::Owner(&owner.kind, &owner.name)));
        keys.extend(self.named_group().map(|(instance, name)| IndexKey::ReplicaSet(instance, name)));
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
        self.scaled_set().map(IndexKey::Scales).into_iter().collect()
    }
}
