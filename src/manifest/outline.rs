//! Where the fields of an object are written, in little memory.
//!
//! Nodes take ten times the memory of their text, and once an object has been read only places are still asked for. These are packed,
//! one record after the other: for each field and each item of a list where it is written and then, in the same way, what is in it.
//! Numbers take as many bytes as they need, seven bits each, and a line is relative to that of the record above.
//!
//! ```text
//! record   = line  column  width  [key]  children      the key of a field, by its number in a table
//! children = 0                                         of a scalar
//!          | 1  size (4 bytes)  record…                of a map
//!          | 2  size (4 bytes)  start (4 bytes)…  record…   of a list, with the start of each record
//! ```

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::node::{Node, NodeValue, Span};
use crate::model::pointer_keys;

const SCALAR: u8 = 0;
const MAP: u8 = 1;
const LIST: u8 = 2;

/// How many bytes a size or a start takes.
const FIXED: usize = 4;

/// The places of the fields and items of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    root: Span,
    children: Box<[u8]>,
}

/// The keys of the outlines of one file, each once. Every key of the file is looked up, in the time that the standard hash takes for
/// the hash alone.
#[derive(Debug, Default)]
pub struct KeyTable(HashMap<Box<str>, u32, RandomState>);

impl KeyTable {
    fn number(&mut self, key: &str) -> u32 {
        if let Some(number) = self.0.get(key) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(key.into(), number);
        number
    }
}

impl Outline {
    /// The outline of a value, whose keys are added to a table.
    pub fn of(node: &Node<'_>, keys: &mut KeyTable) -> Self {
        let mut writer = OutlineWriter { keys, bytes: Vec::new() };
        let root = node.span();
        writer.children(node, root.line);
        Self { root, children: writer.bytes.into() }
    }

    /// The result of [`Node::locate`] for the value, with the table of its keys; the value as a whole without one.
    pub fn locate(&self, json_pointer: &str, keys: Option<&KeyTable>) -> Span {
        let (mut span, mut children) = (self.root, OutlineReader { bytes: &self.children });
        for step in pointer_keys(json_pointer) {
            let record = keys.and_then(|keys| children.find(&step, span.line, keys));
            let Some(record) = record else { break };
            (span, children) = (record.span, record.children);
        }
        span
    }
}

struct OutlineWriter<'k> {
    keys: &'k mut KeyTable,
    bytes: Vec<u8>,
}

impl OutlineWriter<'_> {
    fn children(&mut self, node: &Node<'_>, above: u32) {
        match &node.value {
            NodeValue::Map(entries) => {
                let size = self.begin(MAP);
                for entry in entries {
                    self.span(entry.span(), above);
                    let key = self.keys.number(&entry.key);
                    self.number(key.into());
                    self.children(&entry.value, entry.line);
                }
                self.set(size, self.bytes.len() - size - FIXED);
            }
            NodeValue::List(items) => {
                let size = self.begin(LIST);
                let starts = self.bytes.len();
                self.bytes.resize(starts + FIXED * items.len(), 0);
                for (index, item) in items.iter().enumerate() {
                    self.set(starts + FIXED * index, self.bytes.len() - starts);
                    self.span(item.span(), above);
                    self.children(item, item.line);
                }
                self.set(size, self.bytes.len() - size - FIXED);
            }
            _ => self.bytes.push(SCALAR),
        }
    }

    /// Starts the children of a map or list, and returns where their size is to be set.
    fn begin(&mut self, kind: u8) -> usize {
        self.bytes.push(kind);
        let at = self.bytes.len();
        self.bytes.resize(at + FIXED, 0);
        at
    }

    fn set(&mut self, at: usize, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(at..at + FIXED) {
            place.copy_from_slice(&number.to_le_bytes());
        }
    }

    fn span(&mut self, span: Span, above: u32) {
        self.number(zigzag(i64::from(span.line) - i64::from(above)));
        self.number(span.column.into());
        self.number(span.end_column.saturating_sub(span.column).into());
    }

    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.bytes.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.bytes.push(number.to_le_bytes()[0]);
    }
}

/// Small numbers of either sign as small ones without.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Reads what [`OutlineWriter`] wrote. Where that ends too early it reads zeros.
#[derive(Clone, Copy)]
struct OutlineReader<'a> {
    bytes: &'a [u8],
}

