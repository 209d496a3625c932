//! JSON Schemas of what people write, from the types that it is read into.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::document::{ExemptionSpec, PolicySpec};
use super::status::PolicyStatus;

/// `spec` of a `StatefulSetPolicy`.
pub fn policy_schema() -> Value {
    schema::<PolicySpec>()
}

/// `spec` of a `StatefulSetExemption`.
pub fn exemption_schema() -> Value {
    schema::<ExemptionSpec>()
}

/// `status` of either.
pub fn status_schema() -> Value {
    schema::<PolicyStatus>()
}

fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.with_transform(Plain).into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema.to_value()
}

/// Leaves what both an API server and an editor understand: no defaults that say nothing, comments on one line, and values of an
/// enumeration as a list.
#[derive(Clone, Debug)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let says_nothing = |value: &Value| match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if schema.get("default").is_some_and(says_nothing) {
            schema.remove("default");
        }
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        if let Some(names) = schema.get("oneOf").and_then(constants) {
            schema.remove("oneOf");
            schema.insert("type".to_owned(), "string".into());
            schema.insert("enum".to_owned(), names);
        }
        if let Some(nullable) = schema.get("anyOf").and_then(nullable) {
            schema.remove("anyOf");
            for (key, value) in nullable {
                schema.as_object_mut().map(|schema| schema.entry(key).or_insert(value));
            }
        }
    }
}

/// The values of an enumeration some of which have comments.
fn constants(kinds: &Value) -> Option<Value> {
    let values: Vec<Vec<Value>> = kinds
        .as_array()?
        .iter()
        .map(|kind| match (kind.get("const"), kind.get("enum")) {
            (Some(value), _) => Some(vec![value.clone()]),
            (None, Some(Value::Array(values))) => Some(values.clone()),
            _ => None,
        })
        .collect::<Option<_>>()?;
    Some(values.concat().into())
}

/// The schema of an enumeration or nothing.
fn nullable(choices: &Value) -> Option<Map<String, Value>> {
    let [Value::Object(schema), null] = choices.as_array()?.as_slice() else { return None };
    if *null != json!({"type": "null"}) {
        return None;
    }
    let mut schema = schema.clone();
    schema["enum"].as_array_mut()?.push(Value::Null);
    schema["type"] = json!([schema["type"], "null"]);
    Some(schema)
}
