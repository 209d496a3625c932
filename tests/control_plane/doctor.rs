//! `stateward doctor`, on a real control plane whose API server calls a real guard.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::control_plane;
use crate::kube_api::installation;
use crate::stage::Stage;

fn doctor(kubeconfig: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    let output = command.arg("doctor").arg("--kubeconfig").arg(kubeconfig).args(arguments).output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_right_and_what_is_missing_is_found() {
    let Some(stage) = Stage::set("doctor", "baseline").await else { return };
    let plane = control_plane::shared().unwrap();
    let namespace = stage.namespace("probe").await;
    let account = installation().into_iter().filter(|object| object["kind"] == "ServiceAccount");
    for object in account {
        stage.api.apply(&object).await.allowed();
    }
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "stateward-tls", "namespace": "stateward"},
        "stringData": {"tls.key": "very secret", "tls.crt": "no certificate"},
    });
    stage.api.apply(&secret).await.allowed();
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, bundle) = (folder.path().join("kubeconfig"), folder.path().join("bundle.json"));
    fs::write(&kubeconfig, plane.kubeconfig("admin-token")).unwrap();
    let of_it = ["--name=doctor", "--probe-namespace", &namespace];
    let with_bundle = [&of_it[..], &["--format=json", "--bundle", bundle.to_str().unwrap()]].concat();
    let (code, text) = doctor(&kubeconfig, &with_bundle);
    assert_eq!(code, Some(1), "{text}");
    let result: Value = serde_json::from_str(&text).unwrap();
    let statuses = |about: &str| -> Vec<String> {
        let checks = result["checks"].as_array().unwrap().iter().filter(|check| check["check"] == about);
        checks.map(|check| check["status"].as_str().unwrap().to_owned()).collect()
    };
    for (about, status) in [
        ("version", "ok"),
        ("deployment", "problem"),
        ("endpoints", "problem"),
        ("certificate", "problem"),
        ("rights", "ok"),
        ("policies", "ok"),
        ("reached", "ok"),
        ("latency", "ok"),
    ] {
        assert_eq!(statuses(about), [status], "{about}: {text}");
    }
    assert_eq!(statuses("webhooks"), ["ok", "ok"], "{text}");
    assert_eq!(statuses("registered"), ["ok", "ok"], "{text}");
    let bundle = fs::read_to_string(bundle).unwrap();
    let encoded = "dmVyeSBzZWNyZXQ";
    assert!(!bundle.contains("very secret") && !bundle.contains(encoded) && !bundle.contains("admin-token"));
    assert!(bundle.contains("watch statefulsets.apps"), "{bundle}");

    let (_, shown) = doctor(&kubeconfig, &of_it);
    println!("{shown}");
    assert!(shown.contains("ok       reached ") && shown.contains("do: install it"), "{shown}");
    // Nobody is guarded in a namespace that the webhooks leave out.
    let (code, shown) = doctor(&kubeconfig, &["--name=doctor", "--probe-namespace=default"]);
    assert!(code == Some(1) && shown.contains("problem  reached "), "{shown}");
    stage.end().await;
}
