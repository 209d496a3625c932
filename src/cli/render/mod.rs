//! Kustomizations and Helm charts, rendered by the programs that they are written for.

mod capabilities;
mod child;
mod graft;
mod helm;
pub(super) mod kustomize;
mod partial;
mod settings;
mod template_keys;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cluster::inventory::{FileObjects, KeepValues, UnitKind};
use crate::manifest::{Note, NoteKind, Source, SourceOrigin, kinds_that_matter};

/// How things are rendered.
#[derive(Clone, Debug, Default)]
pub(super) struct RenderConfig {
    /// Files of values for charts.
    pub(super) values: Vec<PathBuf>,
    /// Values for charts: `KEY=VALUE`.
    pub(super) set: Vec<String>,
    /// Whether the programs may use the network.
    pub(super) network: bool,
}

/// The renderers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Renderable {
    /// The file of a kustomization.
    Kustomization(PathBuf),
    /// The folder of a chart.
    Chart(PathBuf),
}

impl Renderable {
    /// How the report names it, whose names of folders `name_of` gives.
    pub(super) fn name(&self, name_of: impl Fn(&str) -> String) -> String {
        let folder = match self {
            Self::Kustomization(file) => parent(file),
            Self::Chart(folder) => folder.as_path(),
        };
        let name = name_of(&folder.display().to_string());
        self.kind().unit_name(if name.is_empty() { "." } else { &name })
    }

    pub(super) fn kind(&self) -> UnitKind {
        match self {
            Self::Kustomization(_) => UnitKind::Kustomization,
            Self::Chart(_) => UnitKind::Chart,
        }
    }

    /// Renders it. What cannot be rendered is a note that makes the audit fail.
    pub(super) fn render(&self, config: &RenderConfig, keep: KeepValues) -> FileObjects {
        let rendered = match self {
            Self::Kustomization(file) => match kustomize::references(file).remote.filter(|_| !config.network)
            {
                Some(remote) => {
                    Err(format!("it needs the network for {remote}: allow it with --allow-network"))
                }
                None => kustomize::render(parent(file), file, config, keep),
            },
            Self::Chart(folder) => helm::render(folder, config, keep),
        };
        rendered.unwrap_or_else(|message| FileObjects::unread(self.not_rendered(message)))
    }

    fn not_rendered(&self, message: String) -> Note {
        let file = match self {
            Self::Kustomization(file) => file.clone(),
            Self::Chart(folder) => folder.join("Chart.yaml"),
        };
        Note {
            file: source(&file.display().to_string(), ""),
            line: 1,
            column: 1,
            kind: NoteKind::NotRendered,
            message,
            hides: kinds_that_matter().collect(),
        }
    }
}

fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn source(name: &str, text: &str) -> Arc<Source> {
    Source::new(name.strip_prefix("./").unwrap_or(name), text, SourceOrigin::Named)
}

/// Whether a program is on the path.
fn is_there(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}
