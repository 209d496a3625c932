//! Objects of an old state that are missing in the new one: deleted, or perhaps in a text that could not be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::inventory::{Found, Inventory};
use crate::manifest::{Note, NoteKind};

/// How many objects of a file a note names.
const MOST_NAMED: usize = 3;

/// Notes, one for each old file, that it is not known whether these objects are deleted.
pub(super) fn unknown_deletions<'a>(
    missing: impl Iterator<Item = Found<'a>>,
    inventory: &Inventory,
    unit: usize,
) -> Vec<Note> {
    let mut by_file: BTreeMap<&str, Vec<Found<'a>>> = BTreeMap::new();
    for found in missing {
        by_file.entry(&found.manifest.file.name).or_default().push(found);
    }
    by_file.into_values().filter_map(|objects| note(&objects, inventory, unit)).collect()
}

fn note(objects: &[Found<'_>], inventory: &Inventory, unit: usize) -> Option<Note> {
    let first = objects.first()?;
    let kind = first.object().kind().name();
    let own = inventory.notes_of(unit..unit.saturating_add(1));
    let unread = own.iter().chain(inventory.notes()).find(|note| note.may_hold(kind))?;
    let name = |found: &Found<'_>| {
        let (kind, namespace, name) = found.name();
        format!("{kind} {namespace}/{name}")
    };
    let names: Vec<String> = objects.iter().take(MOST_NAMED).map(name).collect();
    let more = match objects.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (line, column) = first.manifest.start;
    Some(Note {
        file: Arc::clone(&first.manifest.file),
        line,
        column,
        kind: NoteKind::DeletionUnknown,
        message: format!(
            "not known whether deleted, and not judged: {}{more}; {}, which could not be read, may define what is missing",
            names.join(", "),
            unread.place()
        ),
        hides: Vec::new(),
    })
}
