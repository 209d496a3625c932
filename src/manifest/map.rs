//! Building a map as kubectl does: the last of several equal keys wins.

use std::borrow::Cow;
use std::collections::HashMap;

use super::node::MapEntry;

/// Up to this many entries a linear search beats hashing, and most maps stay below.
const LINEAR: usize = 24;

/// The entries of a map that is being read.
#[derive(Default)]
pub(super) struct MapBuilder<'a> {
    entries: Vec<MapEntry<'a>>,
    /// Which entries came through `<<`: to override those is what merging is for. Those behind its end did not, as in nearly every map.
    merged: Vec<bool>,
    /// Where each key behind the first [`LINEAR`] is.
    index: Option<HashMap<Cow<'a, str>, usize>>,
}

impl<'a> MapBuilder<'a> {
    /// Adds an entry that is written in the map itself.
    pub(super) fn insert(&mut self, entry: MapEntry<'a>) {
        self.put(entry, false);
    }

    /// Adds an entry of a merged map. It replaces what is there already, as in go-yaml.
    pub(super) fn merge(&mut self, entry: MapEntry<'a>) {
        self.put(entry, true);
    }

    pub(super) fn finish(self) -> Vec<MapEntry<'a>> {
        self.entries
    }

    fn put(&mut self, mut entry: MapEntry<'a>, merged: bool) {
        let Some(at) = self.find(&entry.key) else {
            if self.entries.len() >= LINEAR {
                let index = self.index.get_or_insert_default();
                index.insert(entry.key.clone(), self.entries.len());
            }
            self.entries.push(entry);
            self.mark(self.entries.len() - 1, merged);
            return;
        };
        let was_merged = self.merged.get(at).copied().unwrap_or_default();
        let Some(old) = self.entries.get_mut(at) else { return };
        if !merged && !was_merged {
            entry.shadows = Some(old.shadows.unwrap_or(old.line));
        }
        *old = entry;
        self.mark(at, merged);
    }

    fn mark(&mut self, at: usize, merged: bool) {
        if merged && self.merged.len() <= at {
            self.merged.resize(at + 1, false);
        }
        if let Some(mark) = self.merged.get_mut(at) {
            *mark = merged;
        }
    }

    fn find(&self, key: &str) -> Option<usize> {
        let first = self.entries.iter().take(LINEAR).position(|entry| entry.key == key);
        first.or_else(|| self.index.as_ref()?.get(key).copied())
    }
}
