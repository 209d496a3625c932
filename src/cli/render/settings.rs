//! The values that kustomizations set in the objects that they include, as partial objects with the places of the values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::Regex;

use super::graft::Layer;
use super::kustomize::NAMES;
use super::partial::{self, map, nested};
use super::source;
use crate::manifest::{Manifest, Node, NodeValue, Position, Source, Span, document};
use crate::report::paths::clean;

/// kustomize refuses cycles. Of more than this it is not told which setting is whose.
const MOST_VISITS: usize = 10_000;
const MOST_NESTED: usize = 64;

/// The texts of files, each read once.
#[derive(Default)]
pub(super) struct FileTexts(HashMap<PathBuf, Arc<Source>>);

impl FileTexts {
    pub(super) fn get(&mut self, path: &Path) -> Arc<Source> {
        let known = self.0.entry(path.to_owned()).or_insert_with(|| {
            source(&path.display().to_string(), &fs::read_to_string(path).unwrap_or_default())
        });
        Arc::clone(known)
    }
}

/// The settings of a kustomization and of all that it includes.
#[derive(Default)]
pub(super) struct KustomizationSettings {
    kustomizations: Vec<Kustomization>,
    /// The kustomizations that include a file, by its path with all links resolved.
    including: HashMap<PathBuf, Vec<usize>>,
    visits: usize,
}

#[derive(Default)]
struct Kustomization {
    /// The kustomization that includes it.
    parent: Option<usize>,
    /// In the order in which they are applied, those of its components first.
    settings: Vec<KustomizationSetting>,
}

/// One thing that a kustomization sets.
struct KustomizationSetting {
    file: Arc<Source>,
    kind: Pattern,
    name: Pattern,
    sets: PatchedSettings,
}

enum PatchedSettings {
    /// These fields. One that is removed is null.
    Fields(Node<'static>),
    /// These keys, in whatever map: labels, annotations.
    Keys(Node<'static>),
    Namespace(String, Span),
    /// A prefix or suffix of all names.
    Affix(String, Span),
    /// Images, which have this name then.
    Image(String, Span),
    /// An object of its own.
    Generates(Span),
}

enum Pattern {
    Any,
    Exactly(String),
    Matching(Regex),
    /// Of a regular expression that cannot be read here.
    Nothing,
}

impl Pattern {
    /// An anchored regular expression, as kustomize takes it in the target of a patch.
    fn regex(text: Option<&str>) -> Self {
        match text.map(|text| Regex::new(&format!("^(?:{text})$"))) {
            Some(Ok(regex)) => Self::Matching(regex),
            Some(Err(_)) => Self::Nothing,
            None => Self::Any,
        }
    }

    /// Whether it names an object that was written as `written` and has this name now, with prefixes and suffixes. A patch may
    /// name it as it was on the way.
    fn names(&self, written: &str, rendered: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Nothing => false,
            Self::Exactly(name) => {
                name == written || name.contains(written) && rendered.contains(name.as_str())
            }
            Self::Matching(regex) => regex.is_match(written) || regex.is_match(rendered),
        }
    }
}

impl KustomizationSettings {
    /// Reads the kustomization `file` and those that it includes.
    pub(super) fn read(file: &Path, files: &mut FileTexts) -> Self {
        let mut settings = Self::default();
        settings.include(file, None, files, 0);
        settings
    }

    fn include(&mut self, file: &Path, parent: Option<usize>, files: &mut FileTexts, depth: usize) {
        let number = self.kustomizations.len();
        self.kustomizations.push(Kustomization { parent, settings: Vec::new() });
        self.add(file, number, files, depth);
    }

    /// Adds what a kustomization, or a component of it, includes and sets.
    fn add(&mut self, file: &Path, number: usize, files: &mut FileTexts, depth: usize) {
        self.visits += 1;
        if self.visits > MOST_VISITS || depth > MOST_NESTED {
            return;
        }
        let own = files.get(file);
        let text = own.text();
        let Ok(node) = document(&text) else { return };
        let folder = file.parent().unwrap_or(Path::new(""));
        let paths = |key: &str| {
            let entries = node.get(key).and_then(Node::as_list).unwrap_or_default();
            let paths = entries.iter().filter_map(Node::as_str).map(|text| clean(&folder.join(text)));
            paths.collect::<Vec<_>>()
        };
        for path in ["resources", "bases"].into_iter().flat_map(paths) {
            if let Some(file) = kustomization_in(&path) {
                self.include(&file, Some(number), files, depth + 1);
            } else if let Ok(path) = path.canonicalize() {
                self.including.entry(path).or_default().push(number);
            }
        }
        for file in paths("components").iter().filter_map(|folder| kustomization_in(folder)) {
            self.add(&file, number, files, depth + 1);
        }
        let mut reader = KustomizationReader { own: &own, folder, files, settings: Vec::new() };
        reader.read(&node);
        self.kustomizations[number].settings.append(&mut reader.settings);
    }

