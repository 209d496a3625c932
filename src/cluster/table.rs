//! Objects of one kind, by name, by namespace and by what others look them up by.

use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::model::{Autoscaler, DisruptionBudget, Labels, Object, Service, StatefulSet};

/// An object that can be found by more than its name.
pub(super) trait Indexed: Object + Clone {
    /// The keys it is found by within its namespace.
    fn keys(&self) -> Vec<String>;
}

/// Objects of one kind over all namespaces. A copy costs nothing and a change costs the logarithm of the size, whatever
/// shares the rest: the maps are persistent.
///
/// Keys are `NAMESPACE NUL NAME`, and `NAMESPACE NUL KEY NUL NAME` in the index, so that what belongs together is one
/// range. No part can hold a NUL: the API server refuses it.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    objects: OrdMap<Box<str>, Arc<T>>,
    index: OrdSet<Box<str>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { objects: OrdMap::new(), index: OrdSet::new() }
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

    /// The objects of `namespace` that have `key` among their keys, by name.
    pub(super) fn by_key(&self, namespace: &str, key: &str) -> Vec<&T> {
        let prefix = join(&[namespace, key, ""]);
        let entries = self.index.range::<_, str>((Bound::Included(&*prefix), Bound::Unbounded));
        let names = entries.map_while(|entry| entry.strip_prefix(&*prefix));
        names.filter_map(|name| self.get(namespace, name)).collect()
    }

    pub(super) fn insert(&mut self, object: T) {
        let (namespace, name) = (&*object.metadata().namespace, &*object.metadata().name);
        let key = join(&[namespace, name]).into_boxed_str();
        self.unindex(&key);
        for index in object.keys() {
            self.index.insert(join(&[namespace, &index, name]).into_boxed_str());
        }
        self.objects.insert(key, Arc::new(object));
    }

    /// Takes an object out, if it is there.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        let key = join(&[namespace, name]);
        self.unindex(&key);
        self.objects.remove(&*key);
    }

    fn unindex(&mut self, key: &str) {
        let Some(old) = self.objects.get(key) else { return };
        let (namespace, name) = (&*old.metadata().namespace, &*old.metadata().name);
        for index in old.keys() {
            self.index.remove(&*join(&[namespace, &index, name]));
        }
    }
}

fn join(parts: &[&str]) -> String {
    parts.join("\0")
}

/// The index key of a label.
pub(super) fn label_key((key, value): (&str, &str)) -> String {
    format!("label {key}={value}")
}

/// The index key of what selects by something other than a plain label.
pub(super) const ANY_LABEL: &str = "label";

/// The index key of the sets that a Service governs.
pub(super) fn service_key(service: &str) -> String {
    format!("service {service}")
}

/// The index key of the sets of an ensemble.
pub(super) fn ensemble_key(ensemble: &str) -> String {
    format!("ensemble {ensemble}")
}

/// The index key of what scales a set.
pub(super) fn scaler_key(set: &str) -> String {
    format!("scales {set}")
}

/// A selector is filed under one of its labels: whatever it selects has that label.
fn selector_key(labels: &Labels) -> String {
    labels.iter().next().map_or_else(|| ANY_LABEL.to_owned(), label_key)
}

impl Indexed for StatefulSet {
    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.spec.template.labels().iter().map(label_key).collect();
        keys.push(service_key(&self.spec.service_name));
        keys.extend(self.ensemble().map(ensemble_key));
        keys.push(ANY_LABEL.to_owned());
        keys
    }
}

impl Indexed for Service {
    fn keys(&self) -> Vec<String> {
        vec![selector_key(&self.spec.selector)]
    }
}

impl Indexed for DisruptionBudget {
    fn keys(&self) -> Vec<String> {
        self.spec.selector.iter().map(|selector| selector_key(&selector.match_labels)).collect()
    }
}

impl Indexed for Autoscaler {
    fn keys(&self) -> Vec<String> {
        self.scaled_set().map(scaler_key).into_iter().collect()
    }
}
