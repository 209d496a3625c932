//! Labels: a small sorted map.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Label keys and values, sorted by key. Most objects have fewer than ten, so a sorted vector beats a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<(Box<str>, Box<str>)>);

impl Labels {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        Some(&self.0[at].1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Key and value, in order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether every label of `self` is on `labels` with the same value: how a Service selects.
    pub fn is_subset_of(&self, labels: &Self) -> bool {
        self.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for Labels {
    /// The last of two equal keys wins, as in JSON.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut labels: Vec<(Box<str>, Box<str>)> =
            pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        labels.reverse();
        labels.sort_by(|a, b| a.0.cmp(&b.0));
        labels.dedup_by(|later, first| later.0 == first.0);
        Self(labels)
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
                while let Some(key) = map.next_key::<Box<str>>()? {
                    let value = map.next_value::<Option<Box<str>>>()?;
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
