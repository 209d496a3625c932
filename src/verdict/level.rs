//! Levels.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// What becomes of a finding, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The rule does not run.
    Off,
    /// It is only recorded.
    Audit,
    /// The client prints it.
    Warn,
    /// The change is refused.
    Deny,
}

impl Level {
    const ALL: [Self; 4] = [Self::Off, Self::Audit, Self::Warn, Self::Deny];

    /// Its name in policies and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Audit => "audit",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelVisitor;
        impl Visitor<'_> for LevelVisitor {
            type Value = Level;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one of off, audit, warn and deny")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Level, E> {
                let level = Level::ALL.into_iter().find(|level| level.name() == name);
                level.ok_or_else(|| E::unknown_variant(name, &["off", "audit", "warn", "deny"]))
            }

            /// `off` is a boolean in the YAML that kubectl reads.
            fn visit_bool<E: Error>(self, on: bool) -> Result<Level, E> {
                if on {
                    Err(E::custom("`on` is not a level; there are off, audit, warn and deny"))
                } else {
                    Ok(Level::Off)
                }
            }
        }
        deserializer.deserialize_any(LevelVisitor)
    }
}

impl JsonSchema for Level {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }

    /// Without a type, which would refuse the boolean.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = Self::ALL.map(Self::name);
        json_schema!({
            "enum": [names[0], names[1], names[2], names[3], false],
            "x-kubernetes-preserve-unknown-fields": true,
        })
    }
}
