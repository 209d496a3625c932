//! The parts of a request that are kept, each with the most it may be: what is longer is refused where it lies, before anything
//! is copied. Such a text would go into messages, logs and Events.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// The name of an object or of a namespace, and what else of a request is short. No name in Kubernetes is longer.
pub(super) const LONGEST_NAME: usize = 253;
/// The name of a user or of a group.
pub(super) const LONGEST_USER: usize = 1024;
/// Groups of one user.
const MOST_GROUPS: usize = 4096;

/// A text of at most `MOST` bytes. The default and null are empty.
#[derive(Default)]
pub(super) struct Short<'a, const MOST: usize>(Cow<'a, str>);

impl<const MOST: usize> Short<'_, MOST> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0.into_owned()
    }

    pub(super) fn into_box(self) -> Box<str> {
        self.0.into()
    }
}

impl<'de: 'a, 'a, const MOST: usize> Deserialize<'de> for Short<'a, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ShortVisitor::<MOST>)
    }
}

struct ShortVisitor<const MOST: usize>;

impl<'de, const MOST: usize> Visitor<'de> for ShortVisitor<MOST> {
    type Value = Short<'de, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string of at most {MOST} bytes")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Self::check(text)?;
        Ok(Short(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Self::check(text)?;
        Ok(Short(Cow::Owned(text.to_owned())))
    }
}

impl<const MOST: usize> ShortVisitor<MOST> {
    fn check<E: Error>(text: &str) -> Result<(), E> {
        if text.len() > MOST {
            return Err(E::custom(format!("a string of {} bytes; expected at most {MOST}", text.len())));
        }
        Ok(())
    }
}

/// The groups of a user.
#[derive(Default)]
pub(super) struct Groups(pub(super) Vec<Box<str>>);

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(GroupsVisitor)
    }
}

struct GroupsVisitor;

impl<'de> Visitor<'de> for GroupsVisitor {
    type Value = Groups;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MOST_GROUPS} groups")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Groups, A::Error> {
        let mut groups = Vec::new();
        while let Some(group) = items.next_element::<Short<'_, LONGEST_USER>>()? {
            if groups.len() == MOST_GROUPS {
                return Err(A::Error::custom(format!("more than {MOST_GROUPS} groups")));
            }
            groups.push(group.into_box());
        }
        Ok(Groups(groups))
    }
}
