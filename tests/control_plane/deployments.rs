//! Deployments and ReplicaSets that hold state.

use crate::stage;

use serde_json::{Value, json};
use stage::Stage;

/// A Deployment that writes to the claim `data`.
fn wiki(namespace: &str, replicas: i32, strategy: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "wiki", "namespace": namespace},
        "spec": {
            "replicas": replicas, "strategy": strategy, "selector": {"matchLabels": {"app": "wiki"}},
            "template": {"metadata": {"labels": {"app": "wiki"}}, "spec": {
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
                "containers": [{"name": "wiki", "image": "example.com/wiki:2",
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            }},
        },
    })
}

fn claim(namespace: &str, mode: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Mi"}}},
    })
}

/// A ReplicaSet without a claim.
fn singleton(namespace: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "one", "namespace": namespace, "annotations": {"stateward.dev/class": "singleton"}},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "one"}},
            "template": {"metadata": {"labels": {"app": "one"}},
                "spec": {"containers": [{"name": "one", "image": "example.com/one:1"}]}},
        },
    })
}

fn path(namespace: &str, resource: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/{resource}")
}

#[tokio::test]
async fn a_claim_for_one_node_is_not_shared() {
    let Some(stage) = Stage::set("claims", "strict").await else { return };
    let (namespace, api) = (stage.namespace("a").await, &stage.api);
    api.create(&claim(&namespace, "ReadWriteOnce")).await.allowed();
    let (rolling, recreate) = (json!({"type": "RollingUpdate"}), json!({"type": "Recreate"}));
    api.create(&wiki(&namespace, 2, &recreate)).await.denied_by(&["deployment-claim-shared"]);
    api.create(&wiki(&namespace, 1, &rolling)).await.denied_by(&["deployment-claim-rolling"]);
    api.create(&wiki(&namespace, 1, &recreate)).await.warned_of(&[]);

    let (deployment, scale) =
        (path(&namespace, "deployments/wiki"), path(&namespace, "deployments/wiki/scale"));
    let to = |replicas: i32| json!({"spec": {"replicas": replicas}});
    api.merge(&scale, &to(2)).await.denied_by(&["deployment-claim-shared"]);
    api.merge(&deployment, &to(2)).await.denied_by(&["deployment-claim-shared"]);
    api.merge(&scale, &to(0)).await.warned_of(&[]);
    api.merge(&scale, &to(1)).await.warned_of(&[]);
    stage.end().await;
}

#[tokio::test]
async fn a_claim_for_many_nodes_is_shared_and_what_has_none_is_not_asked_about() {
    let Some(stage) = Stage::set("shares", "strict").await else { return };
    let (namespace, api) = (stage.namespace("a").await, &stage.api);
    api.create(&claim(&namespace, "ReadWriteMany")).await.allowed();
    api.create(&wiki(&namespace, 3, &json!({}))).await.warned_of(&[]);
    api.merge(&path(&namespace, "deployments/wiki/scale"), &json!({"spec": {"replicas": 5}}))
        .await
        .warned_of(&[]);

    api.create(&singleton(&namespace, 2)).await.denied_by(&["singleton-scaled"]);
    api.create(&singleton(&namespace, 1)).await.warned_of(&[]);
    let scale = path(&namespace, "replicasets/one/scale");
    api.merge(&scale, &json!({"spec": {"replicas": 2}})).await.denied_by(&["singleton-scaled"]);
    stage.end().await;
}
