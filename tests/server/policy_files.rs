//! Policy files of a running server, in a folder as a mounted ConfigMap is one.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::client::{Client, Response, request};
use crate::support::{pki, until};

/// Of a set with four members, which the shipped profile denies.
const REVIEW: &str = "tests/captures/consul-scale-5-to-4.validate.json";
const GOOD: &str = "quorum-even";
const MISTYPED: &str = "quorum-evne";

struct Served {
    folder: TempDir,
    process: Child,
    webhook: SocketAddr,
    ops: SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn policy(rule: &str, level: &str) -> String {
    format!(
        "apiVersion: stateward.dev/v1alpha1\nkind: StatefulSetPolicy\nmetadata: {{name: ours}}\nspec:\n  rules:\n  - {{rule: {rule}, level: '{level}'}}\n"
    )
}

/// The folder's files from now on, changed as the kubelet does it: a new folder, and one link that is replaced.
fn mount(folder: &Path, version: &str, text: &str) {
    let data = folder.join(format!("..{version}"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("policy.yaml"), text).unwrap();
    symlink(format!("..{version}"), folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    if !folder.join("policy.yaml").is_symlink() {
        symlink("..data/policy.yaml", folder.join("policy.yaml")).unwrap();
    }
}

impl Served {
    async fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policies = folder.path().join("policies");
        fs::create_dir(&policies).unwrap();
        mount(&policies, "1", text);
        let log = folder.path().join("log");
        let out = File::create(&log).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_stateward"))
            .args([
                "serve",
                "--standalone",
                "--bind=127.0.0.1:0",
                "--ops-bind=127.0.0.1:0",
                "--objects=deploy/examples",
            ])
            .args([Path::new("--policies"), &policies, Path::new("--ca-out"), &folder.path().join("ca.crt")])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap();
        let listening = || {
            fs::read_to_string(&log)
                .unwrap()
                .lines()
                .find(|line| line.contains("listening"))
                .map(str::to_owned)
        };
        until("it listens", async || listening().is_some()).await;
        let line = listening().unwrap();
        let [webhook, ops] = ["webhook=", "ops="].map(|field| {
            let (_, rest) = line.split_once(field).unwrap();
            rest.split_whitespace().next().unwrap().parse().unwrap()
        });
        Self { folder, process, webhook, ops }
    }

    fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        let mut client = Client::plain(self.ops).await;
        client.send(request(path, "", "").replacen("POST", "GET", 1)).await;
        client.response().await
    }

    async fn errors_of(&self, policy: &str) -> Option<String> {
        let name = format!("stateward_policy_errors{{policy=\"{policy}\"}} ");
        let text = self.get("/metrics").await.text();
        text.lines().find_map(|line| line.strip_prefix(&name).map(str::to_owned))
    }

    /// Whether the change is allowed, over a connection of its own.
    async fn allows(&self) -> bool {
        let ca = fs::read(self.folder.path().join("ca.crt")).unwrap();
        let mut client = Client::tls(self.webhook, "localhost", pki::client_config(&ca, None)).await.unwrap();
        let review = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(REVIEW)).unwrap();
        client.post(&review).await.json()["response"]["allowed"] == true
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_used_keeps_a_new_server_from_being_ready() {
    let served = Served::start(&policy(MISTYPED, "warn")).await;
    let answer = served.get("/readyz").await;
    assert_eq!(answer.status, 503);
    let said = answer.text();
    assert!(said.starts_with("not ready: policies"), "{said}");
    assert!(
        said.contains("policy.yaml:6:6: there is no rule \"quorum-evne\"; did you mean \"quorum-even\"?"),
        "{said}"
    );
    assert_eq!(served.errors_of("ours").await.as_deref(), Some("1"));
    assert!(!served.allows().await, "the shipped profile is in force");

    mount(&served.policies(), "2", &policy(GOOD, "warn"));
    served_until(&served, "it is ready", async || served.get("/readyz").await.status == 200).await;
    assert!(served.allows().await);
    assert_eq!(served.errors_of("ours").await.as_deref(), Some("0"));
    assert_eq!(served.get("/readyz").await.text(), "ok\n");
}

#[tokio::test]
async fn the_last_good_version_stays() {
    let served = Served::start(&policy(GOOD, "warn")).await;
    assert_eq!(served.get("/readyz").await.text(), "ok\n");
    assert!(served.allows().await);

    for (version, broken, error_of) in
        [("2", policy(MISTYPED, "off"), "ours"), ("3", "spec: [\n".to_owned(), "policy.yaml")]
    {
        mount(&served.policies(), version, &broken);
        let file = served.policies().join("policy.yaml").display().to_string();
        let error_of = if error_of == "ours" { error_of } else { &*file };
        let is_counted = async || served.errors_of(error_of).await.as_deref() == Some("1");
        served_until(&served, "the error is counted", is_counted).await;
        assert!(served.allows().await, "{broken}");
        let answer = served.get("/readyz").await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("the last good versions are in force"), "{}", answer.text());
    }

    mount(&served.policies(), "4", &policy(GOOD, "deny"));
    served_until(&served, "the change is in force", async || !served.allows().await).await;
    assert_eq!(served.get("/readyz").await.text(), "ok\n");
    mount(&served.policies(), "5", &policy(GOOD, "warn"));
    served_until(&served, "the next change is in force", async || served.allows().await).await;

    // Deleted is not broken.
    fs::remove_file(served.policies().join("policy.yaml")).unwrap();
    served_until(&served, "the shipped profile is in force again", async || !served.allows().await).await;
    // A folder that is gone is.
    fs::write(served.policies().join("again.yaml"), policy(GOOD, "warn")).unwrap();
    served_until(&served, "another file is read", async || served.allows().await).await;
    fs::rename(served.policies(), served.folder.path().join("elsewhere")).unwrap();
    let folder = served.policies().display().to_string();
    served_until(&served, "the folder is missed", async || served.errors_of(&folder).await.is_some()).await;
    assert!(served.allows().await);
    assert!(served.log().contains("policy not used: "), "{}", served.log());
}

async fn served_until(served: &Served, what: &str, condition: impl AsyncFn() -> bool) {
    until(&format!("{what}\n{}", served.log()), condition).await;
}
