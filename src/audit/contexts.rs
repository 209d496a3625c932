//! Which objects are judged together.
//!
//! A unit (an argument, a rendered kustomization or chart) is a context. A folder of it whose files define the same object twice
//! is split: its subfolders, and those of its own files that define the object, are alternatives, each a context of its own. What
//! else lies in the folder or above it is seen from all of them. Objects of different contexts never meet in a namespace that
//! only the command line gives; `views.rs` joins those that are written.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::cluster::inventory::{Definition, Inventory};
use crate::manifest::{Note, NoteKind};

/// In how many alternatives an object that they share is judged. A folder of thousands of variants must not cost their square.
const MOST_ALTERNATIVES: usize = 64;

/// A group of objects that are judged together.
#[derive(Debug)]
pub struct AuditContext {
    /// The name of the unit, or the path of the alternative.
    pub name: Box<str>,
    /// Its unit, among [`Inventory::units`].
    pub unit: usize,
    /// The context whose objects are seen from this one too; it stands before this one.
    pub parent: Option<usize>,
    /// The objects that are written here, among [`Inventory::item`].
    pub own: Vec<usize>,
    /// The objects that are judged here: some may be written in a parent.
    pub judged: Vec<usize>,
    /// The kinds that a text which could not be read may hold here.
    pub hidden: BTreeSet<&'static str>,
}

/// All contexts of an inventory.
#[derive(Debug, Default)]
pub struct Contexts {
    pub list: Vec<AuditContext>,
    /// Objects that one context defines twice.
    pub notes: Vec<Note>,
}

impl Contexts {
    /// Splits an inventory; with `together` there is one context.
    pub fn of(inventory: &Inventory, together: bool) -> Self {
        let mut contexts = Self::default();
        if together || inventory.units().is_empty() {
            contexts.add_unit(
                inventory,
                "all arguments",
                true,
                &inventory.definitions().iter().collect::<Vec<_>>(),
                None,
            );
            return contexts;
        }
        let mut by_unit: Vec<Vec<&Definition>> = vec![Vec::new(); inventory.units().len()];
        for definition in inventory.definitions() {
            by_unit[definition.unit].push(definition);
        }
        for (number, (unit, definitions)) in inventory.units().iter().zip(by_unit).enumerate() {
            contexts.add_unit(inventory, &unit.name, unit.kind.is_rendered(), &definitions, Some(number));
        }
        contexts
    }

    fn add_unit(
        &mut self,
        inventory: &Inventory,
        name: &str,
        is_one: bool,
        definitions: &[&Definition],
        number: Option<usize>,
    ) {
        let repeats = RepeatedDefinitions::of(definitions, is_one);
        self.notes.extend(repeats.in_one_context.iter().map(|(first, last)| twice(first, last)));
        let mut tree = Tree { repeats: &repeats, contexts: &mut self.list, nodes: BTreeMap::new() };
        let root = tree.push(name, number.unwrap_or_default(), None);
        for definition in definitions {
            if let Some(item) = definition.item {
                let context = tree.context_of(root, &definition.file.name);
                tree.contexts[context].own.push(item);
            }
        }
        let notes =
            number.map_or(inventory.notes(), |number| inventory.notes_of(number..number.saturating_add(1)));
        for note in notes {
            let context = tree.context_of(root, &note.file.name);
            tree.contexts[context].hidden.extend(&note.hides);
        }
        tree.assign_judged(root, definitions);
    }
}

fn twice(first: &Definition, last: &Definition) -> Note {
    let mut parts = last.key.split('\0').skip(1);
    let [kind, namespace, name] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let (file, line) = (&first.file.name, first.line);
    Note {
        file: Arc::clone(&last.file),
        line: last.line,
        column: last.column,
        kind: NoteKind::DefinedTwice,
        message: format!(
            "{kind} {namespace}/{name} is defined twice: the last one counts, the first is {file}:{line}"
        ),
        hides: Vec::new(),
    }
}

/// Objects that a unit defines more than once.
#[derive(Default)]
struct RepeatedDefinitions<'a> {
    /// Folders to split.
    split: HashSet<&'a str>,
    /// The files and folders in them that define what another one defines.
    conflicting: HashSet<&'a str>,
    in_one_context: Vec<(&'a Definition, &'a Definition)>,
}

