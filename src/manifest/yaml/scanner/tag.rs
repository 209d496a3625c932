//! Directives, anchors, aliases and tags.

use super::super::super::fault::Fault;
use super::super::cursor::Mark;
use super::super::token::TokenKind;
use super::Scanner;

/// The purpose of scanning a tag.
#[derive(Clone, Copy)]
struct TagContext {
    is_directive: bool,
    start: Mark,
}

impl<'a> Scanner<'a> {
    pub(super) fn scan_directive(&mut self) -> Result<(), Fault> {
        let start = self.cursor.mark;
        let context = "while scanning a directive";
        self.cursor.skip();
        let name = self.scan_word();
        if name.is_empty() {
            return Err(self.fault("could not find expected directive name", context, start));
        }
        if !self.cursor.is_space(0) {
            return Err(self.fault("found unexpected non-alphabetical character", context, start));
        }
        let kind = match name {
            "YAML" => self.scan_version(start)?,
            "TAG" => self.scan_tag_directive(start)?,
            _ => return Err(self.fault("found unknown directive name", context, start)),
        };
        self.push(start, kind);
        self.cursor.skip_blanks();
        self.cursor.skip_comment();
        if !self.cursor.is_line_end() {
            return Err(self.fault("did not find expected comment or line break", context, start));
        }
        self.cursor.skip_line();
        Ok(())
    }

