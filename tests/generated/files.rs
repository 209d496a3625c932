//! Files that are made from the code: they must be fresh. `UPDATE=1 cargo test --test generated` makes them anew.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use serde_json::{Value, json};
use stateward::crds;
use stateward::model::{Class, Kind};
use stateward::policy::Policies;
use stateward::policy::Profile;
use stateward::policy::Subject;
use stateward::rules;
use stateward::rules::Rule;
use stateward::verdict::Level;
use stateward::webhook_config;

fn check(file: &str, fresh: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, fresh).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == fresh, "{file} is stale; `UPDATE=1 cargo test --test generated` makes it anew");
}

/// The level of a rule in a profile, with what makes it differ.
fn level(profile: Profile, index: usize) -> String {
    let policies = Policies::new(profile, Vec::new()).unwrap();
    let metadata = stateward::model::Metadata::default();
    let applicable = policies.applicable(Subject { metadata: &metadata, namespace_labels: None });
    let of = |class, likely| applicable.ruling(index, class, likely).level;
    let classes = if rules::ALL[index].classes.is_empty() {
        vec![Class::Replicated, Class::Singleton, Class::Quorum]
    } else {
        rules::ALL[index].classes.to_vec()
    };
    let mut text = of(classes[0], false).to_string();
    for class in &classes[1..] {
        if of(*class, false) != of(classes[0], false) {
            let _ = write!(text, "; {class}: {}", of(*class, false));
        }
    }
    let last = classes[classes.len() - 1];
    if of(last, true) != of(last, false) {
        let _ = write!(text, " ({} where the class is only likely)", of(last, true));
    }
    text
}

fn applies_to(rule: &Rule) -> String {
    let classes: Vec<String> = rule.classes.iter().map(ToString::to_string).collect();
    match (classes.is_empty(), rule.needs_peers) {
        (true, false) => "all".to_owned(),
        (true, true) => "two or more replicas, not singletons".to_owned(),
        (false, false) => classes.join(", "),
        (false, true) => format!("{}; two or more replicas", classes.join(", ")),
    }
}

#[test]
fn rules_md() {
    let mut text = String::from(
        "# The rules\n\n<!-- Made from src/rules by `UPDATE=1 cargo test --test generated`. -->\n\n\
         `stateward explain RULE` shows the same for one rule.\n\n\
         | rule | a violation is | applies to | baseline | strict |\n|---|---|---|---|---|\n",
    );
    for (index, Rule { id, title, .. }) in rules::ALL.iter().enumerate() {
        let (baseline, strict) = (level(Profile::Baseline, index), level(Profile::Strict, index));
        let applies_to = applies_to(&rules::ALL[index]);
        let _ = writeln!(text, "| [{id}](#{id}) | {title} | {applies_to} | {baseline} | {strict} |");
    }
    for rule in rules::ALL {
        let docs = rules::markdown(rule).replace("\n## ", "\n### ");
        let docs = docs.strip_prefix("## ").map_or(docs.clone(), |docs| format!("### {docs}"));
        let _ = write!(text, "\n## {}\n\n{}\n", rule.id, docs.trim_end());
    }
    check("policies/RULES.md", &text);
}

fn yaml(objects: &[Value]) -> String {
    let mut text = "# Made from src/webhook_config by `UPDATE=1 cargo test --test generated`.\n".to_owned();
    for object in objects {
        text += "---\n";
        text += &serde_saphyr::to_string(object).unwrap();
    }
    text
}

fn configurations() -> [Value; 2] {
    [webhook_config::validating(), webhook_config::mutating()]
}

/// Strategic merge patches that change something in every entry.
fn patches(change: &Value) -> [Value; 2] {
    configurations().map(|configuration| {
        let is_validating = configuration["kind"] == "ValidatingWebhookConfiguration";
        let stays_open = |entry: &&Value| {
            let name = entry["name"].as_str().unwrap();
            is_validating && change["failurePolicy"] == "Fail" && webhook_config::ALWAYS_OPEN.contains(&name)
        };
        let entries = configuration["webhooks"].as_array().unwrap().iter().filter(|entry| !stays_open(entry));
        let entries = entries.map(|entry| {
            let mut patch = change.clone();
            patch["name"] = entry["name"].clone();
            patch
        });
        json!({
            "apiVersion": configuration["apiVersion"], "kind": configuration["kind"],
            "metadata": {"name": configuration["metadata"]["name"]},
            "webhooks": entries.collect::<Vec<_>>(),
        })
    })
}

/// The same selector with one more namespace left out.
fn without(namespace: &str) -> Value {
    let mut selector = configurations()[0]["webhooks"][0]["namespaceSelector"].clone();
    selector["matchExpressions"][0]["values"].as_array_mut().unwrap().push(namespace.into());
    json!({"namespaceSelector": selector})
}

#[test]
fn webhooks() {
    for file in ["deploy/base/webhooks.yaml", "deploy/chart/files/webhooks.yaml"] {
        check(file, &yaml(&configurations()));
    }
}

