//! Models from nodes, in the same way as from the same value in JSON and with the same errors.

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{IntoDeserializer, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use serde_json::Error;

use super::node::{MapEntry, Node, NodeValue};

impl<'de> IntoDeserializer<'de, Error> for &'de Node<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Entries of maps that are null are left out, as in [`Node::to_json`].
impl<'de> Deserializer<'de> for &'de Node<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            NodeValue::Null => visitor.visit_unit(),
            NodeValue::Bool(value) => visitor.visit_bool(*value),
            NodeValue::Number(value) => value.deserialize_any(visitor),
            NodeValue::String(text) => visitor.visit_borrowed_str(text),
            NodeValue::List(items) => SeqDeserializer::new(items.iter()).deserialize_any(visitor),
            NodeValue::Map(entries) => {
                let present = entries.iter().filter(|entry| !entry.value.is_null());
                let key = |entry: &'de MapEntry<'_>| BorrowedStrDeserializer::new(&entry.key);
                MapDeserializer::new(present.map(|entry| (key(entry), &entry.value))).deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            NodeValue::String(variant) => visitor.visit_enum(BorrowedStrDeserializer::new(variant)),
            _ => self.to_json().deserialize_enum(name, variants, visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::super::document;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, rename_all = "camelCase", deny_unknown_fields)]
    struct Model {
        name: Option<Box<str>>,
        count: u8,
        ratio: f32,
        kind: Option<Kind>,
        items: Vec<Option<i32>>,
        labels: BTreeMap<String, String>,
        any: serde_json::Value,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Kind {
        One,
        Two(u8),
    }

    /// Reads a text from its nodes and from their JSON.
    fn both(text: &str) -> [Result<Model, String>; 2] {
        let node = document(text).unwrap();
        let json = node.to_json();
        [Model::deserialize(&node), Model::deserialize(&json)].map(|read| read.map_err(|e| e.to_string()))
    }

    #[test]
    fn reads_what_json_reads() {
        for text in [
            "{}",
            "{name: a, count: 3, ratio: 1.5, kind: One, items: [1, null, -3], labels: {a: b, c: null}, any: {x: [1, {}]}}",
            "{name: null, any: null}",
            "{kind: {Two: 3}}",
            "{ratio: 2}",
            "[]",
        ] {
            let [node, json] = both(text);
            assert!(node.is_ok(), "{text}: {node:?}");
            assert_eq!(node, json, "{text}");
        }
    }

    #[test]
    fn errors_are_those_of_json() {
        for text in [
            "a",
            "{count: a}",
            "{count: -1}",
            "{count: 256}",
            "{count: 1.5}",
            "{ratio: []}",
            "{kind: Three}",
            "{kind: {One: 1}}",
            "{kind: {One: 1, Two: 2}}",
            "{kind: 3}",
            "{items: {}}",
            "{items: [x]}",
            "{labels: [a]}",
            "{labels: {a: 1}}",
            "{labels: {a: {}}}",
            "{name: true}",
            "{name: 1.5}",
            "{other: 1}",
        ] {
            let [node, json] = both(text);
            assert!(node.is_err(), "{text}: {node:?}");
            assert_eq!(node, json, "{text}");
        }
    }
}
