//! Names with `*` in them.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A set of patterns, any of which may match.
#[derive(Clone, Debug)]
pub(super) struct Patterns(GlobSet);

impl Patterns {
    /// Patterns whose `*` matches anything, `/` too.
    pub(super) fn new(patterns: &[String]) -> Result<Self, globset::Error> {
        Self::build(patterns, false)
    }

    /// Patterns whose `*` stays within one component of a path.
    pub(super) fn of_components(patterns: &[String]) -> Result<Self, globset::Error> {
        Self::build(patterns, true)
    }

    fn build(patterns: &[String], literal_separator: bool) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            set.add(GlobBuilder::new(pattern).literal_separator(literal_separator).build()?);
        }
        Ok(Self(set.build()?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// The indexes of the patterns that match, ascending.
    pub(super) fn matching(&self, name: &str) -> Vec<usize> {
        self.0.matches(name)
    }
}
