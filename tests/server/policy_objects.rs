//! Policies and exemptions of an API server that has them, has them not, and will not say.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::api_server::{ApiServer, Fault};
use crate::support::client::{Client, Response, request};
use crate::support::{pki, until};

const POLICIES: &str = "statefulsetpolicies";
const EXEMPTIONS: &str = "statefulsetexemptions";

struct Served {
    api: ApiServer,
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

impl Served {
    async fn start(api: ApiServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let out = File::create(&log).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_stateward"))
            .args(["serve", "--bind=127.0.0.1:0", "--ops-bind=127.0.0.1:0"])
            .args([Path::new("--ca-out"), &folder.path().join("ca.crt")])
            .env("KUBECONFIG", api.kubeconfig(folder.path()))
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap();
        let listening = || {
            let text = fs::read_to_string(&log).unwrap();
            text.lines().find(|line| line.contains("listening")).map(str::to_owned)
        };
        until("it listens", async || listening().is_some()).await;
        let line = listening().unwrap();
        let [webhook, ops] = ["webhook=", "ops="].map(|field| {
            let (_, rest) = line.split_once(field).unwrap();
            rest.split_whitespace().next().unwrap().parse().unwrap()
        });
        Self { api, folder, process, webhook, ops }
    }

    async fn get(&self, path: &str) -> Response {
        let mut client = Client::plain(self.ops).await;
        client.send(request(path, "", "").replacen("POST", "GET", 1)).await;
        client.response().await
    }

    async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        until(&format!("{what}\n{log}"), condition).await;
    }

    async fn until_ready(&self) {
        self.until("it is ready", async || self.get("/readyz").await.status == 200).await;
    }

    /// What a new set with four members is answered, which the shipped profile denies.
    async fn review(&self) -> Value {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/consul-create.validate.json");
        let mut review: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        review["request"]["object"]["spec"]["replicas"] = json!(4);
        let ca = fs::read(self.folder.path().join("ca.crt")).unwrap();
        let mut client = Client::tls(self.webhook, "localhost", pki::client_config(&ca, None)).await.unwrap();
        client.post(&review.to_string()).await.json()["response"].clone()
    }

    async fn allows(&self) -> bool {
        self.review().await["allowed"] == true
    }
}

fn put(api: &ApiServer, generation: i64, spec: &Value) {
    let object = json!({"metadata": {"uid": "u", "generation": generation}, "spec": spec});
    api.put_object(POLICIES, "", "ours", object);
}

fn level(level: &str) -> Value {
    json!({"rules": [{"rule": "quorum-even", "level": level}]})
}

#[tokio::test]
async fn policies_that_may_not_be_listed_keep_a_new_server_from_being_ready() {
    let api = ApiServer::start().await;
    put(&api, 1, &level("warn"));
    api.fail(POLICIES, Fault::Status(403));
    let served = Served::start(api).await;
    served
        .until("all else is known", async || {
            served.get("/readyz").await.text().starts_with("not ready: policies\n")
        })
        .await;
    let said = served.get("/readyz").await.text();
    assert!(said.contains("StatefulSetPolicy unknown (cannot list: 403: as the test wants it)"), "{said}");
    served.api.heal(POLICIES);
    served.until_ready().await;
    assert!(served.allows().await, "what is listed is in force as soon as it is ready");

    // The right is taken away: what is known stays.
    served.api.fail(POLICIES, Fault::Status(403));
    served.api.end_watches();
    served
        .until("it is said", async || {
            let said = served.get("/readyz").await.text();
            said.contains("StatefulSetPolicy: those known before are in force (cannot watch: 403")
        })
        .await;
    assert_eq!(served.get("/readyz").await.status, 200);
    assert!(served.allows().await);
}

#[tokio::test]
async fn definitions_come_and_go() {
    let api = ApiServer::start().await;
    api.fail(POLICIES, Fault::Status(404));
    api.fail(EXEMPTIONS, Fault::Status(404));
    let served = Served::start(api).await;
    served.until_ready().await;
    assert!(!served.allows().await);
    put(&served.api, 1, &level("warn"));
    for resource in [POLICIES, EXEMPTIONS] {
        served.api.heal(resource);
    }
    served.until("the policy is in force", async || served.allows().await).await;

    served.api.delete(POLICIES, "", "ours");
    served.api.fail(POLICIES, Fault::Status(404));
    served.api.end_watches();
    served.until("there are none", async || !served.allows().await).await;
    served.api.heal(POLICIES);
    put(&served.api, 1, &level("audit"));
    served.until("it is in force again", async || served.allows().await).await;
}

#[tokio::test]
async fn the_status_says_what_is_in_force_and_is_not_written_again() {
    let api = ApiServer::start().await;
    put(&api, 1, &level("warn"));
    let served = Served::start(api).await;
    served.until_ready().await;
    let status = || served.api.object(POLICIES, "", "ours").unwrap()["status"].clone();
    let ready = || status()["conditions"][0].clone();
    served.until("a status", async || ready()["reason"] == "InForce").await;

    put(&served.api, 2, &json!({"rules": [{"rule": "quorum-evne", "level": "deny"}]}));
    served.until("it is malformed", async || ready()["reason"] == "Malformed").await;
    let message = ready()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("spec.rules[0].rule: there is no rule \"quorum-evne\""), "{message}");
    assert!(message.ends_with("; the last good version is in force"), "{message}");
    assert_eq!((&status()["observedGeneration"], served.allows().await), (&json!(2), true));
    assert_eq!(served.get("/readyz").await.status, 200);
    let metrics = served.get("/metrics").await.text();
    assert!(metrics.contains("stateward_policy_errors{policy=\"ours\"} 1\n"), "{metrics}");
    served.until("an Event", async || !served.api.posted("events").is_empty()).await;
    assert_eq!(served.api.posted("events")[0]["reason"], "PolicyMalformed");

    // A policy of the same name that is made anew has no last good version.
    served.api.delete(POLICIES, "", "ours");
    served.until("it is gone", async || !served.allows().await).await;
    let writes = served.api.requests("/status");
    let other = json!({"metadata": {"uid": "v", "generation": 1}, "spec": {"rules": [{"rule": "x", "level": "deny"}]}});
    served.api.put_object(POLICIES, "", "ours", other);
    served.until("it is malformed", async || ready()["reason"] == "Malformed").await;
    assert!(ready()["message"].as_str().unwrap().ends_with("; nothing of it is in force"));
    assert!(!served.allows().await);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(served.api.requests("/status"), writes + 1, "it is written once");
}