#[test]
fn patches_of_the_webhooks() {
    let folder = "deploy/components";
    for (component, change) in [
        ("fail", json!({"failurePolicy": "Fail"})),
        // With failurePolicy Fail, cert-manager could not start without the certificate that it is to issue.
        ("cert-manager", without("cert-manager")),
    ] {
        let [validating, mut mutating] = patches(&change);
        if component == "cert-manager" {
            let mut entries = mutating["webhooks"].as_array_mut().unwrap().iter_mut();
            let sets = entries.find(|entry| entry["name"] == webhook_config::MUTATED_SETS).unwrap();
            sets["matchConditions"] = webhook_config::always_wanted();
        }
        check(&format!("{folder}/{component}/validating.yaml"), &yaml(&[validating]));
        check(&format!("{folder}/{component}/mutating.yaml"), &yaml(&[mutating]));
    }
}

/// For an API server that reads its webhooks from files: those may name no Service, and nobody else may use such names.
fn from_files(mut configuration: Value) -> Value {
    configuration["metadata"]["name"] = format!("{}.static.k8s.io", webhook_config::NAME).into();
    for entry in configuration["webhooks"].as_array_mut().unwrap() {
        let path = entry["clientConfig"]["service"]["path"].as_str().unwrap().to_owned();
        entry["clientConfig"] = json!({"url": format!("https://STATEWARD{path}"), "caBundle": "CA_BUNDLE"});
    }
    configuration
}

#[test]
fn webhooks_from_files() {
    for (kind, configuration) in ["validating", "mutating"].into_iter().zip(configurations()) {
        // The API server takes a comment before the first `---` for a document, and does not start.
        let text = yaml(&[from_files(configuration)]).replacen("---\n", "", 1);
        check(&format!("deploy/static/{kind}/stateward.yaml"), &text);
    }
}

#[test]
fn custom_resource_definitions() {
    let head = "# Made by `stateward crds`; `UPDATE=1 cargo test --test generated` makes it anew.\n";
    for file in ["deploy/base/crds.yaml", "deploy/chart/crds/crds.yaml"] {
        check(file, &format!("{head}{}", crds::yaml().unwrap()));
    }
}

#[test]
fn schemas_for_editors() {
    for (file, kind) in [("statefulsetpolicy", Kind::Policy), ("statefulsetexemption", Kind::Exemption)] {
        let schema = serde_json::to_string_pretty(&crds::editor_schema(kind)).unwrap();
        check(&format!("policies/schema/{file}.json"), &format!("{schema}\n"));
    }
}

/// What the chart has in common with the kustomization, because a chart cannot reach outside of its folder.
#[test]
fn files_of_the_chart() {
    for (copy, original) in [
        ("rbac", "base/rbac"),
        ("network-policy", "base/network-policy"),
        ("service-per-pod", "components/service-per-pod/rbac"),
        ("label-pods", "components/label-pods/rbac"),
        ("reports", "components/reports/rbac"),
        ("certificate", "../certs/cert-manager/certificate"),
        ("metrics-service", "components/monitoring/service"),
        ("alerts", "components/monitoring/alerts"),
        // Helm does not show a chart its own values.yaml; see the helper `stateward.defaults`.
        ("values", "chart/values"),
    ] {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("deploy/{original}.yaml"));
        check(&format!("deploy/chart/files/{copy}.yaml"), &fs::read_to_string(original).unwrap());
    }
    let dashboard = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/components/dashboard/stateward.json");
    check("deploy/chart/files/dashboard.json", &fs::read_to_string(dashboard).unwrap());
}

/// The alerts without the Prometheus operator around them.
#[test]
fn rules_of_prometheus() {
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/components/monitoring/alerts.yaml");
    let rule: Value = serde_saphyr::from_str(&fs::read_to_string(original).unwrap()).unwrap();
    let text = format!(
        "# Made from deploy/components/monitoring/alerts.yaml by `UPDATE=1 cargo test --test generated`.\n{}",
        serde_saphyr::to_string(&rule["spec"]).unwrap()
    );
    check("deploy/monitoring/alerts.rules.yaml", &text);
}

#[test]
fn no_level_of_a_profile_is_the_milder_one_in_strict() {
    let metadata = stateward::model::Metadata::default();
    let levels = |profile| -> Vec<Level> {
        let policies = Policies::new(profile, Vec::new()).unwrap();
        let applicable = policies.applicable(Subject { metadata: &metadata, namespace_labels: None });
        let classes = [Class::Quorum, Class::Singleton, Class::Replicated];
        let rules = 0..rules::ALL.len();
        rules.flat_map(|rule| classes.map(|class| applicable.ruling(rule, class, false).level)).collect()
    };
    let (baseline, strict) = (levels(Profile::Baseline), levels(Profile::Strict));
    assert!(baseline.iter().zip(&strict).all(|(baseline, strict)| baseline <= strict));
}
