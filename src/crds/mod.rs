//! The CustomResourceDefinitions, and JSON Schemas for editors: made from the types that policies are read into.
//!
//! The API server accepts more than the parser in one respect only: names of rules and their parameters are checked by the
//! parser alone, so that definitions which are older or newer than the program refuse no policy that it knows. A schema for editors
//! has them.

mod editor;
mod structural;

use serde_json::{Value, json};

use crate::model::{Kind, KindFacts};
use crate::policy::{exemption_schema, policy_schema, status_schema};
use structural::structural;

pub use editor::editor_schema;

/// The names and columns of one of the kinds.
struct CrdTexts {
    kind: Kind,
    description: &'static str,
    singular: &'static str,
    short_names: &'static [&'static str],
    spec: Value,
    is_spec_required: bool,
    columns: Value,
}

/// The definitions of both kinds.
pub fn definitions() -> [Value; 2] {
    [policies(), exemptions()].map(|shown| definition(&shown))
}

/// The definitions as YAML.
pub fn yaml() -> Result<String, serde_saphyr::ser::Error> {
    let mut text = String::new();
    for definition in definitions() {
        text += "---\n";
        text += &serde_saphyr::to_string(&definition)?;
    }
    Ok(text)
}

fn policies() -> CrdTexts {
    CrdTexts {
        kind: Kind::Policy,
        description: "Which rules apply to which StatefulSets, at which level, and who is exempt.",
        singular: "statefulsetpolicy",
        short_names: &["stspol"],
        spec: policy_schema(),
        is_spec_required: false,
        columns: json!([
            column(
                "Priority",
                "integer",
                ".spec.priority",
                "Of two policies the one with the higher priority decides"
            ),
            ready(),
            sets(),
            effective(),
            age(),
        ]),
    }
}

fn exemptions() -> CrdTexts {
    let reason = "Why the StatefulSets are exempt";
    CrdTexts {
        kind: Kind::Exemption,
        description: "StatefulSets of the namespace that rules pass over, until a time. It counts where a policy's exemptionNamespaces selects the namespace.",
        singular: "statefulsetexemption",
        short_names: &["stsex"],
        spec: exemption_schema(),
        is_spec_required: true,
        columns: json!([
            column("Rules", "string", ".spec.rules", "The rules that pass over the StatefulSets"),
            column("Until", "string", ".spec.expiresAt", "When the exemption ends"),
            ready(),
            sets(),
            effective(),
            json!({"name": "Reason", "type": "string", "jsonPath": ".spec.reason", "description": reason, "priority": 1}),
            age(),
        ]),
    }
}

fn column(name: &str, kind: &str, path: &str, description: &str) -> Value {
    json!({"name": name, "type": kind, "jsonPath": path, "description": description})
}

fn ready() -> Value {
    let path = ".status.conditions[?(@.type=='Ready')].reason";
    column("Ready", "string", path, "Whether it is in force")
}

fn effective() -> Value {
    let path = ".status.conditions[?(@.type=='Effective')].status";
    json!({
        "name": "Effective", "type": "string", "jsonPath": path, "priority": 1,
        "description": "Whether all parts of it have an effect",
    })
}

fn sets() -> Value {
    column("Sets", "integer", ".status.matchedSets", "How many StatefulSets it matches")
}

fn age() -> Value {
    json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
}

fn definition(shown: &CrdTexts) -> Value {
    let KindFacts { group, version, name, plural, is_namespaced, .. } = shown.kind.facts();
    let mut schema = json!({
        "type": "object",
        "description": shown.description,
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(&shown.spec),
            "status": structural(&status_schema()),
        },
    });
    if shown.is_spec_required {
        schema["required"] = json!(["spec"]);
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "labels": {"app.kubernetes.io/name": "stateward", "app.kubernetes.io/part-of": "stateward"},
        },
        "spec": {
            "group": group,
            "names": {
                "kind": name, "listKind": format!("{name}List"), "plural": plural, "singular": shown.singular,
                "shortNames": shown.short_names, "categories": ["stateward"],
            },
            "scope": if is_namespaced { "Namespaced" } else { "Cluster" },
            "versions": [{
                "name": version, "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}},
                "additionalPrinterColumns": shown.columns,
            }],
        },
    })
}
