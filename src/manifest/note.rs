//! Notes on texts that were skipped or could not be read.

use std::sync::Arc;

use super::Source;
use crate::model::Kind;

/// The kinds whose absence can be a finding, or silence one.
pub fn kinds_that_matter() -> impl Iterator<Item = &'static str> {
    Kind::ALL.into_iter().map(Kind::name).chain(["StatefulSetPolicy"])
}

/// A text that gave no manifest, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file; its text is empty where it could not be read at all.
    pub file: Arc<Source>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The category.
    pub kind: NoteKind,
    /// The problem, printable as it is.
    pub message: String,
    /// The kinds of [`kinds_that_matter`] that the text may hold: whether objects of these exist is no longer known.
    pub hides: Vec<&'static str>,
}

impl Note {
    /// Whether an object of this kind may be in the text. A template hides nothing from the rules, but its objects are not deleted.
    pub fn may_hold(&self, kind: &str) -> bool {
        self.hides.contains(&kind) || self.kind == NoteKind::Template && mentions(&self.file.text(), kind)
    }

    /// The file, and where in it; of a file that could not be opened there is only its name.
    pub fn place(&self) -> String {
        let name = &self.file.name;
        if self.file.is_empty() { name.clone() } else { format!("{name}:{}:{}", self.line, self.column) }
    }
}

/// The category of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoteKind {
    /// It should have been read and cannot be.
    Unreadable,
    /// It exceeds a limit.
    TooLarge,
    /// YAML or JSON that is no Kubernetes object.
    NotAManifest,
    /// A template whose rendering would be manifests.
    Template,
    /// A patch for an object rather than the object.
    Partial,
    /// kubectl passes over it in silence.
    Ignored,
    /// A file or folder that is not looked into.
    Skipped,
    /// One object is defined twice among those that are judged together.
    DefinedTwice,
    /// A kustomization or a chart that could not be rendered, or a variable that has not been filled in.
    NotRendered,
    /// A variable is taken for its default.
    Default,
    /// A field that its kind does not have and that looks like one that it has.
    UnknownField,
    /// A path that should hold manifests and holds none.
    Empty,
    /// A comment `stateward:ignore` that exempts nothing.
    IgnoreComment,
    /// An object of the old state that may be in a text that could not be read.
    DeletionUnknown,
}

impl NoteKind {
    pub const ALL: [Self; 14] = [
        Self::Unreadable,
        Self::TooLarge,
        Self::NotAManifest,
        Self::Template,
        Self::Partial,
        Self::Ignored,
        Self::Skipped,
        Self::DefinedTwice,
        Self::NotRendered,
        Self::Default,
        Self::UnknownField,
        Self::Empty,
        Self::IgnoreComment,
        Self::DeletionUnknown,
    ];

    /// Whether it says that something is wrong with the input, not only that it is none.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Unreadable | Self::TooLarge | Self::NotRendered | Self::Empty)
    }

    /// Its name in reports and in comments that silence it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::TooLarge => "tooLarge",
            Self::NotAManifest => "notAManifest",
            Self::Template => "template",
            Self::Partial => "partial",
            Self::Ignored => "ignored",
            Self::Skipped => "skipped",
            Self::DefinedTwice => "definedTwice",
            Self::NotRendered => "notRendered",
            Self::Default => "default",
            Self::UnknownField => "unknownField",
            Self::Empty => "empty",
            Self::IgnoreComment => "ignoreComment",
            Self::DeletionUnknown => "deletionUnknown",
        }
    }
}

/// The watched kinds that a text names.
pub(super) fn hidden(text: &str) -> Vec<&'static str> {
    kinds_that_matter()
        .filter(|kind| mentions(text, kind) || mentions(text, &format!("{kind}List")))
        .collect()
}

/// Whether a text has a word, as a whole.
pub(super) fn mentions(text: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_have_names_of_their_own() {
        let order: Vec<usize> = NoteKind::ALL.iter().map(|kind| *kind as usize).collect();
        assert_eq!(order, (0..=NoteKind::DeletionUnknown as usize).collect::<Vec<_>>());
        let names: std::collections::BTreeSet<&str> = NoteKind::ALL.map(NoteKind::name).into();
        assert_eq!(names.len(), NoteKind::ALL.len());
    }

    #[test]
    fn hidden_kinds_are_whole_words() {
        assert_eq!(hidden("kind: ServiceAccount\nserviceName: x"), Vec::<&str>::new());
        assert_eq!(hidden("kind: Service\n{\"kind\":\"StatefulSetList\"}"), ["StatefulSet", "Service"]);
    }
}
