//! Positions of rendered objects in the files that they come from.

use std::collections::HashMap;

use crate::manifest::{Entry, Node, Span, Value};

/// Gives every value of a rendered object the position of the same field in the object as it is written. What is written elsewhere,
/// as by a patch, gets the position of the nearest field above it.
pub(super) fn onto_object(rendered: &mut Node<'_>, written: &Node<'_>) {
    place(rendered, Span { line: written.line, column: written.column, end_column: written.end_column });
    match &mut rendered.value {
        Value::Map(entries) => {
            for entry in entries {
                match written.entry(&entry.key) {
                    Some(same) => {
                        place_key(entry, same.span());
                        onto_object(&mut entry.value, &same.value);
                    }
                    None => onto_place(entry, written),
                }
            }
        }
        Value::List(items) => {
            let same = written.as_list().unwrap_or_default();
            for (index, item) in items.iter_mut().enumerate() {
                match same.get(index) {
                    Some(same) => onto_object(item, same),
                    None => all_at(item, span(written)),
                }
            }
        }
        _ => {}
    }
}

fn onto_place(entry: &mut Entry<'_>, above: &Node<'_>) {
    place_key(entry, span(above));
    all_at(&mut entry.value, span(above));
}

/// Gives every value the same position.
pub(super) fn all_at(node: &mut Node<'_>, at: Span) {
    place(node, at);
    match &mut node.value {
        Value::Map(entries) => {
            for entry in entries {
                place_key(entry, at);
                all_at(&mut entry.value, at);
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| all_at(item, at)),
        _ => {}
    }
}

/// Where a template has a key; `None` where it has it more than once.
pub(super) type Keys = HashMap<String, Option<Span>>;

/// The keys of a template.
pub(super) fn keys_of(template: &str) -> Keys {
    let mut keys = Keys::new();
    for (line, text) in (1_u32..).zip(template.lines()) {
        let trimmed = text.trim_start_matches([' ', '-']);
        let Some((key, _)) = trimmed.split_once(':') else { continue };
        if key.is_empty() || key.contains(['{', '#', ' ']) {
            continue;
        }
        let count = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(1);
        let column = count(text.len() - trimmed.len());
        let span = Span { line, column, end_column: column.saturating_add(count(key.len()) - 1) };
        keys.entry(key.to_owned()).and_modify(|known| *known = None).or_insert(Some(span));
    }
    keys
}

/// Gives every value the position of its key in a template, where the template has that key once; else that of what is above.
pub(super) fn onto_template(node: &mut Node<'_>, keys: &Keys, above: Span) {
    place(node, above);
    match &mut node.value {
        Value::Map(entries) => {
            for entry in entries {
                let at = keys.get(&*entry.key).copied().flatten().unwrap_or(above);
                place_key(entry, at);
                onto_template(&mut entry.value, keys, at);
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| onto_template(item, keys, above)),
        _ => {}
    }
}

fn span(node: &Node<'_>) -> Span {
    Span { line: node.line, column: node.column, end_column: node.end_column }
}

fn place(node: &mut Node<'_>, at: Span) {
    (node.line, node.column, node.end_column) = (at.line, at.column, at.end_column);
}

fn place_key(entry: &mut Entry<'_>, at: Span) {
    (entry.line, entry.column, entry.end_column) = (at.line, at.column, at.end_column);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::document;

    #[test]
    fn a_patched_object_points_into_its_base() {
        let written = document("kind: X\nspec:\n  replicas: 3\n").unwrap();
        let mut rendered = document("spec:\n  other: {a: 1}\n  replicas: 4\n").unwrap();
        onto_object(&mut rendered, &written);
        assert_eq!(rendered.locate("/spec/replicas").line, 3);
        assert_eq!(rendered.locate("/spec/other/a").line, 3, "the map starts with its first key");
        assert_eq!(rendered.to_json()["spec"]["replicas"], 4);
    }

    #[test]
    fn a_template_is_pointed_into_by_keys_that_it_has_once() {
        let template =
            "kind: X\nmetadata:\n  name: {{ .n }}\nspec:\n  replicas: {{ .r }}\n  a:\n  - name: b\n";
        let mut rendered = document("kind: X\nspec:\n  replicas: 4\n  a:\n  - name: b\n").unwrap();
        let top = Span { line: 1, column: 1, end_column: 1 };
        onto_template(&mut rendered, &keys_of(template), top);
        let line = |pointer: &str| rendered.locate(pointer).line;
        assert_eq!((line("/spec/replicas"), line("/spec/a/0/name")), (5, 6), "`name` stands there twice");
    }
}
