//! A reader of JSON for what a review is made of, several times as fast as `serde_json`, above all at skipping what nothing reads.
//!
//! It accepts only texts that `serde_json` accepts, with the same result. It gives up at errors and at rare forms:
//! fractions, halves of surrogate pairs, raw values. Then `serde_json` reads the text instead, and says what is wrong with it.

mod reader;

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use reader::{JsonReader, JsonText, MAX_DEPTH};

/// Reads a whole text as one value.
pub(super) fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, GaveUp> {
    let mut reader = JsonReader { text, bytes: text.as_bytes(), at: 0 };
    let value = T::deserialize(&mut reader)?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
    if reader.bytes[reader.at..].iter().all(is_blank) { Ok(value) } else { Err(GaveUp) }
}

/// The text is wrong, or is left to `serde_json`.
#[derive(Debug)]
pub(super) struct GaveUp;

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not read")
    }
}

impl std::error::Error for GaveUp {}

impl de::Error for GaveUp {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Result<T, E = GaveUp> = std::result::Result<T, E>;

impl<'de> Deserializer<'de> for &mut JsonReader<'de> {
    type Error = GaveUp;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            b'"' => match self.string()? {
                JsonText::Plain(text) => visitor.visit_borrowed_str(text),
                JsonText::Unescaped(text) => visitor.visit_str(&text),
            },
            b'{' => {
                self.at += 1;
                let value = visitor.visit_map(Items { reader: self, is_first: true })?;
                self.expect(b'}')?;
                Ok(value)
            }
            b'[' => {
                self.at += 1;
                let value = visitor.visit_seq(Items { reader: self, is_first: true })?;
                self.expect(b']')?;
                Ok(value)
            }
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            _ => self.integer(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek()? == b'n' {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if self.peek()? != b'"' {
            return Err(GaveUp);
        }
        match self.string()? {
            JsonText::Plain(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            JsonText::Unescaped(text) => visitor.visit_enum(StrDeserializer::new(&text)),
        }
    }

    /// Only from an object: derived readers would also take a list, which Go does not.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if self.peek()? != b'{' {
            return Err(GaveUp);
        }
        self.deserialize_any(visitor)
    }

    /// Among these only a raw value, which is `serde_json`'s own, has to be known by its name.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if name.starts_with('$') {
            return Err(GaveUp);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.skip(MAX_DEPTH)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

/// The items of an object or a list whose bracket has been read. The closing one is left to be read.
struct Items<'r, 'de> {
    reader: &'r mut JsonReader<'de>,
    is_first: bool,
}

impl Items<'_, '_> {
    /// Whether there is another item, which is next then.
    fn has_next(&mut self, end: u8) -> Result<bool> {
        let byte = self.reader.peek()?;
        if byte == end {
            return Ok(false);
        }
        if !self.is_first {
            self.reader.expect(b',')?;
        }
        self.is_first = false;
        Ok(true)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = GaveUp;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.has_next(b'}')? {
            return Ok(None);
        }
        if self.reader.peek()? != b'"' {
            return Err(GaveUp);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = GaveUp;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.has_next(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::*;
    use crate::model::StatefulSet;

    /// What is skipped here is what `serde_json` skips, and what is read here `serde_json` reads as the same.
    fn compare(text: &str) {
        let (here, there) = (from_str::<IgnoredAny>(text), serde_json::from_str::<IgnoredAny>(text));
        assert_eq!(here.is_ok(), there.is_ok(), "{text}");
        if let Ok(value) = from_str::<Value>(text) {
            assert_eq!(value, serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        if let Ok(set) = from_str::<StatefulSet>(text) {
            assert_eq!(set, serde_json::from_str::<StatefulSet>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn what_serde_json_takes_and_refuses() {
        for text in [
            "",
            " ",
            "{}",
            "[]",
            " [ ] ",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\" : 1 , \"b\":[{}]}",
            "{\"a\":1",
            "[1",
            "]",
            "0",
            "-0",
            "01",
            "-",
            "1.5",
            "1.",
            ".5",
            "1e5",
            "1E+5",
            "1e",
            "1e-",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "true",
            "tru",
            "truee",
            "null",
            "nul",
            "false",
            "\"\"",
            "\"",
            "\"a",
            "\"\\",
            "\"\\\"",
            "\"\\n\\t\\b\\f\\r\\/\\\\\\\"\"",
            "\"\\x\"",
            "\"\\u00e9\"",
            "\"\\u00E\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"a\nb\"",
            "\"\u{7f}é😀\"",
            "\"12345678\\u000a90\"",
            "{} {}",
            "{}\u{1}",
            "{}\u{0} ",
            "{} \n",
            "{\"a\":1}x",
            "\u{feff}{}",
            "[\"1234567\u{1f}\"]",
            "[\"12345678901234567890é\\n12345678é\"]",
            "{\"spec\":[3]}",
        ] {
            compare(text);
        }
        assert!(from_str::<IgnoredAny>(&"[".repeat(100_000)).is_err());
        assert!(from_str::<StatefulSet>("[]").is_err());
    }

    #[test]
    fn it_reads_every_recorded_object() {
        let capture = include_str!("../../tests/captures/consul-image-update.validate.json");
        let review: Value = from_str(capture).unwrap();
        assert_eq!(review, serde_json::from_str::<Value>(capture).unwrap());
        compare(&review["request"]["object"].to_string());
        assert!(from_str::<StatefulSet>(&review["request"]["object"].to_string()).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_wrong_with_a_text(
            places in proptest::collection::vec((any::<proptest::sample::Index>(), "[ -~\\n\u{1}é]{0,2}"), 0..3),
        ) {
            let capture = include_str!("../../tests/captures/nginx-create.validate.json");
            let review: Value = serde_json::from_str(capture).unwrap();
            let mut text = review["request"]["object"].to_string();
            for (place, with) in places {
                let at = place.index(text.len());
                if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                    text.replace_range(at..=at, &with);
                }
            }
            compare(&text);
        }

        #[test]
        fn short_texts(text in "[\\[\\]{}\",:0-2.eE\\\\untrlfas\\- ]{0,12}") {
            compare(&text);
        }
    }
}
