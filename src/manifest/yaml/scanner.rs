//! From text to tokens, as go-yaml v2 makes them.
//!
//! This follows `scannerc.go` of go-yaml v2 step by step, because the finer points of what it accepts are what kubectl
//! accepts: `[a:]`, a `]` left of its key, tabs inside braces. Its notice is in `NOTICE` beside this file.

mod block;
mod quoted;
mod tag;

use std::collections::VecDeque;

use super::super::fault::Fault;
use super::cursor::{Cursor, LineColumn, Mark};
use super::token::{TokenKind, YamlToken};

/// How many characters after its start a key without `?` must have its `:`.
const SIMPLE_KEY_LENGTH: isize = 1024;

/// How deep go-yaml lets brackets and indentation nest.
const MAX_NESTING: usize = 10_000;

pub(super) struct Scanner<'a> {
    pub(super) cursor: Cursor<'a>,
    /// The next token, once it is known that none is to be inserted before it.
    next: Option<YamlToken<'a>>,
    /// The tokens behind it.
    tokens: VecDeque<YamlToken<'a>>,
    /// How many tokens have left `tokens`.
    taken: usize,
    /// The column of the innermost block collection, or -1.
    indent: isize,
    indents: Vec<isize>,
    /// For each level of brackets, the last place at which a key without `?` may have started.
    keys: Vec<SimpleKey>,
    may_start_key: bool,
}

