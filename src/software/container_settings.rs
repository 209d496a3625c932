//! Configuration files of containers that the shipped catalogue knows: in ConfigMaps, in variables, and in the image.

use std::borrow::Cow;
use std::sync::Arc;

use super::SHIPPED;
use crate::model::{Container, EnvVar, MountedFile, StatefulSet};

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

/// The settings of interest in the configuration files that a container reads, as variables of the settings' names.
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
