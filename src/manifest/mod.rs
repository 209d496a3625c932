//! Manifests read from text as kubectl reads them, with the position of every value.
//!
//! ```text
//! paths ─ sources ─▶ Source ─ json | split, yaml ─▶ Node ─ unwrap (List, Template) ─▶ Manifest ─ de ─▶ models
//!                                                                      │                  └─ outline ─▶ Outline
//!                                                                      └─ passed over or unreadable ─▶ Note
//! ```
//!
//! Pure: text in, values out. Nothing in a file makes reading it fail as a whole; what
//! cannot be used is a [`Note`], which also says what it may hide, so that an object is not taken for absent that an
//! unreadable text may hold.

mod de;
mod elsewhere;
mod fault;
mod json;
mod limits;
mod lines;
mod map;
mod misspelt;
mod node;
mod note;
mod outline;
mod scalar;
mod scalar_places;
mod source;
mod split;
mod template;
mod unwrap;
mod variable;
mod yaml;

use std::ops::Range;
use std::sync::Arc;

use crate::model::{pointer_step, printable};

pub use elsewhere::{Elsewhere, Position};
pub use fault::Fault;
use limits::ParseLimits;
pub use lines::{Excerpt, Lines};
pub use misspelt::misspelt_fields;
pub use node::{MapEntry, Node, NodeValue, Span};
pub use note::{Note, NoteKind, kinds_that_matter};
pub use outline::{KeyTable, Outline};
pub use scalar_places::ScalarPlaces;
pub use source::{STDIN, Source, SourceOrigin};
use split::DocumentText;
pub use variable::WholeVariable;

