//! Walking over a text, with YAML's rows and an editor's lines.

/// A place in a text.
///
/// YAML 1.1 has more line breaks than editors: a lone CR, NEL, and U+2028 and U+2029. The grammar goes by `row` and
/// `indent`, reports go by `place`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// In bytes from the start of the document.
    pub(super) at: usize,
    /// From 0.
    pub(super) row: usize,
    /// In characters from the start of the row.
    pub(super) indent: isize,
    pub(super) place: LineColumn,
}

/// A place as an editor counts: lines from 1, columns from 1 and in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LineColumn {
    pub(super) line: u32,
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
        Cursor { text, mark: Mark { place: LineColumn { line, column: 1 }, ..Mark::default() } }
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
        match self.byte(ahead) {
            b'\n' => 1,
            b'\r' => match [self.byte(ahead + 1), self.byte(ahead + 2)] {
                [b'\r', b'\n'] => 3,
                [b'\n', _] => 2,
                _ => 1,
            },
            0xc2 if self.byte(ahead + 1) == 0x85 => 2,
            0xe2 if self.byte(ahead + 1) == 0x80 && matches!(self.byte(ahead + 2), 0xa8 | 0xa9) => 3,
            _ => 0,
        }
    }

    /// The text from a place up to here.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.mark.at]
    }

    /// Passes over one character that is no line break.
    pub(super) fn skip(&mut self) {
        let length = match self.peek() {
            0 if self.is_end() => return,
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0.. => 4,
        };
        self.advance(length, 1);
    }

    fn advance(&mut self, bytes: usize, characters: usize) {
        self.mark.at += bytes;
        self.mark.indent = self.mark.indent.saturating_add_unsigned(characters);
        let columns = u32::try_from(characters).unwrap_or(u32::MAX);
        self.mark.place.column = self.mark.place.column.saturating_add(columns);
    }

    /// Passes over the characters before the next at which `ends` says so, and returns them. Such a character starts with one of
    /// the bytes of `may_end`, those of line breaks among them.
    pub(super) fn skip_until(&mut self, may_end: &Bytes, ends: impl Fn(&Self) -> bool) -> &'a str {
        let start = self.mark.at;
        loop {
            let rest = &self.text[self.mark.at..];
            let length = rest.bytes().position(|byte| may_end[usize::from(byte)]).unwrap_or(rest.len());
            self.advance(length, characters(&rest[..length]));
            if self.is_end() || ends(self) {
                return self.since(start);
            }
            self.skip();
        }
    }

    pub(super) fn skip_spaces(&mut self) {
        let rest = &self.text.as_bytes()[self.mark.at..];
        let count = rest.iter().take_while(|byte| **byte == b' ').count();
        self.advance(count, count);
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.is_blank() {
            self.skip();
        }
    }

    /// Passes over what is left of the line and returns it.
    pub(super) fn skip_to_line_end(&mut self) -> &'a str {
        const BREAKS: Bytes = bytes(&[]);
        self.skip_until(&BREAKS, Self::is_break)
    }

    /// Passes over a comment, up to the end of its line.
    pub(super) fn skip_comment(&mut self) {
        if self.peek() == b'#' {
            self.skip_to_line_end();
        }
    }

    /// Passes over the line break that is here, if one is, and returns what it is read as: LF, or U+2028 and U+2029 as they are.
    pub(super) fn skip_line(&mut self) -> &'static str {
        let length = self.break_length(0);
        if length == 0 {
            return "";
        }
        let end = self.mark.at + length;
        let last = self.text.as_bytes()[end - 1];
        let LineColumn { line, column } = &mut self.mark.place;
        (*line, *column) =
            if last == b'\n' { (line.saturating_add(1), 1) } else { (*line, column.saturating_add(1)) };
        self.mark.at = end;
        self.mark.row += 1;
        self.mark.indent = 0;
        match (length, last) {
            (3, 0xa8) => "\u{2028}",
            (3, 0xa9) => "\u{2029}",
            _ => "\n",
        }
    }
}

/// A set of bytes.
pub(super) type Bytes = [bool; 256];

/// The bytes with which line breaks start, and more.
pub(super) const fn bytes(more: &[u8]) -> Bytes {
    let mut set = [false; 256];
    (set[b'\n' as usize], set[b'\r' as usize], set[0xc2], set[0xe2]) = (true, true, true, true);
    let mut rest = more;
    while let [byte, others @ ..] = rest {
        set[*byte as usize] = true;
        rest = others;
    }
    set
}

fn characters(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
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
            let Mark { row, indent, place: LineColumn { line, column }, .. } = cursor.mark;
            seen.push((row, indent, line, column));
            if cursor.is_break() {
                text += cursor.skip_line();
            } else {
                let start = cursor.mark.at;
                cursor.skip();
                text += cursor.since(start);
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
