//! From a parsed document to the objects in it.

use std::sync::Arc;

use super::fault::Fault;
use super::limits::ParseLimits;
use super::misspelt::misspelt_fields;
use super::node::{MapEntry, Node, NodeValue};
use super::{Elsewhere, Manifest, NoteKind, ParsedDuplicateKey, SourceReader, template};
use crate::model::{Kind, misspelt, pointer_step};

impl<'a> SourceReader<'a, '_> {
    /// Takes in a document or an item of a list.
    ///
    /// To kubectl whatever has `items` is a list, of any kind, and it need not have an apiVersion.
    pub(super) fn object(&mut self, node: Node<'a>) {
        if node.is_null() {
            return;
        }
        let (api_version, kind) = (text(&node, "apiVersion"), text(&node, "kind"));
        let items = node.entry("items").map(|entry| &entry.value.value);
        match (api_version, kind, items) {
            (api_version, Some(kind), Some(NodeValue::List(_))) => self.items(node, api_version, &kind),
            (_, Some(kind), Some(NodeValue::Null)) => self.empty(&node, &kind, "items"),
            (_, Some(kind), Some(_)) => self.refused_items(&node, &kind),
            (api_version, Some(kind), None) if is_list(api_version.as_deref(), &kind) => {
                self.without_items(&node, &kind);
            }
            (Some(api_version), Some(kind), None) if is_template(&api_version, &kind) => {
                self.template(node, &kind);
            }
            (Some(api_version), Some(kind), None) => self.manifest(node, api_version, kind),
            (api_version, kind, _) => self.no_object(&node, api_version.is_some(), kind.as_deref()),
        }
    }

    /// Takes in what has no apiVersion or no kind: it is an object all the same where one is there and the other is misspelt.
    fn no_object(&mut self, node: &Node<'_>, has_api_version: bool, kind: Option<&str>) {
        let missing = match (has_api_version, kind) {
            (true, None) => "kind",
            (false, Some(_)) => "apiVersion",
            _ => "",
        };
        let may_be_misspelt = !missing.is_empty() && node.entry(missing).is_none();
        let mut texts =
            node.as_map().unwrap_or_default().iter().filter(|entry| entry.value.as_str().is_some());
        if let Some(entry) = texts.find(|entry| may_be_misspelt && misspelt(&entry.key, [missing]).is_some())
        {
            let message = format!("no API server knows the field {}; did you mean {missing}?", entry.key);
            let kind = kind.or(entry.value.as_str()).unwrap_or_default();
            self.unread_object(kind, entry.line, entry.column, &message);
        } else {
            let message = "no Kubernetes object: it has no apiVersion or no kind";
            self.note(node.line, node.column, NoteKind::NotAManifest, message);
        }
    }

    /// The items of a list. Those of a `ServiceList` that say neither what they are nor of which version are Services.
    fn items(&mut self, mut list: Node<'a>, api_version: Option<String>, kind: &str) {
        let api_version = api_version.unwrap_or_default();
        let kind = kind.strip_suffix("List").unwrap_or(kind);
        for mut item in list.take_list("items") {
            let says_what_it_is = text(&item, "kind").is_some() || text(&item, "apiVersion").is_some();
            if !says_what_it_is && let NodeValue::Map(entries) = &mut item.value {
                let bytes = api_version.len() + kind.len();
                if let Err(fault) = self.limits.expand(bytes, item.line, item.column) {
                    return self.too_large(&fault);
                }
                inherit(entries, "apiVersion", &api_version, (item.line, item.column));
                inherit(entries, "kind", kind, (item.line, item.column));
            }
            self.object(item);
        }
    }

    /// A list without `items` is an object to kubectl, of a kind that no API server has.
    fn without_items(&mut self, list: &Node<'_>, kind: &str) {
        if !self.is_misspelt(list, kind, "items") {
            let message = format!("{kind}: it has no `items`, and kubectl refuses it");
            self.unread_object(kind, list.line, list.column, &message);
        }
    }

    /// Whether a field that holds objects is misspelt, which is noted.
    fn is_misspelt(&mut self, node: &Node<'_>, kind: &str, field: &'static str) -> bool {
        let mut entries = node.as_map().unwrap_or_default().iter();
        let Some(entry) = entries.find(|entry| misspelt(&entry.key, [field]).is_some()) else {
            return false;
        };
        let message = format!("{kind}: no API server knows the field {}; did you mean {field}?", entry.key);
        let objects = entry.value.as_list().unwrap_or_default();
        let kinds: Vec<&str> =
            objects.iter().filter_map(|object| object.get("kind")?.as_str()).chain([kind]).collect();
        self.unread_object(&kinds.join(" "), entry.line, entry.column, &message);
        true
    }

    /// Notes that kubectl or `oc` finds no objects in a list or a Template, and says nothing of it.
    fn empty(&mut self, node: &Node<'_>, kind: &str, field: &str) {
        let span = node.locate(&format!("/{field}"));
        self.note(span.line, span.column, NoteKind::Ignored, &format!("{kind}: it has no `{field}`"));
    }

    /// The objects of a Template. `oc` refuses one with a parameter that is no string.
    fn template(&mut self, template: Node<'a>, kind: &str) {
        if template.get("objects").and_then(Node::as_list).is_none() {
            if !self.is_misspelt(&template, kind, "objects") {
                self.empty(&template, kind, "objects");
            }
            return;
        }
        for field in template::malformed_parameters(&template) {
            let message = "a Template's parameter has a name or value that is not a string: put it in quotes \
                           (YAML takes y, n, yes, no, on and off for true and false)";
            self.unread_object("", field.line, field.column, message);
        }
        match template::objects(template, &mut self.limits) {
            Ok(objects) => objects.into_iter().for_each(|object| self.object(object)),
            Err(fault) => self.too_large(&fault),
        }
    }

    fn refused_items(&mut self, node: &Node<'_>, kind: &str) {
        let message = format!("{kind}: kubectl takes what has `items` for a list, and these are none");
        let span = node.locate("/items");
        self.unread_object(kind, span.line, span.column, &message);
    }

    fn manifest(&mut self, node: Node<'a>, api_version: String, kind: String) {
        let (line, column) = (node.line, node.column);
        let name = node.pointer("/metadata/name").and_then(Node::as_str).map(str::to_owned);
        if name.as_ref().is_some_and(|name| name.contains("{{")) {
            return self.note(line, column, NoteKind::Template, "a template that has not been rendered");
        }
        if let Some(message) = partial(&node, &api_version, &kind) {
            for field in misspelt_fields(&node, &api_version, &kind) {
                let span = node.locate(&field.pointer);
                self.note(span.line, span.column, NoteKind::UnknownField, &field.message(&kind));
            }
            return self.note(line, column, NoteKind::Partial, message);
        }
        if installs_chart(&node, &api_version, &kind) {
            let message = format!(
                "the chart that this {kind} installs is not rendered: audit the output of `helm template`"
            );
            self.note(line, column, NoteKind::Template, &message);
        }
        let namespace = node.pointer("/metadata/namespace").and_then(Node::as_str).map(str::to_owned);
        let mut duplicates = Duplicates { found: Vec::new(), limits: &mut self.limits };
        // Hardly any object has one, and without it no pointer is needed.
        let all_found = match shadowing_key(&node) {
            Some(_) => duplicates.search(&node, &mut String::new()),
            None => Ok(()),
        };
        let duplicate_keys = duplicates.found;
        if let Err(fault) = all_found {
            self.too_large(&fault);
        }
        let file = Arc::clone(self.source);
        (self.take)(Manifest {
            file,
            node,
            api_version,
            kind,
            name,
            written_name: None,
            namespace,
            duplicate_keys,
            elsewhere: Elsewhere::default(),
        });
    }
}

