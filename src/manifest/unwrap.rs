//! From a parsed document to the objects in it.

use std::sync::Arc;

use super::node::{Entry, Node, Value, escape};
use super::{DuplicateKey, Manifest, NoteKind, Reading, template};

impl Reading<'_> {
    /// Takes in a document or an item of a list.
    pub(super) fn object(&mut self, node: Node) {
        if node.is_null() {
            return;
        }
        let (Some(api_version), Some(kind)) = (text(&node, "apiVersion"), text(&node, "kind")) else {
            let message = "no Kubernetes object: it has no apiVersion or no kind";
            return self.note(node.line, node.column, NoteKind::NotAManifest, message);
        };
        if is_list(&node, &kind) {
            self.items(node, kind.strip_suffix("List").unwrap_or_default());
        } else if is_template(&node, &api_version, &kind) {
            for object in template::objects(node) {
                self.object(object);
            }
        } else {
            self.manifest(node, api_version, kind);
        }
    }

    /// The items of a list. Those of a `ServiceList` need not say that they are Services.
    fn items(&mut self, mut list: Node, item_kind: &str) {
        let inherited = |key: &str| list.entry(key).cloned();
        let (api_version, kind) = (inherited("apiVersion"), inherited("kind"));
        for mut item in take_list(&mut list, "items") {
            if let Value::Map(entries) = &mut item.value
                && !item_kind.is_empty()
            {
                inherit(entries, api_version.clone());
                inherit(entries, kind.clone().map(|entry| with_text(entry, item_kind)));
            }
            self.object(item);
        }
    }

    fn manifest(&mut self, node: Node, api_version: String, kind: String) {
        let (line, column) = (node.line, node.column);
        let name = node.pointer("/metadata/name").and_then(Node::as_str).map(str::to_owned);
        if name.as_ref().is_some_and(|name| name.contains("{{")) {
            return self.note(line, column, NoteKind::Template, "a template that has not been rendered");
        }
        if let Some(message) = partial(&node, &api_version, &kind) {
            return self.note(line, column, NoteKind::Partial, message);
        }
        let namespace = node.pointer("/metadata/namespace").and_then(Node::as_str).map(str::to_owned);
        let mut duplicate_keys = Vec::new();
        duplicates(&node, &mut String::new(), &mut duplicate_keys);
        let file = Arc::clone(self.source);
        self.manifests.push(Manifest { file, node, api_version, kind, name, namespace, duplicate_keys });
    }
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn is_list(node: &Node, kind: &str) -> bool {
    let has_items = node.get("items").map(|items| items.as_list().is_some());
    kind.ends_with("List") && has_items.unwrap_or(kind == "List")
}

fn is_template(node: &Node, api_version: &str, kind: &str) -> bool {
    kind == "Template"
        && matches!(api_version, "v1" | "template.openshift.io/v1")
        && node.get("objects").is_some_and(|objects| objects.as_list().is_some())
}

/// Takes a list out of a map, so that its items need not be copied.
pub(super) fn take_list(node: &mut Node, key: &str) -> Vec<Node> {
    let Value::Map(entries) = &mut node.value else {
        return Vec::new();
    };
    let entry = entries.iter_mut().find(|entry| entry.key == key);
    match entry.map(|entry| &mut entry.value.value) {
        Some(Value::List(items)) => std::mem::take(items),
        _ => Vec::new(),
    }
}

fn inherit(entries: &mut Vec<Entry>, inherited: Option<Entry>) {
    let Some(inherited) = inherited else { return };
    match entries.iter_mut().find(|entry| entry.key == inherited.key) {
        Some(own) if own.value.is_null() => own.value.value = inherited.value.value,
        Some(_) => {}
        None => entries.push(inherited),
    }
}

fn with_text(mut entry: Entry, text: &str) -> Entry {
    entry.value.value = Value::String(text.to_owned());
    entry
}

/// Why an object can only be a patch, if so.
fn partial(node: &Node, api_version: &str, kind: &str) -> Option<&'static str> {
    // What a ControllerRevision keeps is a patch, which makes it no patch itself.
    if kind != "ControllerRevision" && has_directive(node) {
        return Some("a patch: it has directives such as `$patch`");
    }
    if kind != "StatefulSet" || !(api_version == "apps/v1" || api_version.starts_with("apps/v1beta")) {
        return None;
    }
    let containers = node.pointer("/spec/template/spec/containers").and_then(Node::as_list);
    if containers.is_none_or(<[Node]>::is_empty) {
        return Some("a patch rather than a StatefulSet: it has no containers");
    }
    let has_selector = node.pointer("/spec/selector").is_some();
    (api_version == "apps/v1" && !has_selector)
        .then_some("a patch rather than a StatefulSet: it has no selector")
}

/// Whether a strategic merge patch gives itself away by a directive.
fn has_directive(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => {
            entries.iter().any(|entry| is_directive(&entry.key) || has_directive(&entry.value))
        }
        Value::List(items) => items.iter().any(has_directive),
        _ => false,
    }
}

fn is_directive(key: &str) -> bool {
    matches!(key, "$patch" | "$retainKeys")
        || key.starts_with("$setElementOrder/")
        || key.starts_with("$deleteFromPrimitiveList/")
}

fn duplicates(node: &Node, pointer: &mut String, found: &mut Vec<DuplicateKey>) {
    let length = pointer.len();
    for (index, item) in node.as_list().unwrap_or_default().iter().enumerate() {
        pointer.push('/');
        *pointer += &index.to_string();
        duplicates(item, pointer, found);
        pointer.truncate(length);
    }
    for Entry { key, line, column, shadows, value, .. } in node.as_map().unwrap_or_default() {
        pointer.push('/');
        *pointer += &escape(key);
        if let Some(first_line) = *shadows {
            found.push(DuplicateKey { pointer: pointer.clone(), line: *line, column: *column, first_line });
        }
        duplicates(value, pointer, found);
        pointer.truncate(length);
    }
}
