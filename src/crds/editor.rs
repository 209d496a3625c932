//! JSON Schemas that editors complete and check by: `# yaml-language-server: $schema=…`.

use serde_json::{Value, json};

use crate::model::{Kind, KindFacts};
use crate::policy::{exemption_schema, policy_schema};
use crate::rules::{self, ParamKind, Rule};

/// The schema of whole documents of [`Kind::Policy`] or [`Kind::Exemption`], with the names of the rules and their parameters.
pub fn editor_schema(kind: Kind) -> Value {
    let KindFacts { api_version, name, .. } = kind.facts();
    let is_policy = kind == Kind::Policy;
    let mut spec = if is_policy { policy_schema() } else { exemption_schema() };
    if is_policy {
        name_rules(&mut spec["properties"]["rules"]["items"]);
        spec["properties"]["exemptions"]["items"]["properties"]["rules"]["items"] = rule_or_all();
    } else {
        spec["properties"]["rules"]["items"] = rule_or_all();
    }
    let required = if is_policy { json!(["name"]) } else { json!(["name", "namespace"]) };
    let all = if is_policy {
        ["apiVersion", "kind", "metadata"].to_vec()
    } else {
        ["apiVersion", "kind", "metadata", "spec"].to_vec()
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "type": "object",
        "properties": {
            "apiVersion": {"const": api_version},
            "kind": {"const": name},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}},
                "required": required,
            },
            "spec": spec,
            "status": {},
        },
        "required": all,
        "additionalProperties": false,
    })
}

/// Gives an entry of `spec.rules` the rules that there are, and each of them its parameters.
fn name_rules(entry: &mut Value) {
    entry["properties"]["rule"]["enum"] = rules::ALL.iter().map(|rule| rule.id).collect();
    entry["allOf"] = rules::ALL.iter().map(params).collect();
}

fn params(rule: &Rule) -> Value {
    let properties: Value = rule
        .params
        .iter()
        .map(|param| {
            let kind = match param.kind {
                ParamKind::Integer { default } => json!({"type": "integer", "default": default}),
                ParamKind::Texts => json!({"type": "array", "items": {"type": "string"}}),
                ParamKind::Switch => json!({"type": "boolean"}),
            };
            let mut property = kind;
            property["description"] = param.docs.into();
            (param.name.to_owned(), property)
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "if": {"properties": {"rule": {"const": rule.id}}},
        "then": {"properties": {"params": {"properties": properties, "additionalProperties": false}}},
    })
}

fn rule_or_all() -> Value {
    let names: Vec<&str> = ["*"].into_iter().chain(rules::ALL.iter().map(|rule| rule.id)).collect();
    json!({"type": "string", "enum": names})
}
