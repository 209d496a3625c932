//! `stateward doctor`, on a real control plane whose API server calls a real guard.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::control_plane::{self, ControlPlane};
use crate::install::{Replica, address, apply_all, patch_entries, user_namespace};
use crate::kube_api::{Api, example, installation, path_of};
use crate::stage::{SKIPPED, Stage};

fn doctor(kubeconfig: &Path, arguments: &[&str]) -> (Option<i32>, String) {
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
        ("service", "problem"),
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

/// What `doctor` calls a problem, and what to do about each.
type Problems = Vec<(String, String)>;

fn problems(kubeconfig: &Path) -> Problems {
    let (code, text) = doctor(kubeconfig, &["--probe-namespace=users", "--format=json"]);
    let result: Value = serde_json::from_str(&text).unwrap();
    let checks = result["checks"].as_array().unwrap().iter();
    let problems = checks.filter(|check| check["status"] == "problem").map(|check| {
        let text = |field: &str| check[field].as_str().unwrap();
        (text("check").to_owned(), format!("{}; do: {}", text("message"), text("edit")))
    });
    let problems: Problems = problems.collect();
    assert_eq!(code, Some(i32::from(!problems.is_empty())), "{text}");
    problems
}

/// Waits until exactly these checks are problems, and gives what is said of the first.
async fn finds(kubeconfig: &Path, expected: &[&str]) -> String {
    let start = Instant::now();
    loop {
        let found = problems(kubeconfig);
        let names: Vec<&str> = found.iter().map(|(about, _)| &**about).collect();
        if names == expected {
            return found.into_iter().next().map(|(_, said)| said).unwrap_or_default();
        }
        // The API server notices a change of a webhook configuration a moment later.
        assert!(start.elapsed() < Duration::from_secs(60), "expected {expected:?}: {found:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn part<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name).unwrap()
}

/// No controller runs here that would say that the pods are ready.
async fn ready(api: &Api, objects: &[Value]) {
    let deployment = path_of(part(objects, "Deployment", "stateward"));
    let status = json!({"status": {"replicas": 2, "readyReplicas": 2}});
    api.merge(&format!("{deployment}/status"), &status).await.allowed();
}

/// The whole of `deploy/` with two replicas behind its Service; then one thing after another is broken and mended.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_in_an_installation_is_found_and_nothing_else() {
    control_plane::bound_lifetime();
    let Some(assets) = control_plane::assets().filter(|_| address().is_some()) else {
        return eprintln!("{SKIPPED}");
    };
    let plane = ControlPlane::start(&assets, false).unwrap();
    let (api, objects, folder) = (plane.api(), installation(), tempfile::tempdir().unwrap());
    let kubeconfig = folder.path().join("kubeconfig");
    fs::write(&kubeconfig, plane.kubeconfig("admin-token")).unwrap();
    user_namespace(&api, "users").await;
    apply_all(&api, &objects).await;
    ready(&api, &objects).await;
    let _replicas = tokio::join!(Replica::start(&plane, 0), Replica::start(&plane, 1));
    apply_all(&api, &example("consul/consul.yaml", "users")).await;
    finds(&kubeconfig, &[]).await;

    let other =
        json!({"clientConfig": {"caBundle": fs::read("tests/fixtures/tls/rsa.crt").map(encoded).unwrap()}});
    patch_entries(&api, "mistake", &other).await;
    let said = finds(&kubeconfig, &["certificate", "reached"]).await;
    assert!(said.contains("has no CA that signed") && said.contains("docs/certificates.md"), "{said}");
    // The replica that leads writes it anew.
    finds(&kubeconfig, &[]).await;

    let binding = part(&objects, "ClusterRoleBinding", "stateward");
    api.delete(&path_of(binding), &json!({})).await.allowed();
    let said = finds(&kubeconfig, &["rights"]).await;
    assert!(said.contains("list statefulsets.apps") && said.contains("deploy/base/rbac.yaml"), "{said}");
    apply_all(&api, std::slice::from_ref(binding)).await;
    finds(&kubeconfig, &[]).await;

    let broken = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "stateward-policies", "namespace": "stateward"}, "data": {"a.yaml": "rules: ["},
    });
    api.apply(&broken).await.allowed();
    let said = finds(&kubeconfig, &["policies"]).await;
    assert!(said.contains("a.yaml") && said.contains("stateward policy check"), "{said}");
    api.delete(&path_of(&broken), &json!({})).await.allowed();

    let service = part(&objects, "Service", "stateward");
    let port =
        |target: Value| json!({"spec": {"ports": [{"name": "webhook", "port": 443, "targetPort": target}]}});
    api.merge(&path_of(service), &port(9443.into())).await.allowed();
    let said = finds(&kubeconfig, &["service"]).await;
    assert!(said.contains("leads port 443 to 9443"), "{said}");
    api.merge(&path_of(service), &port("webhook".into())).await.allowed();

    let validating = part(&objects, "ValidatingWebhookConfiguration", "stateward");
    api.delete(&path_of(validating), &json!({})).await.allowed();
    let said = finds(&kubeconfig, &["webhooks", "reached"]).await;
    assert!(
        said.contains("no ValidatingWebhookConfiguration") && said.contains("apply the manifests"),
        "{said}"
    );
    apply_all(&api, std::slice::from_ref(validating)).await;
    finds(&kubeconfig, &[]).await;
}

fn encoded(bytes: Vec<u8>) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
