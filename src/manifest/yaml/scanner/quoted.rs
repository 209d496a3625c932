//! Scalars that go on over lines and are folded: plain ones and quoted ones.

use std::borrow::Cow;

use super::super::super::fault::Fault;
use super::super::cursor::{Bytes, Cursor, Mark, bytes};
use super::super::token::TokenKind;
use super::Scanner;

/// Bytes that may end a word of a plain scalar.
const PLAIN_END: Bytes = bytes(b" \t\0:,?[]{}");

/// Bytes that may end a word of a quoted scalar.
const QUOTED_END: Bytes = bytes(b" \t\0'\"\\");

/// The text of a scalar that is being read: a part of the source until something is folded or unescaped.
struct ScalarText<'a> {
    /// Where it starts.
    start: usize,
    unchanged: &'a str,
    changed: Option<String>,
}

impl<'a> ScalarText<'a> {
    /// The text that starts here.
    fn new(cursor: &Cursor<'_>) -> Self {
        Self { start: cursor.mark.at, unchanged: "", changed: None }
    }

    /// Adds the next part of the source, up to the place of the cursor.
    fn add(&mut self, part: &str, cursor: &Cursor<'a>) {
        match &mut self.changed {
            Some(text) => text.push_str(part),
            None => self.unchanged = cursor.since(self.start),
        }
    }

    /// The text, to be added to other than what the source has next.
    fn change(&mut self) -> &mut String {
        self.changed.get_or_insert_with(|| self.unchanged.to_owned())
    }

    fn finish(self) -> Cow<'a, str> {
        self.changed.map_or(Cow::Borrowed(self.unchanged), Cow::Owned)
    }
}

/// The blanks and line breaks between two words of a scalar.
#[derive(Default)]
struct WordBreak<'a> {
    blanks: &'a str,
    first_break: &'static str,
    more_breaks: String,
    has_break: bool,
}

impl<'a> WordBreak<'a> {
    /// Writes what remains of the gap after folding, and empties it. Without a first break (an escaped one is not kept)
    /// there is none to make a blank of.
    fn fold(&mut self, into: &mut ScalarText<'a>, cursor: &Cursor<'a>) {
        if !self.has_break {
            into.add(self.blanks, cursor);
        } else if self.first_break == "\n" {
            into.change().push_str(if self.more_breaks.is_empty() { " " } else { &self.more_breaks });
        } else {
            into.change().push_str(self.first_break);
            into.change().push_str(&self.more_breaks);
        }
        *self = Self::default();
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn fetch_plain(&mut self) -> Result<(), Fault> {
        self.save_key()?;
        self.may_start_key = false;
        let indent = self.indent + 1;
        let start = self.cursor.mark;
        let mut end = start.place;
        let (mut text, mut gap) = (ScalarText::new(&self.cursor), WordBreak::default());
        while !self.cursor.is_document_indicator() && self.cursor.peek() != b'#' {
            let word = self.scan_plain_word();
            if !word.is_empty() {
                gap.fold(&mut text, &self.cursor);
                text.add(word, &self.cursor);
                end = self.cursor.mark.place;
            }
            if !self.cursor.is_blank() && !self.cursor.is_break() {
                break;
            }
            self.scan_gap(&mut gap, Some((indent, start)))?;
            if !self.in_flow() && self.cursor.mark.indent < indent {
                break;
            }
        }
        if gap.has_break {
            self.may_start_key = true;
        }
        let kind = TokenKind::Scalar { text: text.finish(), is_plain: true };
        self.tokens.push_back(super::YamlToken { start: start.place, end, kind });
        Ok(())
    }

    /// Reads up to a blank, a line break, the end, or what ends a plain scalar.
    fn scan_plain_word(&mut self) -> &'a str {
        let in_flow = self.in_flow();
        self.cursor.skip_until(&PLAIN_END, |cursor| match cursor.peek() {
            b':' => cursor.is_space(1),
            b',' | b'?' | b'[' | b']' | b'{' | b'}' => in_flow,
            _ => cursor.is_space(0),
        })
    }

