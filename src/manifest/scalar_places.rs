//! The places of scalars in a text. A `#` inside of one starts no comment.

use std::ops::Range;

use super::{split, yaml};

/// Where the scalars of a text are, in lines and columns from 1, in their order.
#[derive(Debug, Default)]
pub struct ScalarPlaces(Vec<Range<(u32, u32)>>);

impl ScalarPlaces {
    /// The scalars of all documents of a text in which `mark` occurs. Behind an error of syntax a document has none.
    pub fn of(text: &str, mark: &str) -> Self {
        let documents = split::documents(text, 1).into_iter().filter(|document| document.text.contains(mark));
        Self(documents.flat_map(|document| yaml::scalar_places(document.text, document.line)).collect())
    }

    /// Whether the character at this line and column is a part of a scalar.
    pub fn hold(&self, line: u32, column: u32) -> bool {
        let after = self.0.partition_point(|scalar| scalar.start <= (line, column));
        after
            .checked_sub(1)
            .and_then(|index| self.0.get(index))
            .is_some_and(|scalar| (line, column) < scalar.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_blocks_hold_what_is_in_them_and_not_what_is_behind() {
        let text =
            "a: \"# x\" # x\nb: |\n  # x\n  y # x\n# x\nc: [# x\n  'é # x']\n---\nd: plain # x\n  # x\n";
        let places = ScalarPlaces::of(text, "x");
        let held: Vec<_> = text
            .lines()
            .zip(1..)
            .flat_map(|(text_line, line)| {
                let columns =
                    (1..).zip(text_line.chars()).filter(|(_, c)| *c == '#').map(|(column, _)| column);
                columns.map(move |column| (line, column)).collect::<Vec<_>>()
            })
            .map(|(line, column)| (line, places.hold(line, column)))
            .collect();
        let expected = [
            (1, true),
            (1, false),
            (3, true),
            (4, true),
            (5, false),
            (6, false),
            (7, true),
            (9, false),
            (10, false),
        ];
        assert_eq!(held, expected);
    }
}
