//! Policies from files.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use jiff::Timestamp;
use serde_json::Value;

use super::sources;
use crate::manifest::{Manifest, Note, NoteKind, Source, SourceOrigin, read};
use crate::model::Kind;
use crate::policy::{NamespaceExemption, Policy, PolicyError, all_errors, lint};

/// A remark about a document that is or should be a policy, and its place.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub(super) struct PolicyRemark {
    /// The name of the policy, or of the file where nothing in it can be read.
    pub(super) policy: String,
    /// File, line and column.
    pub(super) place: String,
    pub(super) message: String,
    /// Whether it is said of a text of which it is not known what is in it.
    pub(super) is_unreadable: bool,
}

/// The policies in some files.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) policies: Vec<Arc<Policy>>,
    pub(super) exemptions: Vec<Arc<NamespaceExemption>>,
    /// Why some documents are not used as policies.
    pub(super) errors: Vec<PolicyRemark>,
    /// The parts of valid policies that have no effect.
    pub(super) warnings: Vec<PolicyRemark>,
}

const NO_POLICY: &str = "no StatefulSetPolicy and no StatefulSetExemption is found here (in folders *.yaml, *.yml and *.json are read)";

/// Whether a file of this name holds cases for `policy test`, and not policies.
pub(super) fn is_of_cases(name: &str) -> bool {
    name.ends_with(".test.yaml")
}

/// A file, or why it cannot be read.
pub(super) type PolicySource = Result<Arc<Source>, Note>;

/// Reads all policies under some paths. That there is none under one of them is an error: what it should say is not known.
pub(super) fn load(paths: &[PathBuf], now: Timestamp) -> Loaded {
    let mut all = Loaded::default();
    for path in paths {
        let mut of_path = Loaded::default();
        for source in sources::open(std::slice::from_ref(path)) {
            of_path.extend(Loaded::of(&source, now));
        }
        if of_path.is_empty() {
            of_path.errors.push(PolicyRemark {
                policy: path.display().to_string(),
                place: path.display().to_string(),
                message: NO_POLICY.to_owned(),
                is_unreadable: true,
            });
        }
        all.extend(of_path);
    }
    all
}

impl Loaded {
    pub(super) fn of(source: &PolicySource, now: Timestamp) -> Self {
        let mut loaded = Self::default();
        let source = match source {
            // Cases for `policy test` may stand beside the policies.
            Ok(source) if source.origin == SourceOrigin::Found && is_of_cases(&source.name) => return loaded,
            Ok(source) => source,
            // A mounted ConfigMap keeps its files in hidden folders, beside links to them.
            Err(note) if note.kind == NoteKind::Skipped => return loaded,
            Err(note) => {
                loaded.errors.push(unread(note));
                return loaded;
            }
        };
        let text = source.text();
        let (manifests, notes) = read(source, &text);
        let failures =
            notes.iter().filter(|note| !matches!(note.kind, NoteKind::Ignored | NoteKind::Skipped));
        loaded.errors.extend(failures.map(unread));
        for manifest in &manifests {
            if let Err(errors) = loaded.add(manifest, now) {
                loaded.errors.extend(errors);
            }
        }
        loaded
    }

    fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.exemptions.is_empty() && self.errors.is_empty()
    }

    fn add(&mut self, manifest: &Manifest<'_>, now: Timestamp) -> Result<(), Vec<PolicyRemark>> {
        let document = manifest.node.to_json();
        if manifest.kind == Kind::Exemption.name() {
            let exemption = read_or_errors(manifest, &document, NamespaceExemption::from_json)?;
            self.exemptions.push(Arc::new(exemption));
        } else {
            let policy = read_or_errors(manifest, &document, Policy::from_json)?;
            self.policies.push(Arc::new(policy.from_file(place(manifest, ""))));
        }
        let warnings = lint(&document, now).into_iter();
        self.warnings.extend(warnings.map(|w| remark(manifest, &w.pointer, w.message)));
        Ok(())
    }

    /// All that is wrong with them, as one error.
    pub(super) fn or_error(self) -> anyhow::Result<Self> {
        let errors: Vec<String> = self.errors.iter().map(ToString::to_string).collect();
        if errors.is_empty() { Ok(self) } else { bail!("{}", errors.join("\n")) }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.policies.extend(other.policies);
        self.exemptions.extend(other.exemptions);
        self.errors.extend(other.errors);
        self.warnings.extend(other.warnings);
    }
}

/// Reads a document, or says all that is wrong with it, in the order in which it is written.
fn read_or_errors<T>(
    manifest: &Manifest<'_>,
    document: &Value,
    read: impl Fn(&Value) -> Result<T, PolicyError>,
) -> Result<T, Vec<PolicyRemark>> {
    let twice = manifest.duplicate_keys.iter();
    let twice =
        twice.map(|key| remark(manifest, &key.pointer, format!("`{}` is written twice", key.pointer)));
    let mut remarks: Vec<PolicyRemark> = twice.collect();
    let read_document = read(document);
    if remarks.is_empty()
        && let Ok(read) = read_document
    {
        return Ok(read);
    }
    let mut errors = all_errors(document, read);
    errors.sort_by_key(|error| {
        let at = manifest.node.locate(&error.pointer);
        (at.line, at.column)
    });
    remarks.extend(errors.into_iter().map(|error| error_remark(manifest, error)));
    Err(remarks)
}

fn unread(note: &Note) -> PolicyRemark {
    let (policy, place) = (note.file.name.clone(), note.place());
    PolicyRemark { policy, place, message: note.message.clone(), is_unreadable: true }
}

fn error_remark(manifest: &Manifest<'_>, error: PolicyError) -> PolicyRemark {
    let within = error.offset.and_then(|offset| expression_place(manifest, &error.pointer, offset));
    let remark = remark(manifest, &error.pointer, error.message);
    match within {
        Some(place) => PolicyRemark { place, ..remark },
        None => remark,
    }
}

/// File, line and column of an offset in a text that is written at a pointer: on one line, or as a block from the next line on.
fn expression_place(manifest: &Manifest<'_>, pointer: &str, offset: usize) -> Option<String> {
    let node = manifest.node.pointer(pointer)?;
    let text = node.as_str()?;
    let before = text.get(..offset)?;
    let (line, last) = (before.matches('\n').count(), before.rsplit('\n').next()?);
    let file = manifest.file.text();
    let lines = &mut file.lines().skip(usize::try_from(node.line).ok()? - 1);
    let first = lines.next()?;
    let start = usize::try_from(node.column).ok()? - 1;
    let written: String = first.chars().skip(start).collect();
    let (line, column) = if written.starts_with(['|', '>']) {
        let indent = lines.clone().find(|line| !line.trim().is_empty())?;
        let indent = indent.len() - indent.trim_start().len();
        (node.line + 1 + u32::try_from(line).ok()?, indent + last.chars().count() + 1)
    } else {
        let quote = usize::from(written.starts_with(['"', '\'']));
        (node.line, start + quote + before.chars().count() + 1)
    };
    Some(format!("{}:{line}:{column}", manifest.file.name))
}

fn remark(manifest: &Manifest<'_>, pointer: &str, message: String) -> PolicyRemark {
    let place = place(manifest, pointer);
    PolicyRemark { policy: manifest.name.clone().unwrap_or_default(), place, message, is_unreadable: false }
}

/// File, line and column of a field.
fn place(manifest: &Manifest<'_>, pointer: &str) -> String {
    let span = manifest.node.locate(pointer);
    format!("{}:{}:{}", manifest.file.name, span.line, span.column)
}
