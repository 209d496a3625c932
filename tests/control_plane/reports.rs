//! Background reports on a real control plane, with the CRDs as they are published and the rights of the component.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::control_plane::{self, ControlPlane};
use crate::kube_api::{Api, example, manifests::objects, set_path};
use crate::stage::{Guard, SKIPPED};

/// The set in the example.
const SET: &str = "consul-four-members";

/// Waits for a condition, however long a loaded machine takes.
async fn until(guard: &Guard, what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..1200 {
        if condition().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("never happened: {what}\n{}", guard.log());
}

async fn install_crds(api: &Api) {
    for file in ["openreports.io_reports", "wgpolicyk8s.io_policyreports"] {
        let path = format!("{}/tests/crds/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let crd: Value = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        api.apply(&crd).await.allowed();
    }
}

/// Rule, level, object and message of each finding.
type Findings = BTreeSet<[String; 4]>;

fn finding(parts: [&Value; 4]) -> [String; 4] {
    parts.map(|part| part.as_str().unwrap().to_owned())
}

fn audited(kubeconfig: &std::path::Path, namespace: &str) -> Findings {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    command.args(["audit", "--cluster", "--format=json", "--fail-on=never", "--namespace", namespace]);
    let output = command.arg("--kubeconfig").arg(kubeconfig).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|f| finding([&f["rule"], &f["level"], &f["object"]["name"], &f["message"]])).collect()
}

async fn reported(api: &Api, path: &str) -> Findings {
    let reports = api.get(path).await.body;
    let results = reports["items"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|report| report["results"].as_array().cloned().unwrap_or_default());
    let found = results.map(|result| {
        let level = &result["properties"]["level"];
        finding([&result["policy"], level, &result["resources"][0]["name"], &result["message"]])
    });
    found.collect()
}

/// With a control plane of its own: on the shared one other replicas hold the Lease, and the namespaces of all other tests would be
/// judged first.
#[tokio::test(flavor = "multi_thread")]
async fn reports_say_what_an_audit_says_and_go_with_their_sets() {
    control_plane::bound_lifetime();
    let Some(assets) = control_plane::assets() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let plane = ControlPlane::start(&assets, true).unwrap();
    let api = plane.api();
    install_crds(&api).await;
    for object in objects("components/reports/rbac.yaml") {
        api.apply(&object).await.allowed();
    }
    let (folder, ca) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let kubeconfig = ca.path().join("kubeconfig");
    fs::write(&kubeconfig, plane.kubeconfig("admin-token")).unwrap();
    let ca = format!("--ca-out={}", ca.path().join("ca.crt").display());
    // The policies of another kind are for the other test of the same cluster.
    for kind in ["openreports", "policyreport"] {
        let namespace = format!("reported-by-{kind}");
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        api.create(&object).await.allowed();
        for object in example("consul/broken/consul-four-members.yaml", &namespace) {
            api.apply(&object).await.allowed();
        }
    }
    for (kind, path) in [
        ("openreports", "apis/openreports.io/v1alpha1/namespaces/reported-by-openreports/reports"),
        ("policyreport", "apis/wgpolicyk8s.io/v1alpha2/namespaces/reported-by-policyreport/policyreports"),
    ] {
        let (folder, namespace, path) =
            (tempfile::tempdir_in(folder.path()).unwrap(), format!("reported-by-{kind}"), format!("/{path}"));
        let guard =
            Guard::with_flags(&plane, folder, &["--bind=127.0.0.1:0", &ca, &format!("--reports={kind}")])
                .await;
        let audit = audited(&kubeconfig, &namespace);
        assert!(audit.iter().any(|found| found[0] == "quorum-even"), "{audit:?}");
        until(&guard, "the report", async || reported(&api, &path).await == audit).await;
        let list = api.get(&path).await.body;
        let versions = |list: &Value| list["items"][0]["metadata"]["resourceVersion"].clone();
        let set = api.get(&set_path(&namespace, SET)).await.body;
        assert_eq!(list["items"][0]["metadata"]["ownerReferences"][0]["uid"], set["metadata"]["uid"]);
        let known_at = || guard.metric("stateward_reports_last_round_timestamp_seconds").unwrap();
        until(&guard, "all namespaces are known", async || known_at() > 0.0).await;

        // The next change of anything leads to a look that finds nothing to write.
        let label = json!({"metadata": {"labels": {"team": "a"}}});
        api.merge(&format!("/api/v1/namespaces/{namespace}"), &label).await.allowed();
        assert_eq!(versions(&list), versions(&api.get(&path).await.body));
        if plane.has_controllers {
            api.delete(&set_path(&namespace, SET), &json!({})).await.allowed();
            until(&guard, "the report is gone", async || {
                api.get(&path).await.body["items"].as_array().is_some_and(Vec::is_empty)
            })
            .await;
        }
        assert!(!guard.log().contains("is forbidden: User"), "it lacks a right: {}", guard.log());
        assert!(!guard.log().contains("background reports are held up"), "{}", guard.log());
    }
}