impl<'a> RepeatedDefinitions<'a> {
    fn of(definitions: &[&'a Definition], is_one: bool) -> Self {
        let mut repeats = Self::default();
        let mut by_key: BTreeMap<&str, Vec<&'a Definition>> = BTreeMap::new();
        for definition in definitions.iter().filter(|definition| !definition.is_namespace) {
            by_key.entry(&definition.key).or_default().push(definition);
        }
        for mut same in by_key.into_values().filter(|same| same.len() > 1) {
            same.sort_by(|a, b| by_components(&a.file.name, &b.file.name));
            for pair in same.windows(2) {
                let [first, last] = pair else { continue };
                if is_one || first.file.name == last.file.name {
                    repeats.in_one_context.push((first, last));
                } else {
                    repeats.split(&first.file.name, &last.file.name);
                }
            }
        }
        repeats
    }

    /// Splits the folder that holds both files.
    fn split(&mut self, one: &'a str, other: &'a str) {
        let both = ends(one).zip(ends(other));
        let common = both.take_while(|(a, b)| one[..*a] == other[..*b]).map(|(end, _)| end).last();
        self.split.insert(&one[..common.unwrap_or_default()]);
        for path in [one, other] {
            if let Some(end) = ends(path).find(|end| common.is_none_or(|common| *end > common)) {
                self.conflicting.insert(&path[..end]);
            }
        }
    }
}

/// Where the components of a path end.
fn ends(path: &str) -> impl Iterator<Item = usize> {
    path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()])
}

/// The folders above a file, from the top; `""` is the first.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    let within = ends(path).filter(|end| *end < path.len());
    [0].into_iter().chain(within).map(|end| &path[..end])
}

/// Puts what lies in one folder side by side.
fn by_components(one: &str, other: &str) -> Ordering {
    one.split('/').cmp(other.split('/'))
}

/// The contexts of one unit while they are made.
struct Tree<'a, 'c> {
    repeats: &'a RepeatedDefinitions<'a>,
    contexts: &'c mut Vec<AuditContext>,
    /// Alternatives by their paths, with the folder each is an alternative of.
    nodes: BTreeMap<String, (usize, String)>,
}

impl Tree<'_, '_> {
    fn push(&mut self, name: &str, unit: usize, parent: Option<usize>) -> usize {
        let (own, judged, hidden) = (Vec::new(), Vec::new(), BTreeSet::new());
        self.contexts.push(AuditContext { name: name.into(), unit, parent, own, judged, hidden });
        self.contexts.len() - 1
    }

    /// The context that a file belongs to.
    fn context_of(&mut self, root: usize, file: &str) -> usize {
        let mut context = root;
        let paths = folders(file).zip(folders(file).skip(1).chain([file]));
        for (folder, child) in paths.filter(|(folder, _)| self.repeats.split.contains(folder)) {
            if child == file && !self.repeats.conflicting.contains(child) {
                continue;
            }
            if let Some((known, _)) = self.nodes.get(child) {
                context = *known;
                continue;
            }
            context = self.push(child, self.contexts[root].unit, Some(context));
            self.nodes.insert(child.to_owned(), (context, folder.to_owned()));
        }
        context
    }

    /// Says where each object is judged: in its own context, or in the alternatives that share it.
    fn assign_judged(&mut self, root: usize, definitions: &[&Definition]) {
        let leaves = self.leaves(root);
        let mut targets: HashMap<&str, Vec<usize>> = HashMap::new();
        for definition in definitions {
            let (Some(item), file) = (definition.item, &*definition.file.name) else { continue };
            if !targets.contains_key(file) {
                let context = self.context_of(root, file);
                let mut shared: Vec<usize> = folders(file)
                    .filter_map(|folder| leaves.get(&(context, folder.to_owned())))
                    .flatten()
                    .copied()
                    .take(MOST_ALTERNATIVES)
                    .collect();
                shared.sort_unstable();
                targets.insert(file, if shared.is_empty() { vec![context] } else { shared });
            }
            for context in targets.get(file).into_iter().flatten() {
                self.contexts[*context].judged.push(item);
            }
        }
    }

    /// By context and split folder, the innermost alternatives that share what lies in the folder.
    fn leaves(&self, root: usize) -> HashMap<(usize, String), Vec<usize>> {
        let mut alternatives: Vec<(usize, &str)> = Vec::new();
        for (path, (context, folder)) in &self.nodes {
            if self.repeats.conflicting.contains(&**path) {
                alternatives.push((*context, folder));
            }
        }
        alternatives.sort_unstable();
        let mut leaves: HashMap<(usize, String), Vec<usize>> = HashMap::new();
        let mut below: HashMap<usize, Vec<usize>> = HashMap::new();
        // A context stands after its parent, so that from the end what is below is known.
        for (context, folder) in alternatives.into_iter().rev() {
            let own = below.remove(&context).unwrap_or_else(|| vec![context]);
            let parent = self.contexts[context].parent.unwrap_or(root);
            for list in
                [leaves.entry((parent, folder.to_owned())).or_default(), below.entry(parent).or_default()]
            {
                list.extend(own.iter().take(MOST_ALTERNATIVES.saturating_sub(list.len())));
            }
        }
        leaves
    }
}
