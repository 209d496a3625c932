//! The answers in `tests/cel/answers.txt` are those of a real API server.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::answers::{Answer, asked, rewritten, shown};
use crate::kube_api::Api;
use crate::stage::shared_plane;

/// How many expressions one policy has: their answers are warnings, of which an API server sends some 4000 letters.
const AT_ONCE: usize = 16;

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// A policy that answers each question with a warning, and nobody is kept from anything.
fn policy(name: &str, questions: &BTreeMap<usize, &str>) -> [Value; 2] {
    let validations: Vec<Value> = questions
        .iter()
        .map(|(index, expression)| {
            json!({
                "expression": "false",
                "message": format!("#{index}#error"),
                "messageExpression": format!("'#{index}#' + {}", shown(expression)),
            })
        })
        .collect();
    let rule = json!({
        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["statefulsets"],
        "resourceNames": [name],
    });
    let version = "admissionregistration.k8s.io/v1";
    [
        json!({
            "apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": validations},
        }),
        json!({
            "apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Warn"]},
        }),
    ]
}

/// Leaves out the expressions that the API server refuses, and gives their indexes.
async fn without_refused(api: &Api, name: &str, questions: &mut BTreeMap<usize, &str>) -> Vec<usize> {
    let mut all_refused = Vec::new();
    loop {
        let reply =
            api.post(&format!("{GROUP}/validatingadmissionpolicies"), &policy(name, questions)[0]).await;
        if reply.status == 201 {
            return all_refused;
        }
        let causes = reply.body["details"]["causes"].as_array().unwrap_or_else(|| panic!("{reply:?}"));
        let places =
            causes.iter().filter_map(|cause| cause["field"].as_str()?.strip_prefix("spec.validations["));
        let places = places.map(|place| place.split(']').next().unwrap().parse().unwrap());
        let indexes: Vec<usize> = questions.keys().copied().collect();
        let refused: Vec<usize> = places.map(|place: usize| indexes[place]).collect();
        assert!(!refused.is_empty(), "{reply:?}");
        questions.retain(|index, _| !refused.contains(index));
        all_refused.extend(refused);
        if questions.is_empty() {
            return all_refused;
        }
    }
}

async fn answers(api: &Api, name: &str, mut questions: BTreeMap<usize, &str>) -> BTreeMap<usize, Answer> {
    let refused = without_refused(api, name, &mut questions).await;
    let mut answers: BTreeMap<_, _> = refused.into_iter().map(|index| (index, Answer::Refused)).collect();
    if questions.is_empty() {
        return answers;
    }
    api.create(&policy(name, &questions)[1]).await.allowed();
    let mut object: Value = serde_json::from_str(include_str!("../cel/object.json")).unwrap();
    object["metadata"]["name"] = name.into();
    let path = "/apis/apps/v1/namespaces/default/statefulsets?dryRun=All";
    for _ in 0..600 {
        let reply = api.post(path, &object).await.allowed();
        let told = reply.warnings.iter().filter_map(|warning| warning.split_once('#')?.1.split_once('#'));
        let told = told.map(|(index, answer)| (index.parse().unwrap(), Answer::read(answer)));
        answers.extend(told);
        if questions.keys().all(|index| answers.contains_key(index)) {
            for kind in ["validatingadmissionpolicybindings", "validatingadmissionpolicies"] {
                api.delete(&format!("{GROUP}/{kind}/{name}"), &json!({})).await.allowed();
            }
            return answers;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{name} is never asked about all of {questions:?}: {answers:?}");
}

#[tokio::test]
async fn cel_has_the_answers_of_a_real_api_server() {
    let Some(plane) = shared_plane() else { return };
    let (api, asked) = (plane.api(), asked());
    let mut found = BTreeMap::new();
    for (number, part) in asked.chunks(AT_ONCE).enumerate() {
        let expressions = part.iter().map(|asked| &*asked.expression);
        let questions = (number * AT_ONCE..).zip(expressions).collect();
        found.extend(answers(&api, &format!("cel-{number}"), questions).await);
    }
    let found: Vec<Answer> = found.into_values().collect();
    if std::env::var_os("UPDATE").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cel/answers.txt");
        std::fs::write(file, rewritten(&found)).unwrap();
    }
    let mut wrong = String::new();
    for (asked, found) in asked.iter().zip(&found).filter(|(asked, found)| asked.theirs != **found) {
        let _ = writeln!(wrong, "{}\n  recorded {}, found {found}", asked.expression, asked.theirs);
    }
    assert_eq!(asked.len(), found.len());
    assert!(wrong.is_empty(), "{wrong}");
}

/// The name and the fields of each definition in `objects.types`.
fn known_types() -> BTreeMap<&'static str, BTreeMap<&'static str, &'static str>> {
    let lines = include_str!("../../src/policy/checks/objects.types").lines();
    let written = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let fields = |text: &'static str| text.split(' ').filter_map(|field| field.split_once(':')).collect();
    written.map(|(name, text)| (name, fields(text))).collect()
}

fn last_part(name: &str) -> &str {
    name.rsplit(['.', '/']).next().unwrap()
}

/// The type of a field as `objects.types` has it.
fn written(schema: &Value, all: &serde_json::Map<String, Value>) -> String {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(name) = reference.map(|reference| reference.rsplit('/').next().unwrap()) {
        let is_object = all[name].get("properties").is_some();
        return if is_object { last_part(name).to_owned() } else { written(&all[name], all) };
    }
    match schema["type"].as_str() {
        Some("array") => format!("[{}]", written(&schema["items"], all)),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("{{{}}}", written(&schema["additionalProperties"], all))
        }
        Some("string") => "string".to_owned(),
        Some("integer") => "int".to_owned(),
        Some("number") => "double".to_owned(),
        Some("boolean") => "bool".to_owned(),
        _ => "any".to_owned(),
    }
}

/// A newer version of Kubernetes has more fields: then `objects.types` is to have them, too.
#[tokio::test]
async fn checks_know_the_fields_that_the_api_server_has() {
    let Some(plane) = shared_plane() else { return };
    let api = plane.api();
    let mut all = serde_json::Map::new();
    for group in ["apps/v1", "autoscaling/v1"] {
        let mut document = api.get(&format!("/openapi/v3/apis/{group}")).await.body;
        let schemas = document["components"]["schemas"].as_object_mut().unwrap();
        all.extend(std::mem::take(schemas));
    }
    let by_name: BTreeMap<&str, &Value> =
        all.iter().map(|(name, schema)| (last_part(name), schema)).collect();
    let (mut wrong, mut compared) = (String::new(), 0);
    for (name, fields) in known_types() {
        let properties = by_name.get(name).and_then(|schema| schema["properties"].as_object());
        for (field, schema) in properties.into_iter().flatten() {
            let theirs = written(schema, &all);
            compared += 1;
            if fields.get(&**field) != Some(&&*theirs) {
                let _ = writeln!(wrong, "{name} {field}:{theirs}");
            }
        }
    }
    assert!(wrong.is_empty() && compared > 500, "{compared}: {wrong}");
}
