//! Finding the lines of a file again, to show them.

use super::{Source, Span};
use crate::model::push_printable;

/// How many characters lie between two places of the index.
const STEP: usize = 1024;

/// How many characters are shown before a place and how many from it on.
const SHOWN: u32 = 160;

/// Line, column and byte.
type CharacterPlace = (u32, u32, usize);

/// Where the lines of a text are, so that each is found without reading all before it. A line may be a whole file.
pub struct Lines {
    text: String,
    /// The place of every [`STEP`]th character.
    places: Vec<CharacterPlace>,
}

/// A part of a line as it may be shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The part, with escapes.
    pub text: String,
    /// Where the span starts in it, in bytes.
    pub start: usize,
    /// Where the span ends in it, in bytes.
    pub end: usize,
    /// Whether what stands before it in the line is left out.
    pub is_cut: bool,
}

impl Lines {
    /// Reads a file once.
    pub fn new(source: &Source) -> Self {
        let text = source.text();
        let places = walk(&text, (1, 1, 0)).step_by(STEP).map(|(place, _)| place).collect();
        Lines { text, places }
    }

    /// The line of a span, cut to what surrounds the span.
    pub fn excerpt(&self, span: Span) -> Excerpt {
        let first = span.column.saturating_sub(SHOWN).max(1);
        let last = span.column.saturating_add(SHOWN);
        let mut excerpt = Excerpt { text: String::new(), start: 0, end: 0, is_cut: first > 1 };
        if excerpt.is_cut {
            excerpt.text.push('…');
        }
        let mut column = first;
        let mut start = None;
        let mut end = None;
        for character in self.text[self.byte_of(span.line, first)..].chars() {
            if column == span.column {
                start = Some(excerpt.text.len());
            }
            if column == span.end_column {
                end = Some(excerpt.text.len());
            }
            if character == '\n' || column == last {
                break;
            }
            match character {
                '\t' => excerpt.text.push(' '),
                '\r' => {}
                _ => push_printable(&mut excerpt.text, character),
            }
            column += 1;
        }
        let length = excerpt.text.len();
        excerpt.start = start.unwrap_or(length);
        excerpt.end = end.unwrap_or(length).max(excerpt.start);
        if column == last {
            excerpt.text.push('…');
        }
        excerpt
    }

    /// The byte at which a column of a line starts, or the end of the line.
    fn byte_of(&self, line: u32, column: u32) -> usize {
        let after = self.places.partition_point(|(l, c, _)| (*l, *c) <= (line, column));
        let Some(start) = after.checked_sub(1).map(|index| self.places[index]) else { return 0 };
        let is_there = |((l, c, _), character): &(CharacterPlace, char)| {
            *l == line && (*c == column || *character == '\n')
        };
        walk(&self.text, start).find(is_there).map_or(self.text.len(), |((.., byte), _)| byte)
    }
}

/// The characters from a place on, each with its line, column and byte.
fn walk(text: &str, (line, column, start): CharacterPlace) -> impl Iterator<Item = (CharacterPlace, char)> {
    text[start..].char_indices().scan((line, column), move |(line, column), (at, character)| {
        let place = (*line, *column, start + at);
        (*line, *column) =
            if character == '\n' { (line.saturating_add(1), 1) } else { (*line, column.saturating_add(1)) };
        Some((place, character))
    })
}

#[cfg(test)]
mod tests {
    use super::super::SourceOrigin;
    use super::*;

    fn source(text: &str) -> std::sync::Arc<Source> {
        Source::new("", text, SourceOrigin::Named)
    }

    fn excerpt(text: &str, line: u32, column: u32, end_column: u32) -> (String, String) {
        let source = source(text);
        let Excerpt { text, start, end, .. } = Lines::new(&source).excerpt(Span { line, column, end_column });
        (text[start..end].to_owned(), text)
    }

    #[test]
    fn shows_the_line_of_a_span() {
        let text = "a: 1\r\n\té: \u{1b}[2J\nlast";
        assert_eq!(excerpt(text, 1, 4, 5), ("1".to_owned(), "a: 1".to_owned()));
        assert_eq!(excerpt(text, 2, 2, 3), ("é".to_owned(), " é: \\u{1b}[2J".to_owned()));
        assert_eq!(excerpt(text, 3, 1, 99), ("last".to_owned(), "last".to_owned()));
        assert_eq!(excerpt(text, 3, 9, 9), (String::new(), "last".to_owned()));
        assert_eq!(excerpt(text, 7, 1, 2), (String::new(), String::new()));
    }

    #[test]
    fn a_long_line_is_cut_around_the_span() {
        let text = format!("{}key{}\nb", "é".repeat(5000), "y".repeat(5000));
        let (span, shown) = excerpt(&text, 1, 5001, 5004);
        assert_eq!(span, "key");
        assert!(shown.starts_with("…é") && shown.ends_with("y…") && shown.chars().count() < 400);
    }
}
