//! The step between two states of manifests: what an apply of the new ones would do to objects that the old ones have made.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use super::contexts::Contexts;
use crate::change::{Action, ObjectChange};
use crate::cluster::ClusterObject;
use crate::cluster::inventory::{Found, Inventory, ObjectName, Unit};

/// The old state, ready to be compared with.
#[derive(Debug)]
pub struct OldState<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) contexts: Contexts,
    /// Contexts by where they are.
    numbers: BTreeMap<Place, usize>,
    /// The last object of a name in a context.
    named: BTreeMap<(usize, ObjectName), usize>,
}

/// An argument, by its place on the command line, and a path below it: the same in both states.
type Place = (usize, String);

/// An old object and the context that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Old {
    pub(super) context: usize,
    pub(super) item: usize,
}

impl<'a> OldState<'a> {
    /// `inventory` is read from the same arguments, in the same order, as the new one.
    pub fn of(inventory: &'a Inventory, together: bool) -> Self {
        let contexts = Contexts::of(inventory, together);
        let (mut numbers, mut named) = (BTreeMap::new(), BTreeMap::new());
        for (number, context) in contexts.list.iter().enumerate() {
            numbers.insert(place(inventory, context.unit, &context.name), number);
            for item in &context.own {
                if let Some(found) = inventory.item(*item) {
                    named.insert((number, found.name()), *item);
                }
            }
        }
        Self { inventory, contexts, numbers, named }
    }

    pub(super) fn found(&self, old: Old) -> Option<Found<'a>> {
        self.inventory.item(old.item)
    }

    /// The old object of a name, as it was seen from the context.
    fn find(&self, context: usize, name: &ObjectName) -> Option<Old> {
        let mut above = successors(Some(context), |context| self.contexts.list[*context].parent);
        above.find_map(|at| Some(Old { context, item: *self.named.get(&(at, name.clone()))? }))
    }

    /// By argument and name, the objects that no new one was found for.
    fn others(&self, taken: &BTreeSet<usize>) -> BTreeMap<(usize, ObjectName), Vec<Old>> {
        let mut others: BTreeMap<(usize, ObjectName), Vec<Old>> = BTreeMap::new();
        for ((context, name), item) in self.named.iter().filter(|(_, item)| !taken.contains(item)) {
            let (argument, _) = place(self.inventory, self.contexts.list[*context].unit, "");
            others.entry((argument, name.clone())).or_default().push(Old { context: *context, item: *item });
        }
        others
    }

    fn is_alternative(&self, old: Old) -> bool {
        self.contexts.list[old.context].parent.is_some()
    }
}

/// Which old object each new one was, and which are gone.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// By a new context, the old one in its place.
    pub(super) contexts: BTreeMap<usize, usize>,
    /// By a new context and an object of it.
    before: BTreeMap<(usize, usize), Old>,
    /// Old objects that some new one was.
    taken: BTreeSet<usize>,
}

impl Steps {
    /// An object is compared with that of its name in its context. Where contexts are others than before, because a variant was added
    /// or removed, it is compared with that in its file, and where it has moved, with the only one that is left.
    pub(super) fn between(old: &OldState<'_>, inventory: &Inventory, contexts: &Contexts) -> Self {
        let mut steps = Self::default();
        let mut left: BTreeMap<(usize, ObjectName), BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
        for (number, context) in contexts.list.iter().enumerate() {
            let here = place(inventory, context.unit, &context.name);
            let same = old.numbers.get(&here).copied();
            steps.contexts.extend(same.map(|same| (number, same)));
            for item in &context.judged {
                let Some(found) = inventory.item(*item) else { continue };
                if let Some(before) = same.and_then(|same| old.find(same, &found.name())) {
                    steps.add(&[number], *item, before);
                } else {
                    let of_name = left.entry((here.0, found.name())).or_default();
                    of_name.entry(*item).or_default().push(number);
                }
            }
        }
        if left.is_empty() {
            return steps;
        }
        let mut others = old.others(&steps.taken);
        for (name, mut items) in left {
            let Some(others) = others.get_mut(&name) else { continue };
            steps.match_files(old, inventory, contexts, &mut items, others);
            let (Some((item, numbers)), [other]) = (items.pop_first(), &others[..]) else { continue };
            let is_alternative = numbers.iter().any(|number| contexts.list[*number].parent.is_some());
            if items.is_empty() && !(is_alternative && old.is_alternative(*other)) {
                steps.add(&numbers, item, *other);
            }
        }
        steps
    }

    /// Takes out of both what is in the same file.
    fn match_files(
        &mut self,
        old: &OldState<'_>,
        inventory: &Inventory,
        contexts: &Contexts,
        items: &mut BTreeMap<usize, Vec<usize>>,
        others: &mut Vec<Old>,
    ) {
        let file = |inventory: &Inventory, contexts: &Contexts, context: usize, item: usize| {
            let file = &inventory.item(item)?.manifest.file.name;
            Some(place(inventory, contexts.list[context].unit, file))
        };
        items.retain(|item, numbers| {
            let here = numbers.first().and_then(|number| file(inventory, contexts, *number, *item));
            let is_here = |other: &Old| file(old.inventory, &old.contexts, other.context, other.item) == here;
            let Some(found) = others.iter().position(is_here) else { return true };
            self.add(numbers, *item, others.swap_remove(found));
            false
        });
    }

    fn add(&mut self, contexts: &[usize], item: usize, before: Old) {
        self.taken.insert(before.item);
        self.before.extend(contexts.iter().map(|context| ((*context, item), before)));
    }

    /// The earlier state of an object.
    pub(super) fn before(&self, context: usize, item: usize) -> Option<Old> {
        self.before.get(&(context, item)).copied()
    }

    /// The old objects that were written in a context's place and that no new one was.
    pub(super) fn gone(&self, old: &OldState<'_>, context: usize) -> impl Iterator<Item = Old> {
        let same = self.contexts.get(&context).copied();
        let own = same
            .into_iter()
            .flat_map(|same| old.contexts.list[same].own.iter().map(move |item| (same, *item)));
        own.filter(|(_, item)| !self.taken.contains(item)).map(|(context, item)| Old { context, item })
    }
}

/// Where a context or a file is.
fn place(inventory: &Inventory, unit: usize, path: &str) -> Place {
    let units = inventory.units();
    let argument = |number: &usize| units.get(*number).is_none_or(|unit| !unit.kind.is_rendered());
    let first = (0..=unit).rev().find(argument).unwrap_or_default();
    let count = (0..first).filter(argument).count();
    let above = units.get(first).map(|unit: &Unit| &*unit.name).unwrap_or_default().trim_end_matches('/');
    let below = path.strip_prefix(above).unwrap_or(path);
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
                        Some(Action::$action(ObjectChange::Update { old, new }))
                    }
                    (None, Some(ClusterObject::$kind(new))) => Some(Action::$action(ObjectChange::Create((**new).clone()))),
                    (Some(ClusterObject::$kind(old)), None) => Some(Action::$action(ObjectChange::Delete((**old).clone()))),)+
                    _ => None,
                }
            };
        }
        if let (Some(ClusterObject::Claim(claim)), None) = (old, new) {
            return Some(Action::ClaimDeletion((**claim).clone()));
        }
        edit!(StatefulSet => StatefulSet, Deployment => Workload, ReplicaSet => Workload, Service => Service, DisruptionBudget => DisruptionBudget, Autoscaler => Autoscaler)
    };
    edit(old.map(|found| found.object()), new.map(|found| found.object()))
}
