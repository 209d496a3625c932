//! The catalogue of software by image name: `policies/software.yaml`.

mod patterns;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::{Because, Class, Classified, Container, StatefulSet, cut};

/// The longest evidence that is repeated, in bytes: it has the name of an image in it.
const LONGEST_EVIDENCE: usize = 300;
pub use patterns::Patterns;

/// The compiled catalogue.
#[derive(Debug)]
pub struct Catalogue {
    entries: Vec<Entry>,
    /// Every entry's image patterns in one set, and the entry each belongs to.
    images: Patterns,
    owner: Vec<usize>,
    /// The entries that go by something else than the image.
    imageless: Vec<usize>,
    /// The environment variables that some entry looks at.
    variables: BTreeSet<String>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    class: Class,
    certain: bool,
    arguments: Patterns,
    environment: Vec<(String, Option<Patterns>)>,
    claims: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    software: Vec<EntryDocument>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryDocument {
    name: String,
    class: Class,
    confidence: Confidence,
    #[serde(default)]
    images: Vec<String>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    environment: Vec<String>,
    #[serde(default)]
    claims: bool,
    #[serde(default, rename = "because")]
    _because: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Confidence {
    Certain,
    Likely,
}

/// The shipped catalogue, compiled once.
static SHIPPED: LazyLock<Result<Catalogue, String>> = LazyLock::new(|| {
    let document = crate::manifest::document(include_str!("../../policies/software.yaml"));
    let document = document.map_err(|fault| fault.to_string())?;
    Catalogue::from_json(document.to_json()).map_err(|error| error.to_string())
});

/// Whether the shipped catalogue looks at an environment variable of this name.
pub fn reads_variable(name: &str) -> bool {
    SHIPPED.as_ref().is_ok_and(|catalogue| catalogue.variables.contains(name))
}

impl Catalogue {
    /// The catalogue that is part of the program: `policies/software.yaml`.
    pub fn shipped() -> anyhow::Result<&'static Self> {
        SHIPPED.as_ref().map_err(|error| anyhow::anyhow!("policies/software.yaml: {error}"))
    }

    /// Compiles the catalogue from its document.
    fn from_json(document: serde_json::Value) -> anyhow::Result<Self> {
        let File { software } = serde_json::from_value(document)?;
        let (mut all, mut owner, mut imageless, mut entries) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (index, entry) in software.into_iter().enumerate() {
            if entry.images.is_empty() {
                imageless.push(index);
            }
            owner.extend(entry.images.iter().map(|_| index));
            all.extend(entry.images.iter().cloned());
            entries.push(Entry::compile(entry)?);
        }
        let variables = entries.iter().flat_map(|entry: &Entry| &entry.environment);
        let variables = variables.map(|(name, _)| name.clone()).collect();
        Ok(Self { images: Patterns::of_components(&all)?, owner, imageless, variables, entries })
    }

    /// What the set's main containers say of its class: the first entry that any of them matches.
    pub fn classify(&self, set: &StatefulSet) -> Option<Classified> {
        let containers = &set.spec.template.spec.containers;
        let matches =
            containers.iter().filter_map(|container| Some((self.first_entry(container, set)?, container)));
        let (index, container) = matches.min_by_key(|(index, _)| *index)?;
        let entry = &self.entries[index];
        let evidence = if self.imageless.contains(&index) {
            format!("command of container {}", container.name)
        } else {
            format!("image {}", container.repository())
        };
        let evidence = cut(evidence, LONGEST_EVIDENCE);
        let because = Because::Software { name: entry.name.clone(), evidence, certain: entry.certain };
        Some(Classified { class: entry.class, because })
    }

    fn first_entry(&self, container: &Container, set: &StatefulSet) -> Option<usize> {
        let holds = |index: &usize| self.entries[*index].conditions_hold(container, set);
        let by_image = suffixes(path_of(container.repository()))
            .flat_map(|suffix| self.images.matching(suffix))
            .map(|pattern| self.owner[pattern])
            .filter(holds)
            .min();
        let by_command = self.imageless.iter().copied().find(holds);
        by_image.into_iter().chain(by_command).min()
    }
}

impl Entry {
    fn compile(document: EntryDocument) -> anyhow::Result<Self> {
        Ok(Self {
            arguments: Patterns::new(&document.arguments)?,
            environment: document
                .environment
                .iter()
                .map(|entry| environment(entry))
                .collect::<Result<_, _>>()?,
            name: document.name,
            class: document.class,
            certain: document.confidence == Confidence::Certain,
            claims: document.claims,
        })
    }

    fn conditions_hold(&self, container: &Container, set: &StatefulSet) -> bool {
        (!self.claims || !set.spec.volume_claim_templates.is_empty())
            && (self.arguments.is_empty() || words(container).any(|word| self.has_argument(word)))
            && (self.environment.is_empty()
                || self.environment.iter().any(|wanted| has_variable(container, wanted)))
    }

    /// A word of the command line, whole or as the last part of a path.
    fn has_argument(&self, word: &str) -> bool {
        let base = word.rsplit('/').next().unwrap_or(word);
        self.arguments.matches(word) || self.arguments.matches(base)
    }
}

fn environment(entry: &str) -> Result<(String, Option<Patterns>), globset::Error> {
    match entry.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), Some(Patterns::new(&[value.to_owned()])?))),
        None => Ok((entry.to_owned(), None)),
    }
}

fn has_variable(container: &Container, (name, value): &(String, Option<Patterns>)) -> bool {
    let mut variables = container.env.iter().filter(|variable| *variable.name == **name);
    variables.any(|variable| value.as_ref().is_none_or(|value| value.matches(&variable.value)))
}

/// The words of a container's command line, also those of a script given to a shell.
fn words(container: &Container) -> impl Iterator<Item = &str> {
    let parts = container.command.iter().chain(&container.args);
    parts
        .flat_map(|part| part.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '&' | '|')))
}

/// An image's repository without the registry's host: `coreos/etcd`. The first component is a host where it has a dot or a
/// port or is `localhost`, as the reference grammar of distribution/distribution has it.
fn path_of(repository: &str) -> &str {
    match repository.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => repository,
    }
}

/// `a/b/c`, `b/c`, `c`.
fn suffixes(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.split_once('/').map(|(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lose_registry_tag_and_digest() {
        let repository =
            |image: &str| Container { image: image.into(), ..Container::default() }.repository().to_owned();
        for (image, path) in [
            ("etcd", "etcd"),
            ("quay.io/coreos/etcd:v3.5", "coreos/etcd"),
            ("localhost:5000/etcd", "etcd"),
            ("registry.example:5000/a/b/etcd:1@sha256:00", "a/b/etcd"),
            ("bitnami/zookeeper@sha256:00", "bitnami/zookeeper"),
            ("", ""),
        ] {
            assert_eq!(path_of(&repository(image)), path, "{image}");
        }
        assert_eq!(suffixes("a/b/c").collect::<Vec<_>>(), ["a/b/c", "b/c", "c"]);
    }
}