    fn scan_version(&mut self, start: Mark) -> Result<TokenKind<'a>, Fault> {
        self.cursor.skip_blanks();
        let major = self.scan_version_number(start)?;
        if self.cursor.peek() != b'.' {
            let message = "did not find expected digit or '.' character";
            return Err(self.fault(message, "while scanning a %YAML directive", start));
        }
        self.cursor.skip();
        Ok(TokenKind::Version(major, self.scan_version_number(start)?))
    }

    fn scan_version_number(&mut self, start: Mark) -> Result<u8, Fault> {
        let context = "while scanning a %YAML directive";
        let (mut value, mut length) = (0, 0);
        while let digit @ b'0'..=b'9' = self.cursor.peek() {
            length += 1;
            if length > 2 {
                return Err(self.fault("found extremely long version number", context, start));
            }
            value = value * 10 + (digit - b'0');
            self.cursor.skip();
        }
        if length == 0 {
            return Err(self.fault("did not find expected version number", context, start));
        }
        Ok(value)
    }

    fn scan_tag_directive(&mut self, start: Mark) -> Result<TokenKind<'a>, Fault> {
        let context = TagContext { is_directive: true, start };
        self.cursor.skip_blanks();
        let handle = self.scan_tag_handle(context)?;
        if !self.cursor.is_blank() {
            return Err(self.tag_fault("did not find expected whitespace", context));
        }
        self.cursor.skip_blanks();
        let prefix = self.scan_tag_uri("", context)?;
        if !self.cursor.is_space(0) {
            return Err(self.tag_fault("did not find expected whitespace or line break", context));
        }
        Ok(TokenKind::TagDirective([handle, prefix].into()))
    }

    pub(super) fn fetch_anchor(&mut self) -> Result<(), Fault> {
        self.save_key()?;
        self.may_start_key = false;
        let start = self.cursor.mark;
        let is_anchor = self.cursor.peek() == b'&';
        self.cursor.skip();
        let name = self.scan_word();
        let ends = self.cursor.is_space(0)
            || matches!(self.cursor.peek(), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ends {
            let context = if is_anchor { "while scanning an anchor" } else { "while scanning an alias" };
            return Err(self.fault("did not find expected alphabetic or numeric character", context, start));
        }
        self.push(start, if is_anchor { TokenKind::Anchor(name) } else { TokenKind::Alias(name) });
        Ok(())
    }

    pub(super) fn fetch_tag(&mut self) -> Result<(), Fault> {
        self.save_key()?;
        self.may_start_key = false;
        let context = TagContext { is_directive: false, start: self.cursor.mark };
        let (handle, suffix) = if self.cursor.byte(1) == b'<' {
            self.cursor.skip();
            self.cursor.skip();
            let suffix = self.scan_tag_uri("", context)?;
            if self.cursor.peek() != b'>' {
                return Err(self.tag_fault("did not find the expected '>'", context));
            }
            self.cursor.skip();
            (String::new(), suffix)
        } else {
            self.scan_short_tag(context)?
        };
        if !self.cursor.is_space(0) {
            return Err(self.tag_fault("did not find expected whitespace or line break", context));
        }
        self.push(context.start, TokenKind::Tag([handle, suffix].into()));
        Ok(())
    }

    /// `!suffix`, `!handle!suffix` or `!`.
    fn scan_short_tag(&mut self, context: TagContext) -> Result<(String, String), Fault> {
        let handle = self.scan_tag_handle(context)?;
        if handle.len() > 1 && handle.ends_with('!') {
            let suffix = self.scan_tag_uri("", context)?;
            return Ok((handle, suffix));
        }
        let suffix = self.scan_tag_uri(&handle, context)?;
        Ok(if suffix.is_empty() { (suffix, "!".to_owned()) } else { ("!".to_owned(), suffix) })
    }

    fn scan_tag_handle(&mut self, context: TagContext) -> Result<String, Fault> {
        if self.cursor.peek() != b'!' {
            return Err(self.tag_fault("did not find expected '!'", context));
        }
        self.cursor.skip();
        let mut handle = format!("!{}", self.scan_word());
        if self.cursor.peek() == b'!' {
            self.cursor.skip();
            handle.push('!');
        } else if context.is_directive && handle != "!" {
            return Err(self.tag_fault("did not find expected '!'", context));
        }
        Ok(handle)
    }

    /// The rest of a tag. `head` has been read already, in the belief that it was a handle.
    fn scan_tag_uri(&mut self, head: &str, context: TagContext) -> Result<String, Fault> {
        let start = self.cursor.mark.at;
        let mut uri = head.get(1..).unwrap_or_default().to_owned();
        loop {
            match self.cursor.peek() {
                b'%' => self.scan_uri_escape(&mut uri, context)?,
                byte if is_word(byte) || b";/?:@&=+$,.!~*'()[]".contains(&byte) => {
                    self.cursor.skip();
                    uri.push(char::from(byte));
                }
                _ => break,
            }
        }
        if head.is_empty() && self.cursor.mark.at == start {
            return Err(self.tag_fault("did not find expected tag URI", context));
        }
        Ok(uri)
    }

    /// One character in the form `%E2%82%AC`.
    fn scan_uri_escape(&mut self, uri: &mut String, context: TagContext) -> Result<(), Fault> {
        let mut octets = Vec::new();
        let mut length = 1;
        while octets.len() < length {
            let digit = |ahead| char::from(self.cursor.byte(ahead)).to_digit(16);
            let (b'%', Some(high), Some(low)) = (self.cursor.peek(), digit(1), digit(2)) else {
                return Err(self.tag_fault("did not find URI escaped octet", context));
            };
            let octet = u8::try_from(high << 4 | low).unwrap_or_default();
            if octets.is_empty() {
                length = match octet.leading_ones() {
                    0 => 1,
                    ones @ 2..=4 => ones as usize,
                    _ => return Err(self.tag_fault("found an incorrect leading UTF-8 octet", context)),
                };
            } else if octet.leading_ones() != 1 {
                return Err(self.tag_fault("found an incorrect trailing UTF-8 octet", context));
            }
            octets.push(octet);
            (0..3).for_each(|_| self.cursor.skip());
        }
        uri.push_str(&String::from_utf8_lossy(&octets));
        Ok(())
    }

    fn scan_word(&mut self) -> &'a str {
        let start = self.cursor.mark.at;
        while is_word(self.cursor.peek()) {
            self.cursor.skip();
        }
        self.cursor.since(start)
    }

    fn tag_fault(&self, message: &str, context: TagContext) -> Fault {
        let what =
            if context.is_directive { "while parsing a %TAG directive" } else { "while parsing a tag" };
        self.fault(message, what, context.start)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}
