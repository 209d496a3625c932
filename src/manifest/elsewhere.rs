//! The fields of a rendered object that are not written where the object is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Source, Span};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub file: Arc<Source>,
    /// The part to underline in it.
    pub span: Span,
}

/// Where such fields are written, by JSON pointer, each with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere(BTreeMap<Box<str>, Position>);

impl Elsewhere {
    pub fn insert(&mut self, json_pointer: &str, at: Position) {
        self.0.insert(json_pointer.into(), at);
    }

    pub fn files(&mut self) -> impl Iterator<Item = &mut Arc<Source>> {
        self.0.values_mut().map(|position| &mut position.file)
    }

    /// Where a field is written, if it or a field that it is in is written elsewhere.
    pub fn find(&self, json_pointer: &str) -> Option<&Position> {
        if self.0.is_empty() {
            return None;
        }
        let above = |pointer: &&str| pointer.rfind('/').map(|at| &json_pointer[..at]);
        std::iter::successors(Some(json_pointer), above).find_map(|pointer| self.0.get(pointer))
    }
}

#[cfg(test)]
mod tests {
    use super::super::SourceOrigin;
    use super::*;

    #[test]
    fn a_field_is_where_the_nearest_known_one_above_it_is() {
        let file = Source::new("x", "", SourceOrigin::Named);
        let at = |line| Position { file: Arc::clone(&file), span: Span { line, column: 1, end_column: 2 } };
        let mut elsewhere = Elsewhere::default();
        assert_eq!(elsewhere.find("/a"), None);
        elsewhere.insert("/a", at(1));
        elsewhere.insert("/a/b", at(2));
        let line = |pointer| elsewhere.find(pointer).map(|at| at.span.line);
        assert_eq!(["/a", "/a/c/d", "/a/b/c", "/ab", ""].map(line), [Some(1), Some(1), Some(2), None, None]);
    }
}
