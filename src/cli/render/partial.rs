//! Parts of objects, with positions: patches as they are written, and what other settings come to.

use std::borrow::Cow;

use super::graft::all_at;
use crate::manifest::{self, MapEntry, Node, NodeValue, Span, document};
use crate::model::pointer_keys;

/// The documents of a file.
pub(super) fn documents(text: &str) -> Vec<Node<'static>> {
    let documents = manifest::documents(text).into_iter().filter_map(|(line, range)| {
        let mut node = document(text.get(range)?).ok()?.into_owned();
        shift(&mut node, line - 1, 0);
        Some(node)
    });
    documents.collect()
}

/// The documents in a text that is a field of a file. Their positions are those of the file where the text stands there as it is,
/// in a block after `|`; else that of the field.
pub(super) fn inline(field: &Node<'_>, file: &str) -> Vec<Node<'static>> {
    let mut found = documents(field.as_str().unwrap_or_default());
    let indentation = indentation(field, file);
    for node in &mut found {
        match indentation {
            Some(columns) => shift(node, field.line, columns),
            None => all_at(node, span(field)),
        }
    }
    found
}

/// By how much the lines of a text are indented that stand below the line of its field.
fn indentation(field: &Node<'_>, file: &str) -> Option<u32> {
    let below = file.lines().skip(usize::try_from(field.line).ok()?);
    let mut all = None;
    for (shown, line) in below.zip(field.as_str()?.lines()).filter(|(_, line)| !line.is_empty()) {
        let before = shown.strip_suffix(line)?;
        if !before.bytes().all(|byte| byte == b' ') || all.is_some_and(|all| all != before.len()) {
            return None;
        }
        all = Some(before.len());
    }
    all.and_then(|columns| columns.try_into().ok())
}

/// The value that an operation of a JSON patch sets: `path` as maps, in which an item of a list has its index as a key.
pub(super) fn operation(operation: &Node<'_>) -> Option<Node<'static>> {
    let field = |key| operation.get(key).and_then(Node::as_str);
    let steps: Vec<Cow<'_, str>> = pointer_keys(field("path")?).collect();
    let steps: Vec<&str> = steps.iter().map(AsRef::as_ref).collect();
    match field("op")? {
        "add" | "replace" => {
            let value = operation.get("value")?.clone().into_owned();
            Some(nested(&steps, value, operation.locate("/value")))
        }
        "remove" => {
            let at = operation.locate("/path");
            Some(nested(&steps, leaf(NodeValue::Null, at), at))
        }
        _ => None,
    }
}

/// A value below some keys, which are all at one place.
pub(super) fn nested(path: &[&str], value: Node<'static>, at: Span) -> Node<'static> {
    path.iter().rev().fold(value, |value, key| map(vec![(key, value)], at))
}

pub(super) fn map(entries: Vec<(&str, Node<'static>)>, at: Span) -> Node<'static> {
    let entry = |(key, value): (&str, Node<'static>)| {
        let (key, Span { line, column, end_column }) = (Cow::Owned(key.to_owned()), at);
        MapEntry { key, line, column, end_column, shadows: None, value }
    };
    leaf(NodeValue::Map(entries.into_iter().map(entry).collect()), at)
}

pub(super) fn list(items: Vec<Node<'static>>, at: Span) -> Node<'static> {
    leaf(NodeValue::List(items), at)
}

pub(super) fn text(text: &str, at: Span) -> Node<'static> {
    leaf(NodeValue::String(Cow::Owned(text.to_owned())), at)
}

fn leaf(value: NodeValue<'static>, Span { line, column, end_column }: Span) -> Node<'static> {
    Node { line, column, end_column, value }
}

fn span(node: &Node<'_>) -> Span {
    Span { line: node.line, column: node.column, end_column: node.end_column }
}

/// Moves all positions.
fn shift(node: &mut Node<'_>, lines: u32, columns: u32) {
    let moved = |line: &mut u32, column: &mut u32, end_column: &mut u32| {
        *line = line.saturating_add(lines);
        *column = column.saturating_add(columns);
        *end_column = end_column.saturating_add(columns);
    };
    moved(&mut node.line, &mut node.column, &mut node.end_column);
    match &mut node.value {
        NodeValue::Map(entries) => {
            for entry in entries {
                moved(&mut entry.line, &mut entry.column, &mut entry.end_column);
                shift(&mut entry.value, lines, columns);
            }
        }
        NodeValue::List(items) => items.iter_mut().for_each(|item| shift(item, lines, columns)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inline_patch_is_where_it_stands() {
        let file = "patches:\n- patch: |-\n    kind: X\n\n    spec: {a: 1}\n    ---\n    kind: Y\n";
        let whole = document(file).unwrap();
        let found = inline(whole.pointer("/patches/0/patch").unwrap(), file);
        let span = found[0].locate("/spec/a");
        assert_eq!((span.line, span.column), (5, 12));
        assert_eq!(found[1].locate("/kind").line, 7);
        let file = "patches:\n- patch: \"kind: X\\nspec:\\n  a: 1\\n\"\n";
        let whole = document(file).unwrap();
        let found = inline(whole.pointer("/patches/0/patch").unwrap(), file);
        assert_eq!(found[0].locate("/spec/a").line, 2);
    }

    #[test]
    fn an_operation_says_what_it_sets_and_where() {
        let patch = document(
            "- op: replace\n  path: /spec/a~1b/0\n  value: 4\n- {op: remove, path: /x}\n- {op: test, path: /x}\n",
        );
        let patch = patch.unwrap();
        let found: Vec<_> = patch.as_list().unwrap().iter().filter_map(operation).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].to_json(), serde_json::json!({"spec": {"a/b": {"0": 4}}}));
        assert_eq!(found[0].locate("/spec/a~1b/0").line, 3);
        assert!(found[1].entry("x").unwrap().value.is_null());
    }
}
