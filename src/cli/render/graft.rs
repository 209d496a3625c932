//! Positions of rendered objects in the files that they come from.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::manifest::{Elsewhere, MapEntry, Node, NodeValue, Position, Source, Span};
use crate::model::pointer_step;

/// The part of an object that one setting gives, as it is written in a file.
pub(super) struct Layer<'l> {
    pub(super) file: &'l Arc<Source>,
    pub(super) node: Cow<'l, Node<'static>>,
    /// Whether its keys are meant for whatever map has them.
    pub(super) is_anywhere: bool,
}

/// Gives every value of a rendered object the position of the same field in the object as it is written, and tells where the
/// fields are set that are not as they are written: by the last layer that sets them to what they are, or else `unknown`.
pub(super) fn onto_object(
    rendered: &mut Node<'_>,
    written: &Node<'_>,
    file: &Arc<Source>,
    layers: &[Layer<'_>],
    unknown: &Position,
) -> Elsewhere {
    let mut graft = Graft { file, unknown, elsewhere: Elsewhere::default(), pointer: String::new() };
    let layers: Vec<At<'_>> = layers
        .iter()
        .map(|layer| At {
            file: layer.file,
            span: span(&layer.node),
            node: &layer.node,
            is_anywhere: layer.is_anywhere,
        })
        .collect();
    graft.value(rendered, written, &layers);
    graft.elsewhere
}

/// The value of a layer for the present field, and its place.
#[derive(Clone, Copy)]
struct At<'l> {
    file: &'l Arc<Source>,
    span: Span,
    node: &'l Node<'l>,
    is_anywhere: bool,
}

impl At<'_> {
    fn position(&self) -> Position {
        Position { file: Arc::clone(self.file), span: self.span }
    }

    /// Whether it may have set a value to what it is.
    fn sets(&self, rendered: &Node<'_>) -> bool {
        match (&self.node.value, &rendered.value) {
            (NodeValue::Map(_) | NodeValue::List(_), NodeValue::Map(_) | NodeValue::List(_)) => {
                !self.is_anywhere
            }
            (set, value) => set == value,
        }
    }
}

/// The fields of a map or the items of a list, found at once.
struct Children<'l> {
    fields: HashMap<&'l str, (&'l Node<'l>, Span)>,
    items: &'l [Node<'l>],
    named: HashMap<(&'static str, String), &'l Node<'l>>,
}

/// The keys that identify the items of a Kubernetes list; the first that an item has counts.
const ITEM_KEYS: [&str; 6] = ["name", "mountPath", "containerPort", "port", "topologyKey", "ip"];

fn identity(item: &Node<'_>) -> Option<(&'static str, String)> {
    ITEM_KEYS.into_iter().find_map(|key| match &item.get(key)?.value {
        NodeValue::String(text) => Some((key, text.clone().into_owned())),
        NodeValue::Number(number) => Some((key, number.to_string())),
        _ => None,
    })
}

impl<'l> Children<'l> {
    fn of(node: &'l Node<'l>) -> Self {
        let entries = node.as_map().unwrap_or_default();
        let items = node.as_list().unwrap_or_default();
        Self {
            fields: entries.iter().map(|entry| (&*entry.key, (&entry.value, entry.span()))).collect(),
            items,
            named: items.iter().filter_map(|item| Some((identity(item)?, item))).collect(),
        }
    }

    /// The same item as in a rendered list: of the same name, or at the same place. An operation of a JSON patch has a number for
    /// it, or `-` for what it adds at the end.
    fn item(&self, item: &Node<'_>, index: usize) -> Option<(&'l Node<'l>, Span)> {
        if !self.fields.is_empty() {
            return self.fields.get(&*index.to_string()).or_else(|| self.fields.get("-")).copied();
        }
        let same = match identity(item) {
            Some(identity) => self.named.get(&identity).copied(),
            None => self.items.get(index),
        };
        same.map(|same| (same, same.span()))
    }
}

/// The layers of the field at hand with what is in them.
fn opened<'l>(layers: &[At<'l>]) -> Vec<(At<'l>, Children<'l>)> {
    layers.iter().map(|at| (*at, Children::of(at.node))).collect()
}

