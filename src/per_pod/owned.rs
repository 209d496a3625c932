//! The Services with our label, by the set that the label names.

use std::collections::BTreeMap;

use super::plan::Seen;
use super::service::{OWNER_LABEL, PerPodService};

/// Namespace and name of a set.
pub type SetKey = (Box<str>, Box<str>);

/// The Services that have been seen, by set.
#[derive(Debug, Default)]
pub struct Owned {
    sets: BTreeMap<SetKey, Seen>,
    /// The objects of a list that is not complete yet.
    staged: Option<BTreeMap<SetKey, Seen>>,
}

impl Owned {
    /// The Services made for the pods of a set.
    pub fn of(&self, namespace: &str, set: &str) -> Option<&Seen> {
        self.sets.get(&(namespace.into(), set.into()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sets.values().map(BTreeMap::len).sum()
    }

    /// A Service is new or different; the sets that it is news to.
    pub fn apply(&mut self, service: PerPodService) -> Vec<SetKey> {
        let mut news = self.delete(&service);
        let key = key(&service);
        if !news.contains(&key) {
            news.push(key.clone());
        }
        insert(&mut self.sets, key, service);
        news
    }

    /// A Service is gone, or has lost our label; the sets that it is news to.
    pub fn delete(&mut self, service: &PerPodService) -> Vec<SetKey> {
        let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
        // Nearly always it is where its label says, unless the label was changed.
        let expected = key(service);
        if let Some(seen) = self.sets.get_mut(&expected)
            && seen.remove(name).is_some()
        {
            if seen.is_empty() {
                self.sets.remove(&expected);
            }
            return vec![expected];
        }
        let here = (namespace.clone(), Box::default())..;
        let found = self.sets.range_mut(here).take_while(|(key, _)| key.0 == *namespace);
        let found: Vec<SetKey> =
            found.filter_map(|(key, seen)| seen.remove(name).map(|_| key.clone())).collect();
        self.sets.retain(|_, seen| !seen.is_empty());
        found
    }

    /// A list begins.
    pub fn listing(&mut self) {
        self.staged = Some(BTreeMap::new());
    }

    /// A Service of the list.
    pub fn listed(&mut self, service: PerPodService) {
        if let Some(staged) = &mut self.staged {
            let key = key(&service);
            insert(staged, key, service);
        }
    }

    /// The list is complete: what is not in it is gone. Gives the sets that anything is news to.
    pub fn complete(&mut self) -> Vec<SetKey> {
        let Some(staged) = self.staged.take() else { return Vec::new() };
        let before = std::mem::replace(&mut self.sets, staged);
        let changed = self.sets.iter().filter(|(key, seen)| before.get(*key) != Some(*seen));
        let gone = before.keys().filter(|key| !self.sets.contains_key(*key));
        changed.map(|(key, _)| key).chain(gone).cloned().collect()
    }
}

fn insert(sets: &mut BTreeMap<SetKey, Seen>, key: SetKey, service: PerPodService) {
    sets.entry(key).or_default().insert(service.metadata.name.clone(), service);
}

fn key(service: &PerPodService) -> SetKey {
    let set = service.metadata.labels.get(OWNER_LABEL).unwrap_or_default();
    (service.metadata.namespace.clone(), set.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(name: &str, set: &str) -> PerPodService {
        let labels = json!({"stateward.dev/service-per-pod": set});
        let metadata = json!({"namespace": "n", "name": name, "labels": labels});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn key(set: &str) -> SetKey {
        ("n".into(), set.into())
    }

    #[test]
    fn a_service_is_news_to_the_set_it_names_and_to_the_one_it_named() {
        let mut owned = Owned::default();
        assert_eq!(owned.apply(service("a-0", "a")), [key("a")]);
        assert_eq!(owned.apply(service("a-0", "a")), [key("a")]);
        assert_eq!(owned.apply(service("a-0", "b")), [key("a"), key("b")]);
        assert_eq!((owned.of("n", "a"), owned.count()), (None, 1));
        let mut unlabelled = service("a-0", "b");
        unlabelled.metadata.labels = crate::model::Labels::default();
        assert_eq!(owned.delete(&unlabelled), [key("b")]);
        assert_eq!(owned.count(), 0);
    }

    #[test]
    fn what_a_new_list_does_not_have_is_gone() {
        let mut owned = Owned::default();
        for name in ["a", "b", "c"] {
            owned.apply(service(&format!("{name}-0"), name));
        }
        owned.listing();
        owned.listed(service("a-0", "a"));
        owned.listed(service("b-1", "b"));
        assert_eq!(owned.count(), 3, "a list counts when it is complete");
        assert_eq!(owned.complete(), [key("b"), key("c")]);
        assert_eq!(owned.count(), 2);
    }
}
