//! `stateward show` against a real API server: pods on nodes, what drains take, and what a user may not read.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control_plane;
use crate::kube_api::{Api, example, pod_path, set_path};
use crate::stage::Stage;

/// The command line as a user with this token runs it.
struct Shell(TempDir);

impl Shell {
    fn of(token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config"), control_plane::shared().unwrap().kubeconfig(token)).unwrap();
        symlink(env!("CARGO_BIN_EXE_stateward"), folder.path().join("kubectl-stateward")).unwrap();
        Self(folder)
    }

    async fn output(&self, program: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap_or_default());
        command.args(arguments).env("KUBECONFIG", self.0.path().join("config")).env("PATH", path);
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    }

    async fn show(&self, arguments: &[&str]) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_stateward"));
        let output = self.output(program, &[&["show"], arguments].concat()).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.show(&[arguments, &["--format=json"]].concat()).await).unwrap()
    }
}

async fn add_node(api: &Api, name: &str, zone: &str) {
    let labels = json!({"topology.kubernetes.io/zone": zone});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
    api.apply(&node).await.allowed();
    ready(api, &format!("/api/v1/nodes/{name}")).await;
}

async fn ready(api: &Api, path: &str) {
    let conditions = json!([{"type": "Ready", "status": "True", "reason": "Test", "message": "",
        "lastHeartbeatTime": "2030-01-01T00:00:00Z", "lastTransitionTime": "2030-01-01T00:00:00Z"}]);
    let mut status = json!({"status": {"phase": "Running", "conditions": conditions}});
    if path.contains("/nodes/") {
        status["status"].as_object_mut().unwrap().remove("phase");
    } else {
        status["status"]["conditions"][0].as_object_mut().unwrap().remove("lastHeartbeatTime");
    }
    api.merge(&format!("{path}/status"), &status).await.allowed();
}

/// A Consul of three, two of them on one node.
async fn consul(stage: &Stage, namespace: &str, nodes: [&str; 2]) {
    for object in example("consul/consul.yaml", namespace) {
        stage.api.apply(&object).await.allowed();
    }
    for (name, node) in [("consul-0", nodes[0]), ("consul-1", nodes[0]), ("consul-2", nodes[1])] {
        stage.running_pod(namespace, node, name).await;
        ready(&stage.api, &pod_path(namespace, name)).await;
    }
    stage
        .until("all are counted", async || {
            stage.api.get(&set_path(namespace, "consul")).await.body["status"]["readyReplicas"] == 3
        })
        .await;
}

/// A token of an account that has the `ClusterRole` of Stateward and nothing else. Stateward's own account may have more here: other
/// tests on the same control plane give it the rights of components, such as those to list pods.
async fn token_with_base_rights(api: &Api, namespace: &str) -> String {
    let group = "rbac.authorization.k8s.io";
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": namespace},
    });
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": namespace},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "stateward"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
    });
    for object in [account, binding] {
        api.apply(&object).await.allowed();
    }
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/reader/token");
    api.post(&path, &request).await.allowed().body["status"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_application_is_shown_with_its_pods_and_nodes() {
    let Some(stage) = Stage::set_with_controllers("show", "baseline").await else { return };
    let namespace = stage.namespace("here").await;
    add_node(&stage.api, "show-a", "zone-1").await;
    add_node(&stage.api, "show-b", "zone-2").await;
    consul(&stage, &namespace, ["show-a", "show-b"]).await;
    let set = format!("{namespace}/consul");

    let admin = Shell::of("admin-token");
    let text = admin.show(&[&set]).await;
    for part in [
        "quorum (image hashicorp/consul in container consul)",
        "3 of 3 ready: 1 more may be away",
        "consul-1  show-a  zone zone-1  ready",
        "node show-a has 2 members: without it there is no majority",
        "up: 5 next; not 4 (denied: quorum-even)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours but at a terminal");
    let json = admin.json(&[&set]).await;
    assert_eq!(json["applications"][0]["pods"][2]["node"], "show-b", "{json}");

    // With these rights sets and budgets can be listed, and no pods and nodes.
    let token = token_with_base_rights(&stage.api, &namespace).await;
    let text = Shell::of(&token).show(&[&set]).await;
    assert!(text.contains("pods      not known: 403: pods is forbidden"), "{text}");
    assert!(text.contains("3 of 3 ready"), "{text}");
    stage.end().await;
}

#[tokio::test]
async fn a_drain_is_answered_before_it_happens() {
    let Some(stage) = Stage::set_with_controllers("show-drain", "baseline").await else { return };
    let namespace = stage.unguarded_namespace("here").await;
    add_node(&stage.api, "drain-a", "zone-1").await;
    add_node(&stage.api, "drain-b", "zone-2").await;
    consul(&stage, &namespace, ["drain-a", "drain-b"]).await;
    let admin = Shell::of("admin-token");
    let plan = async || admin.json(&["--node=drain-a", "--node=drain-b"]).await;
    stage
        .until("the budget is counted", async || plan().await["nodes"][0]["budgets"][0]["allowed"] == 1)
        .await;
    let json = plan().await;
    assert_eq!(
        (&json["nodes"][0]["outcome"], &json["nodes"][1]["outcome"]),
        (&json!("slow"), &json!("free"))
    );
    let first =
        json!([{"nodes": ["drain-b"], "onceAllReady": false}, {"nodes": ["drain-a"], "onceAllReady": true}]);
    assert_eq!(json["order"], first, "{json}");

    let budget = format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/consul");
    stage.api.delete(&budget, &json!({})).await.allowed();
    let text = admin.show(&["--node", "drain-a"]).await;
    assert!(text.contains("must not be drained now: a majority would be lost"), "{text}");
    let none = admin.output(Path::new(env!("CARGO_BIN_EXE_stateward")), &["show", "--node", "no-such"]).await;
    assert_eq!(none.status.code(), Some(2), "{none:?}");
    stage.end().await;
}

#[tokio::test]
async fn kubectl_finds_it_as_a_plugin() {
    let Some(assets) = control_plane::assets() else { return };
    let kubectl: PathBuf = assets.join("kubectl");
    let Some(stage) = Stage::set("show-plugin", "baseline").await else { return };
    if kubectl.is_file() {
        let arguments = ["stateward", "show", "nothing/here"];
        let output = Shell::of("admin-token").output(&kubectl, &arguments).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("there is no StatefulSet here in namespace nothing"), "{output:?}");
    }
    stage.end().await;
}
