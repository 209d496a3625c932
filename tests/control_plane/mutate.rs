//! What the mutating webhook adds, seen through a real API server: nobody owns it, nobody fights over it, nothing restarts.
//!
//! See `e2e.rs` for what it takes.

// Helpers beside the tests unwrap too, and what is skipped is said aloud.

use std::time::{Duration, Instant};

use crate::control_plane::{self, ControlPlane};
use crate::kube_api::{Api, installation, pod_path, set_path};
use crate::stage::{Guard, SKIPPED, Stage};
use serde_json::{Value, json};
use stateward::webhook_config;

fn wanted() -> Value {
    json!({"mutate": {"servicePerPod": {"label": "pod-name", "ports": "80:8080"}, "podNameLabel": "pod-name"}})
}

fn web(namespace: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": namespace, "labels": {"app": "web"}},
        "spec": {
            "replicas": 1, "serviceName": "web", "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx:1.27"}]},
            },
        },
    })
}

/// What is said of the per-pod Services, and how often the pods were to be made anew.
fn said(set: &Value) -> Value {
    let annotations = |metadata: &Value| metadata["annotations"].clone();
    json!([
        annotations(&set["metadata"]),
        annotations(&set["spec"]["template"]["metadata"]),
        set["metadata"]["generation"]
    ])
}

fn all() -> Value {
    let own = json!({"service-per-pod-label": "pod-name", "service-per-pod-ports": "80:8080"});
    json!([own, {"pod-name-label": "pod-name"}, 1])
}

#[tokio::test]
async fn a_second_apply_changes_nothing_and_restarts_nothing() {
    let Some(stage) = Stage::set_with_policy("mutate-again", &wanted()).await else { return };
    let namespace = stage.namespace("all").await;
    let (set, path) = (web(&namespace), set_path(&namespace, "web"));
    let tried = stage.api.try_out(&set).await.allowed();
    assert_eq!(said(&tried.body), all(), "a dry run shows what there will be");

    let first = stage.api.apply_as("gitops", &set).await.allowed();
    assert_eq!(said(&first.body), all());
    let owned = first.body["metadata"]["managedFields"].to_string();
    assert!(owned.contains("gitops") && !owned.contains("pod-name-label"), "{owned}");

    let pod = pod_path(&namespace, "web-0");
    stage.until("the pod is there", async || stage.api.exists(&pod).await).await;
    let labels = stage.api.get(&pod).await.body["metadata"]["labels"].clone();
    assert_eq!(labels["pod-name"], "web-0", "{labels}");

    let before = stage.api.get(&path).await.body;
    let again = stage.api.apply_as("gitops", &set).await.allowed();
    assert_eq!(again.body["metadata"]["generation"], before["metadata"]["generation"]);
    assert_eq!(said(&again.body), all());

    // As `kubectl replace` does, with a manifest that never had any of it.
    let put =
        stage.api.try_send(http::Method::PUT, &path, "application/json", Some(&set)).await.unwrap().allowed();
    assert_eq!(said(&put.body), all());
    stage.end().await;
}

#[tokio::test]
async fn running_pods_get_it_with_their_next_rollout() {
    let Some(stage) = Stage::set_with_policy("mutate-later", &wanted()).await else { return };
    let namespace = stage.unguarded_namespace("all").await;
    let path = set_path(&namespace, "web");
    stage.api.create(&web(&namespace)).await.allowed();
    stage.protect(&namespace).await;

    let labelled = stage.api.merge(&path, &json!({"metadata": {"labels": {"a": "b"}}})).await.allowed();
    assert_eq!(said(&labelled.body), json!([null, null, 1]));
    let warnings = labelled.warnings.join("\n");
    assert!(warnings.contains("comes with the next rollout"), "{warnings}");

    let image =
        json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "nginx:1.28"}]);
    let content = "application/json-patch+json";
    let edited = stage.api.try_send(http::Method::PATCH, &path, content, Some(&image)).await.unwrap();
    let rolled = said(&edited.allowed().body);
    assert_eq!((&rolled[0], &rolled[1], &rolled[2]), (&all()[0], &all()[1], &json!(2)));
    stage.end().await;
}

