//! The catalogue of software: `policies/software.yaml`.

mod configuration;
mod deciding;
mod document;
mod files;
mod images;
mod patterns;
mod programs;
mod settings;
mod shell;
mod written;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::cluster::ReadByCatalogue;
use crate::model::{
    Class, Confidence, Container, EnvVar, MajorityProbes, MountedFile, Software, StatefulSet, Workload, cut,
};
use configuration::Configuration;
use deciding::Decision;
use files::SettingsFile;
pub use images::ImagePatterns;

/// The longest evidence that is repeated, in bytes: it has the name of an image in it.
const LONGEST_EVIDENCE: usize = 300;
pub use patterns::Patterns;
use programs::{Program, base_name, is_entry_point};

/// The compiled catalogue.
#[derive(Debug)]
pub struct Catalogue {
    entries: Vec<Entry>,
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

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the catalogue")]
struct Entry {
    /// Empty where it is about several.
    name: String,
    class: Class,
    confidence: Confidence,
    pass_over: Option<PassOver>,
    by_image: ByImage,
    tags: Patterns,
    containers: Patterns,
    has_commands: bool,
    subcommands: Patterns,
    arguments: Patterns,
    environment: Vec<Variable>,
    claims: bool,
    configuration: Option<Configuration>,
    data_folders: Arc<[Box<str>]>,
    keeps_no_data: bool,
    leaves_in_order: bool,
    ready_needs_majority: Option<Arc<MajorityProbes>>,
}

/// What an entry asks of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByImage {
    /// Nothing: the command must be named.
    No,
    /// Nothing, but the image's own entry point may be the command.
    Any,
    Named,
}

/// An environment variable that is set, to anything or to a value.
#[derive(Debug)]
struct Variable {
    name: String,
    value: Option<Patterns>,
}

/// When a container says nothing of the pod it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum PassOver {
    Always,
    /// Beside software that is known, or behind any other container.
    BesideOthers,
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
}

impl<'a> From<&'a StatefulSet> for Pods<'a> {
    fn from(set: &'a StatefulSet) -> Self {
        let mut claims = set.spec.volume_claim_templates.iter();
        let have_claims = claims.any(|claim| !claim.metadata.name.contains(AUDIT));
        Self { containers: &set.spec.template.spec.containers, have_claims }
    }
}

impl<'a> From<&'a Workload> for Pods<'a> {
    fn from(workload: &'a Workload) -> Self {
        let spec = &workload.template().spec;
        Self { containers: &spec.containers, have_claims: spec.written_claims().next().is_some() }
    }
}

/// The environment variables that the shipped catalogue looks at.
pub fn variables() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().flat_map(|catalogue| catalogue.variables.iter().map(|name| &**name))
}

/// What the shipped catalogue reads of a container, besides its image and its command line.
pub const READS: ReadByCatalogue = ReadByCatalogue {
    variable: |name| SHIPPED.as_ref().is_ok_and(|catalogue| catalogue.variables.contains(name)),
    mount: |mount| {
        let mut folders = SHIPPED.iter().flat_map(|catalogue| &catalogue.folders);
        folders.any(|folder| mount.holds(folder))
    },
    extract: |name, value| SHIPPED.as_ref().ok()?.extract(name, value),
};

/// Whether the shipped catalogue reads the configuration files of such a container.
pub fn reads_files(container: &Container) -> bool {
    let mut settings = SHIPPED.iter().flat_map(|catalogue| catalogue.files_of(container));
    settings.next().is_some() || is_known_by_files(container)
}

/// Whether configuration files say what such a container runs.
pub fn is_known_by_files(container: &Container) -> bool {
    SHIPPED.as_ref().is_ok_and(|catalogue| {
        let mut entries =
            catalogue.images.matching(container.repository()).map(|pattern| catalogue.owner[pattern]);
        entries.any(|entry| catalogue.entries[entry].configuration.is_some())
    })
}

/// What the configuration files that a container reads set, of what is of interest: as variables of the settings' names.
pub fn settings(container: &Container, files: &[MountedFile]) -> Vec<EnvVar> {
    let read = SHIPPED.iter().flat_map(|catalogue| catalogue.files_of(container));
    read.flat_map(|file| file.settings_of(container, files)).collect()
}

/// The set with what the configuration files in variables of its containers set, where there are such.
pub fn with_texts(set: &StatefulSet) -> Cow<'_, StatefulSet> {
    let containers = &set.spec.template.spec.containers;
    // Hardly any has such a variable: that is seen before the catalogue is asked about each image.
    if !containers.iter().any(has_texts) {
        return Cow::Borrowed(set);
    }
    let settings: Vec<Vec<EnvVar>> = containers.iter().map(settings_of_texts).collect();
    if settings.iter().all(Vec::is_empty) {
        return Cow::Borrowed(set);
    }
    let mut set = set.clone();
    let containers = Arc::make_mut(&mut set.spec.template.spec.containers).iter_mut();
    for (container, settings) in containers.zip(settings).filter(|(_, settings)| !settings.is_empty()) {
        container.has_settings = true;
        container.env.extend(settings);
    }
    Cow::Owned(set)
}

fn has_texts(container: &Container) -> bool {
    SHIPPED.iter().flat_map(|catalogue| &catalogue.files).any(|file| file.has_texts(container))
}

fn settings_of_texts(container: &Container) -> Vec<EnvVar> {
    let files = SHIPPED.iter().flat_map(|catalogue| catalogue.files_of(container));
    files.flat_map(|file| file.settings_of_texts(container)).collect()
}