    /// The values that are set in an object, in the order in which they are set: `origin` is the file it comes from, `written` its name there.
    pub(super) fn layers(&self, origin: &Path, written: &str, rendered: &Manifest<'_>) -> Vec<Layer<'_>> {
        let name = rendered.name.as_deref().unwrap_or_default();
        let origin = origin.canonicalize().ok();
        let including = origin.and_then(|path| self.including.get(&path)).map_or(&[][..], Vec::as_slice);
        let chains = || including.iter().map(|number| self.chain(*number));
        // A base may be included more than once, with another prefix or namespace each time.
        let mut found: Vec<&KustomizationSetting> =
            chains().filter(|chain| fits(chain, rendered)).flatten().collect();
        if found.is_empty() {
            found = chains().flatten().collect();
        }
        found.retain(|setting| setting.kind.names(&rendered.kind, &rendered.kind));
        found.retain(|setting| setting.name.names(written, name));
        found.into_iter().filter_map(|setting| setting.layer(rendered)).collect()
    }

    /// The settings of a kustomization, and then those of the ones that include it.
    fn chain(&self, number: usize) -> Vec<&KustomizationSetting> {
        let at = |number: usize| self.kustomizations.get(number);
        let chain = std::iter::successors(at(number), |kustomization| at(kustomization.parent?));
        chain.flat_map(|kustomization| &kustomization.settings).collect()
    }

    /// Where an object is generated.
    pub(super) fn generator(&self, rendered: &Manifest<'_>) -> Option<Position> {
        let name = rendered.name.as_deref().unwrap_or_default();
        let all = self.kustomizations.iter().flat_map(|kustomization| &kustomization.settings);
        let mut found: Vec<(&str, Position)> = all
            .filter_map(|KustomizationSetting { file, kind, name: own, sets }| {
                let (PatchedSettings::Generates(span), Pattern::Exactly(own)) = (sets, own) else {
                    return None;
                };
                let is_it = kind.names(&rendered.kind, &rendered.kind) && name.contains(own.as_str());
                is_it.then(|| (own.as_str(), Position { file: Arc::clone(file), span: *span }))
            })
            .collect();
        found.sort_by_key(|(name, _)| name.len());
        found.pop().map(|(_, position)| position)
    }
}

fn kustomization_in(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| clean(&folder.join(name))).find(|file| file.is_file())
}

/// Whether an object of this name can have come through these settings.
fn fits(chain: &[&KustomizationSetting], rendered: &Manifest<'_>) -> bool {
    let name = rendered.name.as_deref().unwrap_or_default();
    let has_affix = |setting: &&KustomizationSetting| {
        if let PatchedSettings::Affix(affix, _) = &setting.sets { name.contains(affix) } else { true }
    };
    let namespace = chain.iter().rev().find_map(|setting| match &setting.sets {
        PatchedSettings::Namespace(namespace, _) => Some(namespace.as_str()),
        _ => None,
    });
    chain.iter().all(has_affix) && (namespace.is_none() || namespace == rendered.namespace.as_deref())
}

impl KustomizationSetting {
    /// The part of an object that it gives.
    fn layer(&self, rendered: &Manifest<'_>) -> Option<Layer<'_>> {
        let (node, is_anywhere) = match &self.sets {
            PatchedSettings::Fields(node) => (Cow::Borrowed(node), false),
            PatchedSettings::Keys(node) => (Cow::Borrowed(node), true),
            PatchedSettings::Namespace(namespace, span) => {
                let namespace = partial::text(namespace, *span);
                (Cow::Owned(map(vec![("namespace", namespace)], *span)), true)
            }
            PatchedSettings::Affix(_, span) => {
                let name = partial::text(rendered.name.as_deref()?, *span);
                (Cow::Owned(nested(&["metadata", "name"], name, *span)), false)
            }
            PatchedSettings::Image(name, span) => (Cow::Owned(images(name, *span, rendered)), false),
            PatchedSettings::Generates(_) => return None,
        };
        Some(Layer { file: &self.file, node, is_anywhere })
    }
}

/// The containers that have an image of this name.
fn images(name: &str, span: Span, rendered: &Manifest<'_>) -> Node<'static> {
    let pod = rendered.node.pointer("/spec/template/spec");
    let of = |key: &str| {
        let containers = pod.and_then(|pod| pod.get(key)).and_then(Node::as_list).unwrap_or_default();
        let with_image = containers.iter().filter_map(|container| {
            let image = container.get("image").and_then(Node::as_str)?;
            let rest = image.strip_prefix(name)?;
            let is_it = rest.is_empty() || rest.starts_with([':', '@']);
            let field = |text: &str| partial::text(text, span);
            let own = container.get("name").and_then(Node::as_str)?;
            is_it.then(|| map(vec![("name", field(own)), ("image", field(image))], span))
        });
        partial::list(with_image.collect(), span)
    };
    let both = vec![("containers", of("containers")), ("initContainers", of("initContainers"))];
    nested(&["spec", "template", "spec"], map(both, span), span)
}

/// A kustomization that is being read.
struct KustomizationReader<'a> {
    own: &'a Arc<Source>,
    folder: &'a Path,
    files: &'a mut FileTexts,
    settings: Vec<KustomizationSetting>,
}

impl KustomizationReader<'_> {
    /// Reads the settings in the order in which kustomize applies them.
    fn read(&mut self, node: &Node<'_>) {
        for (key, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
            for entry in items(node, key) {
                if let Some(name) = entry.get("name").and_then(Node::as_str) {
                    let (kind, name) = (Pattern::Exactly(kind.to_owned()), Pattern::Exactly(name.to_owned()));
                    self.push(kind, name, PatchedSettings::Generates(entry.locate("/name")));
                }
            }
        }
        for patch in items(node, "patchesStrategicMerge") {
            self.patch(patch, None);
        }
        self.patches(node, "patches");
        let affixes: [fn(String, Span) -> PatchedSettings; 3] =
            [PatchedSettings::Namespace, PatchedSettings::Affix, PatchedSettings::Affix];
        for (key, sets) in ["namespace", "namePrefix", "nameSuffix"].into_iter().zip(affixes) {
            if let Some(text) = node.get(key).and_then(Node::as_str) {
                let at = node.locate(&format!("/{key}"));
                self.push(Pattern::Any, Pattern::Any, sets(text.to_owned(), at));
            }
        }
        let pairs = items(node, "labels").iter().filter_map(|entry| entry.get("pairs"));
        let common = ["commonLabels", "commonAnnotations"].into_iter().filter_map(|key| node.get(key));
        for pairs in pairs.chain(common) {
            self.push(Pattern::Any, Pattern::Any, PatchedSettings::Keys(pairs.clone().into_owned()));
        }
        self.patches(node, "patchesJson6902");
        for entry in items(node, "replicas") {
            self.replicas(entry);
        }
        for entry in items(node, "images") {
            let field = |key: &str| entry.get(key).and_then(Node::as_str);
            if let Some(name) = field("newName").or(field("name")) {
                let key = ["newTag", "digest", "newName"].into_iter().find(|key| entry.get(key).is_some());
                let span = entry.locate(&format!("/{}", key.unwrap_or("name")));
                self.push(Pattern::Any, Pattern::Any, PatchedSettings::Image(name.to_owned(), span));
            }
        }
    }

