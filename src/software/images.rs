//! Patterns of image names, in the catalogue and in policies.

use super::Patterns;

/// Patterns of repositories. One of n components is compared with the last n components of a repository, so that `etcd` and
/// `coreos/etcd` match `quay.io/coreos/etcd`. `*` stays within one component, `**` does not.
#[derive(Clone, Debug)]
pub struct ImagePatterns(Patterns);

impl ImagePatterns {
    /// Compiles `patterns`; the error is for the author of the pattern.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        patterns.iter().try_for_each(|pattern| check(pattern))?;
        Patterns::of_components(patterns).map(Self).map_err(|error| error.to_string())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a pattern matches a repository, which is an image without tag and digest.
    pub fn matches(&self, repository: &str) -> bool {
        suffixes(repository).any(|suffix| self.0.matches(suffix))
    }

    /// The indexes of the patterns that match, in no order.
    pub(super) fn matching<'a>(&'a self, repository: &'a str) -> impl Iterator<Item = usize> + 'a {
        suffixes(repository).flat_map(|suffix| self.0.matching(suffix))
    }
}

/// Patterns are compared with repositories: a pattern with a tag or a digest could never match.
fn check(pattern: &str) -> Result<(), String> {
    let last = pattern.rfind('/').map_or(0, |slash| slash + 1);
    match pattern.find('@').or_else(|| pattern[last..].find(':').map(|colon| last + colon)) {
        Some(end) => Err(format!(
            "the image pattern {pattern:?} has a tag or digest, but images are compared without them; write {:?}",
            &pattern[..end]
        )),
        None if pattern.split('/').any(str::is_empty) => {
            Err(format!("the image pattern {pattern:?} has an empty part, so it matches no image"))
        }
        None => Ok(()),
    }
}

/// `a/b/c`, `b/c`, `c`. An image name holds at most 255 characters; what is longer is none.
fn suffixes(repository: &str) -> impl Iterator<Item = &str> {
    let repository = if repository.len() <= MAX_LENGTH { repository } else { "" };
    std::iter::successors(Some(repository), |path| path.split_once('/').map(|(_, rest)| rest))
}

/// The longest name of a repository, with the longest name of a registry.
const MAX_LENGTH: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(patterns: &[&str]) -> Result<ImagePatterns, String> {
        ImagePatterns::new(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_pattern_is_compared_with_as_many_of_the_last_components() {
        for (pattern, repository, expected) in [
            ("etcd", "etcd", true),
            ("etcd", "quay.io/coreos/etcd", true),
            ("etcd", "quay.io/coreos/etcd-operator", false),
            ("coreos/etcd", "quay.io/coreos/etcd", true),
            ("*/etcd", "quay.io/coreos/etcd", true),
            ("*/etcd", "etcd", false),
            ("mirror/*/etcd", "registry.example:5000/mirror/coreos/etcd", true),
            ("registry.example:5000/*/etcd", "registry.example:5000/a/etcd", true),
            ("registry.example:5000/*", "registry.example:5000/a/etcd", false),
            ("registry.example:5000/**", "registry.example:5000/a/etcd", true),
            ("etcd*", "etcd/operator", false),
            ("etcd", "", false),
        ] {
            assert_eq!(patterns(&[pattern]).unwrap().matches(repository), expected, "{pattern} {repository}");
        }
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_refused() {
        for (pattern, advice) in [
            ("etcd:3.5", "write \"etcd\""),
            ("registry.example:5000/a/etcd:3.5", "write \"registry.example:5000/a/etcd\""),
            ("etcd:*", "write \"etcd\""),
            ("a/etcd@sha256:00", "write \"a/etcd\""),
            ("a//etcd", "empty part"),
            ("etcd/", "empty part"),
            ("", "empty part"),
            ("[", "unclosed"),
        ] {
            let error = patterns(&[pattern]).unwrap_err();
            assert!(error.contains(advice), "{error}");
        }
    }
}
