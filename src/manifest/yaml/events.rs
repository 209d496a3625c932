//! What the parser reports about one document, in the form the builder wants.

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use libyaml_safer::{Encoding, Error, EventData, Parser, ScalarStyle};

use super::super::fault::Fault;
use super::super::limits::{self, Budget};
use super::super::scalar::Tag;
use super::places::Places;

/// One event and where it was written.
pub(super) struct Event {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) end_column: u32,
    pub(super) item: Item,
}

pub(super) enum Item {
    Scalar {
        text: String,
        tag: Tag,
    },
    List,
    Map,
    /// The end of a list or map.
    End,
    /// The index of the event that has the anchor.
    Alias(usize),
}

pub(super) struct Recorded {
    pub(super) events: Vec<Event>,
    /// Where something follows the document.
    pub(super) ignored: Option<(u32, u32)>,
}

/// Records the first document of a text that starts on line `line`.
pub(super) fn record(text: &str, line: u32, budget: &mut Budget) -> Result<Recorded, Fault> {
    // An end that comes too early is best shown where the text ends, not on some empty line after it.
    let places = Places::new(text.trim_end(), line);
    // kubectl reads lines and ends every one of them, the last of a block scalar too.
    let text = if text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) };
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    // Without this, a text that starts with a character like `ﬁ` is taken for a broken byte order mark.
    parser.set_encoding(Encoding::Utf8);
    let mut recorder = Recorder { places, events: Vec::new(), anchors: HashMap::new(), open: Vec::new() };
    loop {
        let event = recorder.parse(&mut parser)?;
        let is_last = matches!(event.data, EventData::DocumentEnd { .. } | EventData::StreamEnd);
        recorder.add(event, budget)?;
        if is_last {
            break;
        }
    }
    let ignored = match recorder.parse(&mut parser) {
        Ok(event) if event.data == EventData::StreamEnd => None,
        Ok(event) => Some(recorder.places.of(event.start_mark.index)),
        Err(fault) => Some((fault.line, fault.column)),
    };
    Ok(Recorded { events: recorder.events, ignored })
}

struct Recorder<'a> {
    places: Places<'a>,
    events: Vec<Event>,
    anchors: HashMap<String, usize>,
    /// The lists and maps that have not ended yet.
    open: Vec<usize>,
}

impl Recorder<'_> {
    /// The parser panics over some broken texts (a tag before a comma is one), which must not end an audit.
    fn parse(&mut self, parser: &mut Parser<&mut &[u8]>) -> Result<libyaml_safer::Event, Fault> {
        let Ok(event) = catch_unwind(AssertUnwindSafe(|| parser.parse())) else {
            let (line, column) =
                self.events.last().map_or(self.places.of(0), |event| (event.line, event.column));
            return Err(Fault::syntax(line, column, "the YAML after this makes no sense to the parser"));
        };
        event.map_err(|error| self.fault(&error))
    }

    fn add(&mut self, event: libyaml_safer::Event, budget: &mut Budget) -> Result<(), Fault> {
        let (line, column) = self.places.of(event.start_mark.index);
        let at = self.events.len();
        let (anchor, item) = match event.data {
            EventData::Scalar { anchor, tag, value, style, .. } => {
                let tag = Tag::of(tag.as_deref(), style == ScalarStyle::Plain);
                (anchor, Item::Scalar { text: value, tag })
            }
            EventData::SequenceStart { anchor, .. } => (anchor, Item::List),
            EventData::MappingStart { anchor, .. } => (anchor, Item::Map),
            EventData::SequenceEnd | EventData::MappingEnd => (None, Item::End),
            EventData::Alias { anchor } => (None, Item::Alias(self.target(&anchor, line, column)?)),
            _ => return Ok(()),
        };
        match item {
            Item::End => drop(self.open.pop()),
            _ => budget.node(line, column)?,
        }
        if matches!(item, Item::List | Item::Map) {
            self.open.push(at);
            limits::depth(self.open.len(), line, column)?;
        }
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, at);
        }
        let end_column = match self.places.of(event.end_mark.index) {
            (end_line, end_column) if end_line == line => end_column.max(column),
            _ => column + 1,
        };
        self.events.push(Event { line, column, end_column, item });
        Ok(())
    }

    fn target(&self, anchor: &str, line: u32, column: u32) -> Result<usize, Fault> {
        let fault = |what: &str| Fault::syntax(line, column, format!("the anchor `{anchor}` {what}"));
        let target = *self.anchors.get(anchor).ok_or_else(|| fault("is not defined in this document"))?;
        if self.open.contains(&target) {
            return Err(fault("contains itself"));
        }
        Ok(target)
    }

    fn fault(&mut self, error: &Error) -> Fault {
        let Some(mark) = error.problem_mark() else {
            // Of characters that no YAML may have the parser says only in words where they are.
            let (line, column) = self.places.of_first(is_forbidden);
            return Fault::syntax(line, column, error.problem());
        };
        let (line, column) = self.places.of(mark.index);
        if self.places.character(mark.index) == Some('\t') {
            return Fault::syntax(line, column, "a tab where YAML allows only spaces");
        }
        let context = match (error.context(), error.context_mark()) {
            (Some(context), Some(start)) => {
                format!(" ({context} that starts on line {})", self.places.of(start.index).0)
            }
            _ => String::new(),
        };
        Fault::syntax(line, column, format!("{}{context}", error.problem()))
    }
}

fn is_forbidden(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{85}')
        || matches!(character, '\u{fffe}' | '\u{ffff}')
}
