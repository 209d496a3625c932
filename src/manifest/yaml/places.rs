//! Lines and columns as editors count them.
//!
//! YAML 1.1 has more line breaks than editors, and the parser puts the end of a text on a line after it. So positions
//! are counted here, from the byte offsets that the parser gives as well.

/// Turns offsets into positions. Fast as long as they mostly grow.
pub(super) struct Places<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    column: u32,
}

impl<'a> Places<'a> {
    /// For a text that starts on line `line` of its file.
    pub(super) fn new(text: &'a str, line: u32) -> Self {
        Places { text, at: 0, line, column: 1 }
    }

    /// The line and the column at a byte offset.
    pub(super) fn of(&mut self, offset: u64) -> (u32, u32) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(self.text.len());
        if offset < self.at {
            self.go_back(offset);
        }
        for character in self.text.get(self.at..offset).unwrap_or_default().chars() {
            (self.line, self.column) = match character {
                '\n' => (self.line.saturating_add(1), 1),
                _ => (self.line, self.column.saturating_add(1)),
            };
        }
        self.at = offset;
        (self.line, self.column)
    }

    /// The position of the first character of a kind, or the beginning.
    pub(super) fn of_first(&mut self, is_it: fn(char) -> bool) -> (u32, u32) {
        let offset = self.text.find(is_it).unwrap_or_default();
        self.of(offset as u64)
    }

    /// The character at a byte offset.
    pub(super) fn character(&self, offset: u64) -> Option<char> {
        self.text.get(usize::try_from(offset).ok()?..)?.chars().next()
    }

    /// To the start of the line that an earlier offset is in.
    fn go_back(&mut self, offset: usize) {
        let start = self.text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let passed = self.text.get(start..self.at).unwrap_or_default().matches('\n').count();
        self.line = self.line.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX));
        self.column = 1;
        self.at = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_and_goes_back() {
        let mut places = Places::new("é\u{85}a\r\nb\n", 5);
        assert_eq!(places.of(4), (5, 3));
        assert_eq!(places.of(7), (6, 1));
        assert_eq!(places.of(99), (7, 1));
        assert_eq!(places.of(2), (5, 2));
        assert_eq!(places.of(7), (6, 1));
    }
}
