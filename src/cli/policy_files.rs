//! The files of policies of a running server, and the last version of each in which nothing was wrong.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::policies::{Loaded, PolicySource};
use super::sources;
use crate::manifest::Source;

/// Files of policies, and the last version of each in which nothing was wrong.
pub(super) struct PolicyFiles {
    paths: Vec<PathBuf>,
    /// The text of standard input, which can be read once only.
    standard_input: Vec<PolicySource>,
    good: BTreeMap<String, Arc<Source>>,
}

impl PolicyFiles {
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let (standard_input, paths): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.iter().cloned().partition(|path| path.as_os_str() == "-");
        let standard_input = sources::open(&standard_input).collect();
        Self { paths, standard_input, good: BTreeMap::new() }
    }

    /// Whether there are files that may change.
    pub(super) fn may_change(&self) -> bool {
        !self.paths.is_empty()
    }

    pub(super) fn read(&self) -> Vec<PolicySource> {
        self.standard_input.iter().cloned().chain(sources::open(&self.paths)).collect()
    }

    /// The policies of each file, or of its last good version where something in it is wrong now; and what is wrong.
    pub(super) fn load(&mut self, sources: &[PolicySource], now: Timestamp) -> Loaded {
        self.forget_deleted(sources);
        let mut all = Loaded::default();
        for source in sources {
            let mut loaded = Loaded::of(source, now);
            match source {
                Ok(source) if loaded.errors.is_empty() => {
                    self.good.insert(source.name.clone(), Arc::clone(source));
                }
                Ok(source) => {
                    if let Some(good) = self.good.get(&source.name) {
                        let errors = loaded.errors;
                        loaded = Loaded { errors, ..Loaded::of(&Ok(Arc::clone(good)), now) };
                    }
                }
                Err(note) => {
                    for good in self.good.values().filter(|good| is_under(&good.name, &note.file.name)) {
                        let good = Loaded::of(&Ok(Arc::clone(good)), now);
                        loaded.extend(Loaded { errors: Vec::new(), ..good });
                    }
                }
            }
            all.extend(loaded);
        }
        all
    }

    /// A file that is not there any more takes its policies along, unless a path that was named cannot be read.
    fn forget_deleted(&mut self, sources: &[PolicySource]) {
        let is_kept = |name: &String| {
            sources.iter().any(|source| match source {
                Ok(source) => source.name == *name,
                Err(note) => is_under(name, &note.file.name),
            })
        };
        self.good.retain(|name, _| is_kept(name));
    }
}

/// Whether a file is this one, or lies in this folder.
fn is_under(file: &str, path: &str) -> bool {
    Path::new(file).starts_with(path)
}

/// A hash of the files' contents. With few versions in memory a collision is practically impossible.
pub(super) fn fingerprint(sources: &[PolicySource]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for source in sources {
        match source {
            Ok(source) => (&source.name, source.text()).hash(&mut hasher),
            Err(note) => (&note.file.name, &note.message).hash(&mut hasher),
        }
    }
    hasher.finish()
}
