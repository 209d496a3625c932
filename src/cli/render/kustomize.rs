//! Kustomizations: what they refer to, and what they come to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::settings::{FileTexts, KustomizationSettings};
use super::{RenderConfig, child, graft, source};
use crate::cluster::inventory::{FileObjects, KeepValues};
use crate::manifest::{Manifest, MapEntry, Node, NodeValue, Position, Span, document, read};
use crate::report::paths::clean;

/// The names a kustomization may have.
pub(in crate::cli) const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The references of a kustomization to other files.
#[derive(Debug, Default)]
pub(in crate::cli) struct References {
    pub(in crate::cli) files: BTreeSet<PathBuf>,
    pub(in crate::cli) folders: BTreeSet<PathBuf>,
    /// Something that only the network has.
    pub(in crate::cli) remote: Option<String>,
    /// A Component is only applied through others.
    pub(in crate::cli) is_component: bool,
}

/// Reads what the kustomization `file` refers to.
pub(in crate::cli) fn references(file: &Path) -> References {
    let mut found = References::default();
    let folder = file.parent().unwrap_or(Path::new(""));
    let text = fs::read_to_string(file);
    let Some(node) = text.as_ref().ok().and_then(|text| document(text).ok()) else {
        return found;
    };
    found.is_component = node.get("kind").and_then(Node::as_str) == Some("Component");
    for key in ["resources", "bases", "components", "crds"] {
        let entries = node.get(key).and_then(Node::as_list).unwrap_or_default();
        let remote = entries.iter().filter_map(Node::as_str).find(|text| is_remote(text));
        found.remote = found.remote.take().or(remote.map(str::to_owned));
    }
    for key in ["helmCharts", "helmChartInflationGenerator"] {
        found.remote = found.remote.take().or(node.get(key).map(|_| format!("the charts of {key}")));
    }
    let mut texts = Vec::new();
    strings(&node, &mut texts);
    for text in texts {
        let path = clean(&folder.join(text.split_once('=').map_or(text, |(_, path)| path)));
        if path.is_file() {
            found.files.insert(path);
        } else if path.is_dir() {
            found.folders.insert(path);
        }
    }
    found
}

fn is_remote(text: &str) -> bool {
    text.contains("://")
        || text.contains("?ref=")
        || text.starts_with("git@")
        || text.starts_with("github.com/")
}

fn strings<'a>(node: &'a Node<'_>, found: &mut Vec<&'a str>) {
    match &node.value {
        NodeValue::String(text) if !text.is_empty() && !text.contains('\n') => found.push(text),
        NodeValue::List(items) => items.iter().for_each(|item| strings(item, found)),
        NodeValue::Map(entries) => entries.iter().for_each(|entry| strings(&entry.value, found)),
        _ => {}
    }
}

/// Renders the kustomization in `folder`. Positions are those of the files that it names.
pub(super) fn render(
    folder: &Path,
    file: &Path,
    config: &RenderConfig,
    keep: KeepValues,
) -> Result<FileObjects, String> {
    let program = match (super::is_there("kustomize"), super::is_there("kubectl")) {
        (true, _) => "kustomize",
        (false, true) => "kubectl",
        (false, false) => {
            return Err("a kustomization, and neither kustomize nor kubectl is there to render it".to_owned());
        }
    };
    let overlay = Overlay::over(folder)?;
    let command = if program == "kustomize" { "build" } else { "kustomize" };
    let mut arguments = vec![Path::new(command), overlay.folder.path()];
    if config.network {
        arguments.push(Path::new("--enable-helm"));
    }
    let text =
        child::output(program, &arguments, config.network).map_err(|error| overlay.fault(file, &error))?;
    let printed = source(&folder.display().to_string(), &text);
    let (mut manifests, notes) = read(&printed, &text);
    let mut origins = Origins::of(file);
    for manifest in &mut manifests {
        let origin = overlay.take_origin(manifest).map(|path| overlay.as_named(&path, folder));
        origins.place(manifest, origin.as_deref());
    }
    Ok(FileObjects::rendered(manifests, notes, keep))
}

/// A kustomization of our own above the one to render, which asks for the origin of each object.
struct Overlay {
    folder: tempfile::TempDir,
    /// The folder that is rendered, with all links resolved.
    target: PathBuf,
}

impl Overlay {
    fn over(folder: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot prepare {}: {error}", folder.display());
        let target = folder.canonicalize().map_err(failed)?;
        let own = tempfile::tempdir().map_err(failed)?;
        let place = own.path().canonicalize().map_err(failed)?;
        let up = place.components().filter(|part| matches!(part, Component::Normal(_))).count();
        let relative = "../".repeat(up) + target.to_string_lossy().trim_start_matches('/');
        let text = serde_json::json!({"resources": [relative], "buildMetadata": ["originAnnotations"]});
        fs::write(own.path().join("kustomization.yaml"), text.to_string()).map_err(failed)?;
        Ok(Self { folder: own, target })
    }

