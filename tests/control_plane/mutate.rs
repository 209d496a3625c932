//! What the mutating webhook adds, seen through a real API server: nobody owns it, nobody fights over it, nothing restarts.
//!
//! See `e2e.rs` for what it takes.

// Helpers beside the tests unwrap too, and what is skipped is said aloud.

use crate::kube_api;
use crate::stage;
use kube_api::{pod_path, set_path};
use serde_json::{Value, json};
use stage::Stage;

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
async fn whoever_applies_again_changes_nothing_and_restarts_nothing() {
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
