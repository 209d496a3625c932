//! JSON with positions.
//!
//! Only the structure is read here; strings and numbers go to `serde_json`, so that escapes mean exactly what they mean
//! there. One pass over the text, whatever its shape.

use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::limits::{self, Budget};
use super::map::MapBuilder;
use super::node::{Entry, Node, Value};
use super::scalar;

/// Values that stand one after another, and how reading them ended.
pub(super) struct Stream<'a> {
    /// The values before the end or the fault.
    pub(super) values: Vec<Node>,
    /// What is wrong after them.
    pub(super) fault: Option<Fault>,
    /// The text that follows the last value.
    pub(super) rest: &'a str,
}

/// Reads a stream of JSON values, of which the first character is on line `line` of the file.
pub(super) fn stream<'a>(text: &'a str, line: u32, budget: &mut Budget) -> Stream<'a> {
    let mut reader = Reader { text, at: 0, line, column: 1, budget };
    let mut stream = Stream { values: Vec::new(), fault: None, rest: text };
    reader.skip_blanks();
    while reader.peek().is_some() {
        match reader.value(0) {
            Ok(value) => stream.values.push(value),
            Err(fault) => {
                stream.fault = Some(fault);
                break;
            }
        }
        stream.rest = reader.rest();
        reader.skip_blanks();
    }
    stream
}

struct Reader<'a, 'b> {
    text: &'a str,
    at: usize,
    line: u32,
    column: u32,
    budget: &'b mut Budget,
}

impl<'a> Reader<'a, '_> {
    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        let (line, column) = (self.line, self.column);
        self.budget.node(line, column)?;
        limits::depth(depth, line, column)?;
        let value = match self.peek() {
            Some(b'{') => return self.map(depth),
            Some(b'[') => return self.list(depth),
            Some(b'"') => Value::String(self.string()?),
            Some(_) => self.word()?,
            None => return Err(self.fault("a value is missing at the end of the text")),
        };
        Ok(Node { line, column, end_column: self.column, value })
    }

    fn map(&mut self, depth: usize) -> Result<Node, Fault> {
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
            entries.insert(Entry { key, line, column, end_column, shadows: None, value });
            Ok(())
        })?;
        Ok(Node { line, column, end_column: column + 1, value: Value::Map(entries.finish()) })
    }

    fn list(&mut self, depth: usize) -> Result<Node, Fault> {
        let (line, column) = (self.line, self.column);
        let mut items = Vec::new();
        self.items(b']', |reader| {
            items.push(reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Node { line, column, end_column: column + 1, value: Value::List(items) })
    }

    /// What stands between brackets: nothing, or items with commas between them.
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

    fn string(&mut self) -> Result<String, Fault> {
        let bytes = self.rest().as_bytes();
        let mut escaped = false;
        let close = bytes.iter().skip(1).position(|byte| {
            let found = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            found
        });
        let Some(close) = close else {
            return Err(self.fault("this string has no end"));
        };
        self.scalar(close + 2, "this string is not valid JSON")
    }

    fn word(&mut self) -> Result<Value, Fault> {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let length = self.rest().bytes().take_while(is_part).count();
        let word = &self.rest()[..length];
        let value = match word {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => {
                let number: serde_json::Number = self.scalar(length, "this is not a JSON value")?;
                // Of serde_json only the grammar: without its feature `float_roundtrip` it may miss by a digit.
                let float = number.is_f64().then(|| word.parse().ok()).flatten();
                return Ok(Value::Number(float.and_then(scalar::number).unwrap_or(number)));
            }
        };
        self.advance(length);
        Ok(value)
    }

    fn scalar<T: DeserializeOwned>(&mut self, length: usize, message: &str) -> Result<T, Fault> {
        let value = serde_json::from_str(&self.rest()[..length]).map_err(|_| self.fault(message))?;
        self.advance(length);
        Ok(value)
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
        let passed = self.rest().bytes().take(bytes).filter(|byte| byte & 0xc0 != 0x80).count();
        self.column = self.column.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.at += bytes;
    }

    fn skip_blanks(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.advance(1);
            if byte == b'\n' {
                self.line += 1;
                self.column = 1;
            }
        }
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::syntax(self.line, self.column, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Stream<'_> {
        stream(text, 1, &mut Budget::default())
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
        let node = read(&format!("{{\"{key}\": \"\\ud83d\\ude00\\/\"}}")).values.remove(0);
        assert_eq!(node.to_json(), json!({ key: "😀/" }));
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
        assert_eq!(fault("{\"a\": 01}"), (1, 7));
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
