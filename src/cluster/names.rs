//! The keys of the objects that are found by one thing.

use std::slice;
use std::sync::Arc;

use imbl::{OrdSet, ordset};

/// Keys in order, at least one. Nearly always they are few, and a change of many must not cost a copy of all.
#[derive(Clone, Debug)]
pub(super) enum KeySet {
    One(Arc<str>),
    Few(Arc<[Arc<str>]>),
    Many(OrdSet<Arc<str>>),
}

/// From here on they are many.
const MANY: usize = 32;

impl KeySet {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Few(names) => names.len(),
            Self::Many(names) => names.len(),
        }
    }

    pub(super) fn iter(&self) -> NamesIter<'_> {
        match self {
            Self::One(name) => NamesIter::Few(slice::from_ref(name).iter()),
            Self::Few(names) => NamesIter::Few(names.iter()),
            Self::Many(names) => NamesIter::Many(names.iter()),
        }
    }

    pub(super) fn insert(&mut self, name: &Arc<str>) {
        if let Self::Many(names) = self {
            names.insert(Arc::clone(name));
            return;
        }
        let (mut names, at) = (self.few(), self.iter().take_while(|known| *known < name).count());
        if names.get(at) != Some(name) {
            names.insert(at, Arc::clone(name));
            *self = Self::of(names);
        }
    }

    /// Takes one out; whether none is left.
    pub(super) fn remove(&mut self, name: &Arc<str>) -> bool {
        match self {
            Self::Many(names) => {
                names.remove(name);
                if names.len() <= MANY / 2 {
                    *self = Self::of(self.few());
                }
                false
            }
            Self::One(only) => only == name,
            Self::Few(_) => {
                let mut names = self.few();
                names.retain(|known| known != name);
                *self = Self::of(names);
                false
            }
        }
    }

    fn few(&self) -> Vec<Arc<str>> {
        self.iter().cloned().collect()
    }

    fn of(names: Vec<Arc<str>>) -> Self {
        match &names[..] {
            [only] => Self::One(Arc::clone(only)),
            _ if names.len() < MANY => Self::Few(names.into()),
            _ => Self::Many(names.into()),
        }
    }
}

/// Keys in order.
pub(super) enum NamesIter<'a> {
    Few(slice::Iter<'a, Arc<str>>),
    Many(ordset::Iter<'a, Arc<str>, imbl::shared_ptr::DefaultSharedPtr>),
}

impl<'a> Iterator for NamesIter<'a> {
    type Item = &'a Arc<str>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(names) => names.next(),
            Self::Many(names) => names.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_a_sorted_set(steps in proptest::collection::vec((any::<bool>(), 0..80_u32), 0..400)) {
            let (mut names, mut expected) = (None::<KeySet>, BTreeSet::new());
            for (inserts, number) in steps {
                let name: Arc<str> = format!("{number:03}").into();
                if inserts {
                    match &mut names {
                        Some(known) => known.insert(&name),
                        None => names = Some(KeySet::One(Arc::clone(&name))),
                    }
                    expected.insert(name);
                } else {
                    if names.as_mut().is_some_and(|known| known.remove(&name)) {
                        names = None;
                    }
                    expected.remove(&name);
                }
                let found: Vec<Arc<str>> = names.iter().flat_map(KeySet::iter).cloned().collect();
                prop_assert_eq!(names.as_ref().map_or(0, KeySet::len), expected.len());
                prop_assert_eq!(found, expected.iter().cloned().collect::<Vec<_>>());
            }
        }
    }
}
