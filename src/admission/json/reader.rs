//! The text of a review, byte by byte.

use serde::de::Visitor;

use super::{GaveUp, Result};

pub(super) struct JsonReader<'de> {
    pub(super) text: &'de str,
    pub(super) bytes: &'de [u8],
    pub(super) at: usize,
}

/// A string of the text.
pub(super) enum JsonText<'de> {
    /// The text as it is written.
    Plain(&'de str),
    /// The text with its escapes replaced.
    Unescaped(String),
}

/// How deeply skipped values may nest. `depth` refuses what nests deeper before anything is read.
pub(super) const MAX_DEPTH: usize = 1024;

const fn all(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

impl<'de> JsonReader<'de> {
    /// The next byte that is not white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(byte) if *byte > b' ' => return Ok(*byte),
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                _ => return Err(GaveUp),
            }
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, wanted: u8) -> Result<()> {
        if self.peek()? != wanted {
            return Err(GaveUp);
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn word(&mut self, word: &str) -> Result<()> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(GaveUp);
        }
        self.at += word.len();
        Ok(())
    }

    /// The place of the next byte from `at` on that does not stand for itself in a string: a quote, a backslash or a control
    /// character.
    #[inline]
    fn special(&self, mut at: usize) -> Result<usize> {
        while let Some(eight) = self.bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let eight = u64::from_le_bytes(*eight);
            // The highest bit of each byte that is special. A borrow from below can set that of a later byte too, but not of an
            // earlier one.
            let quotes = (eight ^ all(b'"')).wrapping_sub(all(1));
            let backslashes = (eight ^ all(b'\\')).wrapping_sub(all(1));
            let controls = eight.wrapping_sub(all(b' '));
            let found = (quotes | backslashes | controls) & !eight & all(0x80);
            if found != 0 {
                return Ok(at + (found.trailing_zeros() / 8) as usize);
            }
            at += 8;
        }
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
        let rest = self.bytes.get(at..).ok_or(GaveUp)?;
        rest.iter().position(is_special).map(|offset| at + offset).ok_or(GaveUp)
    }

    /// Reads a string whose quote is next.
    #[inline]
    pub(super) fn string(&mut self) -> Result<JsonText<'de>> {
        let start = self.at + 1;
        let end = self.special(start)?;
        if self.bytes[end] == b'"' {
            self.at = end + 1;
            return Ok(JsonText::Plain(&self.text[start..end]));
        }
        self.unescaped(start, end)
    }

    /// Reads a string from its first byte on, whose first special byte has been found.
    fn unescaped(&mut self, mut from: usize, mut end: usize) -> Result<JsonText<'de>> {
        let mut text = String::new();
        loop {
            text.push_str(&self.text[from..end]);
            match self.bytes[end] {
                b'"' => {
                    self.at = end + 1;
                    return Ok(JsonText::Unescaped(text));
                }
                b'\\' => self.at = end + 1,
                _ => return Err(GaveUp),
            }
            text.push(self.escape()?);
            from = self.at;
            end = self.special(from)?;
        }
    }

    /// The character of an escape whose backslash has been read.
    fn escape(&mut self) -> Result<char> {
        let byte = *self.bytes.get(self.at).ok_or(GaveUp)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return char::from_u32(self.hexadecimal()?).ok_or(GaveUp),
            _ => return Err(GaveUp),
        })
    }

    fn hexadecimal(&mut self) -> Result<u32> {
        let digits: &[u8; 4] = self.bytes[self.at..].first_chunk().ok_or(GaveUp)?;
        self.at += 4;
        digits
            .iter()
            .try_fold(0, |value, digit| Ok(value << 4 | char::from(*digit).to_digit(16).ok_or(GaveUp)?))
    }

    #[inline]
    fn skip_string(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            let end = self.special(self.at)?;
            self.at = end + 1;
            match self.bytes[end] {
                b'"' => return Ok(()),
                b'\\' => self.skip_escape()?,
                _ => return Err(GaveUp),
            }
        }
    }

    /// Half of a surrogate pair is no character, but a skipped text is not kept.
    fn skip_escape(&mut self) -> Result<()> {
        if self.bytes.get(self.at) == Some(&b'u') {
            self.at += 1;
            return self.hexadecimal().map(drop);
        }
        self.escape().map(drop)
    }

    #[inline]
    fn skip_digits(&mut self) -> Result<()> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(GaveUp) } else { Ok(()) }
    }

    #[inline]
    fn takes(&mut self, is_wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.bytes.get(self.at).is_some_and(|byte| is_wanted(*byte));
        self.at += usize::from(found);
        found
    }

    fn skip_number(&mut self) -> Result<()> {
        self.skip_integer()?;
        if self.takes(|byte| byte == b'.') {
            self.skip_digits()?;
        }
        if self.takes(|byte| byte == b'e' || byte == b'E') {
            self.takes(|byte| byte == b'+' || byte == b'-');
            self.skip_digits()?;
        }
        Ok(())
    }

    #[inline]
    fn skip_integer(&mut self) -> Result<()> {
        self.takes(|byte| byte == b'-');
        if self.takes(|byte| byte == b'0') { Ok(()) } else { self.skip_digits() }
    }

    #[inline]
    pub(super) fn skip(&mut self, depth: usize) -> Result<()> {
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' => self.skip_object(depth.checked_sub(1).ok_or(GaveUp)?),
            b'[' => self.skip_list(depth.checked_sub(1).ok_or(GaveUp)?),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.skip_number(),
        }
    }

    fn skip_object(&mut self, depth: usize) -> Result<()> {
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek()? != b'"' {
                return Err(GaveUp);
            }
            self.skip_string()?;
            self.expect(b':')?;
            self.skip(depth)?;
            if self.ends(b'}')? {
                return Ok(());
            }
        }
    }

    fn skip_list(&mut self, depth: usize) -> Result<()> {
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip(depth)?;
            if self.ends(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a comma, or the end.
    #[inline]
    fn ends(&mut self, end: u8) -> Result<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Ok(false),
            _ if byte == end => Ok(true),
            _ => Err(GaveUp),
        }
    }

    #[inline]
    pub(super) fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let start = self.at;
        self.skip_integer()?;
        let text = &self.text[start..self.at];
        if matches!(self.bytes.get(self.at), Some(b'.' | b'e' | b'E')) || text == "-0" {
            return Err(GaveUp);
        }
        if text.starts_with('-') {
            visitor.visit_i64(text.parse().map_err(|_| GaveUp)?)
        } else {
            visitor.visit_u64(text.parse().map_err(|_| GaveUp)?)
        }
    }
}
