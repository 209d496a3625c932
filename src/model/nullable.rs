//! Deserializes `null` as Go does: it is the zero value, in a field and in a list.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a field whose `null` means its default.
pub(super) fn field<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// How many items one list may have: an object of etcd's largest size has fewer, and `{}` is a hundred times as large in memory.
const MOST_ITEMS: usize = 20_000;

/// The start of the error for a list over `MOST_ITEMS`.
pub const LIST_TOO_LONG: &str = "a list of more than";

/// Reads a list that may be `null` and whose items may be; the others keep their index. Fails with more than [`MOST_ITEMS`] items.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<NullableList<T>>::deserialize(deserializer)?.map_or_else(Vec::new, |list| list.0))
}

/// Like [`list`], into a shared slice.
pub(super) fn shared_list<'de, D, T>(deserializer: D) -> Result<Arc<[T]>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    list(deserializer).map(Into::into)
}

struct NullableList<T>(Vec<T>);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for NullableList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ListVisitor<T> {
    type Value = NullableList<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NullableList<T>, A::Error> {
        // Nodes give the number of items; JSON does not.
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or_default().min(MOST_ITEMS));
        while let Some(item) = items.next_element::<Option<T>>()? {
            if list.len() == MOST_ITEMS {
                return Err(A::Error::custom(format!("{LIST_TOO_LONG} {MOST_ITEMS} items")));
            }
            list.push(item.unwrap_or_default());
        }
        Ok(NullableList(list))
    }
}
