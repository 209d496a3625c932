//! Manifests read from text as kubectl reads them, with the position of every value.
//!
//! ```text
//! paths ─ sources ─▶ Source ─ split ─▶ documents ─ json | yaml ─▶ Node ─ unwrap (List, Template) ─▶ Manifest
//!                                                                      └─ passed over or unreadable ─▶ Note
//! ```
//!
//! Pure: text in, values out. Nothing in a file makes reading it fail as a whole; what
//! cannot be used is a [`Note`], which also says what it may hide, so that nobody takes an object for absent that an
//! unreadable text may hold.

mod fault;
mod json;
mod limits;
mod map;
mod node;
mod note;
mod scalar;
mod split;
mod template;
mod unwrap;
mod yaml;

use std::sync::Arc;

pub use fault::Fault;
use limits::Budget;
pub use node::{Entry, Node, Span, Value, escape};
pub use note::{Note, NoteKind, hidden, kinds_that_matter};
use split::Document;

/// A file, or what came through standard input.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user would write it.
    pub name: String,
    /// What is in it, without a byte order mark.
    pub text: String,
    /// How it came to be read.
    pub origin: Origin,
}

/// How a [`Source`] came to be read, which decides how much is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was named: it should hold manifests.
    Named,
    /// It lies in a folder that was named, among whatever else is there.
    Found,
    /// It lies in the `templates` folder of a Helm chart.
    Chart,
}

/// An object as someone would apply it: a document, an item of a `List` or an object of an `OpenShift` Template.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The file it is in.
    pub file: Arc<Source>,
    /// The object; positions are those of the file.
    pub node: Node,
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.name`.
    pub name: Option<String>,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// The keys that the object has twice.
    pub duplicate_keys: Vec<DuplicateKey>,
}

/// A key written twice in one map. kubectl takes the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKey {
    /// Its JSON pointer within the object.
    pub pointer: String,
    /// The line of the last one, which counts.
    pub line: u32,
    /// Its column.
    pub column: u32,
    /// The line of the first one.
    pub first_line: u32,
}

/// Reads all documents of a source.
pub fn read(source: &Arc<Source>) -> (Vec<Manifest>, Vec<Note>) {
    let mut reading = Reading { source, manifests: Vec::new(), notes: Vec::new() };
    if source.origin == Origin::Chart {
        reading.note(
            1,
            1,
            NoteKind::Template,
            "the source of a Helm chart: render the chart and audit the result",
        );
        return (reading.manifests, reading.notes);
    }
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let mut budget = Budget::default();
    for document in split::documents(text) {
        reading.document(&document, &mut budget);
    }
    (reading.manifests, reading.notes)
}

/// Reads a text that is one document, whatever it is about.
pub fn document(text: &str) -> Result<Node, Fault> {
    yaml::first(text, 1, &mut Budget::default()).map(|first| first.node)
}

/// The JSON pointer of the place at which deserializing failed.
pub fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().map(|segment| match segment {
        Segment::Seq { index } => index.to_string(),
        Segment::Map { key } => escape(key),
        Segment::Enum { variant } => variant.clone(),
        Segment::Unknown => "?".to_owned(),
    });
    segments.fold(String::new(), |pointer, segment| pointer + "/" + &segment)
}

/// What has been read of a source.
struct Reading<'a> {
    source: &'a Arc<Source>,
    manifests: Vec<Manifest>,
    notes: Vec<Note>,
}

impl Reading<'_> {
    fn document(&mut self, document: &Document<'_>, budget: &mut Budget) {
        if let Some(fault) = &document.fault {
            return self.unreadable(document.text, fault.clone());
        }
        let text = document.text;
        let json =
            text.trim_start().starts_with(['{', '[']).then(|| json::stream(text, document.line, budget));
        match json {
            Some(json) if !json.values.is_empty() => {
                for value in json.values {
                    self.object(value);
                }
                if let Some(fault) = json.fault.filter(|_| !split::is_blank(json.rest)) {
                    self.unreadable(json.rest, fault);
                }
            }
            json => match yaml::first(text, document.line, budget) {
                Ok(first) => self.first(first),
                Err(fault) => self.unreadable(text, later(fault, json.and_then(|json| json.fault))),
            },
        }
    }

    fn first(&mut self, first: yaml::First) {
        self.object(first.node);
        if let Some((line, column)) = first.ignored {
            let message = "kubectl ignores what follows here: separate documents with `---`";
            self.note(line, column, NoteKind::Ignored, message);
        }
    }

    fn unreadable(&mut self, text: &str, fault: Fault) {
        let Fault { line, column, message, limit } = fault;
        let holds_objects = note::mentions(text, "kind") || note::mentions(text, "apiVersion");
        let (kind, message, hides) = if limit {
            (NoteKind::TooLarge, message, note::hidden(text))
        } else if text.contains("{{") || text.contains("{%") {
            (NoteKind::Template, format!("a template that has not been rendered: {message}"), Vec::new())
        } else if self.source.origin == Origin::Found && !holds_objects {
            (NoteKind::NotAManifest, message, Vec::new())
        } else {
            (NoteKind::Unreadable, message, note::hidden(text))
        };
        let file = Arc::clone(self.source);
        self.notes.push(Note { file, line, column, kind, message, hides });
    }

    fn note(&mut self, line: u32, column: u32, kind: NoteKind, message: impl Into<String>) {
        let file = Arc::clone(self.source);
        self.notes.push(Note { file, line, column, kind, message: message.into(), hides: Vec::new() });
    }
}

/// Of two readings that failed, the one that got further knows better what is wrong.
fn later(yaml: Fault, json: Option<Fault>) -> Fault {
    match json {
        Some(json) if (json.line, json.column) > (yaml.line, yaml.column) => json,
        _ => yaml,
    }
}
