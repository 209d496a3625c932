//! From tokens to events, as `parserc.go` of go-yaml v2 does it.

use std::borrow::Cow;

use super::super::fault::Fault;
use super::super::limits::ParseLimits;
use super::super::scalar::Tag;
use super::cursor::{Cursor, LineColumn};
use super::events::{Event, Item, Recorder};
use super::scanner::Scanner;
use super::token::{TokenKind, YamlToken};

/// The first document of a text as events.
pub(super) struct FirstDocument<'a> {
    pub(super) events: Vec<Event<'a>>,
    /// Whether an alias makes values of some once more.
    pub(super) has_aliases: bool,
    /// Where something follows the document.
    pub(super) ignored: Option<LineColumn>,
    /// How many bytes had been read when the document was complete.
    pub(super) read: usize,
}

/// Parses the first document of a text that starts on line `line` of its file.
pub(super) fn first_document<'a>(
    text: &'a str,
    line: u32,
    limits: &mut ParseLimits,
) -> Result<FirstDocument<'a>, Fault> {
    let (scanner, recorder) = (Scanner::new(Cursor::new(text, line)), Recorder::new(limits));
    let mut parser = YamlParser { scanner, recorder, tags: Vec::new() };
    parser.document()?;
    let read = parser.scanner.cursor.mark.at;
    let ignored = parser.ignored();
    let Recorder { events, has_aliases, .. } = parser.recorder;
    Ok(FirstDocument { events, has_aliases, ignored, read })
}

struct YamlParser<'a, 'b> {
    scanner: Scanner<'a>,
    recorder: Recorder<'a, 'b>,
    /// The handles of `%TAG`, with what they stand for.
    tags: Vec<(String, String)>,
}

/// Where a value stands, which decides what it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValuePlace {
    Flow,
    Block,
    /// The key or value of a block map, where a list need not be indented.
    BlockMap,
}

/// The properties before a value: `!tag &anchor`.
#[derive(Default)]
struct Properties<'a> {
    anchor: Option<&'a str>,
    /// Empty without a tag.
    tag: String,
    span: Option<(LineColumn, LineColumn)>,
}

