//! Members of a consensus group that are evicted or deleted, with the kubectl that people use. No kubelet runs: the tests say which
//! pods are ready.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kube_api::{example, path_of, pod_path, service_path, set_path};
use crate::kubectl::Kubectl;
use crate::stage::Stage;

/// A member of the ensemble `ring` with a set of its own, which no budget selects.
fn member(namespace: &str, name: &str) -> Value {
    let annotations = json!({"stateward.dev/class": "quorum", "stateward.dev/ensemble": "ring"});
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {
            "replicas": 1, "serviceName": name, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"automountServiceAccountToken": false, "containers": [{"name": "ring", "image": "ring"}]},
            },
        },
    })
}

/// The evictions that were refused.
fn refused(stage: &Stage) -> f64 {
    let count = "stateward_admission_requests_total{webhook=\"validate\",operation=\"CREATE\",resource=\"pods/eviction\",\
                 decision=\"denied\"}";
    stage.metric(count).unwrap_or_default()
}

async fn set_ready(stage: &Stage, namespace: &str, pod: &str, ready: bool) {
    let conditions = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
    let status = json!({"status": {"phase": "Running", "conditions": conditions}});
    stage.api.merge(&format!("{}/status", pod_path(namespace, pod)), &status).await.allowed();
}

/// A node for each of these pods, which runs there and is ready.
async fn run_all(stage: &Stage, namespace: &str, pods: &[&str]) {
    for pod in pods {
        let node = format!("{namespace}-{pod}");
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
        stage.api.create(&object).await.allowed();
        stage.running_pod(namespace, &node, pod).await;
        set_ready(stage, namespace, pod, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_until_the_others_are_ready() {
    let Some(stage) = Stage::set_with_controllers("drain", "baseline").await else { return };
    let namespace = stage.namespace("ring").await;
    let Some(kubectl) = Kubectl::find(&namespace) else { return stage.end().await };
    for name in ["ring-a", "ring-b", "ring-c"] {
        stage.api.create(&member(&namespace, name)).await.allowed();
    }
    run_all(&stage, &namespace, &["ring-a-0", "ring-b-0", "ring-c-0"]).await;
    set_ready(&stage, &namespace, "ring-c-0", false).await;

    let drained = format!("{namespace}-ring-a-0");
    let drain = tokio::task::spawn_blocking(move || {
        // Nothing here ends a process that was told to.
        kubectl.run(&["drain", &drained, "--timeout=60s", "--skip-wait-for-delete-timeout=1"])
    });
    stage.until("an eviction is refused", async || refused(&stage) >= 1.0).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pod = stage.api.get(&pod_path(&namespace, "ring-a-0")).await.body;
    assert_eq!(pod["metadata"]["deletionTimestamp"], Value::Null, "it runs on");

    set_ready(&stage, &namespace, "ring-c-0", true).await;
    let (succeeded, said) = drain.await.unwrap();
    assert!(succeeded, "{said}");
    assert!(said.contains("will retry after 5s"), "{said}");
    assert!(said.contains("quorum-no-spare: 2 of the 3 members of ensemble ring are ready"), "{said}");
    assert!(said.contains("until ring-c-0 is ready"), "{said}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_deleted_one_at_a_time_in_strict() {
    let Some(stage) = Stage::set_with_controllers("one-by-one", "strict").await else { return };
    let namespace = stage.namespace("consul").await;
    let Some(kubectl) = Kubectl::find(&namespace) else { return stage.end().await };
    for object in example("consul/consul.yaml", &namespace) {
        stage.api.apply(&object).await.allowed();
    }
    run_all(&stage, &namespace, &["consul-0", "consul-1", "consul-2"]).await;

    let (succeeded, said) = kubectl.run(&["delete", "pod", "consul-0", "consul-1", "--wait=false"]);
    assert!(!succeeded && said.contains("pod \"consul-0\" deleted"), "{said}");
    let lines = "quorum-no-spare: 2 of the 3 members of StatefulSet consul are ready and 2 must be: without consul-1 the group stops";
    assert!(said.contains(lines) && said.contains("wait until consul-0 is ready"), "{said}");
    let pod = stage.api.get(&pod_path(&namespace, "consul-1")).await.body;
    assert_eq!(pod["metadata"]["deletionTimestamp"], Value::Null);

    // The set itself may go, and its pods with it.
    stage.api.delete(&set_path(&namespace, "consul"), &json!({})).await.allowed();
    let path = pod_path(&namespace, "consul-1");
    let is_going = async || {
        let pod = stage.api.get(&path).await;
        pod.status == 404 || pod.body["metadata"]["deletionTimestamp"].is_string()
    };
    stage.until("its pods are collected", is_going).await;
    stage.end().await;
}

/// What `quorum-no-spare` says of a rollout is what the controller does.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_begins_with_the_last_pod_though_another_is_not_ready() {
    let Some(stage) = Stage::set_with_controllers("rollout", "strict").await else { return };
    let namespace = stage.namespace("consul").await;
    for object in example("consul/consul.yaml", &namespace) {
        stage.api.apply(&object).await.allowed();
    }
    run_all(&stage, &namespace, &["consul-0", "consul-1", "consul-2"]).await;
    set_ready(&stage, &namespace, "consul-0", false).await;
    let set = set_path(&namespace, "consul");
    let two_ready = async || stage.api.get(&set).await.body["status"]["readyReplicas"] == 2;
    stage.until("the controller has seen it", two_ready).await;

    let restart = json!({"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"});
    let restart = json!({"spec": {"template": {"metadata": {"annotations": restart}}}});
    let warnings = stage.api.merge(&set, &restart).await.allowed().warnings.join("\n");
    let said = "2 of the 3 members of StatefulSet consul are ready and 2 must be: the rollout deletes consul-2 first";
    assert!(warnings.contains(said) && warnings.contains("until consul-0 is ready"), "{warnings}");
    let is_going = async |pod: &str| {
        let pod = stage.api.get(&pod_path(&namespace, pod)).await;
        pod.status == 404 || pod.body["metadata"]["deletionTimestamp"].is_string()
    };
    stage.until("the last pod goes", async || is_going("consul-2").await).await;
    assert!(!is_going("consul-1").await && !is_going("consul-0").await);
    stage.end().await;
}

/// In whatever order, nothing is refused and nothing is left.
#[tokio::test]
async fn a_whole_application_is_deleted_in_strict() {
    let Some(stage) = Stage::set("delete-all", "strict").await else { return };
    let namespace = stage.namespace("apps").await;
    for file in ["consul/consul.yaml", "zookeeper/zookeeper.yaml", "singleton/singleton.yaml"] {
        let objects = example(file, &namespace);
        for first in 0..objects.len() {
            for object in &objects {
                stage.api.apply(object).await.allowed();
            }
            for object in objects.iter().cycle().skip(first).take(objects.len()) {
                stage.api.delete(&path_of(object), &json!({})).await.allowed();
            }
            for object in &objects {
                stage.until_gone(&path_of(object)).await;
            }
        }
    }
    stage.end().await;
}

fn list_of(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// All of these are gone.
async fn until_all_gone(stage: &Stage, objects: &[Value]) {
    for object in objects {
        stage.until_gone(&path_of(object)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_deletes_an_application_in_whatever_order_its_file_has() {
    let Some(stage) = Stage::set_with_controllers("delete-file", "strict").await else { return };
    let namespace = stage.namespace("apps").await;
    let Some(kubectl) = Kubectl::find(&namespace) else { return stage.end().await };
    let objects = example("consul/consul.yaml", &namespace);
    let first = objects.iter().position(|object| object["kind"] == "Service").unwrap();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let file = order.map(|index| objects[first + index].clone());
        for object in &objects {
            stage.api.apply(object).await.allowed();
        }
        let pod = pod_path(&namespace, "consul-2");
        stage.until("pods are made", async || stage.api.exists(&pod).await).await;
        let (succeeded, said) = kubectl.run(&["delete", "-f", &kubectl.file(&list_of(&file))]);
        assert!(succeeded, "{order:?}: {said}");
        until_all_gone(&stage, &file).await;
        for pod in ["consul-0", "consul-1", "consul-2"] {
            stage.until_gone(&pod_path(&namespace, pod)).await;
        }
    }
    stage.end().await;
}

/// As the page of `claim-in-use` says.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_stands_before_its_set_goes_with_the_second_command() {
    let Some(stage) = Stage::set_with_controllers("delete-claim", "strict").await else { return };
    let namespace = stage.namespace("consul").await;
    let Some(kubectl) = Kubectl::find(&namespace) else { return stage.end().await };
    let mut objects = example("consul/consul.yaml", &namespace);
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-consul-1", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    objects.insert(0, claim.clone());
    for object in &objects {
        stage.api.apply(object).await.allowed();
    }
    let pod = pod_path(&namespace, "consul-1");
    stage.until("its pod is made", async || stage.api.exists(&pod).await).await;

    let file = kubectl.file(&list_of(&objects));
    let (succeeded, said) = kubectl.run(&["delete", "-f", &file]);
    assert!(!succeeded && said.contains("\n  claim-in-use: "), "{said}");
    assert_eq!(said.matches("denied the request").count(), 1, "{said}");
    until_all_gone(&stage, &objects[1..]).await;
    let kept = stage.api.get(&path_of(&claim)).await.allowed();
    assert_eq!(kept.body["metadata"]["deletionTimestamp"], Value::Null);

    let (succeeded, said) = kubectl.run(&["delete", "--ignore-not-found", "-f", &file]);
    assert!(succeeded, "{said}");
    until_all_gone(&stage, &objects).await;
    stage.end().await;
}

/// `kubectl delete all` begins with the pods: that of some is refused, and they go with their set.
#[tokio::test(flavor = "multi_thread")]
async fn delete_all_leaves_nothing_behind_in_strict() {
    let Some(stage) = Stage::set_with_controllers("delete-all-l", "strict").await else { return };
    let namespace = stage.namespace("consul").await;
    let Some(kubectl) = Kubectl::find(&namespace) else { return stage.end().await };
    for object in example("consul/consul.yaml", &namespace) {
        stage.api.apply(&object).await.allowed();
    }
    let pods = ["consul-0", "consul-1", "consul-2"];
    run_all(&stage, &namespace, &pods).await;

    let (succeeded, said) = kubectl.run(&["delete", "all", "-l", "app=consul", "--wait=false"]);
    assert!(!succeeded, "{said}");
    assert_eq!(said.matches("quorum-no-spare: ").count(), 2, "{said}");
    assert_eq!(said.matches("denied the request").count(), 2, "{said}");
    stage.until_gone(&set_path(&namespace, "consul")).await;
    stage.until_gone(&service_path(&namespace, "consul")).await;
    for pod in pods {
        let path = pod_path(&namespace, pod);
        let is_going = async || stage.api.get(&path).await.body["metadata"]["deletionTimestamp"].is_string();
        stage.until("the pod is being deleted", is_going).await;
        // As the kubelet says that the process has ended.
        let kubelet = stage.api.acting_as(&format!("system:node:{namespace}-{pod}"), "system:nodes");
        kubelet.delete(&path, &json!({"gracePeriodSeconds": 0})).await.allowed();
        stage.until_gone(&path).await;
    }
    stage.end().await;
}