#[derive(Clone, Copy, Default)]
struct SimpleKey {
    is_possible: bool,
    /// The parser has to wait for the `:` before it may take the first token.
    holds_token: bool,
    /// The block mapping that the key is in cannot go on without it.
    is_required: bool,
    /// The number of its first token.
    token: usize,
    mark: Mark,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        Scanner {
            cursor,
            next: None,
            tokens: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            keys: vec![SimpleKey::default()],
            may_start_key: true,
        }
    }

    /// The next token, which stays the next.
    pub(super) fn peek(&mut self) -> Result<&YamlToken<'a>, Fault> {
        if self.next.is_none() {
            self.find_next()?;
        }
        self.next.as_ref().ok_or_else(|| self.fault_here("the text ends too early"))
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Result<YamlToken<'a>, Fault> {
        if self.next.is_none() {
            self.find_next()?;
        }
        self.next.take().ok_or_else(|| self.fault_here("the text ends too early"))
    }

    fn find_next(&mut self) -> Result<(), Fault> {
        while self.tokens.is_empty() || self.head_may_be_key()? {
            self.fetch()?;
        }
        self.next = self.tokens.pop_front();
        self.taken += 1;
        Ok(())
    }

    /// Whether a `:` that has not been read yet may make the next token a key, before which a token must be inserted.
    fn head_may_be_key(&mut self) -> Result<bool, Fault> {
        let from = self.keys.partition_point(|key| key.token < self.taken);
        for level in from..self.keys.len() {
            if self.keys[level].token != self.taken {
                break;
            }
            if self.keys[level].is_possible && self.keys[level].holds_token {
                return self.is_valid_key(level);
            }
        }
        Ok(false)
    }

    fn fetch(&mut self) -> Result<(), Fault> {
        self.skip_to_token();
        self.unroll_indent(self.cursor.mark.indent);
        if self.cursor.is_end() {
            return self.fetch_stream_end();
        }
        let first = self.cursor.peek();
        let starts_row = self.cursor.mark.indent == 0;
        let in_flow = self.in_flow();
        let before_space = self.cursor.is_space(1);
        match first {
            b'%' if starts_row => self.fetch_directive(),
            _ if self.cursor.is_document_indicator() => self.fetch_document_indicator(first),
            b'[' => self.fetch_flow_start(TokenKind::FlowListStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMapStart),
            b']' => self.fetch_flow_end(TokenKind::FlowListEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMapEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if before_space => self.fetch_block_entry(),
            b'?' if in_flow || before_space => self.fetch_key(),
            b':' if in_flow || before_space => self.fetch_value(),
            b'*' | b'&' => self.fetch_anchor(),
            b'!' => self.fetch_tag(),
            b'|' | b'>' if !in_flow => self.fetch_block_scalar(),
            b'\'' | b'"' => self.fetch_quoted(),
            b'#' | b'|' | b'>' | b'%' | b'@' | b'`' | b'\t' => {
                Err(self.fault_here("found character that cannot start any token"))
            }
            _ => self.fetch_plain(),
        }
    }

    /// Passes over blanks, comments and line breaks. Tabs count as blanks only where no key may start.
    fn skip_to_token(&mut self) {
        loop {
            let tabs = self.in_flow() || !self.may_start_key;
            self.cursor.skip_spaces();
            if tabs {
                self.cursor.skip_blanks();
            }
            self.cursor.skip_comment();
            if !self.cursor.is_break() {
                return;
            }
            self.cursor.skip_line();
            if !self.in_flow() {
                self.may_start_key = true;
            }
        }
    }

    fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    /// Whether the key of a level can still be one. One that has to be and cannot is a fault.
    fn is_valid_key(&mut self, level: usize) -> Result<bool, Fault> {
        let Some(key) = self.keys.get_mut(level).filter(|key| key.is_possible) else { return Ok(false) };
        let here = self.cursor.mark;
        let is_far = key.mark.row < here.row || key.mark.indent + SIMPLE_KEY_LENGTH < here.indent;
        if !is_far {
            return Ok(true);
        }
        if key.is_required {
            let start = key.mark;
            return Err(self.fault("could not find expected ':'", "while scanning a simple key", start));
        }
        key.is_possible = false;
        Ok(false)
    }

    fn level(&self) -> usize {
        self.keys.len() - 1
    }

    /// Remembers that a key may start here.
    fn save_key(&mut self) -> Result<(), Fault> {
        if self.may_start_key {
            let mark = self.cursor.mark;
            let is_required = !self.in_flow() && self.indent == mark.indent;
            let token = self.taken + self.tokens.len();
            self.remove_key()?;
            let level = self.level();
            self.keys[level] = SimpleKey { is_possible: true, holds_token: true, is_required, token, mark };
        }
        Ok(())
    }

    fn remove_key(&mut self) -> Result<(), Fault> {
        let level = self.level();
        let key = self.keys[level];
        if key.is_possible && key.is_required {
            return Err(self.fault("could not find expected ':'", "while scanning a simple key", key.mark));
        }
        self.keys[level].is_possible = false;
        Ok(())
    }

    /// Starts a block collection where the column is right of the one around, at the place of the token `number`.
    fn roll_indent(&mut self, mark: Mark, number: Option<usize>, kind: TokenKind<'a>) -> Result<(), Fault> {
        if self.in_flow() || self.indent >= mark.indent {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = mark.indent;
        if self.indents.len() > MAX_NESTING {
            return Err(self.fault_here("the indentation is too deep"));
        }
        self.insert(number, YamlToken { start: mark.place, end: mark.place, kind });
        Ok(())
    }

    /// Ends the block collections that a column is left of.
    fn unroll_indent(&mut self, column: isize) {
        if self.in_flow() {
            return;
        }
        while self.indent > column {
            let place = self.cursor.mark.place;
            self.tokens.push_back(YamlToken { start: place, end: place, kind: TokenKind::BlockEnd });
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Puts a token where the token `number` is, or at the end where that has been taken already.
    fn insert(&mut self, number: Option<usize>, token: YamlToken<'a>) {
        let at = number.and_then(|number| number.checked_sub(self.taken)).unwrap_or(self.tokens.len());
        self.tokens.insert(at.min(self.tokens.len()), token);
    }

    fn push(&mut self, start: Mark, kind: TokenKind<'a>) {
        self.tokens.push_back(YamlToken { start: start.place, end: self.cursor.mark.place, kind });
    }

    fn push_characters(&mut self, count: usize, kind: TokenKind<'a>) {
        let start = self.cursor.mark;
        for _ in 0..count {
            self.cursor.skip();
        }
        self.push(start, kind);
    }

    fn fetch_stream_end(&mut self) -> Result<(), Fault> {
        if self.cursor.mark.indent != 0 {
            self.cursor.mark.indent = 0;
            self.cursor.mark.row += 1;
        }
        self.unroll_indent(-1);
        self.remove_key()?;
        self.may_start_key = false;
        self.push_characters(0, TokenKind::StreamEnd);
        Ok(())
    }

    fn fetch_directive(&mut self) -> Result<(), Fault> {
        self.unroll_indent(-1);
        self.remove_key()?;
        self.may_start_key = false;
        self.scan_directive()
    }

    fn fetch_document_indicator(&mut self, first: u8) -> Result<(), Fault> {
        self.unroll_indent(-1);
        self.remove_key()?;
        self.may_start_key = false;
        self.push_characters(
            3,
            if first == b'-' { TokenKind::DocumentStart } else { TokenKind::DocumentEnd },
        );
        Ok(())
    }

    fn fetch_flow_start(&mut self, kind: TokenKind<'a>) -> Result<(), Fault> {
        self.save_key()?;
        let token = self.taken + self.tokens.len();
        self.keys.push(SimpleKey { token, ..SimpleKey::default() });
        if self.keys.len() > MAX_NESTING {
            return Err(self.fault_here("the brackets nest too deep"));
        }
        self.may_start_key = true;
        self.push_characters(1, kind);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind<'a>) -> Result<(), Fault> {
        self.remove_key()?;
        if self.in_flow()
            && let Some(inner) = self.keys.pop()
        {
            // go-yaml forgets the opening bracket itself where no key was started after it.
            let outer = self.level();
            self.keys[outer].holds_token &= self.keys[outer].token != inner.token;
        }
        self.may_start_key = false;
        self.push_characters(1, kind);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Result<(), Fault> {
        self.remove_key()?;
        self.may_start_key = true;
        self.push_characters(1, TokenKind::FlowEntry);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), Fault> {
        self.check_block("block sequence entries are not allowed in this context")?;
        self.roll_indent(self.cursor.mark, None, TokenKind::BlockListStart)?;
        self.remove_key()?;
        self.may_start_key = true;
        self.push_characters(1, TokenKind::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Fault> {
        self.check_block("mapping keys are not allowed in this context")?;
        self.roll_indent(self.cursor.mark, None, TokenKind::BlockMapStart)?;
        self.remove_key()?;
        self.may_start_key = !self.in_flow();
        self.push_characters(1, TokenKind::Key);
        Ok(())
    }

    /// Outside brackets a collection can go on only where a key may start.
    fn check_block(&self, message: &str) -> Result<(), Fault> {
        if self.in_flow() || self.may_start_key {
            return Ok(());
        }
        Err(self.fault_here(message))
    }

    fn fetch_value(&mut self) -> Result<(), Fault> {
        let level = self.level();
        if self.is_valid_key(level)? {
            let key = self.keys[level];
            let token = YamlToken { start: key.mark.place, end: key.mark.place, kind: TokenKind::Key };
            self.insert(Some(key.token), token);
            self.roll_indent(key.mark, Some(key.token), TokenKind::BlockMapStart)?;
            self.keys[level].is_possible = false;
            self.may_start_key = false;
        } else {
            self.check_block("mapping values are not allowed in this context")?;
            self.roll_indent(self.cursor.mark, None, TokenKind::BlockMapStart)?;
            self.may_start_key = !self.in_flow();
        }
        self.push_characters(1, TokenKind::Value);
        Ok(())
    }

    /// A fault where the scanner is, within what starts at `start`.
    fn fault(&self, message: &str, context: &str, start: Mark) -> Fault {
        let fault = self.fault_here(message);
        let message = format!("{} ({context} that starts on line {})", fault.message, start.place.line);
        Fault { message, ..fault }
    }

    pub(super) fn fault_here(&self, message: &str) -> Fault {
        let message =
            if self.cursor.peek() == b'\t' { "a tab where YAML allows only spaces" } else { message };
        let LineColumn { line, column } = self.cursor.mark.place;
        Fault::syntax(line, column, message)
    }
}
