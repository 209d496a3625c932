//! JSON with positions.
//!
//! Only the structure is read here; strings and numbers go to `serde_json`, so that escapes mean exactly what they mean
//! there. One pass over the text, whatever its shape.

use std::borrow::Cow;

use super::fault::Fault;
use super::limits::{self, ParseLimits};
use super::map::MapBuilder;
use super::node::{MapEntry, Node, NodeValue};
use super::scalar;

/// Values that stand one after another, and how reading them ended.
pub(super) struct Stream<'a> {
    /// The values before the end or the fault.
    pub(super) values: Vec<Node<'a>>,
    /// The error after them.
    pub(super) fault: Option<Fault>,
    /// The text that follows the last value.
    pub(super) rest: &'a str,
    /// The line on which that text starts.
    pub(super) line: u32,
}

/// Reads a stream of JSON values, of which the first character is on line `line` of the file.
pub(super) fn stream<'a>(text: &'a str, line: u32, limits: &mut ParseLimits) -> Stream<'a> {
    let mut reader = JsonManifestReader { text, at: 0, line, column: 1, limits };
    let mut stream = Stream { values: Vec::new(), fault: None, rest: text, line };
    reader.skip_blanks();
    while reader.peek().is_some() {
        match reader.value(0) {
            Ok(value) => stream.values.push(value),
            Err(fault) => {
                stream.fault = Some(fault);
                break;
            }
        }
        (stream.rest, stream.line) = (reader.rest(), reader.line);
        reader.skip_blanks();
    }
    stream
}

struct JsonManifestReader<'a, 'b> {
    text: &'a str,
    at: usize,
    line: u32,
    column: u32,
    limits: &'b mut ParseLimits,
}

impl<'a> JsonManifestReader<'a, '_> {
    fn value(&mut self, depth: usize) -> Result<Node<'a>, Fault> {
        let (line, column) = (self.line, self.column);
        self.limits.node(line, column)?;
        limits::depth(depth, line, column)?;
        let value = match self.peek() {
            Some(b'{') => return self.map(depth),
            Some(b'[') => return self.list(depth),
            Some(b'"') => NodeValue::String(self.string()?),
            Some(_) => self.word()?,
            None => return Err(self.fault("a value is missing at the end of the text")),
        };
        Ok(Node { line, column, end_column: self.column, value })
    }

    fn map(&mut self, depth: usize) -> Result<Node<'a>, Fault> {
        let (line, column) = (self.line, self.column);
        let mut entries = MapBuilder::default();
        self.items(b'}', |reader| {
            let (line, column) = (reader.line, reader.column);
            if reader.peek() != Some(b'"') {
                return Err(reader.fault("a key in double quotes is expected here"));
            }
            let key = reader.string()?;
            let end_column = reader.column;
            reader.skip_blanks();
            if !reader.eat(b':') {
                return Err(reader.fault("a `:` is expected here"));
            }
            reader.skip_blanks();
            let value = reader.value(depth + 1)?;
            entries.insert(MapEntry { key, line, column, end_column, shadows: None, value });
            Ok(())
        })?;
        Ok(Node { line, column, end_column: column + 1, value: NodeValue::Map(entries.finish()) })
    }

    fn list(&mut self, depth: usize) -> Result<Node<'a>, Fault> {
        let (line, column) = (self.line, self.column);
        let mut items = Vec::new();
        self.items(b']', |reader| {
            items.push(reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Node { line, column, end_column: column + 1, value: NodeValue::List(items) })
    }

    /// Parses the content of brackets: nothing, or items with commas between them.
    fn items(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.advance(1);
        self.skip_blanks();
        if self.eat(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            self.skip_blanks();
            if self.eat(close) {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.fault(format!("a `,` or `{}` is expected here", char::from(close))));
            }
            self.skip_blanks();
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let bytes = self.rest().as_bytes();
        let (mut escaped, mut is_plain) = (false, true);
        let close = bytes.iter().skip(1).position(|byte| {
            let found = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            is_plain &= *byte >= b' ' && !escaped;
            found
        });
        let Some(close) = close else {
            return Err(self.fault("this string has no end"));
        };
        let length = close + 2;
        let text = &self.rest()[..length];
        if is_plain {
            self.advance(length);
            return Ok(Cow::Borrowed(&text[1..=close]));
        }
        let value =
            serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_lone_surrogates(text)));
        let value = value.map_err(|_| self.fault("this string is not valid JSON"))?;
        self.advance(length);
        Ok(Cow::Owned(value))
    }

    /// A number or one of three words. It ends where it is complete, whatever follows.
    fn word(&mut self) -> Result<NodeValue<'a>, Fault> {
        let words =
            [("null", NodeValue::Null), ("true", NodeValue::Bool(true)), ("false", NodeValue::Bool(false))];
        for (word, value) in words {
            if self.rest().starts_with(word) {
                self.advance(word.len());
                return Ok(value);
            }
        }
        let word = &self.rest()[..number_length(self.rest())];
        let number: serde_json::Number =
            serde_json::from_str(word).map_err(|_| self.fault("this is not a JSON value"))?;
        self.advance(word.len());
        // Uses only the grammar of serde_json: without its feature `float_roundtrip` it may miss by a digit.
        let float = number.is_f64().then(|| word.parse().ok()).flatten();
        Ok(NodeValue::Number(float.and_then(scalar::number).unwrap_or(number)))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.advance(1);
        }
        found
    }

    /// Goes on by so many bytes of one line.
    fn advance(&mut self, bytes: usize) {
        let passed = self.rest()[..bytes].chars().count();
        self.column = self.column.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.at += bytes;
    }

    fn skip_blanks(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.at += 1;
            (self.line, self.column) =
                if byte == b'\n' { (self.line + 1, 1) } else { (self.line, self.column.saturating_add(1)) };
        }
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::syntax(self.line, self.column, message)
    }
}