    fn push(&mut self, kind: Pattern, name: Pattern, sets: PatchedSettings) {
        self.settings.push(KustomizationSetting { file: Arc::clone(self.own), kind, name, sets });
    }

    fn replicas(&mut self, entry: &Node<'_>) {
        let (name, count) = (entry.get("name").and_then(Node::as_str), entry.get("count"));
        let (Some(name), Some(count)) = (name, count) else { return };
        let count = nested(&["spec", "replicas"], count.clone().into_owned(), entry.locate("/count"));
        self.push(Pattern::Any, Pattern::Exactly(name.to_owned()), PatchedSettings::Fields(count));
    }

    fn patches(&mut self, node: &Node<'_>, key: &str) {
        for entry in items(node, key) {
            let patch = entry.get("path").or_else(|| entry.get("patch"));
            if let Some(patch) = patch {
                self.patch(patch, entry.get("target"));
            }
        }
    }

    /// A patch that is the text of a field, or in the file that it names.
    fn patch(&mut self, text: &Node<'_>, target: Option<&Node<'_>>) {
        let NodeValue::String(written) = &text.value else { return };
        let path = clean(&self.folder.join(&**written));
        let (file, documents) = if !written.contains('\n') && path.is_file() {
            let file = self.files.get(&path);
            let documents = partial::documents(&file.text());
            (file, documents)
        } else {
            (Arc::clone(self.own), partial::inline(text, &self.own.text()))
        };
        for document in documents {
            self.document(&file, document, target);
        }
    }

