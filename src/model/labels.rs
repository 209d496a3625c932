//! Labels: a small sorted map.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::is_version_label;
use super::text::BorrowedText;

/// Label keys and values, sorted by key.
///
/// Packed into one text: half of a large cluster is labels, and a separate text for each key and value would take twice the memory. Copies
/// share the text, and so do the objects of a snapshot with equal labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Option<Arc<Packed>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Packed {
    text: Box<str>,
    /// The end of each key and value in the text.
    ends: Box<[(u32, u32)]>,
}

impl Labels {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let packed = self.0.as_deref()?;
        let (mut low, mut high) = (0, packed.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            let (k, value) = packed.at(middle);
            match k.cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(value),
            }
        }
        None
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether other objects share the same text.
    pub fn is_shared(&self) -> bool {
        self.0.as_ref().is_some_and(|packed| Arc::strong_count(packed) > 1)
    }

    /// The keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|packed| (0..packed.ends.len()).map(|index| packed.at(index)))
    }

    /// Whether every label of `self` is on `labels` with the same value: how a Service selects.
    pub fn is_subset_of(&self, labels: &Self) -> bool {
        self.iter().all(|(key, value)| labels.get(key) == Some(value))
    }

    /// The labels without those that change with each version, which no selector should use.
    #[must_use]
    pub fn without_versions(&self) -> Self {
        self.iter().filter(|(key, value)| !is_version_label(key, value)).collect()
    }
}

impl Packed {
    fn at(&self, index: usize) -> (&str, &str) {
        let start = if index == 0 { 0 } else { self.ends[index - 1].1 as usize };
        let (key, value) = self.ends[index];
        (&self.text[start..key as usize], &self.text[key as usize..value as usize])
    }

    /// Packs sorted pairs without duplicates. Assumes less than 4 GiB, which every request respects.
    fn pack<K: AsRef<str>, V: AsRef<str>>(pairs: &[(K, V)]) -> Self {
        let length = |(key, value): &(K, V)| key.as_ref().len() + value.as_ref().len();
        let mut text = String::with_capacity(pairs.iter().map(length).sum());
        let mut append = |part: &str| {
            text.push_str(part);
            u32::try_from(text.len()).unwrap_or(u32::MAX)
        };
        let ends = pairs.iter().map(|(key, value)| (append(key.as_ref()), append(value.as_ref()))).collect();
        Self { text: text.into(), ends }
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Labels {
    /// The last of two equal keys wins, as in JSON.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut labels: Vec<(K, V)> = pairs.into_iter().collect();
        // The API server sends them sorted.
        if !labels.is_sorted_by(|(a, _), (b, _)| a.as_ref() < b.as_ref()) {
            labels.reverse();
            labels.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
            labels.dedup_by(|(later, _), (first, _)| later.as_ref() == first.as_ref());
        }
        Self((!labels.is_empty()).then(|| Arc::new(Packed::pack(&labels))))
    }
}

/// `app=consul,tier=server`, as `kubectl get -l` takes them.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_unit<E>(self) -> Result<Labels, E> {
                Ok(Labels::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut pairs = Vec::new();
                while let Some(key) = map.next_key::<BorrowedText<'de>>()? {
                    let value = map.next_value::<Option<BorrowedText<'de>>>()?;
                    pairs.push((key, value.unwrap_or_default()));
                }
                Ok(pairs.into_iter().collect())
            }
        }
        deserializer.deserialize_any(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_keys_wins() {
        let labels: Labels = serde_json::from_str(r#"{"b":"1","a":"x","b":"2","c":null}"#).unwrap();
        assert_eq!(labels.to_string(), "a=x,b=2,c=");
        assert_eq!(labels.get("b"), Some("2"));
        assert_eq!(labels.get("d"), None);
    }

    #[test]
    fn a_service_selects_by_subset() {
        let narrow: Labels = [("app", "zk")].into_iter().collect();
        let wide: Labels = [("app", "zk"), ("tier", "x")].into_iter().collect();
        assert!(narrow.is_subset_of(&wide));
        assert!(!wide.is_subset_of(&narrow));
    }
}
