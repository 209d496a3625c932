//! Reviews as a real API server sent them, with `deploy/examples` as what else exists.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;
use stateward::admission::review;
use stateward::cli::sources;
use stateward::cluster::Cluster;
use stateward::cluster::inventory::Inventory;
use stateward::policy::Policies;
use stateward::policy::Profile;
use stateward::verdict::Level;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn captures() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/captures")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".validate.json"));
    files.sort();
    assert!(files.len() > 40);
    files
}

fn examples() -> Cluster {
    let mut inventory = Inventory::new(None);
    for source in sources::open(&[root().join("deploy/examples")]) {
        inventory.add(&source.unwrap());
    }
    inventory.cluster()
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn answer(body: &[u8], cluster: &Cluster, profile: Profile) -> Value {
    let policies = Policies::new(profile, Vec::new()).unwrap();
    serde_json::from_slice(&review(body, cluster, &policies, now()).unwrap().body).unwrap()
}

/// One line a capture and profile: the decision and what was found.
#[test]
fn every_capture_is_answered_as_it_should_be() {
    let cluster = examples();
    let mut lines = String::new();
    for file in captures() {
        let body = fs::read(&file).unwrap();
        let request: Value = serde_json::from_slice(&body).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().replace(".validate.json", "");
        for (profile, short) in [(Profile::Baseline, "baseline"), (Profile::Strict, "strict")] {
            let answer = answer(&body, &cluster, profile);
            assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
            assert_eq!(answer["kind"], "AdmissionReview");
            let response = &answer["response"];
            assert_eq!(response["uid"], request["request"]["uid"], "{name}");
            let decision = if response["allowed"] == true { "allowed" } else { "DENIED" };
            let found = response["auditAnnotations"]["findings"].as_str().unwrap_or("-");
            lines += &format!("{name} {short} {decision} {found}\n");
        }
    }
    insta::assert_snapshot!(lines);
}

/// With nothing known of other objects, only what a request says of itself can be wrong.
#[test]
fn nothing_that_rests_on_unknown_neighbours_is_denied() {
    let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
    for file in captures() {
        let body = fs::read(&file).unwrap();
        let verdict = review(&body, &Cluster::default(), &policies, now()).unwrap().verdict;
        for finding in verdict.at(Level::Deny) {
            let rule = stateward::rules::find(&finding.rule).unwrap();
            assert!(rule.reads.is_empty(), "{}: {}", file.display(), rule.id);
        }
    }
}

#[test]
fn a_denial_says_what_where_and_what_to_do() {
    let body = fs::read(root().join("tests/captures/consul-scale-5-to-4.validate.json")).unwrap();
    let answer = answer(&body, &examples(), Profile::Baseline);
    insta::assert_json_snapshot!(answer);
}

/// What the API server could send and no capture has: the order of the fields is not fixed.
#[test]
fn the_order_of_fields_does_not_matter() {
    for file in captures() {
        let body = fs::read(&file).unwrap();
        let sorted: Value = serde_json::from_slice(&body).unwrap();
        let cluster = examples();
        let as_sent = answer(&body, &cluster, Profile::Strict);
        let orders: [&[&str]; 2] = [&[], &["resource", "oldObject", "object", "operation", "subResource"]];
        for text in orders.map(|order| ordered(&sorted, order)) {
            assert_eq!(as_sent, answer(text.as_bytes(), &cluster, Profile::Strict), "{}", file.display());
        }
    }
}

/// A review whose request has these fields last, in this order.
fn ordered(review: &Value, last: &[&str]) -> String {
    let request = review["request"].as_object().unwrap();
    let first = request.keys().filter(|key| !last.contains(&key.as_str()));
    let keys = first.map(String::as_str).chain(last.iter().copied().filter(|key| request.contains_key(*key)));
    let fields: Vec<String> = keys.map(|key| format!("\"{key}\":{}", request[key])).collect();
    let mut review = review.clone();
    review["request"] = "REQUEST".into();
    review.to_string().replace("\"REQUEST\"", &format!("{{{}}}", fields.join(",")))
}

/// What a review says of an object that the API server refuses does not depend on it either.
#[test]
fn a_late_sub_resource_hides_no_mistake() {
    let review = |objects: &str| {
        format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","operation":"UPDATE",
            "resource":{{"group":"apps","version":"v1","resource":"statefulsets"}},{objects},"subResource":"scale"}}}}"#
        )
    };
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    let judged =
        |body: &str| stateward::admission::review(body.as_bytes(), &Cluster::default(), &policies, now());
    let good =
        judged(&review(r#""oldObject":{"spec":{"replicas":3}},"object":{"spec":{"replicas":5}}"#)).unwrap();
    assert_eq!((good.request.resource.name(), good.request.unread), ("statefulsets/scale", None));
    let bad =
        judged(&review(r#""oldObject":{"spec":{"replicas":3}},"object":{"spec":{"replicas":"x"}}"#)).unwrap();
    assert!(bad.request.unread.unwrap().contains("object.spec.replicas: invalid type"));
    let twice = review(r#""oldObject":{},"object":{},"subResource":"""#);
    assert!(judged(&twice).unwrap_err().to_string().contains("SubResource is there twice"));
}

#[test]
fn what_an_object_says_does_not_decide_whether_it_is_refused() {
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    let object = r#""object":{"spec":{"replicas":"a list of more than 5 items"}}"#;
    let resource = r#""resource":{"group":"apps","resource":"statefulsets"}"#;
    for fields in [[resource, object], [object, resource]] {
        let review = format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",
            "request":{{"uid":"u","operation":"CREATE",{}}}}}"#,
            fields.join(",")
        );
        let judged =
            stateward::admission::review(review.as_bytes(), &Cluster::default(), &policies, now()).unwrap();
        assert!(judged.request.unread.unwrap().contains("object.spec.replicas: invalid type"));
    }
}

#[test]
fn bad_bodies_are_refused_with_a_reason() {
    let request = |fields: &str| {
        format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","operation":"CREATE",
            "resource":{{"group":"apps","version":"v1","resource":"statefulsets"}}{fields}}}}}"#
        )
    };
    let deep = format!(r#","object":{{"x":{}{}}}"#, "[".repeat(600), "]".repeat(600));
    for (body, reason) in [
        (String::new(), "not a JSON object; send an AdmissionReview"),
        ("no".into(), "not a JSON object"),
        (" []".into(), "not a JSON object"),
        (r#"["admission.k8s.io/v1","AdmissionReview",null]"#.into(), "not a JSON object"),
        ("null".into(), "not a JSON object"),
        ("{]".into(), "key must be a string"),
        ("{}".into(), "send apiVersion admission.k8s.io/v1"),
        (r#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}"#.into(), "v1beta1"),
        (r#"{"apiVersion":"v1","kind":"Pod"}"#.into(), "\"Pod\""),
        (r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#.into(), "has no request"),
        (request(r#","object":{}"#).replace(r#""uid":"u""#, r#""uid":"""#), "request.uid"),
        (request(r#","object":{}"#).replace(r#""uid":"u","#, ""), "request.uid"),
        (request(""), "needs request.object"),
        (request(r#","object":null"#), "needs request.object"),
        (request(r#","object":[]"#), "request.object"),
        (request(r#","object":{},"userInfo":["admin"]"#), "request.userInfo: invalid type: sequence"),
        (request(r#","object":{}"#).replace("CREATE", "PATCH"), "unknown variant `PATCH`"),
        (request(r#","object":{}"#).replace("CREATE", "UPDATE"), "needs request.oldObject"),
        (request(&deep), "nested more than 512"),
    ] {
        let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
        let error =
            review(body.as_bytes(), &Cluster::default(), &policies, Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().contains(reason), "{body}: {error}");
    }
}
