//! The catalogue of software: `policies/software.yaml`.

mod configuration;
mod container_settings;
mod deciding;
mod document;
mod entry;
mod files;
mod images;
mod patterns;
mod programs;
mod settings;
mod shell;
mod written;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use crate::cluster::ReadByCatalogue;
use crate::model::{Class, Container, Software, StatefulSet, Workload, cut};
pub use container_settings::{
    image_volumes, is_known_by_files, may_be_configured, reads_files, settings, with_texts,
};
use deciding::DecidingContainer;
use entry::{ByImage, CatalogueEntry};
use files::SettingsFile;
pub use images::ImagePatterns;
pub use patterns::Patterns;
use programs::{ContainerProgram, base_name, is_entry_point};

/// The longest evidence that is repeated, in bytes: it has the name of an image in it.
const LONGEST_EVIDENCE: usize = 300;

/// The compiled catalogue.
#[derive(Debug)]
pub struct Catalogue {
    entries: Vec<CatalogueEntry>,
    /// Every entry's image patterns in one set, and the entry each belongs to.
    images: ImagePatterns,
    owner: Vec<usize>,
    /// Every entry's commands in one set, and the entry each belongs to.
    commands: Patterns,
    command_owner: Vec<usize>,
    /// The entries that go by the command alone.
    imageless: Vec<usize>,
    /// Executables that are no server: a container that runs nothing else is passed over.
    tools: Patterns,
    /// The configuration files of which settings are of interest.
    files: Vec<SettingsFile>,
    /// Every file's image patterns in one set, and the file each belongs to.
    file_images: ImagePatterns,
    file_owner: Vec<usize>,
    /// The folders that images declare as volumes, every image pattern in one set, and the folders each belongs to.
    volumes: Vec<Vec<Box<str>>>,
    volume_images: ImagePatterns,
    volume_owner: Vec<usize>,
    /// The environment variables that some entry looks at.
    variables: BTreeSet<String>,
    /// The folders at which some entry looks for volumes.
    folders: BTreeSet<Box<str>>,
}

/// The shipped catalogue, compiled once.
static SHIPPED: LazyLock<Result<Catalogue, String>> = LazyLock::new(|| {
    let document = crate::manifest::document(include_str!("../../policies/software.yaml"))
        .map_err(|fault| fault.to_string())?;
    Catalogue::from_json(document.to_json()).map_err(|error| error.to_string())
});

/// In the name of a claim of a log of requests, as Vault keeps one wherever its data are.
const AUDIT: &str = "audit";

/// The pods that are to be recognised.
#[derive(Clone, Copy, Debug)]
pub struct Pods<'a> {
    containers: &'a [Container],
    /// Whether claims keep their data.
    have_claims: bool,
    /// Whether their template says that they follow a group without a vote.
    have_no_vote: bool,
}

impl<'a> From<&'a StatefulSet> for Pods<'a> {
    fn from(set: &'a StatefulSet) -> Self {
        let mut claims = set.spec.volume_claim_templates.iter();
        let have_claims = claims.any(|claim| !claim.metadata.name.contains(AUDIT));
        let template = &set.spec.template;
        Self { containers: &template.spec.containers, have_claims, have_no_vote: template.has_no_vote() }
    }
}

impl<'a> From<&'a Workload> for Pods<'a> {
    fn from(workload: &'a Workload) -> Self {
        let template = workload.template();
        let have_claims = template.spec.written_claims().next().is_some();
        Self { containers: &template.spec.containers, have_claims, have_no_vote: template.has_no_vote() }
    }
}

/// The environment variables that the shipped catalogue looks at.
pub fn variables() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().flat_map(|catalogue| catalogue.variables.iter().map(|name| &**name))
}

/// The parts of a container that the shipped catalogue reads, besides its image and its command line.
pub const READS: ReadByCatalogue = ReadByCatalogue {
    variable: |name| SHIPPED.as_ref().is_ok_and(|catalogue| catalogue.variables.contains(name)),
    mount: |mount| {
        let mut folders = SHIPPED.iter().flat_map(|catalogue| &catalogue.folders);
        folders.any(|folder| mount.holds(folder))
    },
    extract: |name, value| SHIPPED.as_ref().ok()?.extract(name, value),
};

/// The indexes of the containers that serve: the one by which the shipped catalogue knows the software, which `known` is; where it
/// knows none, all that are no helpers of others. Where all are helpers, the first is the application.
pub fn serving_containers(set: &StatefulSet, known: Option<&Software>) -> Vec<usize> {
    if let Some(known) = known {
        return vec![known.index];
    }
    let containers = &set.spec.template.spec.containers;
    let serving =
        SHIPPED.as_ref().map_or_else(|_| Vec::new(), |catalogue| deciding::serving(catalogue, set.into()));
    if serving.is_empty() {
        return (0..containers.len().min(1)).collect();
    }
    // Both are in the order of the pod.
    let mut serving = serving.into_iter().peekable();
    let serves = |container: &Container| serving.next_if(|next| std::ptr::eq(*next, container)).is_some();
    let indexes = containers.iter().map(serves).enumerate().filter(|(_, serves)| *serves);
    indexes.map(|(index, _)| index).collect()
}

