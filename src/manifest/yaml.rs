//! YAML with positions, as go-yaml v2 reads it for kubectl.
//!
//! ```text
//! text ─ Scanner, with a Cursor ─▶ tokens ─ parser ─▶ events ─ Builder ─▶ Node
//! ```
//!
//! The grammar is libyaml's, of which go-yaml's is a translation with changes: a parser of YAML 1.2, and libyaml as well,
//! reject what kubectl accepts (a quoted string or a `]` that goes on left of its key, tabs inside braces, `[a:]`) and
//! the other way round.
//!
//! Events are recorded first and built second, so that an alias is built by going back to its anchor. Texts are parts of the
//! source as long as nothing in them is folded or unescaped.

mod cursor;
mod events;
mod parser;
mod scanner;
mod token;

use std::borrow::Cow;
use std::mem;
use std::ops::Range;

use super::fault::Fault;
use super::limits::{self, ParseLimits};
use super::map::MapBuilder;
use super::node::{MapEntry, Node, NodeValue};
use super::scalar::{self, Scalar};
use cursor::Cursor;
use events::{Event, Item};
use parser::FirstDocument;
use scanner::Scanner;
use token::{TokenKind, YamlToken};

/// How many bytes go-yaml reads at a time. A character that YAML forbids counts from the moment it has been read.
const READ_AHEAD: usize = 512;

/// The first YAML document of a text, and where a second begins, which kubectl passes over in silence.
pub(super) struct First<'a> {
    pub(super) node: Node<'a>,
    pub(super) ignored: Option<(u32, u32)>,
}

/// Reads a text that starts on line `line` of its file.
pub(super) fn first<'a>(text: &'a str, line: u32, limits: &mut ParseLimits) -> Result<First<'a>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.ends_with('\n') {
        return first_of_lines(text, line, limits);
    }
    // kubectl reads lines and ends every one of them, the last of a block scalar too.
    let ended = format!("{text}\n");
    let First { node, ignored } = first_of_lines(&ended, line, limits)?;
    Ok(First { node: node.into_owned(), ignored })
}

/// The places of the scalars of a text that starts on line `line` of its file, up to its first error.
pub(super) fn scalar_places(text: &str, line: u32) -> Vec<Range<(u32, u32)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut scanner = Scanner::new(Cursor::new(text, line));
    let mut found = Vec::new();
    while let Ok(YamlToken { start, end, kind }) = scanner.take() {
        match kind {
            TokenKind::StreamEnd => break,
            TokenKind::Scalar { .. } => found.push((start.line, start.column)..(end.line, end.column)),
            _ => {}
        }
    }
    found
}

fn first_of_lines<'a>(text: &'a str, line: u32, limits: &mut ParseLimits) -> Result<First<'a>, Fault> {
    let forbidden = find_forbidden(text);
    let readable = forbidden.map_or(text, |at| &text[..at]);
    let document = parser::first_document(readable, line, limits);
    if let Some(at) = forbidden
        && document.as_ref().map_or(true, |document| at < (document.read + 4).next_multiple_of(READ_AHEAD))
    {
        let (line, column) = position(&text[..at], line);
        return Err(Fault::syntax(line, column, "control characters are not allowed"));
    }
    // An end that comes too early is best shown where the text ends, not on some empty line after it.
    let shown = |place| position(text.trim_end(), line).min(place);
    let document = document.map_err(|mut fault| {
        (fault.line, fault.column) = shown((fault.line, fault.column));
        fault
    })?;
    let FirstDocument { events, has_aliases, ignored, .. } = document;
    let ignored = ignored.map(|place| (place.line, place.column));
    if events.is_empty() {
        let node = Node { line, column: 1, end_column: 1, value: NodeValue::Null };
        return Ok(First { node, ignored: ignored.map(shown) });
    }
    let node = NodeBuilder { events, has_aliases, limits, aliases: 0 }.node(&mut 0, 0)?;
    Ok(First { node, ignored: ignored.map(shown) })
}

/// The line and the column after a text.
fn position(text: &str, line: u32) -> (u32, u32) {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX - 1);
    let last = text.rsplit('\n').next().unwrap_or_default();
    let line = line.saturating_add(number(text.matches('\n').count()));
    (line, number(last.chars().count()).saturating_add(1))
}

/// Where the first character is that YAML forbids.
fn find_forbidden(text: &str) -> Option<usize> {
    // So many bytes at a time are looked at together by what a processor has for that.
    const CHUNK: usize = 64;
    let may_start_one = |byte: u8| {
        byte < b' ' && byte != b'\t' && byte != b'\n' && byte != b'\r'
            || byte == 0x7f
            || byte == 0xc2
            || byte == 0xef
    };
    let chunks = text.as_bytes().chunks(CHUNK).enumerate();
    let chunks =
        chunks.filter(|(_, chunk)| chunk.iter().fold(false, |found, byte| found | may_start_one(*byte)));
    let mut places = chunks
        .flat_map(|(number, chunk)| (number * CHUNK..).zip(chunk))
        .filter(|(_, byte)| may_start_one(**byte))
        .map(|(at, _)| at);
    places.find(|at| text[*at..].starts_with(is_forbidden))
}