fn text(node: &Node<'_>, key: &str) -> Option<String> {
    node.get(key).and_then(Node::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Whether it is a `List`, which need not have an apiVersion, or one of a kind that the rules look at.
fn is_list(api_version: Option<&str>, kind: &str) -> bool {
    let api_version = api_version.unwrap_or("v1");
    (kind == "List" && api_version == "v1")
        || kind.strip_suffix("List").is_some_and(|kind| Kind::of_manifest(api_version, kind).is_some())
}

fn is_template(api_version: &str, kind: &str) -> bool {
    kind == "Template" && matches!(api_version, "v1" | "template.openshift.io/v1")
}

/// Whether an object stands for a Helm chart that a controller in the cluster renders: Flux, k3s, Argo CD.
fn installs_chart(node: &Node<'_>, api_version: &str, kind: &str) -> bool {
    let has_chart = |source: &Node<'_>| source.get("chart").is_some();
    let of_application = |spec: &str| {
        let sources = node.pointer(&format!("{spec}/sources")).and_then(Node::as_list).unwrap_or_default();
        sources.iter().chain(node.pointer(&format!("{spec}/source"))).any(has_chart)
    };
    match (api_version.split('/').next().unwrap_or_default(), kind) {
        ("helm.toolkit.fluxcd.io", "HelmRelease") | ("helm.cattle.io", "HelmChart") => true,
        ("argoproj.io", "Application") => of_application("/spec"),
        ("argoproj.io", "ApplicationSet") => of_application("/spec/template/spec"),
        _ => false,
    }
}

/// Gives an item what its list says. It is written nowhere but at the item.
fn inherit(entries: &mut Vec<MapEntry<'_>>, key: &str, text: &str, (line, column): (u32, u32)) {
    entries.retain(|entry| entry.key != key);
    let value =
        Node { line, column, end_column: column + 1, value: NodeValue::String(text.to_owned().into()) };
    entries.push(MapEntry {
        key: key.to_owned().into(),
        line,
        column,
        end_column: column + 1,
        shadows: None,
        value,
    });
}

/// Why an object can only be a patch, if so.
fn partial(node: &Node<'_>, api_version: &str, kind: &str) -> Option<&'static str> {
    // A ControllerRevision contains a patch, which makes it no patch itself.
    if kind != "ControllerRevision" && !is_complete(node, kind) && has_directive(node) {
        return Some("a patch: it has directives such as `$patch`");
    }
    if kind != "StatefulSet" || !(api_version == "apps/v1" || api_version.starts_with("apps/v1beta")) {
        return None;
    }
    if is_empty(node, "/spec/template/spec/containers") {
        return Some("a patch rather than a StatefulSet: it has no containers");
    }
    let has_selector = node.pointer("/spec/selector").is_some();
    (api_version == "apps/v1" && !has_selector)
        .then_some("a patch rather than a StatefulSet: it has no selector")
}

/// Whether an object has all that the API server asks for. kubectl applies such a one, whatever else is in it.
fn is_complete(node: &Node<'_>, kind: &str) -> bool {
    let has = |pointer: &str| node.pointer(pointer).is_some();
    match kind {
        "StatefulSet" => has("/spec/selector") && !is_empty(node, "/spec/template/spec/containers"),
        "Service" => has("/spec/selector") && !is_empty(node, "/spec/ports"),
        "PodDisruptionBudget" => {
            has("/spec/selector") && (has("/spec/minAvailable") || has("/spec/maxUnavailable"))
        }
        "HorizontalPodAutoscaler" => has("/spec/scaleTargetRef") && has("/spec/maxReplicas"),
        _ => false,
    }
}

fn is_empty(node: &Node<'_>, pointer: &str) -> bool {
    node.pointer(pointer).and_then(Node::as_list).is_none_or(<[Node<'_>]>::is_empty)
}

/// Whether a strategic merge patch gives itself away by a directive.
fn has_directive(node: &Node<'_>) -> bool {
    match &node.value {
        NodeValue::Map(entries) => {
            entries.iter().any(|entry| is_directive(&entry.key) || has_directive(&entry.value))
        }
        NodeValue::List(items) => items.iter().any(has_directive),
        _ => false,
    }
}

fn is_directive(key: &str) -> bool {
    matches!(key, "$patch" | "$retainKeys")
        || key.starts_with("$setElementOrder/")
        || key.starts_with("$deleteFromPrimitiveList/")
}

/// A key that some map has twice: the last of both, which counts.
pub(super) fn shadowing_key<'n, 'a>(node: &'n Node<'a>) -> Option<&'n MapEntry<'a>> {
    match &node.value {
        NodeValue::Map(entries) => entries
            .iter()
            .find_map(|entry| entry.shadows.map_or_else(|| shadowing_key(&entry.value), |_| Some(entry))),
        NodeValue::List(items) => items.iter().find_map(shadowing_key),
        _ => None,
    }
}

/// Looks for keys that are written twice.
struct Duplicates<'a> {
    found: Vec<ParsedDuplicateKey>,
    limits: &'a mut ParseLimits,
}

impl Duplicates<'_> {
    fn search(&mut self, node: &Node<'_>, pointer: &mut String) -> Result<(), Fault> {
        let length = pointer.len();
        for (index, item) in node.as_list().unwrap_or_default().iter().enumerate() {
            pointer.push('/');
            *pointer += &index.to_string();
            self.search(item, pointer)?;
            pointer.truncate(length);
        }
        for MapEntry { key, line, column, shadows, value, .. } in node.as_map().unwrap_or_default() {
            pointer.push('/');
            *pointer += &pointer_step(key);
            if let Some(first_line) = *shadows {
                self.limits.expand(pointer.len(), *line, *column)?;
                let pointer = pointer.clone();
                self.found.push(ParsedDuplicateKey { pointer, line: *line, column: *column, first_line });
            }
            self.search(value, pointer)?;
            pointer.truncate(length);
        }
        Ok(())
    }
}
