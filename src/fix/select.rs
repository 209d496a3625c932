//! Which edits are made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::place::{DocumentKey, Documents, ObjectPlace};
use super::{LeftAlone, PathStep, Reason, ValueEdit, steps};
use crate::cluster::inventory::Inventory;
use crate::model::ObjectRef;
use crate::report::{Located, Report};
use crate::verdict::{Edit, EditOperation, Finding};

/// A finding whose edits are to be made.
pub(super) struct Selected<'a> {
    pub(super) finding: &'a Finding,
    pub(super) wanted: Vec<SelectedChange>,
}

/// One edit and where it is made.
pub(super) enum SelectedChange {
    Edit {
        document: DocumentKey,
        edit: ValueEdit,
    },
    /// An object, to be written beside the one at `beside`.
    Create {
        object: ObjectRef,
        beside: ObjectPlace,
        manifest: Value,
    },
}

impl Selected<'_> {
    /// The documents that change.
    pub(super) fn documents(&self) -> BTreeSet<&DocumentKey> {
        let documents = self.wanted.iter().filter_map(|wanted| match wanted {
            SelectedChange::Edit { document, .. } => Some(document),
            SelectedChange::Create { .. } => None,
        });
        documents.collect()
    }
}

/// The findings whose edits may be made and do not contradict each other.
pub(super) fn select<'a>(
    inventory: &Inventory,
    report: &'a Report,
    unsafe_too: bool,
    documents: &mut Documents,
    left: &mut Vec<LeftAlone>,
) -> Vec<Selected<'a>> {
    let mut selected = Vec::new();
    for located in report.findings.iter().filter(|located| is_asked_for(&located.finding)) {
        let finding = &located.finding;
        let needs_a_person = !unsafe_too && !located.is_rendered;
        if needs_a_person && finding.edits.iter().any(|edit| !edit.is_safe) {
            left.push(LeftAlone::new(finding, Reason::Unsafe));
            continue;
        }
        match resolve_all(inventory, located, documents) {
            Ok(wanted) => selected.push(Selected { finding, wanted }),
            Err(reason) => left.push(LeftAlone::new(finding, Reason::NotEditable(reason))),
        }
    }
    without_conflicts(selected, left)
}

fn is_asked_for(finding: &Finding) -> bool {
    finding.counts() && !finding.edits.is_empty()
}

/// Where the edits of a finding are made.
pub(super) fn resolve_all(
    inventory: &Inventory,
    located: &Located,
    documents: &mut Documents,
) -> Result<Vec<SelectedChange>, String> {
    let edits = located.finding.edits.iter();
    edits.map(|edit| resolve(inventory, located, edit, documents)).collect()
}

/// Where an edit is made.
fn resolve(
    inventory: &Inventory,
    located: &Located,
    edit: &Edit,
    documents: &mut Documents,
) -> Result<SelectedChange, String> {
    if located.is_rendered {
        let object = &edit.object;
        return Err(format!(
            "{object} is rendered from a chart or a kustomization: change it where the report points"
        ));
    }
    let near = &located.position.as_ref().ok_or("it was not read from a file")?.file;
    if edit.operation == EditOperation::Create {
        let beside = inventory.manifest_of(&located.finding.subject, near)?;
        let mut manifest = edit.value.clone();
        if beside.namespace.is_none()
            && let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("namespace");
        }
        let beside = documents.place(beside)?;
        return Ok(SelectedChange::Create { object: edit.object.clone(), beside, manifest });
    }
    if edit.path.is_empty() {
        return Err(format!("whether {} is deleted is for a person to decide", edit.object));
    }
    let place = documents.place(inventory.manifest_of(&edit.object, near)?)?;
    let path = place.path.into_iter().chain(steps(&edit.path)).collect();
    let edit = ValueEdit { path, operation: edit.operation, value: edit.value.clone() };
    Ok(SelectedChange::Edit { document: place.document, edit })
}

/// The target of an edit: a field of a document, or an object that is created.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Aim {
    Field(DocumentKey, Vec<PathStep>),
    Object(String),
}

impl Aim {
    fn of(wanted: &SelectedChange) -> (Self, EditOperation, &Value) {
        match wanted {
            SelectedChange::Edit { document, edit } => {
                (Self::Field(document.clone(), edit.path.clone()), edit.operation, &edit.value)
            }
            SelectedChange::Create { object, beside, manifest } => {
                let name = format!("{} {object}", beside.document.file);
                (Self::Object(name), EditOperation::Create, manifest)
            }
        }
    }

    /// It, and for a field all that it is in.
    fn with_ancestors(&self) -> Vec<Self> {
        match self {
            Self::Field(document, path) => {
                let of = |length: usize| path.get(..length).map(<[_]>::to_vec);
                (1..=path.len()).filter_map(of).map(|path| Self::Field(document.clone(), path)).collect()
            }
            Self::Object(_) => vec![self.clone()],
        }
    }
}

/// Takes out the findings that want different things of one field.
fn without_conflicts<'a>(selected: Vec<Selected<'a>>, left: &mut Vec<LeftAlone>) -> Vec<Selected<'a>> {
    // Two different edits of one target are enough to know that they conflict.
    let mut wishes: BTreeMap<Aim, Vec<(usize, EditOperation, &Value)>> = BTreeMap::new();
    for (index, one) in selected.iter().enumerate() {
        for (aim, operation, value) in one.wanted.iter().map(Aim::of) {
            let known = wishes.entry(aim).or_default();
            if known.len() < 2 && !known.iter().any(|wish| (wish.1, wish.2) == (operation, value)) {
                known.push((index, operation, value));
            }
        }
    }
    let (mut against, mut contested) = (BTreeMap::new(), BTreeMap::new());
    for (index, one) in selected.iter().enumerate() {
        for (aim, operation, value) in one.wanted.iter().map(Aim::of) {
            for ancestor in aim.with_ancestors() {
                let agrees = |wish: &(usize, EditOperation, &Value)| {
                    wish.0 == index || (ancestor == aim && (wish.1, wish.2) == (operation, value))
                };
                let mut others = wishes.get(&ancestor).into_iter().flatten();
                if let Some((other, ..)) = others.find(|wish| !agrees(wish)) {
                    against.insert(index, *other);
                    contested.insert(ancestor, index);
                }
            }
        }
    }
    for (index, one) in selected.iter().enumerate() {
        for (aim, ..) in one.wanted.iter().map(Aim::of) {
            if let Some(other) = contested.get(&aim).filter(|other| **other != index) {
                against.entry(index).or_insert(*other);
            }
        }
    }
    let rules: Vec<_> = selected.iter().map(|one| one.finding.rule.clone()).collect();
    let mut kept = Vec::new();
    for (index, one) in selected.into_iter().enumerate() {
        match against.get(&index).and_then(|other| rules.get(*other)) {
            Some(other) => left.push(LeftAlone::new(one.finding, Reason::Conflict(other.to_string()))),
            None => kept.push(one),
        }
    }
    kept
}
