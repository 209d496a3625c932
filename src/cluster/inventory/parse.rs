//! From a manifest to what the rules read.

use std::sync::Arc;

use crate::cluster::{ClusterObject, Kind};
use crate::manifest::{
    Manifest, NodeValue, Note, NoteKind, WholeVariable, document, misspelt_fields, pointer_of,
};
use crate::model::{field_path, printable};

/// Each takes a reading of the object.
const MOST_VARIABLES: usize = 32;

/// The model takes any string here, as the API server does, and then leaves it out.
const MAX_UNAVAILABLE: &str = "/spec/updateStrategy/rollingUpdate/maxUnavailable";

/// A field that cannot be read.
struct FieldFault {
    pointer: String,
    /// The field as people write it, and what is wrong.
    field: String,
    message: String,
}

/// Reads an object's fields. One that has them of another type than Kubernetes would be refused by the API server, and what is
/// not known of it must not be taken for absent.
///
/// Where a number or a truth value is a variable with a default, the object is read with that; the texts of an object, in which a
/// shell may have variables of its own, stay as they are.
pub(super) fn parse(kind: Kind, manifest: &mut Manifest<'_>, notes: &mut Vec<Note>) -> Option<ClusterObject> {
    notes.extend(fill_in(manifest, MAX_UNAVAILABLE));
    let mut filled = 0;
    loop {
        let fault = match read(kind, manifest) {
            Ok(object) => return Some(before_v1(object, &manifest.api_version)),
            Err(fault) => fault,
        };
        let note = fill_in(manifest, &fault.pointer).filter(|_| filled < MOST_VARIABLES);
        let Some(note) = note else {
            notes.push(unread(kind, manifest, &fault));
            return None;
        };
        notes.push(note);
        filled += 1;
    }
}

/// The message about a kind that no API server knows, where it is clear which one is meant.
pub(super) fn mistyped(manifest: &Manifest<'_>) -> Option<Note> {
    let kind = Kind::meant_by(&manifest.api_version, &manifest.kind)?;
    let (facts, span) = (kind.facts(), manifest.node.locate("/kind"));
    let message = format!(
        "no API server knows {} in {}; did you mean {} in {}?",
        manifest.kind, manifest.api_version, facts.name, facts.api_version
    );
    Some(Note {
        file: Arc::clone(&manifest.file),
        line: span.line,
        column: span.column,
        kind: NoteKind::Unreadable,
        message: printable(&message).into_owned(),
        hides: vec![kind.name()],
    })
}

/// The message about misspelt fields.
pub(super) fn misspelt(manifest: &Manifest<'_>) -> impl Iterator<Item = Note> {
    let found = misspelt_fields(&manifest.node, &manifest.api_version, &manifest.kind).into_iter();
    found.map(|field| note(manifest, &field.pointer, NoteKind::UnknownField, &field.message(&manifest.kind)))
}

fn read(kind: Kind, manifest: &Manifest<'_>) -> Result<ClusterObject, FieldFault> {
    // Reads it again, only to say where it is wrong.
    ClusterObject::deserialize(kind, &manifest.node).or_else(|_| {
        let mut track = serde_path_to_error::Track::new();
        let traced = serde_path_to_error::Deserializer::new(&manifest.node, &mut track);
        ClusterObject::deserialize(kind, traced).map_err(|error| {
            let path = track.path();
            FieldFault { pointer: pointer_of(&path), field: path.to_string(), message: error.to_string() }
        })
    })
}

/// Puts the default of a variable in its place, if the value is such a one.
fn fill_in(manifest: &mut Manifest<'_>, pointer: &str) -> Option<Note> {
    let node = manifest.node.pointer_mut(pointer)?;
    let text = node.as_str()?.to_owned();
    let default = WholeVariable::of(&text)?.default?;
    let value = document(default).ok()?.into_owned().value;
    if !matches!(value, NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_)) {
        return None;
    }
    node.value = value;
    let message = format!("{} is {text}: judged with its default, {default}", field_path(pointer));
    Some(note(manifest, pointer, NoteKind::Default, &message))
}

fn unread(kind: Kind, manifest: &Manifest<'_>, fault: &FieldFault) -> Note {
    let FieldFault { pointer, field, message } = fault;
    let text = manifest.node.pointer(pointer).and_then(|node| node.as_str()).unwrap_or_default();
    let (note_kind, message) = match WholeVariable::of(text) {
        Some(WholeVariable { default: None }) => {
            let fill_in =
                "fill it in first (envsubst, `flux build kustomization`, `oc process`) and audit the result";
            let message = format!("{field} is {text}, and its value is not here: {fill_in}");
            (NoteKind::NotRendered, message)
        }
        _ => (NoteKind::Unreadable, format!("{field}: {message}")),
    };
    Note { hides: vec![kind.name()], ..note(manifest, pointer, note_kind, &message) }
}

fn note(manifest: &Manifest<'_>, pointer: &str, kind: NoteKind, message: &str) -> Note {
    let at = manifest.locate(pointer);
    // Several kustomizations that have it from one file get the same message.
    let name = manifest.written_name.as_deref().or(manifest.name.as_deref()).unwrap_or_default();
    let message = printable(&format!("{} {name}: {message}", manifest.kind)).into_owned();
    let (file, line, column) = (Arc::clone(&at.file), at.span.line, at.span.column);
    Note { file, line, column, kind, message, hides: Vec::new() }
}

/// Before policy/v1, an empty selector of a budget selected nothing.
fn before_v1(mut object: ClusterObject, api_version: &str) -> ClusterObject {
    if let ClusterObject::DisruptionBudget(budget) = &mut object
        && api_version == "policy/v1beta1"
    {
        let budget = Arc::make_mut(budget);
        budget.spec.selector = budget.spec.selector.take().filter(|selector| !selector.is_empty());
    }
    object
}