    /// Reads blanks and line breaks. Where a plain scalar goes on, tabs may not stand for its indentation.
    fn scan_gap(&mut self, gap: &mut WordBreak<'a>, plain: Option<(isize, Mark)>) -> Result<(), Fault> {
        let gap_start = self.cursor.mark.at;
        loop {
            if self.cursor.is_blank() {
                if let Some((indent, start)) = plain
                    && gap.has_break
                    && self.cursor.mark.indent < indent
                    && self.cursor.peek() == b'\t'
                {
                    let message = "found a tab character that violates indentation";
                    return Err(self.fault(message, "while scanning a plain scalar", start));
                }
                if self.cursor.peek() == b' ' {
                    self.cursor.skip_spaces();
                } else {
                    self.cursor.skip();
                }
                if !gap.has_break {
                    gap.blanks = self.cursor.since(gap_start);
                }
            } else if !self.cursor.is_break() {
                return Ok(());
            } else if gap.has_break {
                gap.more_breaks.push_str(self.cursor.skip_line());
            } else {
                gap.blanks = "";
                gap.first_break = self.cursor.skip_line();
                gap.has_break = true;
            }
        }
    }

    pub(super) fn fetch_quoted(&mut self) -> Result<(), Fault> {
        self.save_key()?;
        self.may_start_key = false;
        let start = self.cursor.mark;
        let quote = self.cursor.peek();
        self.cursor.skip();
        let (mut text, mut gap) = (ScalarText::new(&self.cursor), WordBreak::default());
        loop {
            let fault = |message: &str| self.fault(message, "while scanning a quoted scalar", start);
            if self.cursor.is_document_indicator() {
                return Err(fault("found unexpected document indicator"));
            }
            if self.cursor.is_end() {
                return Err(fault("found unexpected end of stream"));
            }
            // An escaped line break is folded into nothing.
            gap.has_break = self.scan_quoted_word(quote, start, &mut text)?;
            if self.cursor.peek() == quote {
                break;
            }
            self.scan_gap(&mut gap, None)?;
            gap.fold(&mut text, &self.cursor);
        }
        self.cursor.skip();
        self.push(start, TokenKind::Scalar { text: text.finish(), is_plain: false });
        Ok(())
    }

    /// Reads up to a blank, a line break or the end, and says whether it was ended by an escaped line break.
    fn scan_quoted_word(&mut self, quote: u8, start: Mark, text: &mut ScalarText<'a>) -> Result<bool, Fault> {
        let is_escape = |byte| byte == quote || byte == b'\\' && quote == b'"';
        loop {
            let ends = |cursor: &Cursor<'_>| is_escape(cursor.peek()) || cursor.is_space(0);
            let part = self.cursor.skip_until(&QUOTED_END, ends);
            text.add(part, &self.cursor);
            match self.cursor.peek() {
                b'\'' if quote == b'\'' && self.cursor.byte(1) == b'\'' => {
                    text.change().push('\'');
                    self.cursor.skip();
                    self.cursor.skip();
                }
                b'\\' if quote == b'"' && self.cursor.break_length(1) > 0 => {
                    text.change();
                    self.cursor.skip();
                    self.cursor.skip_line();
                    return Ok(true);
                }
                b'\\' if quote == b'"' => self.scan_escape(start, text.change())?,
                _ => return Ok(false),
            }
        }
    }

    fn scan_escape(&mut self, start: Mark, text: &mut String) -> Result<(), Fault> {
        let context = "while parsing a quoted scalar";
        let digits = match self.cursor.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            byte => {
                let character = escaped(byte)
                    .ok_or_else(|| self.fault("found unknown escape character", context, start))?;
                text.push(character);
                0
            }
        };
        self.cursor.skip();
        self.cursor.skip();
        let mut value = 0;
        for ahead in 0..digits {
            let digit = char::from(self.cursor.byte(ahead)).to_digit(16);
            let digit =
                digit.ok_or_else(|| self.fault("did not find expected hexdecimal number", context, start))?;
            value = value << 4 | digit;
        }
        if digits > 0 {
            // Half of a surrogate pair is no character.
            let character = char::from_u32(value)
                .ok_or_else(|| self.fault("found invalid Unicode character escape code", context, start))?;
            text.push(character);
        }
        (0..digits).for_each(|_| self.cursor.skip());
        Ok(())
    }
}

fn escaped(byte: u8) -> Option<char> {
    Some(match byte {
        b'0' => '\0',
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\u{b}',
        b'f' => '\u{c}',
        b'r' => '\r',
        b'e' => '\u{1b}',
        b' ' | b'"' | b'\'' | b'\\' => char::from(byte),
        b'N' => '\u{85}',
        b'_' => '\u{a0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    })
}
