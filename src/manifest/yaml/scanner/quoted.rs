//! Scalars that go on over lines and are folded: plain ones and quoted ones.

use super::super::super::fault::Fault;
use super::super::cursor::Mark;
use super::super::token::TokenKind;
use super::Scanner;

/// The blanks and line breaks between two words of a scalar.
#[derive(Default)]
struct Gap {
    blanks: String,
    first_break: String,
    more_breaks: String,
    has_break: bool,
}

impl Gap {
    /// Writes what remains of the gap after folding, and empties it. Without a first break (an escaped one is not kept)
    /// there is none to make a blank of.
    fn fold(&mut self, into: &mut String) {
        if !self.has_break {
            into.push_str(&self.blanks);
        } else if self.first_break == "\n" {
            into.push_str(if self.more_breaks.is_empty() { " " } else { &self.more_breaks });
        } else {
            into.push_str(&self.first_break);
            into.push_str(&self.more_breaks);
        }
        self.blanks.clear();
        self.first_break.clear();
        self.more_breaks.clear();
        self.has_break = false;
    }
}

impl Scanner<'_> {
    pub(super) fn fetch_plain(&mut self) -> Result<(), Fault> {
        self.save_key()?;
        self.may_start_key = false;
        let indent = self.indent + 1;
        let start = self.cursor.mark;
        let mut end = start;
        let (mut text, mut gap) = (String::new(), Gap::default());
        while !self.cursor.is_document_indicator() && self.cursor.peek() != b'#' {
            while !self.cursor.is_space(0) && !self.ends_plain() {
                gap.fold(&mut text);
                self.cursor.read(&mut text);
                end = self.cursor.mark;
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
        let kind = TokenKind::Scalar { text, is_plain: true };
        self.tokens.push_back(super::Token { start, end, kind });
        Ok(())
    }

    fn ends_plain(&self) -> bool {
        match self.cursor.peek() {
            b':' => self.cursor.is_space(1),
            b',' | b'?' | b'[' | b']' | b'{' | b'}' => self.in_flow(),
            _ => false,
        }
    }

    /// Reads blanks and line breaks. Where a plain scalar goes on, tabs may not stand for its indentation.
    fn scan_gap(&mut self, gap: &mut Gap, plain: Option<(isize, Mark)>) -> Result<(), Fault> {
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
                if gap.has_break {
                    self.cursor.skip();
                } else {
                    self.cursor.read(&mut gap.blanks);
                }
            } else if !self.cursor.is_break() {
                return Ok(());
            } else if gap.has_break {
                self.cursor.read_line(&mut gap.more_breaks);
            } else {
                gap.blanks.clear();
                self.cursor.read_line(&mut gap.first_break);
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
        let (mut text, mut gap) = (String::new(), Gap::default());
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
            gap.fold(&mut text);
        }
        self.cursor.skip();
        self.push(start, TokenKind::Scalar { text, is_plain: false });
        Ok(())
    }

    /// Reads up to a blank, a line break or the end, and says whether it was ended by an escaped line break.
    fn scan_quoted_word(&mut self, quote: u8, start: Mark, text: &mut String) -> Result<bool, Fault> {
        while !self.cursor.is_space(0) {
            match self.cursor.peek() {
                b'\'' if quote == b'\'' && self.cursor.byte(1) == b'\'' => {
                    text.push('\'');
                    self.cursor.skip();
                    self.cursor.skip();
                }
                byte if byte == quote => return Ok(false),
                b'\\' if quote == b'"' && self.cursor.break_length(1) > 0 => {
                    self.cursor.skip();
                    self.cursor.skip_line();
                    return Ok(true);
                }
                b'\\' if quote == b'"' => self.scan_escape(start, text)?,
                _ => self.cursor.read(text),
            }
        }
        Ok(false)
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