/// How long the JSON number is that a text starts with.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += if bytes.get(at) == Some(&b'0') { 1 } else { digits(at) };
    if bytes.get(at) == Some(&b'.') {
        at += 1 + digits(at + 1);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at += digits(at);
    }
    at
}

/// A JSON string with U+FFFD where `\\uD800` or the like is no half of a pair, as Go reads it.
fn without_lone_surrogates(text: &str) -> String {
    let unit = |escape: &str| u32::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        replaced += before;
        let kept = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => &escape[..12],
            (Some(0xd800..=0xdfff), _) => "\\ufffd",
            (Some(_), _) => &escape[..6],
            (None, _) => &escape[..escape.char_indices().nth(2).map_or(escape.len(), |(at, _)| at)],
        };
        let passed = if kept == "\\ufffd" { 6 } else { kept.len() };
        replaced += kept;
        rest = &escape[passed..];
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Stream<'_> {
        stream(text, 1, &mut ParseLimits::default())
    }

    fn fault(text: &str) -> (u32, u32) {
        let fault = read(text).fault.unwrap();
        (fault.line, fault.column)
    }

    #[test]
    fn reads_positions() {
        let node = read("{\n\t\"é\\u00e9\": [ 1,\n\t\t-2.5e1, \"x\" ],\n\t\"a/b\": {\"c\": null}\n}")
            .values
            .remove(0);
        assert_eq!(node.to_json(), json!({"éé": [1, -25, "x"], "a/b": {}}));
        let span = |pointer| {
            (node.locate(pointer).line, node.locate(pointer).column, node.locate(pointer).end_column)
        };
        assert_eq!(span("/éé"), (2, 2, 11));
        assert_eq!(span("/éé/1"), (3, 3, 9));
        assert_eq!(span("/a~1b/c"), (4, 10, 13));
        assert_eq!(span("/a~1b/c/d"), (4, 10, 13));
    }

    #[test]
    fn surrogates_and_long_keys() {
        let key = "k".repeat(5000);
        let text = format!("{{\"{key}\": \"\\ud83d\\ude00\\/\"}}");
        let node = read(&text).values.remove(0);
        assert_eq!(node.to_json(), json!({ key: "😀/" }));
    }

    #[test]
    fn lone_surrogates_are_replaced() {
        for (text, expected) in [
            (r"\ud800y", "\u{fffd}y"),
            (r"\udc00\ud800", "\u{fffd}\u{fffd}"),
            (r"\ud800\ud83d\ude00\n\\ud800", "\u{fffd}😀\n\\ud800"),
            (r"\ud800\u0041é", "\u{fffd}Aé"),
        ] {
            assert_eq!(read(&format!("[\"{text}\"]")).values[0].to_json(), json!([expected]), "{text}");
        }
        assert!(read("[\"\\ud800\u{1}\"]").fault.is_some() && read(r#"["\ud80"]"#).fault.is_some());
    }

    #[test]
    fn reads_streams() {
        let stream = read("{} {\"a\":1}\n[]\n");
        assert_eq!(stream.values.len(), 3);
        assert_eq!((stream.fault, stream.rest), (None, "\n"));
    }

    #[test]
    fn says_where_it_stops_making_sense() {
        assert_eq!(fault("{\n \"a\" 1}"), (2, 6));
        assert_eq!(fault("{\"a\":\n  tru}"), (2, 3));
        assert_eq!(fault("{\"a\": 01}"), (1, 8));
        assert_eq!(fault("{\"a\": 1.}"), (1, 7));
        assert_eq!(fault("{\"a\": \"\n\"}"), (1, 7));
        assert_eq!(fault("{\"a\": 1,}"), (1, 9));
        assert_eq!(fault("[1"), (1, 3));
        assert_eq!(fault("[1] {"), (1, 6));
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        let node = read("{\"a\": 1,\n\"b\": 2,\n\"a\": 3,\n\"a\": 4}").values.remove(0);
        assert_eq!(node.to_json(), json!({"a": 4, "b": 2}));
        assert_eq!(node.entry("a").and_then(|entry| entry.shadows), Some(1));
    }

    #[test]
    fn depth_is_limited() {
        assert!(read(&"[".repeat(1_000_000)).fault.unwrap().limit);
        assert!(read(&format!("{}{}", "[".repeat(150), "]".repeat(150))).fault.is_none());
    }
}
