//! What a person with kubectl sees of a refusal: all of it, and once.
//!
//! kubectl is taken from the folder that `KUBEBUILDER_ASSETS` names, or else from `PATH`.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control_plane;
use crate::kube_api::{example, pod_path, set_path};
use crate::stage::{Stage, set_of};

const NO_KUBECTL: &str =
    "SKIPPED: there is no kubectl in the folder that KUBEBUILDER_ASSETS names, nor on PATH";

/// kubectl as the administrator of the shared control plane.
pub(crate) struct Kubectl {
    program: PathBuf,
    folder: TempDir,
    namespace: String,
}

fn program() -> Option<PathBuf> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = assets.into_iter().chain(env::split_paths(&path));
    folders.map(|folder| folder.join("kubectl")).find(|file| file.is_file())
}

impl Kubectl {
    pub(crate) fn find(namespace: &str) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("{NO_KUBECTL}");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let plane = control_plane::shared().unwrap();
        fs::write(folder.path().join("config"), plane.kubeconfig("admin-token")).unwrap();
        Some(Self { program, folder, namespace: namespace.to_owned() })
    }

    /// A file with an object or a List, for `-f`.
    pub(crate) fn file(&self, object: &Value) -> String {
        let file = self.folder.path().join("object.json");
        fs::write(&file, object.to_string()).unwrap();
        file.display().to_string()
    }

    /// An editor that makes three replicas four.
    fn editor(&self) -> PathBuf {
        let editor = self.folder.path().join("editor");
        fs::write(&editor, "#!/bin/sh\nsed -i 's/^  replicas: 3$/  replicas: 4/' \"$1\"\n").unwrap();
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
        editor
    }

    /// Whether it succeeded, and what it wrote.
    pub(crate) fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(&self.program);
        command.args(["--namespace", &self.namespace]).args(arguments).stdin(Stdio::null());
        command.env("KUBECONFIG", self.folder.path().join("config")).env("KUBE_EDITOR", self.editor());
        command.env("HOME", self.folder.path()).env("TMPDIR", self.folder.path());
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    /// Refused, with these lines one after the other and nowhere else.
    #[track_caller]
    fn is_refused(&self, arguments: &[&str], lines: &str) {
        let (succeeded, said) = self.run(arguments);
        assert!(!succeeded, "{arguments:?}: {said}");
        assert_eq!(said.matches(lines).count(), 1, "{arguments:?}: {said}");
        assert_eq!(said.matches("denied the request: ").count(), 1, "{arguments:?}: {said}");
        assert!(!said.contains("is invalid"), "{arguments:?}: {said}");
    }
}

