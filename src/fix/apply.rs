//! Edits on values.

use std::cmp::Reverse;

use serde_json::{Map, Value};

use crate::model::pointer_keys;
use crate::verdict::EditOperation;

/// One step of a path: numbers compare as numbers, so that items of a list sort as they stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathStep {
    Item(usize),
    Key(String),
}

/// A change to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueEdit {
    pub path: Vec<PathStep>,
    pub operation: EditOperation,
    pub value: Value,
}

/// The steps of a JSON pointer.
pub fn steps(json_pointer: &str) -> Vec<PathStep> {
    let steps = pointer_keys(json_pointer).map(|key| match key.parse() {
        Ok(index) => PathStep::Item(index),
        Err(_) => PathStep::Key(key.into_owned()),
    });
    steps.collect()
}

/// Applies edits that do not touch each other. Items are removed last and from the end, so that every index means what it meant.
pub fn apply<'a>(root: &mut Value, edits: impl IntoIterator<Item = &'a ValueEdit>) -> Result<(), String> {
    let (sets, mut removals): (Vec<&ValueEdit>, Vec<&ValueEdit>) =
        edits.into_iter().partition(|edit| edit.operation == EditOperation::Set);
    removals.sort_by_key(|edit| Reverse(&edit.path));
    for edit in sets {
        set(root, &edit.path, &edit.value)?;
    }
    for edit in removals {
        remove(root, &edit.path)?;
    }
    Ok(())
}

/// Sets the value at a path. Maps and lists that are missing are created; `-` appends to a list.
fn set(at: &mut Value, path: &[PathStep], value: &Value) -> Result<(), String> {
    let Some((step, rest)) = path.split_first() else {
        *at = value.clone();
        return Ok(());
    };
    if at.is_null() {
        *at = if is_end(step) { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
    }
    match (at, step) {
        (Value::Object(map), step) => set(map.entry(key_of(step)).or_insert(Value::Null), rest, value),
        (Value::Array(items), step) if is_end(step) => {
            let mut item = Value::Null;
            set(&mut item, rest, value)?;
            items.push(item);
            Ok(())
        }
        (Value::Array(items), PathStep::Item(index)) => {
            let item = items.get_mut(*index).ok_or_else(|| format!("there is no item {index}"))?;
            set(item, rest, value)
        }
        (_, step) => Err(format!("{} cannot be set in what is written there", key_of(step))),
    }
}

/// Removes what is at a path. What is not there need not be removed.
fn remove(at: &mut Value, path: &[PathStep]) -> Result<(), String> {
    let Some((step, rest)) = path.split_first() else {
        return Err("a whole object is not removed from a file".to_owned());
    };
    match (at, step) {
        (Value::Object(map), step) if rest.is_empty() => drop(map.remove(&key_of(step))),
        (Value::Array(items), PathStep::Item(index)) if rest.is_empty() && *index < items.len() => {
            drop(items.remove(*index));
        }
        (Value::Object(map), step) => {
            if let Some(inner) = map.get_mut(&key_of(step)) {
                return remove(inner, rest);
            }
        }
        (Value::Array(items), PathStep::Item(index)) => {
            if let Some(inner) = items.get_mut(*index) {
                return remove(inner, rest);
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_end(step: &PathStep) -> bool {
    matches!(step, PathStep::Key(key) if key == "-")
}

/// A step as a key. A map may have keys that look like numbers.
fn key_of(step: &PathStep) -> String {
    match step {
        PathStep::Item(index) => index.to_string(),
        PathStep::Key(key) => key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edited(mut root: Value, edits: &[(&str, Value)]) -> Result<Value, String> {
        let edit = |(path, value): &(&str, Value)| ValueEdit {
            path: steps(path),
            operation: if value.is_null() { EditOperation::Remove } else { EditOperation::Set },
            value: value.clone(),
        };
        let edits: Vec<ValueEdit> = edits.iter().map(edit).collect();
        apply(&mut root, &edits).map(|()| root)
    }

    #[test]
    fn sets_creates_appends_and_removes() {
        for (root, path, value, expected) in [
            (json!({"a": 1}), "/a", json!(2), json!({"a": 2})),
            (json!({}), "/a/b", json!(2), json!({"a": {"b": 2}})),
            (json!({"a": null}), "/a/-/b", json!(2), json!({"a": [{"b": 2}]})),
            (json!({"a": [1]}), "/a/-", json!(2), json!({"a": [1, 2]})),
            (json!({"a": [{"b": 1}]}), "/a/0/b", json!(2), json!({"a": [{"b": 2}]})),
            (json!({"a": {}}), "/a/x~1y~0z", json!(2), json!({"a": {"x/y~z": 2}})),
            (json!({"a": {"7": 1}}), "/a/7", json!(2), json!({"a": {"7": 2}})),
            (json!({"a": 1, "b": 1}), "/a", json!(null), json!({"b": 1})),
            (json!({"a": [1, 2]}), "/a/0", json!(null), json!({"a": [2]})),
            (json!({"a": 1}), "/b/c", json!(null), json!({"a": 1})),
        ] {
            assert_eq!(edited(root, &[(path, value)]), Ok(expected), "{path}");
        }
    }

    #[test]
    fn an_index_means_what_it_meant() {
        let root = || json!({"a": (0..12).map(|n| json!({"n": n})).collect::<Vec<_>>()});
        let both = edited(root(), &[("/a/2", json!(null)), ("/a/10", json!(null)), ("/a/11/n", json!("x"))]);
        let numbers: Vec<Value> =
            both.unwrap()["a"].as_array().unwrap().iter().map(|i| i["n"].clone()).collect();
        assert_eq!(json!(numbers), json!([0, 1, 3, 4, 5, 6, 7, 8, 9, "x"]));
    }

    #[test]
    fn what_is_not_a_map_is_not_replaced_by_one() {
        assert!(edited(json!({"a": 1}), &[("/a/b", json!(2))]).is_err());
        assert!(edited(json!({"a": [1]}), &[("/a/3", json!(2))]).is_err());
    }
}
