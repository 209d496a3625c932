//! The step between two states of manifests: what an apply of the new ones would do to objects that the old ones have made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::contexts::{Context, Contexts};
use crate::change::{Action, Edit, ImmutableChange, OrphanedPods};
use crate::cluster::ClusterObject;
use crate::cluster::inventory::{Found, Inventory, ManifestRecord, ObjectName, Unit};
use crate::model::{Labels, StatefulSet};

/// The fields of a StatefulSet that no update may change, with their defaults. `ValidateStatefulSetUpdate` in
/// `pkg/apis/apps/validation` lists those that may.
const IMMUTABLE: [(&str, &str); 4] = [
    ("/spec/selector", ""),
    ("/spec/serviceName", ""),
    ("/spec/podManagementPolicy", "OrderedReady"),
    ("/spec/volumeClaimTemplates", ""),
];

/// The old state, ready to be compared with.
#[derive(Debug)]
pub struct OldState<'a> {
    inventory: &'a Inventory,
    contexts: Contexts,
    /// Contexts by the number of their unit and their names within it.
    numbers: BTreeMap<(usize, String), usize>,
    /// The last object of a name in a context.
    named: BTreeMap<(usize, ObjectName), usize>,
}

impl<'a> OldState<'a> {
    /// `inventory` is read from the same arguments, in the same order, as the new one.
    pub fn of(inventory: &'a Inventory, together: bool) -> Self {
        let contexts = Contexts::of(inventory, together);
        let (mut numbers, mut named) = (BTreeMap::new(), BTreeMap::new());
        for (number, context) in contexts.list.iter().enumerate() {
            numbers.insert(key(inventory, context), number);
            for item in &context.own {
                if let Some(found) = inventory.item(*item) {
                    named.insert((number, found.name()), *item);
                }
            }
        }
        Self { inventory, contexts, numbers, named }
    }

    /// The old context that became this one.
    pub(super) fn context(&self, inventory: &Inventory, context: &Context) -> Option<usize> {
        self.numbers.get(&key(inventory, context)).copied()
    }

    /// The old object of a name, as it was seen from the context.
    pub(super) fn find(&self, context: usize, name: &ObjectName) -> Option<Found<'a>> {
        let mut at = Some(context);
        while let Some(context) = at {
            if let Some(item) = self.named.get(&(context, name.clone())) {
                return self.inventory.item(*item);
            }
            at = self.contexts.list[context].parent;
        }
        None
    }

    /// The objects that were written in a context.
    pub(super) fn own(&self, context: usize) -> impl Iterator<Item = Found<'a>> {
        self.contexts.list[context].own.iter().filter_map(|item| self.inventory.item(*item))
    }
}

/// What tells contexts apart in both states: the argument, by its place on the command line, and the path below it.
fn key(inventory: &Inventory, context: &Context) -> (usize, String) {
    let units = inventory.units();
    let argument = |number: &usize| units.get(*number).is_none_or(|unit| !unit.rendered);
    let first = (0..=context.unit).rev().find(argument).unwrap_or_default();
    let count = (0..first).filter(argument).count();
    let above = units.get(first).map(|unit: &Unit| &*unit.name).unwrap_or_default().trim_end_matches('/');
    let below = context.name.strip_prefix(above).unwrap_or(&context.name);
    (count, below.trim_start_matches('/').to_owned())
}

/// The change from an old object to a new one, where the rules look at such changes.
pub(super) fn change(old: Option<Found<'_>>, new: Option<Found<'_>>) -> Option<Action> {
    let edit = |old: Option<&ClusterObject>, new: Option<&ClusterObject>| -> Option<Action> {
        macro_rules! edit {
            ($($kind:ident => $action:ident),+) => {
                match (old, new) {
                    $((Some(ClusterObject::$kind(old)), Some(ClusterObject::$kind(new))) => {
                        let (old, new) = ((**old).clone(), (**new).clone());
                        Some(Action::$action(Edit::Update { old, new }))
                    }
                    (None, Some(ClusterObject::$kind(new))) => Some(Action::$action(Edit::Create((**new).clone()))),
                    (Some(ClusterObject::$kind(old)), None) => Some(Action::$action(Edit::Delete((**old).clone()))),)+
                    _ => None,
                }
            };
        }
        edit!(StatefulSet => StatefulSet, Deployment => Workload, ReplicaSet => Workload, Service => Service, DisruptionBudget => DisruptionBudget, Autoscaler => Autoscaler)
    };
    edit(old.map(|found| found.object()), new.map(|found| found.object()))
}

/// The fields of a StatefulSet whose change the API server refuses.
pub(super) fn immutable_changes(old: Found<'_>, new: Found<'_>) -> Vec<ImmutableChange> {
    let (Some(old_set), Some(new_set)) = (old.set(), new.set()) else { return Vec::new() };
    let changed = IMMUTABLE
        .into_iter()
        .filter(|(path, default)| value(old.manifest, path, default) != value(new.manifest, path, default));
    changed.map(|(path, _)| ImmutableChange { path, pods: orphaned_pods(path, old_set, new_set) }).collect()
}

fn value(manifest: &ManifestRecord, path: &str, default: &str) -> Value {
    let values = manifest.values.as_ref().and_then(|values| values.pointer(path));
    match values.filter(|value| !value.is_null()) {
        None if !default.is_empty() => default.into(),
        None => Value::Null,
        Some(value) if *value == "" || *value == serde_json::json!([]) => Value::Null,
        Some(value) => value.clone(),
    }
}

/// How the pods of the old set fit the new one, as far as this field is concerned.
fn orphaned_pods(path: &str, old: &StatefulSet, new: &StatefulSet) -> OrphanedPods {
    match path {
        "/spec/selector" => {
            not_selected(&old.pod_labels(0), new).map_or(OrphanedPods::Fit, OrphanedPods::NotSelected)
        }
        "/spec/volumeClaimTemplates" => {
            let names = |set: &StatefulSet| -> BTreeSet<Box<str>> {
                set.spec.volume_claim_templates.iter().map(|claim| claim.metadata.name.clone()).collect()
            };
            let added: Vec<_> = names(new).difference(&names(old)).cloned().collect();
            if added.is_empty() { OrphanedPods::Fit } else { OrphanedPods::LackVolumes(added) }
        }
        "/spec/serviceName" => OrphanedPods::NamedUnder(old.spec.service_name.clone()),
        _ => OrphanedPods::Fit,
    }
}

/// The labels of the new template that the new selector asks for and these pods do not have; `None` where it selects them.
fn not_selected(pods: &Labels, new: &StatefulSet) -> Option<Labels> {
    let (selector, template) = (&new.spec.selector, new.spec.template.labels());
    let unmet = selector.requirements().filter(|asks| !asks.holds(pods));
    let missing = unmet.filter_map(|asks| Some((asks.key.clone(), template.get(&asks.key)?.to_owned())));
    (!selector.matches(pods)).then(|| missing.collect())
}
