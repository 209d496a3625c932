//! The certificate that Stateward keeps, between a real API server and two replicas with exactly the rights that they are installed
//! with. Every request that these webhooks are asked about fails where one of the two is not trusted.

use crate::control_plane;
use crate::kube_api;
use crate::stage;
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use control_plane::ControlPlane;
use k8s_openapi::ByteString;
use kube_api::{Api, Reply, installation};
use serde_json::{Value, json};
use stage::{Guard, SKIPPED};
use tokio::task::JoinHandle;

const SECRET: &str = "/api/v1/namespaces/stateward/secrets/stateward-tls";
const CONFIGURATIONS: [&str; 2] = [
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/stateward",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/stateward",
];
/// Longer than anything here takes: a CA is trusted for a minute before it is used.
const PATIENCE: Duration = Duration::from_secs(180);

struct Play {
    api: Api,
    plane: ControlPlane,
    guards: [Guard; 2],
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < end, "it never happens: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Play {
    async fn begin(plane: ControlPlane) -> Self {
        let api = plane.api();
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "users", "labels": {"e2e": "certificates"}},
        });
        api.create(&namespace).await.allowed();
        let flags =
            ["--bind=127.0.0.1:0", "--cert-secret=stateward-tls", "--webhook-configuration=stateward"];
        let start = || Guard::with_flags(&plane, tempfile::tempdir().unwrap(), &flags);
        let guards = tokio::join!(start(), start()).into();
        let play = Self { api, plane, guards };
        for configuration in play.configurations(&["a", "b"]) {
            play.api.apply_as("gitops", &configuration).await.allowed();
        }
        until("both are trusted", async || play.refused().await.status == 422).await;
        play
    }

    /// Both configurations as somebody keeps them in a repository: an entry each for the first and the second replica.
    fn configurations(&self, entries: &[&str]) -> [Value; 2] {
        [("Validating", "validate"), ("Mutating", "mutate")].map(|(kind, path)| {
            let entry = |(name, guard): (&&str, &Guard)| {
                let rule = json!({
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["statefulsets"],
                    "operations": ["CREATE", "UPDATE"],
                });
                json!({
                    "name": format!("{name}.stateward.dev"), "rules": [rule], "sideEffects": "NoneOnDryRun",
                    "clientConfig": {"url": format!("https://localhost:{}/{path}", guard.webhook.port())},
                    "namespaceSelector": {"matchLabels": {"e2e": "certificates"}},
                    "failurePolicy": "Fail", "timeoutSeconds": 10, "admissionReviewVersions": ["v1"],
                })
            };
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
                "metadata": {"name": "stateward"},
                "webhooks": entries.iter().zip(&self.guards).map(entry).collect::<Vec<_>>(),
            })
        })
    }

    async fn refused(&self) -> Reply {
        refused(&self.api).await
    }

    async fn data(&self) -> Value {
        self.api.get(SECRET).await.body["data"].clone()
    }

    async fn set_data(&self, data: &Value) {
        // `null` first, or a merge would leave what is not named.
        let cleared = json!({"next-ca.key": null, "ca.key": null});
        self.api.merge(SECRET, &json!({"data": cleared})).await.allowed();
        self.api.merge(SECRET, &json!({"data": data})).await.allowed();
    }

    async fn ca_bundles(&self) -> Vec<String> {
        let mut bundles = Vec::new();
        for path in CONFIGURATIONS {
            let read = self.api.get(path).await.body;
            let entries = read["webhooks"].as_array().unwrap().iter();
            bundles.extend(entries.map(|entry| text(&entry["clientConfig"]["caBundle"])));
        }
        bundles
    }

    /// Takes the CA out of one entry, and waits until it is there again.
    async fn blank(&self, path: &str, and_then: impl AsyncFnOnce()) {
        let mut entries = self.api.get(path).await.body["webhooks"].clone();
        entries[0]["clientConfig"]["caBundle"] = Value::Null;
        self.api.merge(path, &json!({"webhooks": entries})).await.allowed();
        assert!(self.ca_bundles().await.contains(&String::new()));
        and_then().await;
        until("it is put right", async || !self.ca_bundles().await.contains(&String::new())).await;
        until("it is trusted", async || self.refused().await.status == 422).await;
    }
}

fn text(encoded: &Value) -> String {
    let bytes: Option<ByteString> = serde_json::from_value(encoded.clone()).unwrap();
    String::from_utf8(bytes.unwrap_or_default().0).unwrap()
}

/// A review that both replicas take part in; its name is too long in every profile.
async fn refused(api: &Api) -> Reply {
    let template = json!({
        "metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "x", "image": "x"}]},
    });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "x".repeat(60), "namespace": "users"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template},
    });
    api.post("/apis/apps/v1/namespaces/users/statefulsets?dryRun=All", &set).await
}

/// Reviews without pause; ends with a panic at the first that is not answered by the guards.
fn load(api: Api) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            refused(&api).await.denied_by(&["name-too-long"]);
        }
    })
}

