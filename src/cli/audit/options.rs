//! Values of options, read alike on the command line and in the settings.

use std::path::PathBuf;
use std::str::FromStr;

use ignore::gitignore::GitignoreBuilder;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::cli::namespace;
use crate::verdict::Level;

/// The level from which on findings make an audit fail; `None` is never.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailOn(pub(super) Option<Level>);

/// The level from which on findings are reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinLevel(pub(super) Level);

/// A pattern as in `.gitignore`.
#[derive(Clone, Debug)]
pub(super) struct ExcludePattern {
    pub(super) pattern: String,
    /// The folder that it is relative to where it has a slash; empty for the current one.
    pub(super) folder: PathBuf,
}

/// `KEY=VALUE` for a chart.
#[derive(Clone, Debug)]
pub(super) struct ChartValue(pub(super) String);

/// The name of a namespace.
#[derive(Clone, Debug)]
pub(super) struct NamespaceName(pub(super) String);

/// A value in the settings.
#[derive(Debug)]
pub(super) struct SettingValue<T>(pub(super) T);

impl Default for FailOn {
    fn default() -> Self {
        Self(Some(Level::Deny))
    }
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match (name, level(name)) {
            ("never", _) => Ok(Self(None)),
            (_, Some(level)) => Ok(Self(Some(level))),
            (_, None) => Err(format!("there is no level {name:?}; there are deny, warn, audit, never")),
        }
    }
}

impl FromStr for MinLevel {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let level = level(name).map(Self);
        level.ok_or_else(|| format!("there is no level {name:?}; there are deny, warn, audit"))
    }
}

fn level(name: &str) -> Option<Level> {
    [Level::Deny, Level::Warn, Level::Audit].into_iter().find(|level| level.name() == name)
}

impl FromStr for ExcludePattern {
    type Err = String;

    fn from_str(pattern: &str) -> Result<Self, String> {
        let mut builder = GitignoreBuilder::new("");
        // In a file git takes `[a` for text; here it is a slip.
        builder.allow_unclosed_class(false);
        builder.add_line(None, pattern).map_err(|error| error.to_string())?;
        Ok(Self { pattern: pattern.to_owned(), folder: PathBuf::new() })
    }
}

impl FromStr for ChartValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let has_key = text.split_once('=').is_some_and(|(key, _)| !key.is_empty());
        if has_key { Ok(Self(text.to_owned())) } else { Err(format!("expected KEY=VALUE, found {text:?}")) }
    }
}

impl FromStr for NamespaceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        namespace(text).map(Self)
    }
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for SettingValue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}