const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/stateward";
const POLICIES: &str = "/apis/stateward.dev/v1alpha1/statefulsetpolicies";

/// The mutating configuration as it is shipped, for a guard that runs here and not behind a Service.
fn shipped(guard: &Guard) -> Value {
    let mut configuration = webhook_config::mutating();
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"] =
            json!({"url": format!("https://localhost:{}/mutate", guard.webhook.port())});
        webhook["namespaceSelector"] = json!({"matchLabels": {"e2e": "mutate"}});
        webhook["failurePolicy"] = "Fail".into();
        webhook["timeoutSeconds"] = 10.into();
    }
    configuration
}

/// Edits the set; whether the guard was asked what to add to it.
async fn is_asked(api: &Api, guard: &Guard, path: &str) -> bool {
    let before = guard.asked("statefulsets");
    api.merge(path, &json!({"metadata": {"labels": {"edited": "yes"}}})).await.allowed();
    guard.asked("statefulsets") > before
}

async fn until(guard: &Guard, what: &str, condition: impl AsyncFn() -> bool) {
    let end = Instant::now() + Duration::from_secs(180);
    while !condition().await {
        assert!(Instant::now() < end, "never happened: {what}\n{}", guard.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn expression(api: &Api) -> Value {
    let conditions = api.get(CONFIGURATION).await.body["webhooks"][0]["matchConditions"].clone();
    let mut conditions = conditions.as_array().unwrap().clone().into_iter();
    conditions.find(|condition| condition["name"] == "wanted-by-a-policy").unwrap_or_default()["expression"]
        .clone()
}

#[tokio::test]
async fn sets_are_asked_about_only_while_a_policy_adds_something() {
    control_plane::bound_lifetime();
    let Some(assets) = control_plane::assets() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let plane = ControlPlane::start(&assets, false).unwrap();
    let api = plane.api();
    for object in installation().iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        api.apply(object).await.allowed();
    }
    let flags = ["--bind=127.0.0.1:0", "--cert-secret=stateward-tls", "--webhook-configuration=stateward"];
    let guard = Guard::with_flags(&plane, tempfile::tempdir().unwrap(), &flags).await;
    until(&guard, "the kinds are served", async || api.get(POLICIES).await.status == 200).await;
    api.create(&json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "users", "labels": {"e2e": "mutate"}},
    }))
    .await
    .allowed();

    api.apply_as("gitops", &shipped(&guard)).await.allowed();
    until(&guard, "the entry is closed", async || expression(&api).await == "false").await;
    let mut set = web("users");
    set["spec"]["replicas"] = 0.into();
    let path = set_path("users", "web");
    until(&guard, "the set is created", async || api.apply_as("gitops", &set).await.status < 300).await;
    until(&guard, "it is not asked", async || !is_asked(&api, &guard, &path).await).await;

    // Pods say themselves what they want, with or without a policy.
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "users", "annotations": {"pod-name-label": "pod-name"}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    });
    api.post("/api/v1/namespaces/users/pods?dryRun=All", &pod).await;
    assert!(guard.asked("pods") > 0.0, "{}", guard.log());

    // Who applies the manifests again takes nothing away, and owns what is in them alone.
    api.apply_as("gitops", &shipped(&guard)).await.allowed();
    assert_eq!(expression(&api).await, "false");
    until(&guard, "it is nobody's", async || {
        !api.get(CONFIGURATION).await.body["metadata"]["managedFields"]
            .to_string()
            .contains("stateward-ca-bundle")
    })
    .await;

    let policy = json!({
        "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": "per-pod"}, "spec": wanted(),
    });
    api.create(&policy).await.allowed();
    until(&guard, "the set has it", async || {
        let tried = api.try_out(&web("users")).await.allowed();
        said(&tried.body)[0] == all()[0]
    })
    .await;
    assert_eq!(expression(&api).await, "true");
    assert!(is_asked(&api, &guard, &path).await);

    api.delete(&format!("{POLICIES}/per-pod"), &json!({})).await.allowed();
    until(&guard, "the entry is closed again", async || !is_asked(&api, &guard, &path).await).await;
    assert!(!guard.log().contains(" ERROR stateward"), "{}", guard.log());
}
