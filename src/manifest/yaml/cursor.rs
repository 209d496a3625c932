//! Walking over a text character by character, with YAML's rows and an editor's lines.

/// A place in a text.
///
/// YAML 1.1 has more line breaks than editors: a lone CR, NEL, and U+2028 and U+2029. The grammar goes by `row` and
/// `indent`, reports go by `line` and `column`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// In bytes from the start of the document.
    pub(super) at: usize,
    /// From 0.
    pub(super) row: usize,
    /// In characters from the start of the row.
    pub(super) indent: isize,
    /// From 1, as an editor counts.
    pub(super) line: u32,
    /// From 1, in characters, as an editor counts.
    pub(super) column: u32,
}

/// A text and how far it has been read. Past its end it reads as NUL, which no YAML may hold.
pub(super) struct Cursor<'a> {
    text: &'a str,
    pub(super) mark: Mark,
}

impl<'a> Cursor<'a> {
    /// For a text that starts on line `line` of its file.
    pub(super) fn new(text: &'a str, line: u32) -> Self {
        Cursor { text, mark: Mark { line, column: 1, ..Mark::default() } }
    }

    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.mark.at + ahead).copied().unwrap_or_default()
    }

    pub(super) fn peek(&self) -> u8 {
        self.byte(0)
    }

    pub(super) fn starts_with(&self, text: &str) -> bool {
        self.text.as_bytes()[self.mark.at..].starts_with(text.as_bytes())
    }

    /// Whether the text ends here.
    pub(super) fn is_end(&self) -> bool {
        self.mark.at >= self.text.len()
    }

    /// Whether a space or a tab stands here.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self.peek(), b' ' | b'\t')
    }

    pub(super) fn is_break(&self) -> bool {
        self.break_length(0) > 0
    }

    /// Whether a line or the text ends here.
    pub(super) fn is_line_end(&self) -> bool {
        self.is_end() || self.is_break()
    }

    /// Whether a space, a tab, or the end of a line or of the text is so many bytes ahead.
    pub(super) fn is_space(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t' | 0) || self.break_length(ahead) > 0
    }

    /// `---` or `...` alone at the start of a row.
    pub(super) fn is_document_indicator(&self) -> bool {
        self.mark.indent == 0 && (self.starts_with("---") || self.starts_with("...")) && self.is_space(3)
    }

    /// How many bytes the line break has that is so many bytes ahead, or 0.
    ///
    /// kubectl reads a file line by line and turns CRLF into LF before it parses, so that of CR CR LF one CRLF remains.
    pub(super) fn break_length(&self, ahead: usize) -> usize {
        let bytes = [self.byte(ahead), self.byte(ahead + 1), self.byte(ahead + 2)];
        match bytes {
            [b'\r', b'\r', b'\n'] | [0xe2, 0x80, 0xa8 | 0xa9] => 3,
            [b'\r', b'\n', _] | [0xc2, 0x85, _] => 2,
            [b'\n' | b'\r', ..] => 1,
            _ => 0,
        }
    }

    /// Passes over one character that is no line break.
    pub(super) fn skip(&mut self) {
        if let Some(character) = self.text[self.mark.at..].chars().next() {
            self.mark.at += character.len_utf8();
            self.mark.indent += 1;
            self.mark.column = self.mark.column.saturating_add(1);
        }
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.is_blank() {
            self.skip();
        }
    }

    /// Passes over a comment, up to the end of its line.
    pub(super) fn skip_comment(&mut self) {
        if self.peek() == b'#' {
            while !self.is_line_end() {
                self.skip();
            }
        }
    }

    /// Passes over the line break that is here, if one is.
    pub(super) fn skip_line(&mut self) {
        let length = self.break_length(0);
        if length == 0 {
            return;
        }
        let end = self.mark.at + length;
        let is_editors = self.text.as_bytes()[end - 1] == b'\n';
        (self.mark.line, self.mark.column) = if is_editors {
            (self.mark.line.saturating_add(1), 1)
        } else {
            (self.mark.line, self.mark.column.saturating_add(1))
        };
        self.mark.at = end;
        self.mark.row += 1;
        self.mark.indent = 0;
    }

    /// Moves one character that is no line break.
    pub(super) fn read(&mut self, into: &mut String) {
        let start = self.mark.at;
        self.skip();
        into.push_str(&self.text[start..self.mark.at]);
    }

    /// Moves one line break. All become LF but U+2028 and U+2029.
    pub(super) fn read_line(&mut self, into: &mut String) {
        let start = self.mark.at;
        self.skip_line();
        match &self.text[start..self.mark.at] {
            "" => {}
            kept @ ("\u{2028}" | "\u{2029}") => into.push_str(kept),
            _ => into.push('\n'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_rows_and_lines() {
        let mut cursor = Cursor::new("é\u{85}a\r\r\nb\rc", 5);
        let mut seen = Vec::new();
        let mut text = String::new();
        while !cursor.is_end() {
            let Mark { row, indent, line, column, .. } = cursor.mark;
            seen.push((row, indent, line, column));
            if cursor.is_break() {
                cursor.read_line(&mut text);
            } else {
                cursor.read(&mut text);
            }
        }
        assert_eq!(text, "é\na\nb\nc");
        let expected = [
            (0, 0, 5, 1),
            (0, 1, 5, 2),
            (1, 0, 5, 3),
            (1, 1, 5, 4),
            (2, 0, 6, 1),
            (2, 1, 6, 2),
            (3, 0, 6, 3),
        ];
        assert_eq!(seen, expected);
    }
}
