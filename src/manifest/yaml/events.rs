//! What the parser reports about one document, in the form the builder wants.

use std::collections::HashMap;

use libyaml_safer::{Encoding, Error, EventData, Mark, Parser, ScalarStyle};

use super::super::fault::Fault;
use super::super::limits::{self, Budget};
use super::super::scalar::Tag;

/// One event and where it was written.
pub(super) struct Event {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) end_column: u32,
    pub(super) item: Item,
}

pub(super) enum Item {
    Scalar { text: String, tag: Tag },
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
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    // Without this, a text that starts with a character like `ﬁ` is taken for a broken byte order mark.
    parser.set_encoding(Encoding::Utf8);
    let mut recorder = Recorder { first_line: line, events: Vec::new(), anchors: HashMap::new(), open: Vec::new() };
    loop {
        let event = parser.parse().map_err(|error| fault(&error, text, line))?;
        let is_last = matches!(event.data, EventData::DocumentEnd { .. } | EventData::StreamEnd);
        recorder.add(event, budget)?;
        if is_last {
            break;
        }
    }
    let ignored = match parser.parse() {
        Ok(event) if event.data == EventData::StreamEnd => None,
        Ok(event) => Some(position(event.start_mark, line)),
        Err(error) => error.problem_mark().map(|mark| position(mark, line)),
    };
    Ok(Recorded { events: recorder.events, ignored })
}

struct Recorder {
    first_line: u32,
    events: Vec<Event>,
    anchors: HashMap<String, usize>,
    /// The lists and maps that have not ended yet.
    open: Vec<usize>,
}

impl Recorder {
    fn add(&mut self, event: libyaml_safer::Event, budget: &mut Budget) -> Result<(), Fault> {
        let (line, column) = position(event.start_mark, self.first_line);
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
        let same_line = event.end_mark.line == event.start_mark.line;
        let end_column = if same_line { position(event.end_mark, self.first_line).1 } else { column + 1 };
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
}

fn position(mark: Mark, first_line: u32) -> (u32, u32) {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    (first_line.saturating_add(small(mark.line)), small(mark.column).saturating_add(1))
}

fn fault(error: &Error, text: &str, first_line: u32) -> Fault {
    let Some(mark) = error.problem_mark() else { return control_character(error, text, first_line) };
    let (line, column) = position(mark, first_line);
    if character(text, mark) == Some('\t') {
        return Fault::syntax(line, column, "a tab where YAML allows only spaces");
    }
    let context = match (error.context(), error.context_mark()) {
        (Some(context), Some(start)) => {
            format!(" ({context} that starts on line {})", position(start, first_line).0)
        }
        _ => String::new(),
    };
    Fault::syntax(line, column, format!("{}{context}", error.problem()))
}

/// The parser says of those only how far into the text they are, in words.
fn control_character(error: &Error, text: &str, first_line: u32) -> Fault {
    let forbidden = |character: char| {
        character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{85}')
            || matches!(character, '\u{fffe}' | '\u{ffff}')
    };
    let before = text.find(forbidden).map_or("", |at| &text[..at]);
    let lines = before.matches('\n').count();
    let columns = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Fault::syntax(first_line.saturating_add(small(lines)), small(columns).saturating_add(1), error.problem())
}

fn character(text: &str, mark: Mark) -> Option<char> {
    let line = text.lines().nth(usize::try_from(mark.line).ok()?)?;
    line.chars().nth(usize::try_from(mark.column).ok()?)
}
