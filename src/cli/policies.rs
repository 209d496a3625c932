//! Policies from files.

use std::path::PathBuf;

use anyhow::bail;

use crate::manifest::{Manifest, NoteKind, read, sources};
use crate::policy::Policy;

/// Reads all policies under some paths. Each error names file and line.
pub(super) fn load(paths: &[PathBuf]) -> (Vec<Policy>, Vec<anyhow::Error>) {
    let (mut policies, mut errors) = (Vec::new(), Vec::new());
    for source in sources::open(paths) {
        let source = match source {
            Ok(source) => source,
            Err(note) => {
                errors.push(anyhow::anyhow!("{}: {}", note.file.name, note.message));
                continue;
            }
        };
        let (manifests, notes) = read(&source);
        let failures = notes.iter().filter(|note| note.kind != NoteKind::Ignored);
        errors.extend(failures.map(|note| {
            anyhow::anyhow!("{}:{}:{}: {}", note.file.name, note.line, note.column, note.message)
        }));
        for manifest in &manifests {
            match policy(manifest) {
                Ok(policy) => policies.push(policy),
                Err(error) => errors.push(error),
            }
        }
    }
    (policies, errors)
}

fn policy(manifest: &Manifest) -> anyhow::Result<Policy> {
    let place = |pointer: &str| {
        let span = manifest.node.locate(pointer);
        format!("{}:{}:{}", manifest.file.name, span.line, span.column)
    };
    if let Some(key) = manifest.duplicate_keys.first() {
        bail!("{}: `{}` is written twice", place(&key.pointer), key.pointer);
    }
    Policy::from_json(&manifest.node.to_json())
        .map_err(|error| anyhow::anyhow!("{}: {error}", place(&error.pointer)))
}
