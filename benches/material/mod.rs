//! What is measured: recorded reviews, and snapshots to judge them against.
// Each benchmark uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use serde_json::{Value, json};
use stateward::cluster::Cluster;
use stateward::cluster::Kind;
use stateward::policy::Policies;
use stateward::policy::Policy;
use stateward::policy::Profile;

/// A review as a kube-apiserver sent it, and what it is.
pub struct Recorded {
    pub name: &'static str,
    pub body: &'static [u8],
}

/// The shipped profile has nothing to say of the first three; the last is refused, and costs the making of a refusal.
pub const RECORDED: [Recorded; 4] = [
    Recorded { name: "create", body: include_bytes!("../../tests/captures/consul-create.validate.json") },
    Recorded {
        name: "update",
        body: include_bytes!("../../tests/captures/consul-image-update.validate.json"),
    },
    Recorded {
        name: "scale",
        body: include_bytes!("../../tests/captures/consul-scale-3-to-5.validate.json"),
    },
    Recorded {
        name: "refused",
        body: include_bytes!("../../tests/captures/consul-scale-5-to-4.validate.json"),
    },
];

/// What the mutating webhook is sent: something is added to the first two if a policy says so, and to the last.
pub const TO_MUTATE: [Recorded; 3] = [
    Recorded { name: "create", body: include_bytes!("../../tests/captures/consul-create.mutate.json") },
    Recorded { name: "update", body: include_bytes!("../../tests/captures/consul-image-update.mutate.json") },
    Recorded { name: "pod", body: include_bytes!("../../tests/captures/nginx-0-pod-create.mutate.json") },
];

pub fn policies() -> Policies {
    Policies::new(Profile::Baseline, Vec::new()).unwrap()
}

/// Those that have something added to every StatefulSet.
pub fn mutating_policies() -> Policies {
    let policy = json!({
        "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": { "name": "all" },
        "spec": { "mutate": { "servicePerPod": { "ports": "80:8080" }, "podNameLabel": "pod-name" } },
    });
    Policies::new(Profile::Baseline, vec![Policy::from_json(&policy).unwrap()]).unwrap()
}

/// A whole cluster with this many `StatefulSet`s, ten in a namespace, each with its Service and its budget. One is
/// demo/consul, which the recorded reviews are about.
pub fn cluster(sets: usize) -> Cluster {
    let mut cluster = Cluster::default();
    for kind in Kind::ALL {
        cluster.set_complete(kind, true);
    }
    add_application(&mut cluster, "demo", "consul");
    for index in 1..sets {
        let namespace = if index < 10 { "demo".to_owned() } else { format!("team-{}", index / 10) };
        add_application(&mut cluster, &namespace, &format!("consul-{index}"));
    }
    cluster
}

fn add_application(cluster: &mut Cluster, namespace: &str, name: &str) {
    let labels = json!({ "app": name });
    let metadata = json!({ "name": name, "namespace": namespace, "labels": labels });
    let object = |spec: Value| json!({ "metadata": metadata, "spec": spec });
    let set = object(json!({
        "replicas": 3,
        "serviceName": name,
        "selector": { "matchLabels": labels },
        "template": {
            "metadata": { "labels": labels },
            "spec": { "containers": [{ "name": "consul", "image": "hashicorp/consul:1.18" }] }
        },
        "volumeClaimTemplates": [{ "metadata": { "name": "data" } }]
    }));
    let service = object(json!({ "clusterIP": "None", "selector": labels }));
    let budget = object(json!({ "maxUnavailable": 1, "selector": { "matchLabels": labels } }));
    cluster.insert(serde_json::from_value::<stateward::model::StatefulSet>(set).unwrap());
    cluster.insert(serde_json::from_value::<stateward::model::Service>(service).unwrap());
    cluster.insert(serde_json::from_value::<stateward::model::DisruptionBudget>(budget).unwrap());
}
