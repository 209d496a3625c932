//! YAML with positions, as go-yaml v2 reads it for kubectl.
//!
//! The grammar is libyaml's, of which go-yaml's is a translation: a parser of YAML 1.2 rejects what kubectl accepts (a
//! quoted string or a `]` that goes on left of its key, tabs inside braces) and the other way round.
//!
//! Events are recorded first and built second, so that an alias is built by going back to its anchor.

mod events;
mod places;

use super::fault::Fault;
use super::limits::{self, Budget};
use super::map::MapBuilder;
use super::node::{Entry, Node, Value};
use super::scalar::{self, Scalar};
use events::{Event, Item};

/// The first YAML document of a text, and where a second begins, which kubectl passes over in silence.
pub(super) struct First {
    pub(super) node: Node,
    pub(super) ignored: Option<(u32, u32)>,
}

/// Reads a text that starts on line `line` of its file.
pub(super) fn first(text: &str, line: u32, budget: &mut Budget) -> Result<First, Fault> {
    let recorded = events::record(text, line, budget)?;
    let mut builder = Builder { events: &recorded.events, budget, aliases: 0 };
    let node = match recorded.events.first() {
        Some(_) => builder.node(&mut 0, 0)?,
        None => Node { line, column: 1, end_column: 1, value: Value::Null },
    };
    Ok(First { node, ignored: recorded.ignored })
}

struct Builder<'a> {
    events: &'a [Event],
    budget: &'a mut Budget,
    /// How many aliases lead to what is being built.
    aliases: usize,
}

impl<'a> Builder<'a> {
    fn node(&mut self, at: &mut usize, depth: usize) -> Result<Node, Fault> {
        let event = self.next(at)?;
        let (line, column) = (event.line, event.column);
        limits::depth(depth, line, column)?;
        self.pay(event)?;
        let value = match &event.item {
            Item::Scalar { text, tag } => scalar::resolve(text, *tag)
                .and_then(|scalar| scalar.into_value(text.clone()))
                .map_err(|message| Fault::syntax(line, column, message))?,
            Item::List => {
                let mut items = Vec::new();
                while !self.ends(at) {
                    items.push(self.node(at, depth + 1)?);
                }
                Value::List(items)
            }
            Item::Map => self.map(at, depth)?,
            Item::Alias(target) => return self.alias(*target, depth),
            Item::End => return Err(Fault::syntax(line, column, "a value is missing")),
        };
        Ok(Node { line, column, end_column: event.end_column, value })
    }

    fn map(&mut self, at: &mut usize, depth: usize) -> Result<Value, Fault> {
        let mut entries = MapBuilder::default();
        while !self.ends(at) {
            let event = self.next(at)?;
            if matches!(&event.item, Item::Scalar { text, tag: scalar::Tag::Implicit } if text == "<<") {
                self.merge(at, depth, &mut entries)?;
                continue;
            }
            let key = self.key(event)?;
            let value = self.node(at, depth + 1)?;
            let (line, column, end_column) = (event.line, event.column, event.end_column);
            entries.insert(Entry { key, line, column, end_column, shadows: None, value });
        }
        Ok(Value::Map(entries.finish()))
    }

    fn key(&mut self, event: &Event) -> Result<String, Fault> {
        self.pay(event)?;
        let fault = |message: &str| Fault::syntax(event.line, event.column, message);
        let scalar = match &event.item {
            Item::Alias(target) => self.events.get(*target).map(|event| &event.item),
            item => Some(item),
        };
        match scalar {
            Some(Item::Scalar { text, tag }) => scalar::resolve(text, *tag)
                .and_then(|scalar: Scalar| scalar.into_key(text.clone()))
                .map_err(|message| fault(&message)),
            _ => Err(fault("a key is a map or a list, which JSON does not know")),
        }
    }

    /// What `<<` brings in. Of several maps the earlier ones take precedence.
    fn merge(&mut self, at: &mut usize, depth: usize, into: &mut MapBuilder) -> Result<(), Fault> {
        let node = self.node(at, depth + 1)?;
        let maps = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        for map in maps.into_iter().rev() {
            let Value::Map(entries) = map.value else {
                return Err(Fault::syntax(map.line, map.column, "`<<` takes a map or a list of maps"));
            };
            for entry in entries {
                into.merge(entry);
            }
        }
        Ok(())
    }

    fn alias(&mut self, target: usize, depth: usize) -> Result<Node, Fault> {
        self.aliases += 1;
        let node = self.node(&mut { target }, depth);
        self.aliases -= 1;
        node
    }

    /// What is built a second time through an alias has to be paid for; the rest was when it was recorded.
    fn pay(&mut self, event: &Event) -> Result<(), Fault> {
        if self.aliases == 0 {
            return Ok(());
        }
        let bytes = if let Item::Scalar { text, .. } = &event.item { text.len() } else { 0 };
        self.budget.aliased(bytes, event.line, event.column)
    }

    fn next(&self, at: &mut usize) -> Result<&'a Event, Fault> {
        let event = self.events.get(*at).ok_or_else(|| Fault::syntax(1, 1, "the document ends too early"))?;
        *at += 1;
        Ok(event)
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