    /// What is wrong with the text of the kustomization `file`, which kustomize says with less precision; else what kustomize says,
    /// without what it says of this overlay.
    fn fault(&self, file: &Path, error: &str) -> String {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Err(fault) = document(&text) {
            return fault.to_string();
        }
        let of_target = format!("path '{}': ", self.target.display());
        match (error.split_once(": "), error.rsplit_once(&of_target)) {
            (Some((failed, _)), Some((_, reason))) => format!("{failed}: {reason}"),
            _ => error.to_owned(),
        }
    }

    /// The file that an object comes from, where kustomize says so. The annotation is only there because it was asked for.
    fn take_origin(&self, manifest: &mut Manifest<'_>) -> Option<PathBuf> {
        let origin = take_annotation(&mut manifest.node, "config.kubernetes.io/origin")?;
        let origin = document(origin.as_str()?).ok()?;
        if origin.get("repo").is_some() {
            return None;
        }
        let path = origin.get("path").and_then(Node::as_str)?;
        let place = self.folder.path().canonicalize().ok()?;
        Some(clean(&place.join(path)))
    }

    /// A file as the user would name it, given how the rendered folder was named.
    fn as_named(&self, path: &Path, folder: &Path) -> PathBuf {
        let mut named = folder.to_owned();
        for above in self.target.ancestors() {
            if let Ok(rest) = path.strip_prefix(above) {
                return clean(&named.join(rest));
            }
            named.push("..");
        }
        path.to_owned()
    }
}

fn take_annotation<'a>(object: &mut Node<'a>, key: &str) -> Option<Node<'a>> {
    let metadata = entries(object)?.iter_mut().find(|entry| entry.key == "metadata")?;
    let metadata = entries(&mut metadata.value)?;
    let at = metadata.iter().position(|entry| entry.key == "annotations")?;
    let annotations = entries(&mut metadata.get_mut(at)?.value)?;
    let found = annotations.iter().position(|entry| entry.key == key)?;
    let taken = annotations.remove(found).value;
    if annotations.is_empty() {
        metadata.remove(at);
    }
    Some(taken)
}

fn entries<'n, 'a>(node: &'n mut Node<'a>) -> Option<&'n mut Vec<MapEntry<'a>>> {
    match &mut node.value {
        NodeValue::Map(entries) => Some(entries),
        _ => None,
    }
}

/// The files that rendered objects come from.
struct Origins {
    files: FileTexts,
    settings: KustomizationSettings,
    /// The kustomization that is rendered, for what cannot be told.
    top: Position,
    manifests: BTreeMap<PathBuf, Vec<Manifest<'static>>>,
}

impl Origins {
    fn of(file: &Path) -> Self {
        let mut files = FileTexts::default();
        let settings = KustomizationSettings::read(file, &mut files);
        let top = Position { file: files.get(file), span: Span { line: 1, column: 1, end_column: 1 } };
        Self { files, settings, top, manifests: BTreeMap::new() }
    }

    /// Gives the fields of a rendered object the positions at which they are set.
    fn place(&mut self, rendered: &mut Manifest<'_>, origin: Option<&Path>) {
        if let Some(origin) = origin
            && let Some(written) = find(&mut self.manifests, &mut self.files, origin, rendered)
        {
            let name = written.name.as_deref().unwrap_or_default();
            let layers = self.settings.layers(origin, name, rendered);
            let (file, node) = (&written.file, &mut rendered.node);
            rendered.elsewhere = graft::onto_object(node, &written.node, file, &layers, &self.top);
            rendered.file = Arc::clone(file);
            rendered.written_name.clone_from(&written.name);
            return;
        }
        let at = self.settings.generator(rendered).unwrap_or_else(|| self.top.clone());
        graft::all_at(&mut rendered.node, at.span);
        rendered.file = at.file;
    }
}

/// The object in `file` that a rendered one comes from: the only one of its kind, or the one of its name, which may have a prefix
/// and a suffix by now.
fn find<'m>(
    known: &'m mut BTreeMap<PathBuf, Vec<Manifest<'static>>>,
    files: &mut FileTexts,
    file: &Path,
    rendered: &Manifest<'_>,
) -> Option<&'m Manifest<'static>> {
    let manifests = known.entry(file.to_owned()).or_insert_with(|| {
        let source = files.get(file);
        read(&source, &source.text()).0.into_iter().map(Manifest::into_owned).collect()
    });
    let mut same = manifests.iter().filter(|manifest| manifest.kind == rendered.kind).collect::<Vec<_>>();
    if same.len() > 1 {
        let name = rendered.name.as_deref().unwrap_or_default();
        same.retain(|manifest| manifest.name.as_deref().is_some_and(|written| name.contains(written)));
        same.sort_by_key(|manifest| std::cmp::Reverse(manifest.name.as_ref().map_or(0, String::len)));
    }
    same.first().copied()
}
