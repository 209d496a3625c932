//! One entry of the catalogue, and its conditions.

use std::sync::Arc;

use serde::Deserialize;

use super::Pods;
use super::configuration::ProgramConfiguration;
use super::patterns::Patterns;
use super::programs::{ContainerProgram, base_name};
use crate::model::{Class, Confidence, Container, EnvVar, MajorityProbes};

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the catalogue")]
pub(super) struct CatalogueEntry {
    /// Empty where it is about several.
    pub(super) name: String,
    pub(super) class: Class,
    pub(super) confidence: Confidence,
    pub(super) pass_over: Option<PassOver>,
    pub(super) by_image: ByImage,
    pub(super) tags: Patterns,
    pub(super) containers: Patterns,
    pub(super) has_commands: bool,
    pub(super) subcommands: Patterns,
    pub(super) arguments: Patterns,
    pub(super) environment: Vec<VariableCondition>,
    pub(super) claims: bool,
    pub(super) configuration: Option<ProgramConfiguration>,
    pub(super) data_folders: Arc<[Box<str>]>,
    pub(super) keeps_no_data: bool,
    pub(super) leaves_in_order: bool,
    pub(super) each_set_is_a_group: bool,
    pub(super) first_vote: Option<FirstVoters>,
    /// The name of the container that is the member, where the entry is about a helper beside it; else empty.
    pub(super) member_container: Box<str>,
    /// The name of a container whose readiness probe asks the member; else empty.
    pub(super) probed_container: Box<str>,
    pub(super) ready_needs_majority: Option<Arc<MajorityProbes>>,
}

/// How many pods have a vote, the first by their ordinal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstVoters {
    /// The variable that says so.
    pub(super) variable: String,
    /// How many where it does not.
    otherwise: i32,
}

/// The condition of an entry on the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByImage {
    /// Nothing: the command must be named.
    No,
    /// Nothing, but the image's own entry point may be the command.
    Any,
    Named,
}

/// An environment variable that is set, to anything or to a value.
#[derive(Debug)]
pub(super) struct VariableCondition {
    pub(super) name: String,
    pub(super) value: Option<Patterns>,
}

/// When a container says nothing of the pod it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum PassOver {
    Always,
    /// Beside software that is known, or behind any other container.
    BesideOthers,
}

impl CatalogueEntry {
    /// The common name of the software.
    pub(super) fn called<'c>(&'c self, container: &'c Container) -> &'c str {
        if self.name.is_empty() { base_name(container.repository()) } else { &self.name }
    }

    /// All conditions but that of the image and the command.
    pub(super) fn conditions_hold(&self, container: &Container, pods: Pods<'_>) -> bool {
        (!self.claims || pods.have_claims)
            && (self.tags.is_empty() || self.tags.matches(container.tag()))
            && (self.containers.is_empty() || self.containers.matches(&container.name))
            && (self.environment.is_empty() || self.variable(container).is_some())
            && self.configuration.as_ref().is_none_or(|configuration| configuration.holds(container))
    }

    /// Whether the image's own entry point is one of the commands, because its arguments are theirs.
    pub(super) fn is_entry_point(&self, unnamed: &[&ContainerProgram]) -> bool {
        let says_what = !(self.subcommands.is_empty() && self.arguments.is_empty());
        self.by_image != ByImage::No
            && says_what
            && unnamed.iter().any(|program| self.takes_arguments(program))
    }

    pub(super) fn takes_arguments(&self, program: &ContainerProgram) -> bool {
        (self.subcommands.is_empty()
            || program.subcommand().is_some_and(|word| self.subcommands.matches(word)))
            && (self.arguments.is_empty() || program.arguments().iter().any(|word| self.has_argument(word)))
    }

    /// An argument, whole or as the last part of a path.
    pub(super) fn has_argument(&self, word: &str) -> bool {
        self.arguments.matches(word) || self.arguments.matches(base_name(word))
    }

    pub(super) fn variable(&self, container: &Container) -> Option<&VariableCondition> {
        self.environment.iter().find(|variable| variable.is_set(container))
    }
}

impl FirstVoters {
    /// `None` where it is an even number, or too small to survive a failure: then the replica count is what is judged.
    pub(super) fn count(&self, container: &Container) -> Option<i32> {
        let given = container.env.iter().find(|given| *given.name == *self.variable);
        let count = given.map_or(Ok(self.otherwise), |given| given.value.parse()).unwrap_or(self.otherwise);
        (count >= 3 && count % 2 != 0).then_some(count)
    }
}

impl VariableCondition {
    fn is_set(&self, container: &Container) -> bool {
        self.given(container).is_some()
    }

    fn given<'c>(&self, container: &'c Container) -> Option<&'c EnvVar> {
        let mut given = container.env.iter().filter(|given| *given.name == *self.name);
        given.find(|given| self.value.as_ref().is_none_or(|value| value.matches(&given.value)))
    }

    pub(super) fn evidence(&self, container: &Container) -> String {
        let name = &self.name;
        match self.given(container).and_then(EnvVar::config_map) {
            None => format!("variable {name}"),
            Some(from) if name.ends_with(&*from.key) => format!("variable {name} of ConfigMap {}", from.name),
            Some(from) => format!("{name} in {} of ConfigMap {}", from.key, from.name),
        }
    }
}