/// An object as kubectl would apply it: a document, an item of a `List` or an object of an `OpenShift` Template.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest<'a> {
    /// The file it is in.
    pub file: Arc<Source>,
    /// The object; positions are those of the file.
    pub node: Node<'a>,
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.name`.
    pub name: Option<String>,
    /// `metadata.name` as it is written, where the object is rendered from a file: a kustomization may change it.
    pub written_name: Option<String>,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// The keys that the object has twice.
    pub duplicate_keys: Vec<ParsedDuplicateKey>,
    /// Where else its fields are written; empty unless it is rendered.
    pub elsewhere: Elsewhere,
}

/// A key written twice in one map. kubectl takes the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedDuplicateKey {
    /// Its JSON pointer within the object.
    pub pointer: String,
    /// The line of the last one, which counts.
    pub line: u32,
    /// Its column.
    pub column: u32,
    /// The line of the first one.
    pub first_line: u32,
}

/// Reads all documents of a source, whose text is `text`.
pub fn read<'a>(source: &Arc<Source>, text: &'a str) -> (Vec<Manifest<'a>>, Vec<Note>) {
    let mut manifests = Vec::new();
    let notes = read_each(source, text, &mut |manifest| manifests.push(manifest));
    (manifests, notes)
}

/// Reads all documents of a source, whose text is `text`, and gives each object to `take` as soon as it is read: what that does not
/// keep of it takes no memory while the rest is read.
pub fn read_each<'a>(source: &Arc<Source>, text: &'a str, take: &mut dyn FnMut(Manifest<'a>)) -> Vec<Note> {
    let limits = ParseLimits::default();
    let mut reading = SourceReader { source, limits, take, notes: Vec::new() };
    if source.origin == SourceOrigin::Chart {
        reading.note(
            1,
            1,
            NoteKind::Template,
            "the source of a Helm chart: render the chart and audit the result",
        );
    } else {
        reading.text(text.strip_prefix('\u{feff}').unwrap_or(text));
    }
    reading.notes
}

/// The documents of a text: the line on which each starts, and its bytes.
pub fn documents(text: &str) -> Vec<(u32, Range<usize>)> {
    let documents = split::documents(text, 1).into_iter();
    documents.map(|document| (document.line, document.start..document.start + document.text.len())).collect()
}

/// Reads a text that is one document, whatever it is about.
pub fn document(text: &str) -> Result<Node<'_>, Fault> {
    yaml::first(text, 1, &mut ParseLimits::default()).map(|first| first.node)
}

/// Reads a text of which all counts: it is one document, and has no key twice.
pub fn only_document(text: &str) -> Result<Node<'_>, Fault> {
    let mut limits = ParseLimits::default();
    let mut only = None;
    for DocumentText { text, line, fault, .. } in split::documents(text, 1) {
        if let Some(fault) = fault {
            return Err(fault);
        }
        let yaml::First { node, ignored } = yaml::first(text, line, &mut limits)?;
        let further = only.as_ref().filter(|_| !node.is_null()).map(|_| (node.line, node.column));
        if let Some((line, column)) = further.or(ignored) {
            return Err(Fault::syntax(line, column, "only one document is read, and here is a second one"));
        }
        if !node.is_null() {
            only = Some(node);
        }
    }
    let Some(node) = only else { return document("") };
    match unwrap::shadowing_key(&node) {
        Some(MapEntry { key, line, column, .. }) => {
            Err(Fault::syntax(*line, *column, format!("`{key}` is written twice")))
        }
        None => Ok(node),
    }
}

impl Manifest<'_> {
    /// A copy that does not borrow the text it was read from.
    pub fn into_owned(self) -> Manifest<'static> {
        Manifest { node: self.node.into_owned(), ..self }
    }

    /// Where to point a reader to for a JSON pointer, as [`Node::locate`] does.
    pub fn locate(&self, json_pointer: &str) -> Position {
        let elsewhere = self.elsewhere.find(json_pointer).cloned();
        elsewhere.unwrap_or_else(|| Position {
            file: Arc::clone(&self.file),
            span: self.node.locate(json_pointer),
        })
    }
}

/// The JSON pointer of the place at which deserializing failed.
pub fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().map(|segment| match segment {
        Segment::Seq { index } => index.to_string(),
        Segment::Map { key } => pointer_step(key),
        Segment::Enum { variant } => variant.clone(),
        Segment::Unknown => "?".to_owned(),
    });
    segments.fold(String::new(), |pointer, segment| pointer + "/" + &segment)
}

/// A source that is being read.
struct SourceReader<'a, 'b> {
    source: &'b Arc<Source>,
    limits: ParseLimits,
    take: &'b mut dyn FnMut(Manifest<'a>),
    notes: Vec<Note>,
}

impl<'a> SourceReader<'a, '_> {
    /// Reads a file as kubectl's `YAMLOrJSONDecoder` does: JSON values as long as they follow one another, and where at
    /// most one was found, documents of YAML from there on.
    fn text(&mut self, text: &'a str) {
        if !looks_like_json(text) {
            return self.documents(text, 1, None);
        }
        let json = json::stream(text, 1, &mut self.limits);
        let count = json.values.len();
        json.values.into_iter().for_each(|value| self.object(value));
        let Some(fault) = json.fault else { return };
        match after_blanks(json.rest, json.line) {
            Some((rest, line)) if count < 2 && !fault.limit => self.documents(rest, line, Some(fault)),
            _ => self.unreadable(json.rest, fault),
        }
    }

    /// Reads documents of YAML. `json` is what is wrong with the first of them as JSON.
    fn documents(&mut self, text: &'a str, line: u32, mut json: Option<Fault>) {
        for DocumentText { text, line, fault, .. } in split::documents(text, line) {
            if is_ytt(text) {
                let message = "a ytt template that has not been rendered: audit the output of ytt";
                self.push_note(line, 1, NoteKind::Template, message, note::hidden(text));
                continue;
            }
            let first = match fault {
                Some(fault) => Err(fault),
                None => yaml::first(text, line, &mut self.limits),
            };
            let json = json.take();
            match first {
                Ok(first) => self.first(first),
                Err(fault) => self.unreadable(text, later(fault, json)),
            }
        }
    }

    fn first(&mut self, first: yaml::First<'a>) {
        self.object(first.node);
        if let Some((line, column)) = first.ignored {
            let message = "kubectl ignores what follows here: separate documents with `---`";
            self.note(line, column, NoteKind::Ignored, message);
        }
    }

    fn unreadable(&mut self, text: &str, fault: Fault) {
        if fault.limit {
            return self.too_large(&fault);
        }
        let Fault { line, column, message, .. } = fault;
        let holds_objects = note::mentions(text, "kind") || note::mentions(text, "apiVersion");
        let (kind, message, hides) = if text.contains("{{") || text.contains("{%") {
            (NoteKind::Template, format!("a template that has not been rendered: {message}"), Vec::new())
        } else if self.source.origin == SourceOrigin::Found && !holds_objects {
            (NoteKind::NotAManifest, message, Vec::new())
        } else {
            (NoteKind::Unreadable, message, note::hidden(text))
        };
        self.push_note(line, column, kind, &message, hides);
    }

    /// Notes that the rest of a document is left out. It may hold anything.
    fn too_large(&mut self, fault: &Fault) {
        let message = format!("what follows here is left out: {}", fault.message);
        self.push_note(fault.line, fault.column, NoteKind::TooLarge, &message, kinds_that_matter().collect());
    }

    /// Notes that an object of a kind cannot be read.
    fn unread_object(&mut self, kind: &str, line: u32, column: u32, message: &str) {
        self.push_note(line, column, NoteKind::Unreadable, message, note::hidden(kind));
    }

    fn note(&mut self, line: u32, column: u32, kind: NoteKind, message: &str) {
        self.push_note(line, column, kind, message, Vec::new());
    }

    fn push_note(&mut self, line: u32, column: u32, kind: NoteKind, message: &str, hides: Vec<&'static str>) {
        let file = Arc::clone(self.source);
        let message = printable(message).into_owned();
        self.notes.push(Note { file, line, column, kind, message, hides });
    }
}

/// Whether a text has the code of ytt. It stands in comments, so that all it computes would be taken for null.
fn is_ytt(text: &str) -> bool {
    text.contains("#@") && [": #@ ", "- #@ ", "#@ load(", "#@data/"].iter().any(|code| text.contains(code))
}

/// Whether kubectl tries JSON first: by the first character among the first 4096 bytes.
fn looks_like_json(text: &str) -> bool {
    let start = text.trim_start();
    start.starts_with('{') && text.len() - start.len() < 4096
}

/// The text behind blanks up to the end of their line, and the line it starts on. kubectl does not try again with fewer
/// than four bytes.
fn after_blanks(text: &str, line: u32) -> Option<(&str, u32)> {
    let at = text.find(|character: char| !character.is_whitespace() || character == '\n')?;
    let rest = &text[at..];
    let is_long_enough = rest.len() >= 4;
    is_long_enough.then(|| rest.strip_prefix('\n').map_or((rest, line), |rest| (rest, line + 1)))
}

/// If two readings failed, returns the error of the one that got further, which is more precise.
fn later(yaml: Fault, json: Option<Fault>) -> Fault {
    match json {
        Some(json) if (json.line, json.column) > (yaml.line, yaml.column) => json,
        _ => yaml,
    }
}
