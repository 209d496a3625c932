//! A parsed value that remembers where it was written.

use std::borrow::Cow;

use serde_json::Number;

use crate::model::pointer_keys;

/// One value and where it starts in its file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    /// The line of its first character.
    pub line: u32,
    /// The column of its first character.
    pub column: u32,
    /// The column after its last character, where it ends on the line it starts on.
    pub end_column: u32,
    /// The text as written.
    pub value: NodeValue<'a>,
}

/// The value of a [`Node`]: the values of JSON, with maps in the order they were written.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeValue<'a> {
    /// `null`, `~` or nothing at all. In Kubernetes it means the same as leaving the field out.
    Null,
    /// `true` or `false`, and what YAML 1.1 takes for them.
    Bool(bool),
    /// A number; a float with an integral value is an integer, as it is after kubectl has read it.
    Number(Number),
    /// A string.
    String(Cow<'a, str>),
    /// A list.
    List(Vec<Node<'a>>),
    /// A map; of keys written twice only the last is here.
    Map(Vec<MapEntry<'a>>),
}

/// One key of a map and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct MapEntry<'a> {
    /// The key, as a string whatever it was in YAML.
    pub key: Cow<'a, str>,
    /// The line of the key.
    pub line: u32,
    /// The column of the key's first character.
    pub column: u32,
    /// The column after the key's last character, quotes included.
    pub end_column: u32,
    /// The line on which the same map had this key first, with a value that this one replaces.
    pub shadows: Option<u32>,
    /// The value.
    pub value: Node<'a>,
}

/// A stretch of one line, to underline in a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The line, from 1.
    pub line: u32,
    /// The first column, from 1, in characters.
    pub column: u32,
    /// The column after the last; never before `column`.
    pub end_column: u32,
}

impl<'a> Node<'a> {
    /// The value of `key` in this map. Null counts as absent.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        let value = &self.entry(key)?.value;
        (!value.is_null()).then_some(value)
    }

    /// The value at a JSON pointer (RFC 6901), `""` being this node. Null counts as absent.
    pub fn pointer(&self, json_pointer: &str) -> Option<&Node<'a>> {
        let found = pointer_keys(json_pointer)
            .try_fold(self, |node, step| node.step(&step).map(|(child, _)| child))?;
        (!found.is_null()).then_some(found)
    }

    /// The value at a JSON pointer, to be changed.
    pub fn pointer_mut(&mut self, json_pointer: &str) -> Option<&mut Node<'a>> {
        pointer_keys(json_pointer).try_fold(self, |node, step| match &mut node.value {
            NodeValue::List(items) => items.get_mut(step.parse::<usize>().ok()?),
            NodeValue::Map(entries) => {
                entries.iter_mut().find(|entry| entry.key == step).map(|entry| &mut entry.value)
            }
            _ => None,
        })
    }

    /// Where to point a reader to for a JSON pointer: the key of the field, or of its nearest ancestor that is written.
    pub fn locate(&self, json_pointer: &str) -> Span {
        let mut node = self;
        let mut span = self.span();
        for step in pointer_keys(json_pointer) {
            let Some((child, at)) = node.step(&step) else {
                break;
            };
            (node, span) = (child, at);
        }
        span
    }

    /// The value as plain JSON, as the API would see it: map entries that are null are left out, nulls in lists stay.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            NodeValue::Null => serde_json::Value::Null,
            NodeValue::Bool(value) => (*value).into(),
            NodeValue::Number(value) => value.clone().into(),
            NodeValue::String(value) => (&**value).into(),
            NodeValue::List(items) => items.iter().map(Node::to_json).collect(),
            NodeValue::Map(entries) => {
                let present = entries.iter().filter(|entry| !entry.value.is_null());
                present.map(|entry| (entry.key.clone().into_owned(), entry.value.to_json())).collect()
            }
        }
    }

    /// A copy that does not borrow the text it was read from.
    pub fn into_owned(self) -> Node<'static> {
        let value = match self.value {
            NodeValue::Null => NodeValue::Null,
            NodeValue::Bool(value) => NodeValue::Bool(value),
            NodeValue::Number(value) => NodeValue::Number(value),
            NodeValue::String(text) => NodeValue::String(text.into_owned().into()),
            NodeValue::List(items) => NodeValue::List(items.into_iter().map(Node::into_owned).collect()),
            NodeValue::Map(entries) => {
                NodeValue::Map(entries.into_iter().map(MapEntry::into_owned).collect())
            }
        };
        let Self { line, column, end_column, .. } = self;
        Node { line, column, end_column, value }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Node<'a>]> {
        match &self.value {
            NodeValue::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub fn as_map(&self) -> Option<&[MapEntry<'a>]> {
        match &self.value {
            NodeValue::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, NodeValue::Null)
    }

    /// The entry of `key`, null or not.
    pub fn entry(&self, key: &str) -> Option<&MapEntry<'a>> {
        self.as_map()?.iter().find(|entry| entry.key == key)
    }

    /// Takes a list out of this map, so that its items need not be copied.
    pub(super) fn take_list(&mut self, key: &str) -> Vec<Node<'a>> {
        let NodeValue::Map(entries) = &mut self.value else { return Vec::new() };
        let entry = entries.iter_mut().find(|entry| entry.key == key);
        match entry.map(|entry| &mut entry.value.value) {
            Some(NodeValue::List(items)) => std::mem::take(items),
            _ => Vec::new(),
        }
    }

    /// A block map starts with its first key, which shows better than a point of no width.
    pub fn span(&self) -> Span {
        match self.as_map().and_then(<[MapEntry<'_>]>::first) {
            Some(first) if (first.line, first.column) == (self.line, self.column) => first.span(),
            _ => Span { line: self.line, column: self.column, end_column: self.end_column },
        }
    }

    fn step(&self, step: &str) -> Option<(&Node<'a>, Span)> {
        if let Some(items) = self.as_list() {
            let item = items.get(step.parse::<usize>().ok()?)?;
            return Some((item, item.span()));
        }
        let entry = self.entry(step)?;
        Some((&entry.value, entry.span()))
    }
}

impl MapEntry<'_> {
    fn into_owned(self) -> MapEntry<'static> {
        let Self { key, line, column, end_column, shadows, value } = self;
        let (key, value) = (key.into_owned().into(), value.into_owned());
        MapEntry { key, line, column, end_column, shadows, value }
    }

    /// Where the key is written.
    pub fn span(&self) -> Span {
        Span { line: self.line, column: self.column, end_column: self.end_column }
    }
}
