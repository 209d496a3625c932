//! `stateward audit --cluster`, as a user runs it, against an API server.

use crate::support;
use std::process::{Command, Output};

use serde_json::{Value, json};
use stateward::model::Kind;
use support::api_server::{ApiServer, Fault};
use support::etcd;

const SETS: &str = "statefulsets";

async fn audit(api: &ApiServer, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    // Of a list the files that are not there do not matter.
    let list = [folder.path().join("absent"), api.kubeconfig(folder.path())];
    let list = std::env::join_paths(list).unwrap();
    command.args(["audit", "--cluster"]).args(arguments).env("KUBECONFIG", list);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

async fn json(api: &ApiServer, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = audit(api, &[&["--format", "json"], arguments].concat()).await;
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

fn rules_of(report: &Value, name: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let of = findings.filter(|finding| finding["object"]["name"] == name);
    of.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn every_set_is_judged_however_many_pages_there_are() {
    let api = ApiServer::start().await;
    api.put_object("namespaces", "", "prod", json!({}));
    for number in 0..1100 {
        api.put(SETS, "prod", &format!("etcd-{number}"), etcd::spec(3));
    }
    api.put(SETS, "zoo", "even", etcd::spec(4));
    let (code, report) = json(&api, &[]).await;
    assert_eq!(code, Some(1));
    assert_eq!(report["summary"]["statefulSets"], 1101);
    assert_eq!(report["summary"]["objects"], 1102);
    assert_eq!(report["notes"], json!([]));
    assert!(rules_of(&report, "even").contains(&"quorum-even".to_owned()), "{:?}", rules_of(&report, "even"));
    assert_eq!(api.requests("/apis/apps/v1/statefulsets?limit=500"), 3);
    let findings = report["findings"].as_array().unwrap();
    for name in ["file", "line", "column"] {
        assert!(findings.iter().all(|finding| finding.get(name) == Some(&Value::Null)), "{name}");
    }
    let (code, _) = json(&api, &["--fail-on", "never", "--all-namespaces", "--context", "here"]).await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn people_are_shown_the_object_and_the_field() {
    let api = ApiServer::start().await;
    let owner = json!([{"apiVersion": "x/v1", "kind": "EtcdCluster", "name": "main", "controller": true}]);
    let set = json!({"metadata": {"ownerReferences": owner}, "spec": etcd::spec(4)});
    api.put_object(SETS, "prod", "etcd", set);
    let output = audit(&api, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "");
    insta::assert_snapshot!(text(&output.stdout));
}

#[tokio::test]
async fn one_namespace_needs_no_right_to_any_other() {
    let api = ApiServer::start().await;
    api.put(SETS, "prod", "etcd", etcd::spec(4));
    api.put(SETS, "other", "more", etcd::spec(4));
    let (code, report) = json(&api, &["--namespace", "prod"]).await;
    assert_eq!((code, &report["summary"]["statefulSets"]), (Some(1), &json!(1)));
    assert!(rules_of(&report, "etcd").contains(&"service-not-found".to_owned()), "{report}");
    assert_eq!(api.requests("/apis/apps/v1/namespaces/prod/statefulsets?limit=500"), 1);
    assert_eq!(api.requests("/api/v1/namespaces/prod"), 3, "the namespace, its Services and its claims");
    let lists = Kind::listed().count() - 1;
    assert_eq!(
        api.requests("?limit=500"),
        lists,
        "one list of each kind but Namespace, and nothing anywhere else"
    );
    let wrong = audit(&api, &["--namespace", "../x"]).await;
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
}

#[tokio::test]
async fn a_kind_that_may_not_be_listed_is_unknown_and_said_to_be() {
    let api = ApiServer::start().await;
    api.put(SETS, "prod", "etcd", etcd::spec(3));
    api.fail("services", Fault::Status(403));
    api.fail("namespaces", Fault::Status(403));
    assert_eq!(
        audit(&api, &["--fail-on", "deny"]).await.status.code(),
        Some(2),
        "what is partial is not green"
    );
    let output = audit(&api, &["--format", "json", "--fail-on", "deny", "--allow-partial"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!rules_of(&report, "etcd").contains(&"service-not-found".to_owned()), "{report}");
    let message =
        "Service unknown, so what rests on it is not judged (cannot list: 403: as the test wants it)";
    assert_eq!(
        report["notes"][0],
        json!({
            "kind": "unknown", "file": null, "line": null, "column": null, "message": message,
        })
    );
    assert!(text(&output.stderr).contains(&format!("stateward: {message}\n")), "{}", text(&output.stderr));
    assert!(text(&audit(&api, &[]).await.stdout).contains(message));

    api.fail(SETS, Fault::Status(403));
    let output = audit(&api, &["--format", "json"]).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let complaint = text(&output.stderr);
    assert!(
        complaint.contains("cannot list the StatefulSets at http://127.0.0.1:")
            && complaint.contains(": 403"),
        "{complaint}"
    );
}

#[tokio::test]
async fn a_set_that_cannot_be_read_is_not_passed_over() {
    let api = ApiServer::start().await;
    api.put(SETS, "prod", "etcd", etcd::spec(3));
    api.put(SETS, "prod", "odd", json!({"replicas": "three"}));
    let (code, report) = json(&api, &[]).await;
    assert_eq!((code, &report["notes"][0]["kind"]), (Some(2), &json!("unreadable")));
    assert!(!rules_of(&report, "etcd").is_empty());
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let api = ApiServer::start().await;
    api.put(SETS, "prod", "etcd", etcd::spec(4));
    api.fail(SETS, Fault::Status(503));
    let healed = async {
        support::until("a question", async || api.requests("/statefulsets?limit") > 0).await;
        api.heal(SETS);
    };
    let (output, ()) = tokio::join!(audit(&api, &[]), healed);
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_cluster_and_files_are_two_things() {
    let api = ApiServer::start().await;
    assert_eq!(audit(&api, &["deploy"]).await.status.code(), Some(2));
    assert_eq!(audit(&api, &["--namespace", "a", "--all-namespaces"]).await.status.code(), Some(2));
    assert_eq!(audit(&api, &["--context", "none"]).await.status.code(), Some(2));
}
