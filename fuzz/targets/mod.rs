//! What every input must leave true, one function a target. The same functions run under cargo-fuzz (`fuzz/bin`) and, for a
//! bounded number of mutated seeds, under `cargo test --test fuzz`.

use std::sync::LazyLock;

use jiff::Timestamp;
use json_patch::Patch;
use serde_json::Value;
use stateward::admission;
use stateward::audit::{AuditConfig, audit};
use stateward::certs::inspect::CertificateInventory;
use stateward::cluster::Cluster;
use stateward::cluster::inventory::Inventory;
use stateward::manifest::{self, Source, SourceOrigin};
use stateward::metacontroller::Hook;
use stateward::policy::{Policies, Policy, Profile};
use stateward::report::formats::ReportFormat;

/// A target: its name, and what it does with an input. It panics where something is not as it must be.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 5] = [
    ("review", review),
    ("manifests", manifests),
    ("policies", policies),
    ("certificates", certificates),
    ("hooks", hooks),
];

/// The API server cuts a warning there.
const LONGEST_WARNING: usize = 256;
/// All warnings of an answer together.
const ALL_WARNINGS: usize = 4096;

static STRICT: LazyLock<Policies> = LazyLock::new(|| {
    let mutate = r#"{"apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": "fuzz"},
        "spec": {"mutate": {"servicePerPod": {"ports": "80:8080"}, "podNameLabel": "pod-name"}}}"#;
    let policy = Policy::from_json(&serde_json::from_str(mutate).unwrap()).unwrap();
    Policies::new(Profile::Strict, vec![policy]).unwrap()
});

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let mut inventory = Inventory::new(Some("demo"));
    for example in ["consul/consul.yaml", "zookeeper/zookeeper.yaml", "macroservice/nginx.yaml"] {
        let up = if env!("CARGO_PKG_NAME") == "stateward-fuzz" { ".." } else { "." };
        let path = format!("{}/{up}/deploy/examples/{example}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        inventory.add(&Source::new(example, &text, SourceOrigin::Named));
    }
    inventory.cluster()
});

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// One AdmissionReview, as both webhooks answer it.
pub fn review(input: &[u8]) {
    let uid = serde_json::from_slice::<Value>(input)
        .ok()
        .and_then(|review| review.pointer("/request/uid").and_then(Value::as_str).map(str::to_owned));
    if let Ok(reviewed) = admission::review(input, &CLUSTER, &STRICT, now()) {
        let response = response(&reviewed.body);
        if let Some(uid) = &uid {
            assert_eq!(response["uid"].as_str(), Some(&**uid), "the uid is echoed");
        }
        assert_eq!(response["allowed"].as_bool(), Some(!reviewed.verdict.is_denied()));
        warnings_fit(&response);
    }
    if let Ok(mutated) = admission::mutate_review(input, &CLUSTER, &STRICT) {
        let response = response(&mutated.body);
        assert_eq!(response["allowed"].as_bool(), Some(true), "a mutation never denies");
        warnings_fit(&response);
        patch_applies(input, &response);
    }
}

fn response(body: &[u8]) -> Value {
    let mut answer: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(answer["kind"], "AdmissionReview");
    answer["response"].take()
}

fn warnings_fit(response: &Value) {
    let warnings = response["warnings"].as_array().cloned().unwrap_or_default();
    let texts: Vec<&str> = warnings.iter().map(|warning| warning.as_str().unwrap()).collect();
    assert!(texts.iter().all(|text| text.chars().count() <= LONGEST_WARNING), "{texts:?}");
    assert!(texts.iter().map(|text| text.len()).sum::<usize>() <= ALL_WARNINGS);
    assert!(
        texts.iter().all(|text| !text.contains(char::is_control)),
        "the API server drops such: {texts:?}"
    );
}

fn patch_applies(input: &[u8], response: &Value) {
    use base64::Engine as _;
    let Some(patch) = response["patch"].as_str() else { return };
    let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
    let patch: Patch = serde_json::from_slice(&patch).unwrap();
    let Ok(mut review) = serde_json::from_slice::<Value>(input) else { return };
    let mut object = review["request"]["object"].take();
    json_patch::patch(&mut object, &patch).unwrap();
}

/// Manifests from a file to the reports.
pub fn manifests(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut inventory = Inventory::new(None);
    inventory.add(&Source::new("fuzz.yaml", text, SourceOrigin::Found));
    let report = audit(&inventory, &STRICT, AuditConfig::default(), now());
    let mut json = Vec::new();
    ReportFormat::Json.write(&report, &mut json).unwrap();
    serde_json::from_slice::<Value>(&json).unwrap();
    let mut human = Vec::new();
    ReportFormat::Human.write(&report, &mut human).unwrap();
}

/// One policy document.
pub fn policies(input: &[u8]) {
    let Some(document) = std::str::from_utf8(input).ok().and_then(|text| manifest::document(text).ok())
    else {
        return;
    };
    match Policy::from_json(&document.to_json()) {
        Ok(policy) => drop(Policies::new(Profile::Baseline, vec![policy]).unwrap()),
        Err(error) => assert!(!error.message.is_empty(), "an error says what is wrong"),
    }
}

/// A file of certificates and keys.
pub fn certificates(input: &[u8]) {
    let mut inventory = CertificateInventory::default();
    if inventory.add("fuzz.pem", input).is_ok() {
        drop(inventory.inspect(now()));
    }
}

/// A request of Metacontroller's; the first byte chooses the hook.
pub fn hooks(input: &[u8]) {
    let Some((first, body)) = input.split_first() else { return };
    let hook = Hook::ALL[usize::from(*first) % Hook::ALL.len()];
    if let Ok(answer) = hook.answer(body, &CLUSTER, &STRICT) {
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer.is_object());
    }
}
