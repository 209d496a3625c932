//! The catalogue as it is written, and what is made of it.

use std::sync::Arc;

use serde::Deserialize;

use super::configuration::ProgramConfiguration;
use super::entry::{ByImage, CatalogueEntry, FirstVoters, PassOver, VariableCondition};
use super::files::SettingsFile;
use super::{Catalogue, ImagePatterns, Patterns};
use crate::model::{Class, Confidence, MajorityProbes};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueDocument {
    tools: Vec<String>,
    files: Vec<SettingsFile>,
    volumes: Vec<ImageVolumes>,
    software: Vec<EntryDocument>,
}

/// The folders that images declare as volumes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageVolumes {
    images: Vec<String>,
    folders: Vec<Box<str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the catalogue")]
struct EntryDocument {
    #[serde(default)]
    name: String,
    class: Option<Class>,
    #[serde(default)]
    confidence: Confidence,
    pass_over: Option<PassOver>,
    #[serde(default)]
    images: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    containers: Vec<String>,
    #[serde(default)]
    commands: Vec<String>,
    #[serde(default)]
    subcommands: Vec<String>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    environment: Vec<String>,
    #[serde(default)]
    claims: bool,
    configuration: Option<ProgramConfiguration>,
    #[serde(default)]
    data_folders: Vec<Box<str>>,
    #[serde(default)]
    keeps_no_data: bool,
    #[serde(default)]
    leaves_in_order: bool,
    #[serde(default)]
    each_set_is_a_group: bool,
    first_vote: Option<FirstVoters>,
    #[serde(default)]
    member_container: Box<str>,
    #[serde(default)]
    probed_container: Box<str>,
    ready_needs_majority: Option<MajorityProbes>,
    #[serde(default, rename = "because")]
    _because: String,
}

impl Catalogue {
    /// Compiles the catalogue from its document.
    pub(super) fn from_json(document: serde_json::Value) -> anyhow::Result<Self> {
        let CatalogueDocument { tools, files, volumes, software } = serde_json::from_value(document)?;
        let imageless = software
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.images.is_empty())
            .map(|(index, _)| index)
            .collect();
        let (owner, images) = with_owner(software.iter().map(|entry| &entry.images));
        let images = ImagePatterns::new(&images).map_err(anyhow::Error::msg)?;
        let (command_owner, commands) = with_owner(software.iter().map(|entry| &entry.commands));
        let commands = Patterns::new(&commands)?;
        let entries = software.into_iter().map(CatalogueEntry::compile).collect::<Result<Vec<_>, _>>()?;
        let conditions = entries.iter().flat_map(|entry| &entry.environment).map(|variable| &variable.name);
        let configurations = || entries.iter().filter_map(|entry| entry.configuration.as_ref());
        let texts = configurations().flat_map(|configuration| &configuration.variables);
        let of_files = files.iter().flat_map(|file| file.variables.iter().chain(&file.texts));
        let counts =
            entries.iter().filter_map(|entry| entry.first_vote.as_ref()).map(|first| &first.variable);
        let variables = conditions.chain(texts).chain(of_files).chain(counts).cloned().collect();
        let data = entries.iter().flat_map(|entry| &*entry.data_folders);
        let folders = configurations().flat_map(|configuration| &configuration.folders).chain(data);
        let folders = folders.chain(files.iter().flat_map(|file| &file.paths)).cloned().collect();
        let (file_owner, file_images) = with_owner(files.iter().map(|file| &file.images));
        let file_images = ImagePatterns::new(&file_images).map_err(anyhow::Error::msg)?;
        let (volume_owner, volume_images) = with_owner(volumes.iter().map(|volume| &volume.images));
        let volume_images = ImagePatterns::new(&volume_images).map_err(anyhow::Error::msg)?;
        let volumes = volumes.into_iter().map(|volume| volume.folders).collect();
        let tools = Patterns::new(&tools)?;
        Ok(Self {
            entries,
            images,
            owner,
            commands,
            command_owner,
            imageless,
            tools,
            files,
            file_images,
            file_owner,
            volumes,
            volume_images,
            volume_owner,
            variables,
            folders,
        })
    }
}

impl CatalogueEntry {
    fn compile(document: EntryDocument) -> anyhow::Result<Self> {
        let name = document.name;
        let by_command = !document.commands.is_empty();
        anyhow::ensure!(
            by_command || (document.subcommands.is_empty() && document.arguments.is_empty()),
            "{name}: arguments without the command they belong to"
        );
        let always = document.pass_over == Some(PassOver::Always);
        anyhow::ensure!(
            always != document.class.is_some(),
            "{name}: needs either a class or `passOver: always`"
        );
        let by_image = match &*document.images {
            [] => ByImage::No,
            [any] if any == "*" => ByImage::Any,
            _ => ByImage::Named,
        };
        anyhow::ensure!(by_image == ByImage::Named || !name.is_empty(), "an entry without a name or images");
        anyhow::ensure!(
            by_image == ByImage::Named
                || by_command
                || !document.containers.is_empty()
                || !document.environment.is_empty(),
            "{name}: nothing to recognise it by"
        );
        let is_clear = document.configuration.as_ref().is_none_or(ProgramConfiguration::is_clear);
        anyhow::ensure!(is_clear, "{name}: a configuration either `says` something or is `unknown`");
        Ok(Self {
            class: document.class.unwrap_or(Class::Replicated),
            confidence: document.confidence,
            pass_over: document.pass_over,
            by_image,
            tags: Patterns::new(&document.tags)?,
            containers: Patterns::new(&document.containers)?,
            has_commands: by_command,
            subcommands: Patterns::new(&document.subcommands)?,
            arguments: Patterns::new(&document.arguments)?,
            environment: document
                .environment
                .iter()
                .map(|entry| variable(entry))
                .collect::<Result<_, _>>()?,
            claims: document.claims,
            configuration: document.configuration,
            data_folders: document.data_folders.into(),
            keeps_no_data: document.keeps_no_data,
            leaves_in_order: document.leaves_in_order,
            each_set_is_a_group: document.each_set_is_a_group,
            first_vote: document.first_vote,
            member_container: document.member_container,
            probed_container: document.probed_container,
            ready_needs_majority: document.ready_needs_majority.map(Arc::new),
            name,
        })
    }
}

/// All patterns of all entries, and the index of the entry that each belongs to.
fn with_owner<'a>(lists: impl Iterator<Item = &'a Vec<String>>) -> (Vec<usize>, Vec<String>) {
    let patterns =
        lists.enumerate().flat_map(|(index, list)| list.iter().map(move |pattern| (index, pattern.clone())));
    patterns.unzip()
}

/// `NAME` or `NAME=value`.
fn variable(entry: &str) -> Result<VariableCondition, globset::Error> {
    let (name, value) = entry.split_once('=').map_or((entry, None), |(name, value)| (name, Some(value)));
    let value = value.map(|value| Patterns::new(&[value.to_owned()])).transpose()?;
    Ok(VariableCondition { name: name.to_owned(), value })
}