fn even(namespace: &str) -> String {
    format!(
        "denied the request: StatefulSet {namespace}/consul (class quorum: image hashicorp/consul in container consul)\n  \
         quorum-even: 4 members survive the failure of 1, just as 3 do, because 3 must agree\n    \
         at spec.replicas\n    \
         fix: set spec.replicas to 5 (or 3)\n\
         To override, annotate StatefulSet {namespace}/consul with stateward.dev/exempt: quorum-even and \
         stateward.dev/exempt-reason: why.\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_the_whole_refusal_once() {
    let Some(stage) = Stage::set("kubectl", "baseline").await else { return };
    let namespace = stage.namespace("consul").await;
    let Some(kubectl) = Kubectl::find(&namespace) else { return stage.end().await };
    let objects = example("consul/consul.yaml", &namespace);
    for object in &objects {
        let (succeeded, said) = kubectl.run(&["apply", "-f", &kubectl.file(object)]);
        assert!(succeeded, "{said}");
    }
    let before = stage.api.get(&set_path(&namespace, "consul")).await.body;
    let mut four = set_of(&objects).clone();
    four["spec"]["replicas"] = 4.into();
    let (four, lines) = (kubectl.file(&four), even(&namespace));
    let patch = json!({"spec": {"replicas": 4}}).to_string();
    for arguments in [
        &["apply", "-f", &four][..],
        &["apply", "--force", "-f", &four],
        &["apply", "--dry-run=server", "-f", &four],
        &["apply", "--server-side", "--force-conflicts", "-f", &four],
        &["replace", "-f", &four],
        &["diff", "-f", &four],
        &["scale", "statefulset", "consul", "--replicas=4"],
        &["patch", "statefulset", "consul", "--patch", &patch],
        &["edit", "statefulset", "consul"],
    ] {
        kubectl.is_refused(arguments, &lines);
    }
    let (_, said) = kubectl.run(&["scale", "statefulset", "consul", "--replicas=4"]);
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains(&said.replace(&namespace, "demo")), "README.md shows something else than {said}");

    let after = stage.api.get(&set_path(&namespace, "consul")).await.body;
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"], "`apply --force` deletes nothing");
    assert_eq!(after["spec"]["replicas"], 3);

    // The way out that is named is one.
    let annotate = [
        "annotate",
        "statefulset",
        "consul",
        "stateward.dev/exempt=quorum-even",
        "stateward.dev/exempt-reason=why",
    ];
    assert!(kubectl.run(&annotate).0);
    let (succeeded, said) = kubectl.run(&["scale", "statefulset", "consul", "--replicas=4"]);
    assert!(succeeded, "{said}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_why_something_is_not_deleted() {
    let Some(stage) = Stage::set_with_controllers("kubectl-delete", "strict").await else { return };
    let namespace = stage.namespace("consul").await;
    let Some(kubectl) = Kubectl::find(&namespace) else { return stage.end().await };
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-7"}});
    stage.api.create(&node).await.allowed();
    let objects = example("consul/consul.yaml", &namespace);
    for object in &objects {
        stage.api.apply(object).await.allowed();
    }
    stage.running_pod(&namespace, "node-7", "consul-0").await;

    let lines = |hint: &str| {
        format!(
            "denied the request: StatefulSet {namespace}/consul (class quorum: image hashicorp/consul in container consul)\n  \
             pod-force-deleted: its process may still run on node node-7, and StatefulSet consul starts a second consul-0 beside it \
             at once\n    at Pod {namespace}/consul-0\n    fix: {hint}; if node-7 is gone for good, delete the Node or taint it \
             with node.kubernetes.io/out-of-service\nTo override, annotate StatefulSet {namespace}/consul with \
             stateward.dev/exempt: pod-force-deleted and stateward.dev/exempt-reason: why.\n"
        )
    };
    let force = ["delete", "pod", "consul-0", "--force", "--grace-period=0"];
    kubectl.is_refused(
        &force,
        &lines("delete it without --force and --grace-period=0, or only wait if it is being deleted already"),
    );
    let budget =
        ["patch", "poddisruptionbudget", "consul", "--type=merge", "-p", r#"{"spec":{"maxUnavailable":2}}"#];
    kubectl.is_refused(&budget, "\n  pdb-below-quorum: ");

    // `kubectl drain` writes each of its errors three times; it is one refusal.
    let (succeeded, said) = kubectl.run(&[
        "drain",
        "node-7",
        "--disable-eviction",
        "--force",
        "--grace-period=0",
        "--timeout=30s",
    ]);
    let (_, end) = said.rsplit_once("Error from server (Forbidden): ").unwrap();
    let drained =
        lines("delete it without --force and --grace-period=0, or only wait if it is being deleted already");
    assert!(!succeeded && end.contains(&drained) && end.matches("denied the request").count() == 1, "{said}");
    assert!(stage.api.exists(&pod_path(&namespace, "consul-0")).await);
    assert!(kubectl.run(&["uncordon", "node-7"]).0);

    let (succeeded, said) = kubectl.run(&["delete", "pod", "consul-0", "--wait=false"]);
    assert!(succeeded, "{said}");
    kubectl.is_refused(
        &force,
        &lines("delete it without --force and --grace-period=0, or only wait if it is being deleted already"),
    );
    stage.end().await;
}
