//! Types, as far as they are known before an expression is evaluated.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Anything: only the evaluation will tell.
    Dyn,
    Null,
    Bool,
    Int,
    Double,
    Text,
    Quantity,
    Duration,
    Timestamp,
    Address,
    /// A range of addresses.
    Block,
    Version,
    /// A type as a value.
    Kind,
    List(Arc<Type>),
    /// A map from texts.
    Map(Arc<Type>),
    /// A map whose keys are known.
    Object(Arc<ObjectFields>),
    Optional(Arc<Type>),
}

/// The fields of an object.
#[derive(Debug, PartialEq)]
pub struct ObjectFields {
    /// The name in messages: `a PodSpec`.
    pub name: Box<str>,
    pub fields: BTreeMap<Box<str>, Type>,
}

impl Type {
    pub fn list(of: Self) -> Self {
        Self::List(Arc::new(of))
    }

    pub fn map(of: Self) -> Self {
        Self::Map(Arc::new(of))
    }

    pub(super) fn optional(of: Self) -> Self {
        Self::Optional(Arc::new(of))
    }

    /// Whether a value of this type may be of the other: what is not known may be anything.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _)
            | (_, Self::Dyn)
            | (Self::Map(_), Self::Object(_))
            | (Self::Object(_), Self::Map(_)) => true,
            (Self::List(one), Self::List(other))
            | (Self::Map(one), Self::Map(other))
            | (Self::Optional(one), Self::Optional(other)) => one.may_be(other),
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }

    /// The type that is either: `Dyn` where they differ.
    pub(super) fn joined(self, other: &Self) -> Self {
        match (&self, other) {
            (Self::List(one), Self::List(other)) => Self::list((**one).clone().joined(other)),
            (Self::Optional(one), Self::Optional(other)) => Self::optional((**one).clone().joined(other)),
            _ if self == *other => self,
            _ => Self::Dyn,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("anything"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("true or false"),
            Self::Int => f.write_str("a whole number"),
            Self::Double => f.write_str("a number"),
            Self::Text => f.write_str("a text"),
            Self::Quantity => f.write_str("a quantity"),
            Self::Duration => f.write_str("a duration"),
            Self::Timestamp => f.write_str("a time"),
            Self::Address => f.write_str("an IP address"),
            Self::Block => f.write_str("a range of IP addresses"),
            Self::Version => f.write_str("a version"),
            Self::Kind => f.write_str("a type"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a map"),
            Self::Object(fields) => f.write_str(&fields.name),
            Self::Optional(of) => write!(f, "an optional of {of}"),
        }
    }
}

/// The type of a value that is known already. `name` is what messages call it.
pub fn type_of_json(json: &Json, name: &str) -> Type {
    match json {
        Json::Null => Type::Null,
        Json::Bool(_) => Type::Bool,
        Json::Number(number) if number.is_i64() => Type::Int,
        Json::Number(_) => Type::Double,
        Json::String(_) => Type::Text,
        Json::Array(items) => {
            let mut types = items.iter().map(|item| type_of_json(item, name));
            let first = types.next().unwrap_or(Type::Dyn);
            Type::list(types.fold(first, |joined, next| joined.joined(&next)))
        }
        Json::Object(members) => {
            let field = |(key, value): (&String, &Json)| {
                (key.as_str().into(), type_of_json(value, &format!("{name}.{key}")))
            };
            Type::Object(Arc::new(ObjectFields {
                name: name.into(),
                fields: members.iter().map(field).collect(),
            }))
        }
    }
}
