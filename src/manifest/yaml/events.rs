//! The values of a document in the order in which they are written, in the form the builder wants.

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::fault::Fault;
use super::super::limits::{self, ParseLimits};
use super::super::scalar::Tag;
use super::cursor::LineColumn;

/// One event and where it was written.
pub(super) struct Event<'a> {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) end_column: u32,
    pub(super) item: Item<'a>,
}

#[derive(Clone)]
pub(super) enum Item<'a> {
    Scalar {
        text: Cow<'a, str>,
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
pub(super) struct Recorder<'a, 'b> {
    pub(super) events: Vec<Event<'a>>,
    /// Whether an alias makes a value of some events once more.
    pub(super) has_aliases: bool,
    limits: &'b mut ParseLimits,
    anchors: HashMap<&'a str, usize>,
    /// The lists and maps that have not ended yet.
    open: Vec<usize>,
}

impl<'a, 'b> Recorder<'a, 'b> {
    pub(super) fn new(limits: &'b mut ParseLimits) -> Self {
        let (events, anchors, open) = (Vec::new(), HashMap::new(), Vec::new());
        Recorder { events, has_aliases: false, limits, anchors, open }
    }

    pub(super) fn add(
        &mut self,
        item: Item<'a>,
        anchor: Option<&'a str>,
        start: LineColumn,
        end: LineColumn,
    ) -> Result<(), Fault> {
        let LineColumn { line, column } = start;
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
    pub(super) fn end(&mut self, place: LineColumn) {
        self.open.pop();
        let LineColumn { line, column } = place;
        self.events.push(Event { line, column, end_column: column, item: Item::End });
    }

    pub(super) fn alias(&mut self, anchor: &str, start: LineColumn, end: LineColumn) -> Result<(), Fault> {
        let fault =
            |what: &str| Fault::syntax(start.line, start.column, format!("the anchor `{anchor}` {what}"));
        let target = *self.anchors.get(anchor).ok_or_else(|| fault("is not defined in this document"))?;
        if self.open.contains(&target) {
            return Err(fault("contains itself"));
        }
        self.has_aliases = true;
        self.add(Item::Alias(target), None, start, end)
    }
}
