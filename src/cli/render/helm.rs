//! Charts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::template_keys::{Keys, onto_template};
use super::{RenderConfig, capabilities, child, source};
use crate::cluster::inventory::{FileObjects, KeepValues};
use crate::manifest::{Source, read};

/// Renders the chart in `folder`, with the dependencies that lie in it. Positions are those of the templates.
pub(super) fn render(folder: &Path, config: &RenderConfig, keep: KeepValues) -> Result<FileObjects, String> {
    if !super::is_there("helm") {
        return Err("a Helm chart, and helm is not there to render it".to_owned());
    }
    let mut arguments: Vec<&Path> = vec![Path::new("template"), folder];
    for values in &config.values {
        arguments.extend([Path::new("--values"), values]);
    }
    for set in &config.set {
        arguments.extend([Path::new("--set"), Path::new(set)]);
    }
    let capabilities: Vec<String> = capabilities::arguments().collect();
    arguments.extend(capabilities.iter().map(Path::new));
    let text = child::output("helm", &arguments, config.network)?;
    let rendered = source(&folder.display().to_string(), &text);
    let origins = origins(&text);
    let (mut manifests, notes) = read(&rendered, &text);
    let mut templates: BTreeMap<PathBuf, (Arc<Source>, Keys)> = BTreeMap::new();
    for manifest in &mut manifests {
        let before = origins.partition_point(|(line, _)| *line <= manifest.node.line);
        let origin =
            before.checked_sub(1).and_then(|index| origins.get(index)).map(|(_, path)| folder.join(path));
        let file = origin.filter(|path| path.is_file()).unwrap_or_else(|| folder.join("Chart.yaml"));
        let (template, keys) = templates.entry(file).or_insert_with_key(|file| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let keys = Keys::of(&text);
            (source(&file.display().to_string(), &text), keys)
        });
        onto_template(&mut manifest.node, keys);
        manifest.file = Arc::clone(template);
    }
    Ok(FileObjects::rendered(manifests, notes, keep))
}

/// The lines on which Helm says which template follows, and the template within the chart.
fn origins(text: &str) -> Vec<(u32, PathBuf)> {
    let lines = (1_u32..).zip(text.lines());
    let sources = lines.filter_map(|(line, text)| {
        let path = text.strip_prefix("# Source: ")?;
        Some((line, path.split_once('/').map_or(path, |(_, path)| path).into()))
    });
    sources.collect()
}
