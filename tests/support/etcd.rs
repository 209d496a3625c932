//! An etcd, as several tests write it. It has neither a Service nor a budget beside it.

use serde_json::{Value, json};

/// With four members.
pub const MANIFEST: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: etcd
spec:
  replicas: 4
  serviceName: etcd
  selector: {matchLabels: {app: etcd}}
  template:
    metadata: {labels: {app: etcd}}
    spec:
      containers:
      - name: etcd
        image: quay.io/coreos/etcd:v3.5.9
";

/// The `spec` of one with so many members.
pub fn spec(replicas: i32) -> Value {
    let template = json!({
        "metadata": {"labels": {"app": "etcd"}},
        "spec": {"containers": [{"name": "etcd", "image": "quay.io/coreos/etcd:v3.5.9"}]},
    });
    let selector = json!({"matchLabels": {"app": "etcd"}});
    json!({"replicas": replicas, "serviceName": "etcd", "selector": selector, "template": template})
}