/// The values of the layers for a field of the present one.
fn below<'l>(
    layers: &[(At<'l>, Children<'l>)],
    child: impl Fn(&Children<'l>) -> Option<(&'l Node<'l>, Span)>,
) -> Vec<At<'l>> {
    let below = layers.iter().filter_map(|(at, children)| match child(children) {
        Some((node, span)) => Some(At { node, span, is_anywhere: false, ..*at }),
        None => at.is_anywhere.then_some(*at),
    });
    below.collect()
}

/// A walk through a rendered object beside the written one.
struct Graft<'g> {
    file: &'g Arc<Source>,
    unknown: &'g Position,
    elsewhere: Elsewhere,
    pointer: String,
}

impl Graft<'_> {
    /// Returns where a value is set, if not as a whole where it is written.
    fn value(&mut self, rendered: &mut Node<'_>, written: &Node<'_>, layers: &[At<'_>]) -> Option<Position> {
        place(rendered, span(written));
        match (&mut rendered.value, &written.value) {
            (NodeValue::Map(entries), NodeValue::Map(_)) => return self.map(entries, written, layers),
            (NodeValue::List(items), NodeValue::List(_)) => return self.list(items, written, layers),
            _ => {}
        }
        let is_set = || layers.iter().any(|at| at.sets(rendered));
        if rendered.value == written.value || is_completed(rendered, written) && !is_set() {
            return None;
        }
        Some(self.set(rendered, span(written), layers))
    }

    fn map(
        &mut self,
        entries: &mut [MapEntry<'_>],
        written: &Node<'_>,
        layers: &[At<'_>],
    ) -> Option<Position> {
        let (same, layers) = (Children::of(written), opened(layers));
        let is_flat = |value: &Node<'_>| !matches!(value.value, NodeValue::List(_) | NodeValue::Map(_));
        let is_below_spec = self.pointer.matches('/').count() > 1;
        let all_flat = is_below_spec && entries.iter().all(|entry| is_flat(&entry.value));
        let mut changed = None;
        let mut gone = same.fields.clone();
        for entry in &mut *entries {
            let length = self.step(&entry.key);
            gone.remove(&*entry.key);
            let here = below(&layers, |children| children.fields.get(&*entry.key).copied());
            let elsewhere = if let Some((same, span)) = same.fields.get(&*entry.key) {
                place_key(entry, *span);
                self.value(&mut entry.value, same, &here)
            } else {
                place_key(entry, span(written));
                Some(self.set(&mut entry.value, span(written), &here))
            };
            changed = changed.or(elsewhere);
            self.pointer.truncate(length);
        }
        let is_gone = |entry: &&MapEntry<'_>| gone.contains_key(&*entry.key) && has_value(&entry.value);
        for entry in written.as_map().unwrap_or_default().iter().filter(is_gone) {
            let length = self.step(&entry.key);
            let removed = self.removed(&entry.key, &layers);
            self.elsewhere.insert(&self.pointer, removed.clone());
            changed = changed.or(Some(removed));
            self.pointer.truncate(length);
        }
        // A map of labels is looked at as a whole.
        let changed = changed.filter(|_| all_flat)?;
        for entry in entries {
            let length = self.step(&entry.key);
            if self.elsewhere.find(&self.pointer).is_none() {
                self.elsewhere.insert(&self.pointer, self.here(entry.span()));
            }
            self.pointer.truncate(length);
        }
        self.elsewhere.insert(&self.pointer, changed.clone());
        Some(changed)
    }

    fn list(&mut self, items: &mut [Node<'_>], written: &Node<'_>, layers: &[At<'_>]) -> Option<Position> {
        let (same, layers) = (Children::of(written), opened(layers));
        for (index, item) in items.iter_mut().enumerate() {
            let length = self.step(&index.to_string());
            let here = below(&layers, |children| children.item(item, index));
            match same.item(item, index) {
                Some((same, _)) => drop(self.value(item, same, &here)),
                None => drop(self.set(item, span(written), &here)),
            }
            self.pointer.truncate(length);
        }
        None
    }

    /// Notes where a value is set that is not written so.
    fn set(&mut self, rendered: &mut Node<'_>, above: Span, layers: &[At<'_>]) -> Position {
        all_at(rendered, above);
        let Some(at) = layers.iter().rev().find(|at| at.sets(rendered)) else {
            self.elsewhere.insert(&self.pointer, self.unknown.clone());
            return self.unknown.clone();
        };
        self.elsewhere.insert(&self.pointer, at.position());
        self.inside(rendered, *at, layers);
        at.position()
    }

    /// Notes where what is in a value is set, as far as that is not where the value is.
    fn inside(&mut self, rendered: &Node<'_>, above: At<'_>, layers: &[At<'_>]) {
        let layers = opened(layers);
        for (index, item) in rendered.as_list().unwrap_or_default().iter().enumerate() {
            let here = below(&layers, |children| children.item(item, index));
            self.child(&index.to_string(), item, above, &here);
        }
        for MapEntry { key, value, .. } in rendered.as_map().unwrap_or_default() {
            let here = below(&layers, |children| children.fields.get(&**key).copied());
            self.child(key, value, above, &here);
        }
    }

    fn child(&mut self, key: &str, rendered: &Node<'_>, above: At<'_>, layers: &[At<'_>]) {
        let length = self.step(key);
        let at = layers.iter().rev().find(|at| at.sets(rendered)).copied();
        if let Some(at) = at.filter(|at| at.position() != above.position()) {
            self.elsewhere.insert(&self.pointer, at.position());
        }
        self.inside(rendered, at.unwrap_or(above), layers);
        self.pointer.truncate(length);
    }

    /// Where a field that is written is removed.
    fn removed(&self, key: &str, layers: &[(At<'_>, Children<'_>)]) -> Position {
        let removal = |(at, children): &(At<'_>, Children<'_>)| {
            let own = children.fields.get(key).filter(|(node, _)| node.is_null());
            let (_, span) = own.or_else(|| children.fields.get("$patch"))?;
            Some(At { span: *span, ..*at }.position())
        };
        layers.iter().rev().find_map(removal).unwrap_or_else(|| self.unknown.clone())
    }

    fn here(&self, span: Span) -> Position {
        Position { file: Arc::clone(self.file), span }
    }

    /// Adds a step to the pointer, and returns how long it was before.
    fn step(&mut self, key: &str) -> usize {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer += &pointer_step(key);
        length
    }
}

/// Whether only a prefix, a suffix or a hash is added to what is written.
fn is_completed(rendered: &Node<'_>, written: &Node<'_>) -> bool {
    let texts = rendered.as_str().zip(written.as_str());
    texts.is_some_and(|(text, part)| !part.is_empty() && text.contains(part))
}

/// Whether leaving a value out makes a difference.
fn has_value(node: &Node<'_>) -> bool {
    match &node.value {
        NodeValue::Null => false,
        NodeValue::Map(entries) => !entries.is_empty(),
        NodeValue::List(items) => !items.is_empty(),
        _ => true,
    }
}

/// Gives every value the same position.
pub(super) fn all_at(node: &mut Node<'_>, at: Span) {
    place(node, at);
    match &mut node.value {
        NodeValue::Map(entries) => {
            for entry in entries {
                place_key(entry, at);
                all_at(&mut entry.value, at);
            }
        }
        NodeValue::List(items) => items.iter_mut().for_each(|item| all_at(item, at)),
        _ => {}
    }
}

fn span(node: &Node<'_>) -> Span {
    Span { line: node.line, column: node.column, end_column: node.end_column }
}

pub(super) fn place(node: &mut Node<'_>, at: Span) {
    (node.line, node.column, node.end_column) = (at.line, at.column, at.end_column);
}

pub(super) fn place_key(entry: &mut MapEntry<'_>, at: Span) {
    (entry.line, entry.column, entry.end_column) = (at.line, at.column, at.end_column);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{SourceOrigin, document};

    fn file(name: &str) -> Arc<Source> {
        Source::new(name, "", SourceOrigin::Named)
    }

    /// Where the fields of an object are set, given the file it is written in and some patches.
    fn places(rendered: &str, written: &str, patches: &[&str], pointers: &[&str]) -> Vec<String> {
        let (written, base) = (document(written).unwrap(), file("base"));
        let mut rendered = document(rendered).unwrap();
        let files: Vec<_> = (0..patches.len()).map(|number| file(&number.to_string())).collect();
        let layers = patches.iter().zip(&files).map(|(text, file)| {
            let node = Cow::Owned(document(text).unwrap().into_owned());
            Layer { file, node, is_anywhere: text.starts_with("tier") }
        });
        let unknown = Position { file: file("top"), span: Span { line: 1, column: 1, end_column: 1 } };
        let layers: Vec<_> = layers.collect();
        let elsewhere = onto_object(&mut rendered, &written, &base, &layers, &unknown);
        let place = |pointer: &&str| match elsewhere.find(pointer) {
            Some(at) => format!("{}:{}", at.file.name, at.span.line),
            None => format!("base:{}", rendered.locate(pointer).line),
        };
        pointers.iter().map(place).collect()
    }

    const WRITTEN: &str = "spec:\n  replicas: 3\n  name: etcd\n  selector:\n    app: a\n    tier: x\n  containers:\n  - name: a\n    image: a:1\n    probe: {x: 1}\n  - name: b\n    args: [x, z]\n";

    #[test]
    fn a_field_is_where_the_last_layer_sets_it() {
        let rendered = "spec:\n  replicas: 4\n  name: etcd\n  selector: {app: a, tier: x}\n  containers:\n  - name: new\n    image: n\n  - name: a\n    image: a:1\n    probe: {x: 1}\n  - name: b\n    args: [x, y]\n  other: {deep: [1]}\n";
        let patches = [
            "spec:\n  replicas: 5\n",
            "spec:\n  replicas: 4\n  containers:\n  - name: b\n    args: [x, y]\n  - name: new\n    image: n\n",
            "x: 1\nspec:\n  other:\n    deep:\n    - 1\n",
        ];
        let pointers = [
            "/spec/replicas",
            "/spec/replicas/none",
            "/spec/containers/0/image",
            "/spec/containers/1/image",
            "/spec/containers/2/args/0",
            "/spec/containers/2/args/1",
            "/spec/other/deep/0",
            "/spec/containers",
            "/spec/missing",
            "/spec",
        ];
        let expected = ["1:2", "1:2", "1:7", "base:9", "base:12", "1:5", "2:5", "base:7", "base:1", "base:1"];
        assert_eq!(places(rendered, WRITTEN, &patches, &pointers), expected);
    }

    #[test]
    fn what_no_layer_sets_is_not_told_of_the_base() {
        let rendered = "spec: {replicas: 4, name: p-etcd, selector: {app: a, tier: y}, containers: [{name: a, image: b:2}]}";
        let pointers =
            ["/spec/replicas", "/spec/name", "/spec/containers/0/image", "/spec/containers/0/probe"];
        let found = places(rendered, WRITTEN, &["spec:\n  replicas: 5\n"], &pointers);
        assert_eq!(
            found,
            ["top:1", "base:3", "top:1", "top:1"],
            "a name that only has a prefix is the base's"
        );
        let removes = "spec:\n  containers:\n  - name: a\n    probe:\n";
        assert_eq!(places(rendered, WRITTEN, &[removes], &pointers[3..]), ["0:4"]);
    }

    #[test]
    fn labels_are_set_wherever_they_are_and_seen_as_a_whole() {
        let rendered = "spec: {replicas: 3, name: etcd, selector: {app: a, tier: y}, containers: []}";
        let pointers = ["/spec/selector", "/spec/selector/tier", "/spec/selector/app"];
        let found = places(rendered, WRITTEN, &["tier: y\n"], &pointers);
        assert_eq!(found, ["0:1", "0:1", "base:5"]);
    }

    #[test]
    fn an_operation_names_an_item_by_its_number() {
        let rendered = "spec: {replicas: 3, containers: [{name: a, image: c}, {name: b, args: [x, z, w]}]}";
        let operations = [
            "spec:\n  containers:\n    '0':\n      image: c\n",
            "spec: {containers: {'1': {args: {'-': w}}}}\n",
        ];
        let pointers = ["/spec/containers/0/image", "/spec/containers/1/args/2", "/spec/containers/1/args/1"];
        assert_eq!(places(rendered, WRITTEN, &operations, &pointers), ["0:4", "1:1", "base:12"]);
    }
}
