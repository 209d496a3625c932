//! The step between two states of manifests: what an apply of the new ones would do to objects that the old ones have made.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use super::contexts::Contexts;
use crate::change::{Action, ObjectChange};
use crate::cluster::ClusterObject;
use crate::cluster::inventory::{Found, Inventory, ObjectName};

/// The old state, ready to be compared with.
#[derive(Debug)]
pub struct OldState<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) contexts: Contexts,
    arguments: Arguments<'a>,
    /// Contexts by where they are.
    numbers: BTreeMap<PathPlace, usize>,
    /// The last object of a name in a context.
    named: BTreeMap<(usize, ObjectName), usize>,
}

/// An argument, by its place on the command line, and a path below it: the same in both states.
type PathPlace = (usize, String);

/// New objects of one name, each with the contexts that it is judged in.
type NewItems = BTreeMap<usize, Vec<usize>>;

/// An old object and the context that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Old {
    pub(super) context: usize,
    pub(super) item: usize,
}

impl<'a> OldState<'a> {
    /// `inventory` is read from the same arguments, in the same order, as the new one.
    pub fn of(inventory: &'a Inventory, together: bool) -> Self {
        let (contexts, arguments) = (Contexts::of(inventory, together), Arguments::of(inventory));
        let (mut numbers, mut named) = (BTreeMap::new(), BTreeMap::new());
        for (number, context) in contexts.list.iter().enumerate() {
            numbers.insert(arguments.place(context.unit, &context.name), number);
            for item in &context.own {
                if let Some(found) = inventory.item(*item) {
                    named.insert((number, found.name()), *item);
                }
            }
        }
        Self { inventory, contexts, arguments, numbers, named }
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
            let other = Old { context: *context, item: *item };
            others.entry((self.argument(other), name.clone())).or_default().push(other);
        }
        others
    }

    fn argument(&self, old: Old) -> usize {
        self.arguments.number(self.contexts.list[old.context].unit)
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
    /// or removed, it is compared with that in its file, and where it has moved, with the only one that is left: in its argument, or
    /// in all of them.
    pub(super) fn between(old: &OldState<'_>, inventory: &Inventory, contexts: &Contexts) -> Self {
        let mut steps = Self::default();
        let arguments = Arguments::of(inventory);
        let mut left: BTreeMap<(usize, ObjectName), NewItems> = BTreeMap::new();
        for (number, context) in contexts.list.iter().enumerate() {
            let here = arguments.place(context.unit, &context.name);
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
        let mut moved: BTreeMap<ObjectName, NewItems> = BTreeMap::new();
        for ((argument, name), mut items) in left {
            if let Some(others) = others.get_mut(&(argument, name.clone())) {
                steps.match_files(old, &arguments, contexts, &mut items, others);
                steps.match_only(old, contexts, &mut items, others);
            }
            moved.entry(name).or_default().extend(items);
        }
        steps.match_arguments(old, &arguments, contexts, moved);
        steps
    }

    /// Takes out of both the only ones that are left, unless both are alternatives.
    fn match_only(&mut self, old: &OldState<'_>, contexts: &Contexts, items: &mut NewItems, others: &[Old]) {
        let ([other], 1, Some((item, numbers))) = (others, items.len(), items.first_key_value()) else {
            return;
        };
        let is_alternative = numbers.iter().any(|number| contexts.list[*number].parent.is_some());
        if !(is_alternative && old.is_alternative(*other)) {
            self.add(numbers, *item, *other);
            items.clear();
        }
    }

    /// What has moved from one argument to another. Arguments that define the same object are alternatives, such as two clusters:
    /// what one of them loses is not what another gets.
    fn match_arguments(
        &mut self,
        old: &OldState<'_>,
        arguments: &Arguments<'_>,
        contexts: &Contexts,
        mut moved: BTreeMap<ObjectName, NewItems>,
    ) {
        moved.retain(|_, items| !items.is_empty());
        if moved.is_empty() {
            return;
        }
        let mut others: BTreeMap<ObjectName, Vec<Old>> = BTreeMap::new();
        for ((_, name), more) in old.others(&self.taken) {
            others.entry(name).or_default().extend(more);
        }
        let apart = [&old.arguments, arguments].map(Arguments::alternatives);
        for (name, mut items) in moved {
            let Some(others @ [other]) = others.get(&name).map(Vec::as_slice) else { continue };
            let Some(number) = items.first_key_value().and_then(|(_, numbers)| numbers.first()) else {
                continue;
            };
            let ends = [old.argument(*other), arguments.number(contexts.list[*number].unit)];
            let is_apart = apart.iter().any(|apart| ends.iter().all(|argument| apart.contains(argument)));
            if !is_apart {
                self.match_only(old, contexts, &mut items, others);
            }
        }
    }

    /// Takes out of both what is in the same file.
    fn match_files(
        &mut self,
        old: &OldState<'_>,
        arguments: &Arguments<'_>,
        contexts: &Contexts,
        items: &mut NewItems,
        others: &mut Vec<Old>,
    ) {
        let file = |arguments: &Arguments<'_>, contexts: &Contexts, context: usize, item: usize| {
            let file = &arguments.inventory.item(item)?.manifest.file.name;
            Some(arguments.place(contexts.list[context].unit, file))
        };
        items.retain(|item, numbers| {
            let here = numbers.first().and_then(|number| file(arguments, contexts, *number, *item));
            let is_here =
                |other: &Old| file(&old.arguments, &old.contexts, other.context, other.item) == here;
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

/// The arguments on the command line, and which units were found in which.
#[derive(Debug)]
struct Arguments<'a> {
    inventory: &'a Inventory,
    /// By unit.
    of_unit: Vec<ArgumentPlaces>,
}

/// An argument by its number among the arguments, and by its unit.
#[derive(Clone, Copy, Debug, Default)]
struct ArgumentPlaces {
    number: usize,
    unit: usize,
}

impl<'a> Arguments<'a> {
    fn of(inventory: &'a Inventory) -> Self {
        let (mut numbers, mut argument) = (0.., ArgumentPlaces::default());
        let of_unit = inventory.units().iter().enumerate().map(|(number, unit)| {
            // What is rendered was found in the argument before it.
            if !unit.kind.is_rendered() {
                argument = ArgumentPlaces { number: numbers.next().unwrap_or_default(), unit: number };
            }
            argument
        });
        let of_unit = of_unit.collect();
        Self { inventory, of_unit }
    }

    fn of_unit(&self, unit: usize) -> ArgumentPlaces {
        self.of_unit.get(unit).copied().unwrap_or_default()
    }

    fn number(&self, unit: usize) -> usize {
        self.of_unit(unit).number
    }

    /// Where a context or a file is.
    fn place(&self, unit: usize, path: &str) -> PathPlace {
        let ArgumentPlaces { number, unit } = self.of_unit(unit);
        let above = self.inventory.units().get(unit).map(|unit| &*unit.name).unwrap_or_default();
        let below = path.strip_prefix(above.trim_end_matches('/')).unwrap_or(path);
        (number, below.trim_start_matches('/').to_owned())
    }

    /// Those that define what another one defines.
    fn alternatives(&self) -> BTreeSet<usize> {
        let (mut first, mut apart) = (BTreeMap::new(), BTreeSet::new());
        for definition in self.inventory.definitions().iter().filter(|definition| !definition.is_namespace) {
            let argument = self.number(definition.unit);
            let known = *first.entry(&*definition.key).or_insert(argument);
            if known != argument {
                apart.extend([known, argument]);
            }
        }
        apart
    }
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
