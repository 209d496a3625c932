//! Reading JSON as Go does: `null` is the zero value, in a field and in a list.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A field whose `null` means its default.
pub(super) fn field<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Items of one list: an object of the largest size that etcd takes has fewer, and `{}` is a hundred times as large in memory.
const MOST_ITEMS: usize = 20_000;

/// How the error of a list over `MOST_ITEMS` begins.
pub const LIST_TOO_LONG: &str = "a list of more than";

/// A list that may be `null` and whose items may be; the others keep their index. One of more than [`MOST_ITEMS`] is an error.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<List<T>>::deserialize(deserializer)?.map_or_else(Vec::new, |list| list.0))
}

struct List<T>(Vec<T>);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        // Nodes know how many items there are; JSON does not.
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or_default().min(MOST_ITEMS));
        while let Some(item) = items.next_element::<Option<T>>()? {
            if list.len() == MOST_ITEMS {
                return Err(A::Error::custom(format!("{LIST_TOO_LONG} {MOST_ITEMS} items")));
            }
            list.push(item.unwrap_or_default());
        }
        Ok(List(list))
    }
}