fn is_forbidden(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{85}')
        || matches!(character, '\u{fffe}' | '\u{ffff}')
}

struct NodeBuilder<'a, 'b> {
    events: Vec<Event<'a>>,
    /// Whether an event may be needed more than once.
    has_aliases: bool,
    limits: &'b mut ParseLimits,
    /// How many aliases lead to what is being built.
    aliases: usize,
}

impl<'a> NodeBuilder<'a, '_> {
    fn node(&mut self, at: &mut usize, depth: usize) -> Result<Node<'a>, Fault> {
        let event = self.next(at)?;
        let Event { line, column, end_column, .. } = event;
        limits::depth(depth, line, column)?;
        self.charge(&event)?;
        let value = match event.item {
            Item::Scalar { text, tag } => scalar::resolve(&text, tag)
                .and_then(|scalar| scalar.into_value(text))
                .map_err(|message| Fault::syntax(line, column, message))?,
            Item::List => {
                let mut items = Vec::new();
                while !self.ends(at) {
                    items.push(self.node(at, depth + 1)?);
                }
                NodeValue::List(items)
            }
            Item::Map => self.map(at, depth)?,
            Item::Alias(target) => return self.alias(target, depth),
            Item::End => return Err(Fault::syntax(line, column, "a value is missing")),
        };
        Ok(Node { line, column, end_column, value })
    }

    fn map(&mut self, at: &mut usize, depth: usize) -> Result<NodeValue<'a>, Fault> {
        let mut entries = MapBuilder::default();
        while !self.ends(at) {
            let event = self.next(at)?;
            if matches!(&event.item, Item::Scalar { text, tag } if scalar::is_merge(text, *tag)) {
                self.merge(at, depth, &mut entries)?;
                continue;
            }
            let Event { line, column, end_column, .. } = event;
            let key = self.key(event)?;
            let value = self.node(at, depth + 1)?;
            entries.insert(MapEntry { key, line, column, end_column, shadows: None, value });
        }
        Ok(NodeValue::Map(entries.finish()))
    }

    fn key(&mut self, event: Event<'a>) -> Result<Cow<'a, str>, Fault> {
        self.charge(&event)?;
        let fault = |message: &str| Fault::syntax(event.line, event.column, message);
        let scalar = match event.item {
            Item::Alias(target) => self.events.get(target).map(|event| event.item.clone()),
            item => Some(item),
        };
        match scalar {
            Some(Item::Scalar { text, tag }) => scalar::resolve(&text, tag)
                .and_then(|scalar: Scalar| scalar.into_key(text))
                .map_err(|message| fault(&message)),
            _ => Err(fault("a key is a map or a list, which JSON does not know")),
        }
    }

    /// The entries that `<<` merges in. Earlier maps take precedence over later ones.
    fn merge(&mut self, at: &mut usize, depth: usize, into: &mut MapBuilder<'a>) -> Result<(), Fault> {
        let mut maps = Vec::new();
        if let Some(Item::List) = self.events.get(*at).map(|event| &event.item) {
            *at += 1;
            while !self.ends(at) {
                maps.push(self.merged_map(at, depth)?);
            }
        } else {
            maps.push(self.merged_map(at, depth)?);
        }
        for entry in maps.into_iter().rev().flatten() {
            into.merge(entry);
        }
        Ok(())
    }

    /// The entries of a map that `<<` names; an alias counts only where it leads to a map.
    fn merged_map(&mut self, at: &mut usize, depth: usize) -> Result<Vec<MapEntry<'a>>, Fault> {
        let node = self.node(at, depth + 1)?;
        match node.value {
            NodeValue::Map(entries) => Ok(entries),
            _ => Err(Fault::syntax(node.line, node.column, "`<<` takes a map or a list of maps")),
        }
    }

    fn alias(&mut self, target: usize, depth: usize) -> Result<Node<'a>, Fault> {
        self.aliases += 1;
        let node = self.node(&mut { target }, depth);
        self.aliases -= 1;
        node
    }

    /// Values that are built a second time through an alias count against the limits; the others did when they were recorded.
    fn charge(&mut self, event: &Event<'_>) -> Result<(), Fault> {
        if self.aliases == 0 {
            return Ok(());
        }
        let bytes = if let Item::Scalar { text, .. } = &event.item { text.len() } else { 0 };
        self.limits.expand(bytes, event.line, event.column)
    }

    fn next(&mut self, at: &mut usize) -> Result<Event<'a>, Fault> {
        let event =
            self.events.get_mut(*at).ok_or_else(|| Fault::syntax(1, 1, "the document ends too early"))?;
        *at += 1;
        let &mut Event { line, column, end_column, ref mut item } = event;
        let item = if self.has_aliases { item.clone() } else { mem::replace(item, Item::End) };
        Ok(Event { line, column, end_column, item })
    }

    fn ends(&self, at: &mut usize) -> bool {
        let ends = self.events.get(*at).is_none_or(|event| matches!(event.item, Item::End));
        if ends {
            *at += 1;
        }
        ends
    }
}

#[cfg(test)]
mod tests;