struct Record<'a> {
    span: Span,
    children: OutlineReader<'a>,
}

impl<'a> OutlineReader<'a> {
    /// The record of a field or an item, of which the line above is `above`.
    fn find(mut self, step: &str, above: u32, keys: &KeyTable) -> Option<Record<'a>> {
        let kind = self.byte();
        let mut records = self.sized();
        if kind == MAP {
            let wanted = *keys.0.get(step)?;
            while !records.bytes.is_empty() {
                let span = records.span(above);
                let key = records.small();
                let children = records;
                if key == wanted {
                    return Some(Record { span, children });
                }
                records.skip_children();
            }
        }
        if kind != LIST {
            return None;
        }
        let index: usize = step.parse().ok()?;
        let start_of = |index: usize| {
            Some(OutlineReader { bytes: records.bytes.get(index.checked_mul(FIXED)?..)? }.fixed())
        };
        if index >= start_of(0)? / FIXED {
            return None;
        }
        let mut children = OutlineReader { bytes: records.bytes.get(start_of(index)?..)? };
        let span = children.span(above);
        Some(Record { span, children })
    }

    fn skip_children(&mut self) {
        if self.byte() != SCALAR {
            self.sized();
        }
    }

    fn sized(&mut self) -> Self {
        let size = self.fixed();
        OutlineReader { bytes: self.take(size) }
    }

    fn span(&mut self, above: u32) -> Span {
        let line = i64::from(above) + unzigzag(self.number());
        let (column, width) = (self.small(), self.small());
        Span {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column,
            end_column: column.saturating_add(width),
        }
    }

    fn small(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    fn fixed(&mut self) -> usize {
        let bytes = self.take(FIXED).try_into().unwrap_or_default();
        u32::from_le_bytes(bytes) as usize
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at_checked(count).unwrap_or((self.bytes, &[]));
        self.bytes = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;

    fn pointers(node: &Node<'_>, pointer: &str, found: &mut Vec<String>) {
        found.extend([pointer.to_owned(), format!("{pointer}/absent"), format!("{pointer}/7")]);
        for (index, item) in node.as_list().unwrap_or_default().iter().enumerate() {
            pointers(item, &format!("{pointer}/{index}"), found);
        }
        for entry in node.as_map().unwrap_or_default() {
            let step = entry.key.replace('~', "~0").replace('/', "~1");
            pointers(&entry.value, &format!("{pointer}/{step}"), found);
        }
    }

    fn assert_same(node: &Node<'_>, keys: &mut KeyTable, text: &str) {
        let outline = Outline::of(node, keys);
        let mut found = Vec::new();
        pointers(node, "", &mut found);
        for pointer in found {
            assert_eq!(outline.locate(&pointer, Some(keys)), node.locate(&pointer), "{pointer} of {text}");
        }
    }

    #[test]
    fn says_what_the_nodes_say() {
        let mut keys = KeyTable::default();
        let long = format!("a: {}\n{}é: {{k: [1, 2]}}\n", "x".repeat(300), "\n".repeat(300));
        for text in [
            "a: {b: [1, {c: d}, [e]], f: ~}\ng:\n- h: 1\n  i: 2\n- j\n",
            "{\"a\": {\"b/c\": [1, {\"d~\\u00e9\": null}]}, \"\": 3}",
            "x: &x {a: 1, 'q r': 2}\ny:\n  <<: *x\n  b: 3\nz: [*x, *x]\n? *x\n: 1\n",
            "x: &x {a: 1, 'q r': 2}\ny:\n  <<: *x\n  \"b\\n\": 3\nz: [*x, *x]\n1: 2\nyes: {}\n",
            "- []\n- {}\n- \n- |\n  text\n",
            "plain",
            "",
            "a: no newline",
            &long,
        ] {
            let Ok(node) = document(text) else { continue };
            assert_same(&node, &mut keys, text);
        }
    }

    #[test]
    fn is_smaller_than_its_text() {
        let text = include_str!("../../deploy/examples/consul/consul.yaml");
        let outline = Outline::of(&document(text).unwrap(), &mut KeyTable::default());
        assert!(outline.children.len() < text.len() / 2, "{} of {}", outline.children.len(), text.len());
    }
}