    /// A strategic merge patch, or a list of operations.
    fn document(&mut self, file: &Arc<Source>, patch: Node<'static>, target: Option<&Node<'_>>) {
        let targets = |key| Pattern::regex(target.and_then(|target| target.get(key)).and_then(Node::as_str));
        let exactly = |pointer| match patch.pointer(pointer).and_then(Node::as_str) {
            Some(text) => Pattern::Exactly(text.to_owned()),
            None => Pattern::Any,
        };
        let mut push = |kind, name, node| {
            let sets = PatchedSettings::Fields(node);
            self.settings.push(KustomizationSetting { file: Arc::clone(file), kind, name, sets });
        };
        if let Some(operations) = patch.as_list() {
            for operation in operations.iter().filter_map(partial::operation) {
                push(targets("kind"), targets("name"), operation);
            }
        } else if target.is_some() {
            push(targets("kind"), targets("name"), patch);
        } else {
            push(exactly("/kind"), exactly("/metadata/name"), patch);
        }
    }
}

fn items<'n>(node: &'n Node<'_>, key: &str) -> &'n [Node<'n>] {
    node.get(key).and_then(Node::as_list).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read;

    /// The file and line of each setting of a set that is rendered so, of these files of a folder.
    fn settings(files: &[(&str, &str)], rendered: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let settings =
            KustomizationSettings::read(&folder.path().join("kustomization.yaml"), &mut FileTexts::default());
        let text = format!("apiVersion: v1\n{rendered}\n");
        let rendered = read(&source("rendered", &text), &text).0.remove(0);
        let layers = settings.layers(&folder.path().join("base/x.yaml"), "x", &rendered);
        let place = |layer: &Layer<'_>| {
            let name = Path::new(&layer.file.name).strip_prefix(folder.path()).unwrap().display().to_string();
            format!("{name}:{}", layer.node.locate("/spec/replicas").line)
        };
        layers.iter().map(place).collect()
    }

    const BASE: (&str, &str) = ("base/kustomization.yaml", "resources: [x.yaml]");
    const FILE: (&str, &str) = ("base/x.yaml", "kind: X\nmetadata: {name: x}\n");

    #[test]
    fn the_settings_of_a_base_come_before_those_of_its_overlays() {
        let over = "resources: [base]\ncomponents: [part]\nreplicas: [{name: x, count: 3}, {name: y, count: 3}]\n\
                    patchesStrategicMerge:\n- |\n  kind: X\n  metadata: {name: a-x}\n  spec: {replicas: 3}\n";
        let base = "resources: [x.yaml]\nnamePrefix: a-\nreplicas:\n- {name: x, count: 2}\n";
        let part = "kind: Component\nreplicas: [{name: '', count: 1}]\n";
        let files = [
            ("kustomization.yaml", over),
            ("base/kustomization.yaml", base),
            ("part/kustomization.yaml", part),
            FILE,
        ];
        let expected = [
            "base/kustomization.yaml:2",
            "base/kustomization.yaml:4",
            "kustomization.yaml:8",
            "kustomization.yaml:3",
        ];
        assert_eq!(settings(&files, "kind: X\nmetadata: {name: a-x}"), expected);
    }

    #[test]
    fn of_two_overlays_of_a_base_that_one_counts_which_gives_the_name_and_namespace() {
        let files = [
            ("kustomization.yaml", "resources: [dev, prod]"),
            (
                "dev/kustomization.yaml",
                "resources: [../base]\nnamespace: dev\nreplicas: [{name: x, count: 4}]",
            ),
            (
                "prod/kustomization.yaml",
                "resources: [../base]\nnamespace: prod\n\nreplicas: [{name: x, count: 4}]",
            ),
            BASE,
            FILE,
        ];
        let of =
            |namespace| settings(&files, &format!("kind: X\nmetadata: {{name: x, namespace: {namespace}}}"));
        assert_eq!(of("dev"), ["dev/kustomization.yaml:2", "dev/kustomization.yaml:3"]);
        assert_eq!(of("prod"), ["prod/kustomization.yaml:2", "prod/kustomization.yaml:4"]);
    }

    #[test]
    fn the_target_of_a_patch_is_a_regular_expression() {
        let patched = |target: &str| {
            let over = format!(
                "resources: [base]\npatches:\n- target: {target}\n  patch: |\n    spec: {{replicas: 3}}\n"
            );
            let files = [("kustomization.yaml", over.as_str()), BASE, FILE];
            settings(&files, "kind: X\nmetadata: {name: x}").len()
        };
        assert_eq!(patched("{kind: X}"), 1);
        assert_eq!(patched("{kind: X, name: x|z}"), 1);
        assert_eq!(patched("{kind: X, name: z}"), 0);
        assert_eq!(patched("{kind: X, name: '('}"), 0, "no expression, and not any object");
    }
}