/// The folders that the image of a container is known to declare as volumes.
pub fn image_volumes(container: &Container) -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().flat_map(|catalogue| {
        let image = container.official_repository();
        let patterns: Vec<usize> = catalogue.volume_images.matching(&image).collect();
        patterns
            .into_iter()
            .flat_map(|pattern| &catalogue.volumes[catalogue.volume_owner[pattern]])
            .map(|folder| &**folder)
    })
}

/// Whether a configuration file that is not known may say where such a container keeps its data.
pub fn may_be_configured(container: &Container) -> bool {
    let mut files = SHIPPED.iter().flat_map(|catalogue| catalogue.files_of(container));
    files.any(|file| file.may_be_unknown(container))
}

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

    /// What the containers of the pods say of their class.
    pub fn classify<'a>(&self, pods: impl Into<Pods<'a>>) -> Option<(Class, Arc<Software>)> {
        let pods = pods.into();
        let Decision { container, index, confidence } = deciding::decide(self, pods)?;
        let (entry, containers) = (&self.entries[index], pods.containers);
        let software = Software {
            name: entry.called(container).to_owned(),
            evidence: cut(self.evidence(index, container), LONGEST_EVIDENCE),
            container: container.name.to_string(),
            index: containers.iter().position(|one| std::ptr::eq(one, container)).unwrap_or_default(),
            confidence,
            keeps_no_data: entry.keeps_no_data,
            data_folders: Arc::clone(&entry.data_folders),
            leaves_in_order: entry.leaves_in_order,
            ready_needs_majority: entry.ready_needs_majority.clone(),
        };
        Some((entry.class, Arc::new(software)))
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

    fn first_entry(&self, container: &Container, programs: &[Program], pods: Pods<'_>) -> Option<usize> {
        let named: BTreeSet<usize> = programs.iter().flat_map(|program| self.entries_of(program)).collect();
        let unnamed: Vec<&Program> =
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
    fn entries_of(&self, program: &Program) -> impl Iterator<Item = usize> {
        let patterns = program.executable().into_iter().flat_map(|name| self.commands.matching(name));
        let entries = patterns.map(|pattern| self.command_owner[pattern]);
        entries.filter(|index| self.entries[*index].takes_arguments(program))
    }

    /// What was recognised: `image hashicorp/consul`, `command etcd`, `image hashicorp/vault and storage.raft in variable
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
        match (program.and_then(Program::executable), argument) {
            // A variable says nothing; what it starts does.
            (Some(executable), Some(argument)) if executable.starts_with('$') => {
                format!("argument {}", base_name(argument))
            }
            (Some(executable), _) => format!("command {executable}"),
            (None, _) => "arguments".to_owned(),
        }
    }

    fn runs_only_tools(&self, programs: &[Program]) -> bool {
        let mut executables = programs
            .iter()
            .filter_map(Program::executable)
            .filter(|executable| !is_entry_point(executable))
            .peekable();
        executables.peek().is_some() && executables.all(|executable| self.tools.matches(executable))
    }
}

impl Entry {
    /// What people call the software.
    fn called<'c>(&'c self, container: &'c Container) -> &'c str {
        if self.name.is_empty() { base_name(container.repository()) } else { &self.name }
    }

    /// All conditions but that of the image and the command.
    fn conditions_hold(&self, container: &Container, pods: Pods<'_>) -> bool {
        (!self.claims || pods.have_claims)
            && (self.tags.is_empty() || self.tags.matches(container.tag()))
            && (self.containers.is_empty() || self.containers.matches(&container.name))
            && (self.environment.is_empty() || self.variable(container).is_some())
            && self.configuration.as_ref().is_none_or(|configuration| configuration.holds(container))
    }

    /// Whether the image's own entry point is one of the commands, because its arguments are theirs.
    fn is_entry_point(&self, unnamed: &[&Program]) -> bool {
        let says_what = !(self.subcommands.is_empty() && self.arguments.is_empty());
        self.by_image != ByImage::No
            && says_what
            && unnamed.iter().any(|program| self.takes_arguments(program))
    }

    fn takes_arguments(&self, program: &Program) -> bool {
        (self.subcommands.is_empty()
            || program.subcommand().is_some_and(|word| self.subcommands.matches(word)))
            && (self.arguments.is_empty() || program.arguments().iter().any(|word| self.has_argument(word)))
    }

    /// An argument, whole or as the last part of a path.
    fn has_argument(&self, word: &str) -> bool {
        self.arguments.matches(word) || self.arguments.matches(base_name(word))
    }

    fn variable(&self, container: &Container) -> Option<&Variable> {
        self.environment.iter().find(|variable| variable.is_set(container))
    }
}

impl Variable {
    fn is_set(&self, container: &Container) -> bool {
        self.given(container).is_some()
    }

    fn given<'c>(&self, container: &'c Container) -> Option<&'c EnvVar> {
        let mut given = container.env.iter().filter(|given| *given.name == *self.name);
        given.find(|given| self.value.as_ref().is_none_or(|value| value.matches(&given.value)))
    }

    fn evidence(&self, container: &Container) -> String {
        let name = &self.name;
        match self.given(container).and_then(EnvVar::config_map) {
            None => format!("variable {name}"),
            Some(from) if name.ends_with(&*from.key) => format!("variable {name} of ConfigMap {}", from.name),
            Some(from) => format!("{name} in {} of ConfigMap {}", from.key, from.name),
        }
    }
}
