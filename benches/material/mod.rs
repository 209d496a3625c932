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
    pub body: Vec<u8>,
}

macro_rules! recorded {
    ($name:literal, $capture:literal) => {
        Recorded {
            name: $name,
            body: mounted(include_str!(concat!("../../tests/captures/", $capture, ".json"))),
        }
    };
}

/// The shipped profile has nothing to say of the first three; the last is refused, and costs the making of a refusal.
pub fn recorded() -> [Recorded; 4] {
    [
        recorded!("create", "consul-create.validate"),
        recorded!("update", "consul-image-update.validate"),
        recorded!("scale", "consul-scale-3-to-5.validate"),
        recorded!("refused", "consul-scale-5-to-4.validate"),
    ]
}

/// What the mutating webhook is sent: something is added to the first two if a policy says so, and to the last.
pub fn to_mutate() -> [Recorded; 3] {
    [
        recorded!("create", "consul-create.mutate"),
        recorded!("update", "consul-image-update.mutate"),
        recorded!("pod", "nginx-0-pod-create.mutate"),
    ]
}

/// The recorded set mounts its claim nowhere, of which there would be something to say.
fn mounted(capture: &str) -> Vec<u8> {
    let mounts = r#""resources":{},"volumeMounts":[{"name":"data","mountPath":"/consul/data"}],"terminationMessagePath""#;
    capture.replace(r#""resources":{},"terminationMessagePath""#, mounts).into_bytes()
}

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
    let apart =
        json!({ "labelSelector": { "matchLabels": labels }, "topologyKey": "kubernetes.io/hostname" });
    let set = object(json!({
        "replicas": 3,
        "serviceName": name,
        "selector": { "matchLabels": labels },
        "template": {
            "metadata": { "labels": labels },
            "spec": {
                "containers": [{
                    "name": "consul", "image": "hashicorp/consul:1.18", "readinessProbe": { "tcpSocket": { "port": 8080 } },
                    "volumeMounts": [{ "name": "data", "mountPath": "/consul/data" }]
                }],
                "affinity": { "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [apart] } }
            }
        },
        "volumeClaimTemplates": [{ "metadata": { "name": "data" } }]
    }));
    let service =
        object(json!({ "clusterIP": "None", "publishNotReadyAddresses": true, "selector": labels }));
    let budget = object(json!({ "maxUnavailable": 1, "selector": { "matchLabels": labels } }));
    cluster.insert(serde_json::from_value::<stateward::model::StatefulSet>(set).unwrap());
    cluster.insert(serde_json::from_value::<stateward::model::Service>(service).unwrap());
    cluster.insert(serde_json::from_value::<stateward::model::DisruptionBudget>(budget).unwrap());
}
