//! `creationTimestamp`, in four bytes.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Seconds since 1970. An invalid value never fails the object: it reads as 0.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_any(SecondsVisitor)
}

struct SecondsVisitor;

impl<'de> Visitor<'de> for SecondsVisitor {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_str<E>(self, text: &str) -> Result<u32, E> {
        let time = text.parse::<Timestamp>().ok();
        Ok(time.and_then(|time| time.as_second().try_into().ok()).unwrap_or_default())
    }

    fn visit_unit<E>(self) -> Result<u32, E> {
        Ok(0)
    }

    fn visit_bool<E>(self, _: bool) -> Result<u32, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<u32, E> {
        Ok(0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<u32, E> {
        Ok(0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<u32, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u32, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u32, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Metadata;

    #[test]
    fn whatever_stands_there_refuses_no_object() {
        for (text, seconds) in [
            (r#""2026-11-29T22:39:17Z""#, 1_795_991_957),
            ("null", 0),
            (r#""1969-12-31T23:59:59Z""#, 0),
            (r#""soon""#, 0),
            ("7", 0),
            ("-1.5", 0),
            ("true", 0),
            (r#"[{"a":[]}]"#, 0),
            (r#"{"a":{}}"#, 0),
        ] {
            let json = format!(r#"{{"name":"a","creationTimestamp":{text}}}"#);
            let metadata: Metadata = serde_json::from_str(&json).unwrap();
            assert_eq!((metadata.created, &*metadata.name), (seconds, "a"), "{text}");
        }
    }
}