impl Catalogue {
    /// The catalogue that is part of the program: `policies/software.yaml`.
    pub fn shipped() -> anyhow::Result<&'static Self> {
        SHIPPED.as_ref().map_err(|error| anyhow::anyhow!("policies/software.yaml: {error}"))
    }

    /// The class of the pods, by their containers, and the software.
    pub fn classify<'a>(&self, pods: impl Into<Pods<'a>>) -> Option<(Class, Arc<Software>)> {
        let pods = pods.into();
        let DecidingContainer { container, index, confidence } = deciding::decide(self, pods)?;
        let (entry, containers) = (&self.entries[index], pods.containers);
        let named = |name: &str| containers.iter().position(|one| !name.is_empty() && *one.name == *name);
        let recognised = || containers.iter().position(|one| std::ptr::eq(one, container));
        let member = named(&entry.member_container).or_else(recognised).unwrap_or_default();
        let software = Software {
            name: entry.called(container).to_owned(),
            evidence: cut(self.evidence(index, container), LONGEST_EVIDENCE),
            container: container.name.to_string(),
            index: member,
            probed: named(&entry.probed_container).unwrap_or(member),
            confidence,
            keeps_no_data: entry.keeps_no_data,
            data_folders: Arc::clone(&entry.data_folders),
            leaves_in_order: entry.leaves_in_order,
            each_set_is_a_group: entry.each_set_is_a_group,
            first_voters: entry.first_vote.as_ref().and_then(|first| first.count(container)),
            ready_needs_majority: entry.ready_needs_majority.clone(),
        };
        let follows = pods.have_no_vote && entry.class == Class::Quorum;
        let class = if follows { Class::Replicated } else { entry.class };
        Some((class, Arc::new(software)))
    }

    /// The configuration files of a container's software.
    fn files_of<'a>(&'a self, container: &'a Container) -> impl Iterator<Item = &'a SettingsFile> {
        let indexes: BTreeSet<usize> = self
            .file_images
            .matching(container.repository())
            .map(|pattern| self.file_owner[pattern])
            .collect();
        indexes.into_iter().map(|index| &self.files[index])
    }

    /// The settings of a configuration in a variable that some entry looks for: the rest may be secret. `None` where the variable
    /// holds no configuration.
    fn extract(&self, name: &str, value: &str) -> Option<String> {
        let configurations = self.entries.iter().filter_map(|entry| entry.configuration.as_ref());
        let mut reading = configurations.filter(|configuration| configuration.is_variable(name)).peekable();
        reading.peek()?;
        let settings = reading.flat_map(|configuration| configuration.settings_in(value));
        let mut lines: BTreeSet<String> =
            settings.map(|setting| if setting.contains('=') { setting } else { setting + "=-" }).collect();
        lines.extend(self.files.iter().flat_map(|file| file.extract(name, value)));
        // A value that says nothing is still known.
        Some(if lines.is_empty() { "-".to_owned() } else { Vec::from_iter(lines).join("\n") })
    }

    fn first_entry(
        &self,
        container: &Container,
        programs: &[ContainerProgram],
        pods: Pods<'_>,
    ) -> Option<usize> {
        let named: BTreeSet<usize> = programs.iter().flat_map(|program| self.entries_of(program)).collect();
        let unnamed: Vec<&ContainerProgram> =
            programs.iter().filter(|program| program.executable().is_none()).collect();
        let holds = |index: &usize| {
            let entry = &self.entries[*index];
            (!entry.has_commands || named.contains(index) || entry.is_entry_point(&unnamed))
                && entry.conditions_hold(container, pods)
        };
        let by_image = self
            .images
            .matching(container.repository())
            .map(|pattern| self.owner[pattern])
            .filter(holds)
            .min();
        let by_command = self.imageless.iter().copied().find(holds);
        by_image.into_iter().chain(by_command).min()
    }

    /// The entries that name the program among their commands.
    fn entries_of(&self, program: &ContainerProgram) -> impl Iterator<Item = usize> {
        let patterns = program.executable().into_iter().flat_map(|name| self.commands.matching(name));
        let entries = patterns.map(|pattern| self.command_owner[pattern]);
        entries.filter(|index| self.entries[*index].takes_arguments(program))
    }

    /// The recognised part: `image hashicorp/consul`, `command etcd`, `image hashicorp/vault and storage.raft in variable
    /// VAULT_LOCAL_CONFIG`.
    fn evidence(&self, index: usize, container: &Container) -> String {
        let entry = &self.entries[index];
        let by_image =
            (entry.by_image == ByImage::Named).then(|| format!("image {}", container.repository()));
        let by_variable = entry.variable(container).map(|variable| variable.evidence(container));
        let by_configuration =
            entry.configuration.as_ref().map(|configuration| configuration.evidence(container));
        let all = [by_image, by_variable, by_configuration].into_iter().flatten();
        if let Some(evidence) = all.reduce(|all, next| format!("{all} and {next}")) {
            return evidence;
        }
        let programs = programs::programs(container);
        let program = programs.iter().find(|program| self.entries_of(program).any(|entry| entry == index));
        let argument =
            program.and_then(|program| program.arguments().iter().find(|word| entry.has_argument(word)));
        match (program.and_then(ContainerProgram::executable), argument) {
            // A variable says nothing; what it starts does.
            (Some(executable), Some(argument)) if executable.starts_with('$') => {
                format!("argument {}", base_name(argument))
            }
            (Some(executable), _) => format!("command {executable}"),
            (None, _) => "arguments".to_owned(),
        }
    }

    fn runs_only_tools(&self, programs: &[ContainerProgram]) -> bool {
        let mut executables = programs
            .iter()
            .filter_map(ContainerProgram::executable)
            .filter(|executable| !is_entry_point(executable))
            .peekable();
        executables.peek().is_some() && executables.all(|executable| self.tools.matches(executable))
    }
}
