//! `duplicate-key`

use super::{Place, Violations};
use crate::change::Written;

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

fn check(written: &Written, out: &mut Violations) {
    for key in &written.duplicate_keys {
        let name = key.pointer.rsplit('/').next().unwrap_or_default();
        let first = key.first_line;
        let (lost, edit) = if first == key.last_line {
            (
                "the first one".to_owned(),
                format!("delete one of the two `{name}` on line {first}, or merge them"),
            )
        } else {
            let edit = format!("delete `{name}` on line {first} or on line {}, or merge them", key.last_line);
            (format!("line {first}"), edit)
        };
        out.add(
            Place::of(written.object.clone(), key.pointer.clone()),
            format!("`{name}` is written twice: what {lost} says is lost, because kubectl takes the last"),
            edit,
        );
    }
}
