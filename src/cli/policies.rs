//! Policies from files.

use std::path::PathBuf;

use super::sources;
use crate::manifest::{Manifest, Note, NoteKind, read};
use crate::policy::Policy;

/// Why a document is not used as a policy.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub(super) struct Unusable {
    /// The name of the policy, or of the file where nothing in it can be read.
    pub(super) policy: String,
    /// File, line and column.
    place: String,
    message: String,
}

/// Reads all policies under some paths, and what is wrong with the others.
pub(super) fn load(paths: &[PathBuf]) -> (Vec<Policy>, Vec<Unusable>) {
    let (mut policies, mut errors) = (Vec::new(), Vec::new());
    for source in sources::open(paths) {
        let source = match source {
            Ok(source) => source,
            Err(note) => {
                errors.push(unread(&note));
                continue;
            }
        };
        let (manifests, notes) = read(&source);
        let failures = notes.iter().filter(|note| note.kind != NoteKind::Ignored);
        errors.extend(failures.map(unread));
        for manifest in &manifests {
            match policy(manifest) {
                Ok(policy) => policies.push(policy),
                Err(error) => errors.push(error),
            }
        }
    }
    (policies, errors)
}

fn unread(note: &Note) -> Unusable {
    let file = &note.file.name;
    let place = format!("{file}:{}:{}", note.line, note.column);
    Unusable { policy: file.clone(), place, message: note.message.clone() }
}

fn policy(manifest: &Manifest) -> Result<Policy, Unusable> {
    let unusable = |pointer: &str, message: String| {
        let span = manifest.node.locate(pointer);
        let place = format!("{}:{}:{}", manifest.file.name, span.line, span.column);
        Unusable { policy: manifest.name.clone().unwrap_or_default(), place, message }
    };
    if let Some(key) = manifest.duplicate_keys.first() {
        return Err(unusable(&key.pointer, format!("`{}` is written twice", key.pointer)));
    }
    Policy::from_json(&manifest.node.to_json()).map_err(|error| unusable(&error.pointer, error.message))
}