impl<'a> YamlParser<'a, '_> {
    fn document(&mut self) -> Result<(), Fault> {
        let start = self.directives()?;
        match (&self.scanner.peek()?.kind, start) {
            (TokenKind::DocumentStart, _) => {
                let token = self.scanner.take()?;
                self.content(token.end)?;
            }
            // kubectl has cut the text at the `---` that was to follow.
            (_, Some(LineColumn { line, column })) => {
                let message = "kubectl refuses a file in which a `%` line stands before `---`: remove it";
                return Err(Fault::syntax(line, column, message));
            }
            (TokenKind::StreamEnd, None) => return Ok(()),
            _ => self.value(ValuePlace::Block)?,
        }
        // go-yaml looks at what follows before it takes the document for complete.
        self.scanner.peek()?;
        Ok(())
    }

    /// Reads `%YAML` and `%TAG`, and says where they start.
    fn directives(&mut self) -> Result<Option<LineColumn>, Fault> {
        let mut start = None;
        let mut has_version = false;
        while let TokenKind::Version(..) | TokenKind::TagDirective(_) = self.scanner.peek()?.kind {
            let token = self.scanner.take()?;
            start = start.or(Some(token.start));
            let fault = |message: &str| Err(Fault::syntax(token.start.line, token.start.column, message));
            match token.kind {
                TokenKind::Version(..) if has_version => return fault("found duplicate %YAML directive"),
                TokenKind::Version(1, 1) => has_version = true,
                TokenKind::TagDirective(tag) => {
                    let [handle, prefix] = *tag;
                    if self.tags.iter().any(|(known, _)| *known == handle) {
                        return fault("found duplicate %TAG directive");
                    }
                    self.tags.push((handle, prefix));
                }
                _ => return fault("kubectl reads only YAML 1.1"),
            }
        }
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            if self.tags.iter().all(|(known, _)| known != handle) {
                self.tags.push((handle.to_owned(), prefix.to_owned()));
            }
        }
        Ok(start)
    }

    /// Parses the value after `---`.
    fn content(&mut self, after: LineColumn) -> Result<(), Fault> {
        match self.scanner.peek()?.kind {
            TokenKind::Version(..)
            | TokenKind::TagDirective(_)
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::StreamEnd => self.empty(after),
            _ => self.value(ValuePlace::Block),
        }
    }

    fn value(&mut self, place: ValuePlace) -> Result<(), Fault> {
        let properties = match self.scanner.peek()?.kind {
            TokenKind::Alias(anchor) => {
                let YamlToken { start, end, .. } = self.scanner.take()?;
                return self.recorder.alias(anchor, start, end);
            }
            TokenKind::Anchor(_) | TokenKind::Tag(_) => self.properties()?,
            _ => Properties::default(),
        };
        let token = self.scanner.peek()?;
        let start = properties.span.map_or(token.start, |(start, _)| start);
        let end = token.end;
        let in_block = place != ValuePlace::Flow;
        let anchor = properties.anchor;
        match &token.kind {
            TokenKind::BlockEntry if place == ValuePlace::BlockMap => {
                self.recorder.add(Item::List, anchor, start, end)?;
                self.unindented_list()
            }
            TokenKind::Scalar { .. } => {
                let TokenKind::Scalar { text, is_plain } = self.scanner.take()?.kind else { return Ok(()) };
                let tag = Tag::of(&properties.tag, is_plain);
                self.recorder.add(Item::Scalar { text, tag }, anchor, start, end)
            }
            TokenKind::FlowListStart => {
                self.recorder.add(Item::List, anchor, start, end)?;
                self.flow_list()
            }
            TokenKind::FlowMapStart => {
                self.recorder.add(Item::Map, anchor, start, end)?;
                self.flow_map()
            }
            TokenKind::BlockListStart if in_block => {
                self.recorder.add(Item::List, anchor, start, end)?;
                self.block_list()
            }
            TokenKind::BlockMapStart if in_block => {
                self.recorder.add(Item::Map, anchor, start, end)?;
                self.block_map()
            }
            _ => match properties.span {
                Some((start, end)) => {
                    let tag = Tag::of(&properties.tag, true);
                    self.recorder.add(Item::Scalar { text: Cow::Borrowed(""), tag }, anchor, start, end)
                }
                None => Err(self.unexpected("did not find expected node content")?),
            },
        }
    }

    /// A tag and an anchor, in either order.
    fn properties(&mut self) -> Result<Properties<'a>, Fault> {
        let mut properties = Properties::default();
        let mut tag = None;
        for _ in 0..2 {
            match self.scanner.peek()?.kind {
                TokenKind::Anchor(_) if properties.anchor.is_none() => {
                    let token = self.scanner.take()?;
                    properties.extend(&token);
                    if let TokenKind::Anchor(name) = token.kind {
                        properties.anchor = Some(name);
                    }
                }
                TokenKind::Tag(_) if tag.is_none() => {
                    let token = self.scanner.take()?;
                    properties.extend(&token);
                    tag = Some(token);
                }
                _ => break,
            }
        }
        // The value behind the properties is looked at before the tag.
        self.scanner.peek()?;
        if let Some(YamlToken { start, kind: TokenKind::Tag(tag), .. }) = tag {
            let [handle, suffix] = *tag;
            properties.tag = self.full_tag(&handle, suffix, start)?;
        }
        Ok(properties)
    }

    fn full_tag(&self, handle: &str, suffix: String, start: LineColumn) -> Result<String, Fault> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        let known = self.tags.iter().find(|(known, _)| known == handle);
        let tag = known.map(|(_, prefix)| format!("{prefix}{suffix}")).filter(|tag| !tag.is_empty());
        tag.ok_or_else(|| Fault::syntax(start.line, start.column, "found undefined tag handle"))
    }

    fn block_list(&mut self) -> Result<(), Fault> {
        self.scanner.take()?;
        while let TokenKind::BlockEntry = self.scanner.peek()?.kind {
            let end = self.scanner.take()?.end;
            match self.scanner.peek()?.kind {
                TokenKind::BlockEntry | TokenKind::BlockEnd => self.empty(end)?,
                _ => self.value(ValuePlace::Block)?,
            }
        }
        self.end_block("did not find expected '-' indicator")
    }

    fn unindented_list(&mut self) -> Result<(), Fault> {
        while let TokenKind::BlockEntry = self.scanner.peek()?.kind {
            let end = self.scanner.take()?.end;
            match self.scanner.peek()?.kind {
                TokenKind::BlockEntry | TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => {
                    self.empty(end)?;
                }
                _ => self.value(ValuePlace::Block)?,
            }
        }
        let mark = self.scanner.peek()?.start;
        self.recorder.end(mark);
        Ok(())
    }

    fn block_map(&mut self) -> Result<(), Fault> {
        self.scanner.take()?;
        while let TokenKind::Key = self.scanner.peek()?.kind {
            let end = self.scanner.take()?.end;
            self.block_map_part(end)?;
            if self.scanner.peek()?.kind == TokenKind::Value {
                let end = self.scanner.take()?.end;
                self.block_map_part(end)?;
            } else {
                let mark = self.scanner.peek()?.start;
                self.empty(mark)?;
            }
        }
        self.end_block("did not find expected key")
    }

    fn block_map_part(&mut self, after: LineColumn) -> Result<(), Fault> {
        match self.scanner.peek()?.kind {
            TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => self.empty(after),
            _ => self.value(ValuePlace::BlockMap),
        }
    }

    fn end_block(&mut self, message: &str) -> Result<(), Fault> {
        if self.scanner.peek()?.kind != TokenKind::BlockEnd {
            return Err(self.unexpected(message)?);
        }
        let token = self.scanner.take()?;
        self.recorder.end(token.start);
        Ok(())
    }

    fn flow_list(&mut self) -> Result<(), Fault> {
        self.scanner.take()?;
        let mut is_first = true;
        while self.scanner.peek()?.kind != TokenKind::FlowListEnd {
            if !is_first {
                self.flow_entry("did not find expected ',' or ']'")?;
            }
            is_first = false;
            match self.scanner.peek()?.kind {
                TokenKind::FlowListEnd => break,
                TokenKind::Key => self.flow_pair()?,
                _ => self.value(ValuePlace::Flow)?,
            }
        }
        self.end_flow()
    }

    /// `[key: value]`, a map of one entry without braces.
    fn flow_pair(&mut self) -> Result<(), Fault> {
        let token = self.scanner.take()?;
        self.recorder.add(Item::Map, None, token.start, token.end)?;
        match self.scanner.peek()?.kind {
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowListEnd => {
                // go-yaml passes over this token as well, so that `[? : a]` is not what it seems.
                let end = self.scanner.take()?.end;
                self.empty(end)?;
            }
            _ => self.value(ValuePlace::Flow)?,
        }
        self.flow_value(&TokenKind::FlowListEnd)?;
        let mark = self.scanner.peek()?.start;
        self.recorder.end(mark);
        Ok(())
    }

    fn flow_map(&mut self) -> Result<(), Fault> {
        self.scanner.take()?;
        let mut is_first = true;
        while self.scanner.peek()?.kind != TokenKind::FlowMapEnd {
            if !is_first {
                self.flow_entry("did not find expected ',' or '}'")?;
            }
            is_first = false;
            match self.scanner.peek()?.kind {
                TokenKind::FlowMapEnd => break,
                TokenKind::Key => {
                    self.scanner.take()?;
                    let token = self.scanner.peek()?;
                    let start = token.start;
                    match token.kind {
                        TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMapEnd => {
                            self.empty(start)?;
                        }
                        _ => self.value(ValuePlace::Flow)?,
                    }
                    self.flow_value(&TokenKind::FlowMapEnd)?;
                }
                _ => {
                    self.value(ValuePlace::Flow)?;
                    let mark = self.scanner.peek()?.start;
                    self.empty(mark)?;
                }
            }
        }
        self.end_flow()
    }

    /// `: value` within brackets, or nothing.
    fn flow_value(&mut self, close: &TokenKind<'_>) -> Result<(), Fault> {
        let mut mark = self.scanner.peek()?.start;
        if self.scanner.peek()?.kind == TokenKind::Value {
            self.scanner.take()?;
            let token = self.scanner.peek()?;
            if token.kind != TokenKind::FlowEntry && token.kind != *close {
                return self.value(ValuePlace::Flow);
            }
            mark = token.start;
        }
        self.empty(mark)
    }

    fn flow_entry(&mut self, message: &str) -> Result<(), Fault> {
        if self.scanner.peek()?.kind != TokenKind::FlowEntry {
            return Err(self.unexpected(message)?);
        }
        self.scanner.take()?;
        Ok(())
    }

    fn end_flow(&mut self) -> Result<(), Fault> {
        let token = self.scanner.take()?;
        self.recorder.end(token.start);
        Ok(())
    }

    /// A value that is not written, which is null.
    fn empty(&mut self, mark: LineColumn) -> Result<(), Fault> {
        self.recorder.add(Item::Scalar { text: Cow::Borrowed(""), tag: Tag::Implicit }, None, mark, mark)
    }

    /// The fault that the next token is.
    fn unexpected(&mut self, message: &str) -> Result<Fault, Fault> {
        let start = self.scanner.peek()?.start;
        Ok(Fault::syntax(start.line, start.column, message))
    }

    /// Where something follows the document that is complete, if anything does.
    fn ignored(&mut self) -> Option<LineColumn> {
        loop {
            match self.scanner.peek() {
                Ok(token) if token.kind == TokenKind::StreamEnd => return None,
                Ok(token) if token.kind != TokenKind::DocumentEnd => {
                    return Some(token.start);
                }
                Ok(_) => drop(self.scanner.take()),
                Err(fault) => return Some(LineColumn { line: fault.line, column: fault.column }),
            }
        }
    }
}

impl Properties<'_> {
    fn extend(&mut self, token: &YamlToken<'_>) {
        let start = self.span.map_or(token.start, |(start, _)| start);
        self.span = Some((start, token.end));
    }
}
