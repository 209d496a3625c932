//! Policies and exemptions of an API server that has them, has them not, and will not say.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::api_server::{ApiServer, Fault};
use crate::support::served::Served;

const POLICIES: &str = "statefulsetpolicies";
const EXEMPTIONS: &str = "statefulsetexemptions";

struct Guard {
    api: ApiServer,
    served: Served,
}

impl Guard {
    async fn start(api: ApiServer) -> Self {
        Self::start_with(api, &[]).await
    }

    async fn start_with(api: ApiServer, options: &[&str]) -> Self {
        let set_up = |folder: &TempDir| {
            (
                options.iter().map(|option| (*option).to_owned()).collect(),
                vec![("KUBECONFIG".to_owned(), api.kubeconfig(folder.path()).display().to_string())],
            )
        };
        let served = Served::listening(set_up).await;
        Self { api, served }
    }

    async fn until_ready(&self) {
        self.served.until("it is ready", async || self.served.get("/readyz").await.status == 200).await;
    }

    /// Whether a new set with four members is allowed, which the shipped profile denies.
    async fn allows(&self) -> bool {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/consul-create.validate.json");
        let mut review: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        review["request"]["object"]["spec"]["replicas"] = json!(4);
        self.served.review(&review.to_string()).await["allowed"] == true
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
    let guard = Guard::start(api).await;
    guard
        .served
        .until("all else is known", async || {
            guard.served.get("/readyz").await.text().starts_with("not ready: policies\n")
        })
        .await;
    let said = guard.served.get("/readyz").await.text();
    assert!(said.contains("StatefulSetPolicy unknown (cannot list: 403: as the test wants it)"), "{said}");
    guard.api.heal(POLICIES);
    guard.until_ready().await;
    assert!(guard.allows().await, "what is listed is in force as soon as it is ready");

    // The right is taken away: what is known stays.
    guard.api.fail(POLICIES, Fault::Status(403));
    guard.api.end_watches();
    guard
        .served
        .until("it is said", async || {
            let said = guard.served.get("/readyz").await.text();
            said.contains("StatefulSetPolicy: those known before are in force (cannot watch: 403")
        })
        .await;
    assert_eq!(guard.served.get("/readyz").await.status, 200);
    assert!(guard.allows().await);
}

/// A server that is not ready may lead all the same, and a rollout may leave it to do so for long.
#[tokio::test]
async fn per_pod_services_are_left_alone_as_long_as_a_policy_cannot_be_read() {
    let api = ApiServer::start().await;
    let annotations = json!({"service-per-pod-label": "pod-name", "service-per-pod-ports": "80:8080"});
    api.put_object(
        "statefulsets",
        "n",
        "web",
        json!({
            "metadata": {"uid": "s", "annotations": annotations}, "spec": {"replicas": 1},
        }),
    );
    let settings = json!({"servicePerPod": {"type": "ClusterIP", "labels": {"a b": ""}}});
    put(&api, 1, &settings);
    api.fail(POLICIES, Fault::Status(403));
    let guard = Guard::start_with(api, &["--controller"]).await;
    let leads = async || guard.served.get("/metrics").await.text().contains("stateward_leader 1\n");
    guard.served.until("it leads", leads).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(guard.api.names("services", "n").len(), 0, "the policies may not be listed");

    guard.api.heal(POLICIES);
    guard.until_ready().await;
    let held = async || guard.served.get("/metrics").await.text().contains("outcome=\"held\"} 1\n");
    guard.served.until("the policy is malformed", held).await;
    assert_eq!(guard.api.names("services", "n").len(), 0);

    put(&guard.api, 2, &json!({"servicePerPod": {"type": "ClusterIP"}}));
    let service = || guard.api.object("services", "n", "web-0");
    guard.served.until("it is mended", async || service().is_some()).await;
    assert_eq!(service().unwrap()["spec"]["type"], "ClusterIP");
}

#[tokio::test]
async fn definitions_come_and_go() {
    let api = ApiServer::start().await;
    api.fail(POLICIES, Fault::Status(404));
    api.fail(EXEMPTIONS, Fault::Status(404));
    let guard = Guard::start(api).await;
    guard.until_ready().await;
    assert!(!guard.allows().await);
    put(&guard.api, 1, &level("warn"));
    for resource in [POLICIES, EXEMPTIONS] {
        guard.api.heal(resource);
    }
    guard.served.until("the policy is in force", async || guard.allows().await).await;

    guard.api.delete(POLICIES, "", "ours");
    guard.api.fail(POLICIES, Fault::Status(404));
    guard.api.end_watches();
    guard.served.until("there are none", async || !guard.allows().await).await;
    guard.api.heal(POLICIES);
    put(&guard.api, 1, &level("audit"));
    guard.served.until("it is in force again", async || guard.allows().await).await;
}

#[tokio::test]
async fn the_status_says_what_is_in_force_and_is_not_written_again() {
    let api = ApiServer::start().await;
    put(&api, 1, &level("warn"));
    let guard = Guard::start(api).await;
    guard.until_ready().await;
    let status = || guard.api.object(POLICIES, "", "ours").unwrap()["status"].clone();
    let ready = || status()["conditions"][0].clone();
    guard.served.until("a status", async || ready()["reason"] == "InForce").await;

    put(&guard.api, 2, &json!({"rules": [{"rule": "quorum-evne", "level": "deny"}]}));
    guard.served.until("it is malformed", async || ready()["reason"] == "Malformed").await;
    let message = ready()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("spec.rules[0].rule: there is no rule \"quorum-evne\""), "{message}");
    assert!(message.ends_with("; the last good version is in force"), "{message}");
    assert_eq!((&status()["observedGeneration"], guard.allows().await), (&json!(2), true));
    assert_eq!(guard.served.get("/readyz").await.status, 200);
    let metrics = guard.served.get("/metrics").await.text();
    assert!(metrics.contains("stateward_policy_errors{policy=\"ours\"} 1\n"), "{metrics}");
    guard.served.until("an Event", async || !guard.api.posted("events").is_empty()).await;
    assert_eq!(guard.api.posted("events")[0]["reason"], "PolicyMalformed");

    // A policy of the same name that is made anew has no last good version.
    guard.api.delete(POLICIES, "", "ours");
    guard.served.until("it is gone", async || !guard.allows().await).await;
    let writes = guard.api.requests("/status");
    let other = json!({"metadata": {"uid": "v", "generation": 1}, "spec": {"rules": [{"rule": "x", "level": "deny"}]}});
    guard.api.put_object(POLICIES, "", "ours", other);
    guard.served.until("it is malformed", async || ready()["reason"] == "Malformed").await;
    assert!(ready()["message"].as_str().unwrap().ends_with("; nothing of it is in force"));
    assert!(!guard.allows().await);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(guard.api.requests("/status"), writes + 1, "it is written once");
}
