//! From a JSON Schema to the structural schemas of Kubernetes.

use serde_json::{Map, Value};

/// Removes from a schema the parts that the API server does not take: `additionalProperties: false`, since it drops or refuses unknown fields
/// anyway, and null among types and values, for which it has `nullable`.
pub(super) fn structural(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => Value::Object(of_map(map)),
        Value::Array(items) => items.iter().map(structural).collect(),
        other => other.clone(),
    }
}

fn of_map(map: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in map {
        match (&**key, value) {
            ("additionalProperties", Value::Bool(_)) => {}
            // These hold values, or names of fields, not schemas.
            ("default" | "required" | "x-kubernetes-validations", value) => {
                kept.insert(key.clone(), value.clone());
            }
            ("type" | "enum", Value::Array(items)) if items.iter().any(is_null) => {
                kept.insert("nullable".to_owned(), true.into());
                let mut items: Vec<Value> = items.iter().filter(|item| !is_null(item)).cloned().collect();
                let value = if key == "type" && items.len() == 1 { items.remove(0) } else { items.into() };
                kept.insert(key.clone(), value);
            }
            (_, value) => {
                kept.insert(key.clone(), structural(value));
            }
        }
    }
    kept
}

/// Null, or the name of its type.
fn is_null(value: &Value) -> bool {
    value.is_null() || value == "null"
}
