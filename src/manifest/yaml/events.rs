//! The values of a document in the order in which they are written, in the form the builder wants.

use std::collections::HashMap;

use super::super::fault::Fault;
use super::super::limits::{self, ParseLimits};
use super::super::scalar::Tag;
use super::cursor::Mark;

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

/// Collects events within the limits.
pub(super) struct Recorder<'a> {
    pub(super) events: Vec<Event>,
    limits: &'a mut ParseLimits,
    anchors: HashMap<String, usize>,
    /// The lists and maps that have not ended yet.
    open: Vec<usize>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(limits: &'a mut ParseLimits) -> Self {
        Recorder { events: Vec::new(), limits, anchors: HashMap::new(), open: Vec::new() }
    }

    pub(super) fn add(
        &mut self,
        item: Item,
        anchor: Option<String>,
        start: Mark,
        end: Mark,
    ) -> Result<(), Fault> {
        let Mark { line, column, .. } = start;
        self.limits.node(line, column)?;
        let at = self.events.len();
        if matches!(item, Item::List | Item::Map) {
            self.open.push(at);
            limits::depth(self.open.len(), line, column)?;
        }
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, at);
        }
        let end_column = if end.line == line { end.column.max(column) } else { column + 1 };
        self.events.push(Event { line, column, end_column, item });
        Ok(())
    }

    /// Ends the innermost list or map.
    pub(super) fn end(&mut self, mark: Mark) {
        self.open.pop();
        let Mark { line, column, .. } = mark;
        self.events.push(Event { line, column, end_column: column, item: Item::End });
    }

    pub(super) fn alias(&mut self, anchor: &str, start: Mark, end: Mark) -> Result<(), Fault> {
        let fault =
            |what: &str| Fault::syntax(start.line, start.column, format!("the anchor `{anchor}` {what}"));
        let target = *self.anchors.get(anchor).ok_or_else(|| fault("is not defined in this document"))?;
        if self.open.contains(&target) {
            return Err(fault("contains itself"));
        }
        self.add(Item::Alias(target), None, start, end)
    }
}
