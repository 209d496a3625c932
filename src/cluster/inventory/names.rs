//! Finding objects of an inventory by name.

use std::path::Path;

use super::{Found, Inventory, ManifestRecord};
use crate::cluster::ClusterObject;
use crate::manifest::Source;
use crate::model::ObjectRef;

/// The largest number of objects of one name among which the nearest is looked for.
const MOST_OF_ONE_NAME: usize = 64;

/// Kind, namespace and name.
pub type ObjectName = (&'static str, Box<str>, Box<str>);

/// Kind, namespace and name of an object that is there, borrowed.
pub(super) type NameRef<'a> = (&'static str, &'a str, &'a str);

/// Borrows a name.
pub fn by_ref((kind, namespace, name): &ObjectName) -> NameRef<'_> {
    (kind, namespace, name)
}

/// The identity of an object.
pub(super) fn name_of(object: &ClusterObject) -> ObjectName {
    let metadata = object.metadata();
    (object.kind().name(), metadata.namespace.clone(), metadata.name.clone())
}

impl Inventory {
    /// The manifest of an object that is to be edited: that in the same file as `near`, in the same folder, or the only one.
    pub fn manifest_of(&self, object: &ObjectRef, near: &Source) -> Result<&ManifestRecord, String> {
        let names = self.names_of(object);
        let items = names.iter().map(|name| self.named(by_ref(name))).find(|items| !items.is_empty());
        let items = items.ok_or_else(|| format!("{object} is not in these files"))?;
        let folder = |file: &Source| Path::new(&file.name).parent().map(Path::to_owned);
        let all = || items.iter().take(MOST_OF_ONE_NAME).filter_map(|index| self.items.get(*index as usize));
        let mut found: Vec<_> = all().filter(|item| item.manifest.file.name == near.name).collect();
        if found.is_empty() {
            found = all().filter(|item| folder(&item.manifest.file) == folder(near)).collect();
        }
        if found.is_empty() {
            found = all().collect();
        }
        match found[..] {
            [only] if only.manifest.is_rendered => {
                Err(format!("{object} is rendered from a chart or a kustomization"))
            }
            [only] => Ok(&only.manifest),
            _ => Err(format!("{object} is written {} times", items.len())),
        }
    }

    /// The names under which an object may be written: with its namespace, or without where that is only presumed.
    pub fn names_of(&self, object: &ObjectRef) -> [ObjectName; 2] {
        let name = |namespace: &str| (object.kind, namespace.into(), object.name.clone());
        [name(&object.namespace), name(&self.default_namespace)]
    }

    /// The last object of a name, wherever it is.
    pub fn last_named(&self, name: &ObjectName) -> Option<Found<'_>> {
        self.item(*self.named(by_ref(name)).last()? as usize)
    }

    /// The objects of a name, in the order in which they were read.
    fn named(&self, name: NameRef<'_>) -> &[u32] {
        let by_name = self.by_name.get_or_init(|| self.sorted_by_name(0..self.items.len()));
        self.of_name(by_name, name)
    }

    /// Some items in the order of their names; those of one name stay in their order.
    pub fn sorted_by_name(&self, items: impl IntoIterator<Item = usize>) -> Vec<u32> {
        let mut items: Vec<u32> = items.into_iter().filter_map(|item| item.try_into().ok()).collect();
        items.sort_by_key(|item| self.item(*item as usize).map(|found| found.name_ref()));
        items
    }

    /// The items of one name among items that are in the order of their names.
    pub fn of_name<'i>(&self, sorted: &'i [u32], name: NameRef<'_>) -> &'i [u32] {
        let name_of = |item: &u32| self.item(*item as usize).map(|found| found.name_ref());
        let start = sorted.partition_point(|item| name_of(item) < Some(name));
        let count = sorted[start..].partition_point(|item| name_of(item) == Some(name));
        &sorted[start..start + count]
    }
}
