//! `duplicate-key`

use super::{FieldPlace, Violations};
use crate::change::{DuplicateKey, WrittenObject};
use crate::model::pointer_key;

rule! {
    /// ## What it checks
    ///
    /// A map in a manifest has the same key twice: two `selector`, two `metadata`, two values of one label.
    ///
    /// ## Why
    ///
    /// YAML forbids it, and tools disagree: kubectl takes the last and says nothing, others take the first or refuse the file.
    /// What the first one says is lost, usually a setting that was once added on purpose.
    ///
    /// ## How to fix
    ///
    /// Merge the two, or delete the one that does not count.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: zk}
    /// spec:
    ///   clusterIP: None
    ///   selector: {app: zk}
    ///   selector: {app: zookeeper}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: zk}
    /// spec:
    ///   clusterIP: None
    ///   selector: {app: zookeeper}
    /// ```
    "duplicate-key": "a key is written twice",
    triggers: [Manifest],
    check: Text(check),
}

fn check(written: &WrittenObject, out: &mut Violations) {
    let top = || written.duplicate_keys.iter().filter(|key| key.pointer.rfind('/') == Some(0));
    // All that an object must have, twice: these are two objects.
    let lacks_separator = ["/apiVersion", "/kind"].iter().all(|field| top().any(|key| key.pointer == *field));
    if lacks_separator {
        let second = top().min_by_key(|key| key.lines.map(|(_, last)| last));
        if let Some(key) = second {
            two_objects(written, key, out);
        }
    }
    for key in
        written.duplicate_keys.iter().filter(|key| !lacks_separator || key.pointer.rfind('/') != Some(0))
    {
        let name = key.pointer.rsplit('/').next().map(pointer_key).unwrap_or_default();
        let (lost, edit) = match key.lines {
            Some((first, last)) if first != last => (
                format!("line {first}"),
                format!("delete `{name}` on line {first} or on line {last}, or merge them"),
            ),
            lines => {
                let place = lines.map(|(line, _)| format!(" on line {line}")).unwrap_or_default();
                ("the first one".to_owned(), format!("delete one of the two `{name}`{place}, or merge them"))
            }
        };
        out.add(
            FieldPlace::of(written.object.clone(), key.pointer.clone()),
            format!("`{name}` is written twice: what {lost} says is lost, because kubectl takes the last"),
            edit,
        );
    }
}

/// Two objects with nothing between them; `key` is the first of the second one.
fn two_objects(written: &WrittenObject, key: &DuplicateKey, out: &mut Violations) {
    let (before, on) = match key.lines {
        Some((_, last)) => (format!("line {last}"), format!(" on line {last}")),
        None => ("the second object".to_owned(), String::new()),
    };
    out.add(
        FieldPlace::of(written.object.clone(), key.pointer.clone()),
        format!("a second object begins{on} within the first one, whose kind, name and fields are lost: kubectl takes the last of each key"),
        format!("write `---` before {before}"),
    );
}