fn stateward(plane: &ControlPlane, folder: &Path, arguments: &[&str]) -> std::process::Output {
    let kubeconfig = folder.join("kubeconfig");
    fs::write(&kubeconfig, plane.kubeconfig("admin-token")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_stateward"))
        .args(arguments)
        .current_dir(folder)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap()
}

#[tokio::test]
async fn it_is_kept_and_replaced_under_load_whatever_happens_to_it() {
    control_plane::bound_lifetime();
    let Some(assets) = control_plane::assets() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let play = Play::begin(ControlPlane::start(&assets, false).unwrap()).await;
    let secret = play.api.get(SECRET).await.body;
    assert_eq!(secret["type"], "kubernetes.io/tls");
    let bundle = text(&secret["data"]["ca.crt"]);
    assert_eq!(play.ca_bundles().await, vec![bundle; 4]);

    let loads = [(); 3].map(|()| load(play.plane.api()));
    let good = play.data().await;
    play.api.delete(SECRET, &json!({})).await.allowed();
    until("it is back", async || play.data().await == good).await;
    play.set_data(&json!({"tls.key": ""})).await;
    until("it is back", async || play.data().await == good).await;

    for configuration in play.configurations(&["a", "b"]) {
        play.api.apply_as("gitops", &configuration).await.allowed();
    }

    // Another CA and certificate, made by hand.
    let folder = tempfile::tempdir().unwrap();
    let issued = stateward(&play.plane, folder.path(), &["certs", "issue", "--days=100"]);
    assert!(issued.status.success(), "{issued:?}");
    let file = |name: &str| ByteString(fs::read(folder.path().join("certs").join(name)).unwrap());
    let names = ["ca.crt", "ca.key", "tls.crt", "tls.key"];
    let theirs: Value = names.map(|name| (name.to_owned(), json!(file(name)))).into_iter().collect();
    play.api.merge(SECRET, &json!({"data": theirs})).await.allowed();
    let expiry = "stateward_certificate_expiry_timestamp_seconds";
    let before = play.guards[0].metric(expiry);
    until("both take it up", async || play.guards.iter().all(|guard| guard.metric(expiry) != before)).await;
    for bundle in play.ca_bundles().await {
        assert_eq!(bundle.matches("BEGIN").count(), 2, "the old one and the new one");
    }
    for load in loads {
        load.abort();
        assert!(load.await.unwrap_err().is_cancelled(), "a review failed");
    }

    let inspected = stateward(&play.plane, folder.path(), &["certs", "inspect", "--secret", "stateward-tls"]);
    let shown = String::from_utf8(inspected.stdout).unwrap();
    assert_eq!(inspected.status.code(), Some(0), "{shown}");
    assert!(shown.contains("tls.crt: a certificate, CN=stateward"), "{shown}");

    for path in CONFIGURATIONS {
        play.blank(path, async || {}).await;
    }
    without_the_right(&play).await;
    an_entry_can_be_taken_out(&play).await;
    for guard in &play.guards {
        assert!(
            !guard.log().contains(" ERROR stateward") && !guard.log().contains("panic"),
            "{}",
            guard.log()
        );
    }
}

/// What was applied is owned by nobody, so whoever takes an entry out of a repository takes it out here.
async fn an_entry_can_be_taken_out(play: &Play) {
    for (path, configuration) in CONFIGURATIONS.iter().zip(play.configurations(&["a"])) {
        until("it is nobody's", async || {
            !play.api.get(path).await.body["metadata"]["managedFields"]
                .to_string()
                .contains("stateward-ca-bundle")
        })
        .await;
        play.api.apply_as("gitops", &configuration).await.allowed();
        assert_eq!(play.api.get(path).await.body["webhooks"].as_array().unwrap().len(), 1);
    }
    play.refused().await.denied_by(&["name-too-long"]);
    assert!(play.ca_bundles().await.iter().all(|bundle| !bundle.is_empty()));
}

/// Nobody may write what is missing: there is an event, and everything else goes on.
async fn without_the_right(play: &Play) {
    let role = installation().into_iter().find(|object| object["kind"] == "ClusterRole").unwrap();
    let mut less = role.clone();
    less["rules"]
        .as_array_mut()
        .unwrap()
        .retain(|rule| rule["apiGroups"][0] != "admissionregistration.k8s.io");
    let read = json!({
        "apiGroups": ["admissionregistration.k8s.io"], "verbs": ["get"],
        "resources": ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
    });
    less["rules"].as_array_mut().unwrap().push(read);
    play.api.apply(&less).await.allowed();
    play.blank(CONFIGURATIONS[0], async || {
        let events = "/apis/events.k8s.io/v1/namespaces/default/events";
        until("an event", async || {
            let events = play.api.get(events).await.body["items"].clone();
            let mut events = events.as_array().unwrap().clone().into_iter();
            events.any(|event| {
                event["reason"] == "CaBundleNotKept" && event["regarding"]["name"] == "stateward"
            })
        })
        .await;
        play.api.apply(&role).await.allowed();
    })
    .await;
}
