//! Violations: the results of a rule.

use serde_json::Value;

use crate::model::ObjectRef;
use crate::verdict::{EditOperation, Level};

/// A problem, its place and its remedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The field to look at.
    pub place: FieldPlace,
    /// The problem and its effect, in the application's terms.
    pub message: String,
    /// The edit that fixes it, in words.
    pub remedy: String,
    /// The remedy as data, where there is one right answer; all edits together end the violation.
    pub edits: Vec<FieldEdit>,
    /// The highest level it may have, whatever the policy says.
    pub at_most: Level,
    /// The identity among violations of the same rule in one set; the place's path unless said otherwise.
    pub key: String,
    /// How bad it is, to compare with the same violation before a change: higher is worse.
    pub weight: i32,
    /// Other objects that are part of it.
    pub related: Vec<FieldPlace>,
    /// The companion that the set needs and does not have, where that is the problem.
    pub companion: Option<Companion>,
    /// What it is to an operator of the set.
    pub to_operators: ToOperators,
    /// Whether it only holds evictions up, which endangers no pod.
    pub only_blocks_evictions: bool,
    /// Whether it is of the whole consensus group and the same for each of its sets.
    pub is_of_group: bool,
}

/// Another object that decides whether something is wrong with a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companion {
    /// It does not exist, and may come with the same manifests.
    Missing,
    /// It is deleted, and the set may be deleted next.
    Lost,
    /// It is there and must not be, and may be deleted next.
    Unwanted,
}

/// What a violation is to an operator of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToOperators {
    /// Its own affair, where it asks for it itself.
    Theirs,
    /// A state that it passes through while it changes one member after the other.
    Passing,
    /// Forbidden to it too, because a user has said so.
    Binding,
}

/// A change to one field, as [`Edit`](crate::verdict::Edit), before the object of the judged set is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldEdit {
    pub place: FieldPlace,
    pub operation: EditOperation,
    pub value: Value,
    pub is_safe: bool,
}

impl FieldEdit {
    /// Sets a field: the one right answer, which changes nothing else.
    pub fn set(place: FieldPlace, value: impl Into<Value>) -> Self {
        Self { place, operation: EditOperation::Set, value: value.into(), is_safe: true }
    }

    /// Removes a field.
    pub fn remove(place: FieldPlace) -> Self {
        Self { place, operation: EditOperation::Remove, value: Value::Null, is_safe: true }
    }

    /// Creates an object.
    pub fn create(object: ObjectRef, manifest: Value) -> Self {
        let place = FieldPlace::of(object, "");
        Self { place, operation: EditOperation::Create, value: manifest, is_safe: true }
    }

    /// A person has to look at it before it is applied.
    #[must_use]
    pub fn unsafe_to_apply(mut self) -> Self {
        self.is_safe = false;
        self
    }
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPlace {
    /// The object; `None` is the StatefulSet that is judged.
    pub object: Option<ObjectRef>,
    /// A JSON pointer.
    pub path: String,
}

impl FieldPlace {
    /// A field of the StatefulSet that is judged.
    pub fn in_set(path: impl Into<String>) -> Self {
        Self { object: None, path: path.into() }
    }

    /// A field of another object.
    pub fn of(object: ObjectRef, path: impl Into<String>) -> Self {
        Self { object: Some(object), path: path.into() }
    }
}

/// Violations of one rule in one object that are kept; of more, the first and the last.
const MOST_VIOLATIONS: usize = 1000;
/// Other objects that one violation points to.
const MOST_RELATED: usize = 20;

/// The violations that a rule has found so far.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Adds one, which can be refined further.
    pub fn add(
        &mut self,
        place: FieldPlace,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> &mut Violation {
        self.0.truncate(MOST_VIOLATIONS - 1);
        self.0.push(Violation::new(place, message, remedy));
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// The violations, in the order in which they were found.
    pub fn into_vec(self) -> Vec<Violation> {
        self.0
    }
}

impl Violation {
    /// Returns a violation that can be refined further.
    pub fn new(place: FieldPlace, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            key: place.path.clone(),
            place,
            message: message.into(),
            remedy: remedy.into(),
            edits: Vec::new(),
            at_most: Level::Deny,
            weight: 0,
            related: Vec::new(),
            companion: None,
            to_operators: ToOperators::Theirs,
            only_blocks_evictions: false,
            is_of_group: false,
        }
    }

    /// Never higher than this level.
    pub fn at_most(&mut self, level: Level) -> &mut Self {
        self.at_most = self.at_most.min(level);
        self
    }

    /// Sets the identity among violations of its rule, where the path does not identify it.
    pub fn keyed(&mut self, key: impl Into<String>) -> &mut Self {
        self.key = key.into();
        self
    }

    /// How bad it is; an update that makes it worse is not what was already there.
    pub fn weighing(&mut self, weight: i32) -> &mut Self {
        self.weight = weight;
        self
    }

    /// The remedy as data.
    pub fn edit(&mut self, edit: FieldEdit) -> &mut Self {
        self.edits.push(edit);
        self
    }

    /// Several edits, which end it together.
    pub fn edits(&mut self, edits: impl IntoIterator<Item = FieldEdit>) -> &mut Self {
        self.edits.extend(edits);
        self
    }

    /// Another object that is part of it.
    pub fn related_to(&mut self, place: FieldPlace) -> &mut Self {
        if self.related.len() < MOST_RELATED {
            self.related.push(place);
        }
        self
    }

    /// An operator passes through it: at most a warning for a set that one manages.
    pub fn passing_state(&mut self) -> &mut Self {
        self.to_operators = ToOperators::Passing;
        self
    }

    /// A user has said so, to operators as well.
    pub fn binding_operators(&mut self) -> &mut Self {
        self.to_operators = ToOperators::Binding;
        self
    }

    /// It only holds evictions up: at most a warning for who makes a budget stricter, or scales down before lowering it.
    pub fn only_blocking_evictions(&mut self) -> &mut Self {
        self.only_blocks_evictions = true;
        self
    }

    /// It is of the whole consensus group: one finding for all of its sets.
    pub fn of_group(&mut self) -> &mut Self {
        self.is_of_group = true;
        self
    }

    /// An object is deleted that the set needs. Whether the set follows cannot be seen yet: `kubectl delete -f` and `helm uninstall`
    /// delete one object after the other.
    pub fn lost_companion(&mut self) -> &mut Self {
        self.companion = Some(Companion::Lost);
        self
    }

    /// Another object is what is wrong, and not the set that changes.
    pub fn unwanted_companion(&mut self) -> &mut Self {
        self.companion = Some(Companion::Unwanted);
        self
    }

    /// An object is missing. A dry run cannot show it, since nothing of it persists: then it is at most a warning.
    pub fn missing_companion(&mut self, dry_run: bool) -> &mut Self {
        self.companion = Some(Companion::Missing);
        if dry_run {
            self.message.push_str(" (dry run: the missing object may be created by the same apply)");
            self.at_most(Level::Warn);
        }
        self
    }
}
