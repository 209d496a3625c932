//! Metacontroller's hooks, over the real port and by the real judge. The requests have the shape that Metacontroller 4 gives
//! them, with all fields that it sends, also those that are not read.

use crate::support;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use stateward::cluster::Cluster;
use stateward::guard::WebhookGuard;
use stateward::metacontroller::Hook;
use stateward::policy::Policies;
use stateward::policy::Policy;
use stateward::policy::Profile;
use stateward::process::Readiness;
use stateward::process::Stopper;
use stateward::server::Metrics;
use stateward::server::ServeConfig;
use stateward::server::Server;
use support::{
    client::{Client, Response, request},
    config, pki,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

struct Hooks {
    address: std::net::SocketAddr,
    folder: TempDir,
    cluster: Arc<ArcSwap<Cluster>>,
    task: JoinHandle<()>,
    _stopper: Stopper,
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hooks(policy: Option<Value>) -> Hooks {
    let folder = tempfile::tempdir().unwrap();
    let policies = policy.map(|spec| {
        let document = json!({
            "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": "mine"}, "spec": spec,
        });
        Policy::from_json(&document).unwrap()
    });
    let policies = Policies::new(Profile::Baseline, policies.into_iter().collect()).unwrap();
    let cluster = Arc::new(ArcSwap::from_pointee(Cluster::default()));
    let judge = WebhookGuard {
        cluster: Arc::clone(&cluster),
        policies: Arc::new(ArcSwap::from_pointee(policies)),
        confirmer: None,
        reservations: Arc::default(),
        events: None,
        excluded: Vec::new(),
    };
    let config = ServeConfig { metacontroller: true, ..config(&folder) };
    let server = Server::bind(config, judge, Readiness::default(), Metrics::new()).await.unwrap();
    let (address, (stopper, shutdown)) = (server.webhook_address(), Stopper::new());
    let task = tokio::spawn(async move { server.run(shutdown).await.unwrap() });
    Hooks { address, folder, cluster, task, _stopper: stopper }
}

impl Hooks {
    async fn ask(&self, path: &str, body: &str) -> Response {
        let ca = std::fs::read(self.folder.path().join("ca.crt")).unwrap();
        let tls = pki::client_config(&ca, None);
        let mut client = Client::tls(self.address, "localhost", tls).await.unwrap();
        let path = format!("/metacontroller/{path}");
        client.send(request(&path, "Content-Type: application/json\r\n", body)).await;
        client.response().await
    }

    async fn answer(&self, path: &str, body: &Value) -> Value {
        let response = self.ask(path, &body.to_string()).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("content-type"), Some("application/json"));
        response.json()
    }
}

fn decorated(object: &Value, attachments: &Value, finalizing: bool) -> Value {
    json!({
        "controller": {
            "kind": "DecoratorController", "apiVersion": "metacontroller.k8s.io/v1alpha1",
            "metadata": {"name": "service-per-pod", "uid": "c", "resourceVersion": "10", "generation": 1, "managedFields": []},
            "spec": {
                "resources": [{"apiVersion": "apps/v1", "resource": "statefulsets", "annotationSelector": {}}],
                "attachments": [{"apiVersion": "v1", "resource": "services", "updateStrategy": {"method": "InPlace"}}],
                "hooks": {"sync": {"webhook": {"url": "https://stateward/metacontroller/service-per-pod/sync"}}},
            },
            "status": {},
        },
        "object": object,
        "attachments": attachments,
        "related": {},
        "finalizing": finalizing,
    })
}

fn set(annotations: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {
            "name": "nginx", "namespace": "demo", "uid": "s", "resourceVersion": "12", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": annotations,
            "finalizers": ["metacontroller.io/decoratorcontroller-service-per-pod"],
            "managedFields": [{"manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {
            "replicas": 2, "ordinals": {"start": 3}, "serviceName": "nginx", "selector": {"matchLabels": {"app": "nginx"}},
            "template": {"metadata": {"labels": {"app": "nginx"}}, "spec": {"containers": [{"name": "n", "image": "nginx"}]}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        },
        "status": {"observedGeneration": 1, "replicas": 2, "conditions": [{"type": "X", "status": "True", "lastTransitionTime": null}]},
    })
}

fn asking() -> Value {
    json!({"service-per-pod-label": "pod-name", "service-per-pod-ports": "80:8080", "other": "x"})
}

fn service(name: &str, class: &str) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "nginx", "uid": "s", "controller": true,
        "blockOwnerDeletion": true});
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": name, "namespace": "demo", "uid": name, "ownerReferences": [owner],
            "annotations": {"metacontroller.k8s.io/decorator-controller": "service-per-pod"},
        },
        "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "loadBalancerClass": class, "ports": [{"port": 80, "nodePort": 31000,
            "protocol": "TCP", "targetPort": 8080}]},
        "status": {"loadBalancer": {}},
    })
}

#[tokio::test]
async fn a_set_gets_a_service_for_each_of_its_ordinals() {
    let hooks = hooks(None).await;
    let none = json!({"Service.v1": {}});
    let answer = hooks.answer("service-per-pod/sync", &decorated(&set(&asking()), &none, false)).await;
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {
                "type": "LoadBalancer", "selector": {"pod-name": name},
                "ports": [{"name": "port-80", "port": 80, "protocol": "TCP", "targetPort": 8080}],
            },
        })
    };
    assert_eq!(answer, json!({"attachments": [service("nginx-3"), service("nginx-4")]}));
}

#[tokio::test]
async fn policies_apply_and_a_load_balancer_keeps_its_class_in_both_versions() {
    let policy = json!({"servicePerPod": {"loadBalancerClass": "new", "annotations": {"cloud/kind": "nlb"}}});
    let hooks = hooks(Some(policy)).await;
    for key in ["nginx-3", "demo/nginx-3"] {
        let seen = json!({"Service.v1": {key: service("nginx-3", "old")}});
        let answer = hooks.answer("service-per-pod/sync", &decorated(&set(&asking()), &seen, false)).await;
        let class = |index: usize| &answer["attachments"][index]["spec"]["loadBalancerClass"];
        assert_eq!((class(0), class(1)), (&json!("old"), &json!("new")), "{key}");
        assert_eq!(answer["attachments"][1]["metadata"]["annotations"]["cloud/kind"], "nlb");
    }
}

/// Metacontroller sends back what it was told last.
#[tokio::test]
async fn without_a_policy_the_settings_of_before_hold_on() {
    let policy = json!({"servicePerPod": {"type": "ClusterIP", "annotations": {"cloud/internal": "true"}}});
    let request = decorated(&set(&asking()), &json!({}), false);
    let told = hooks(Some(policy)).await.answer("service-per-pod/sync", &request).await;
    let seen = json!({"Service.v1": {"demo/nginx-3": told["attachments"][0]}});
    let request = decorated(&set(&asking()), &seen, false);
    assert_eq!(
        hooks(None).await.answer("service-per-pod/sync", &request).await["attachments"],
        told["attachments"]
    );
}

#[tokio::test]
async fn it_is_finalized_when_the_services_are_gone() {
    let hooks = hooks(None).await;
    for (seen, finalized) in [
        (json!({"Service.v1": {"nginx-3": service("nginx-3", "x")}}), false),
        (json!({"Service.v1": {}}), true),
        (json!({}), true),
        (Value::Null, true),
    ] {
        let request = decorated(&set(&json!({})), &seen, true);
        let answer = hooks.answer("service-per-pod/finalize", &request).await;
        assert_eq!(answer, json!({"attachments": [], "finalized": finalized}));
    }
}

#[tokio::test]
async fn a_pod_gets_the_label_it_asks_for_and_keeps_one_it_has() {
    let hooks = hooks(None).await;
    let pod = |key: &str, labels: Value| {
        let metadata = json!({"name": "nginx-3", "namespace": "demo", "annotations": {"pod-name-label": key}, "labels": labels});
        let object =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}});
        decorated(&object, &json!({}), false)
    };
    for (labels, expected) in [
        (json!({"app": "nginx"}), json!({"pod-name": "nginx-3"})),
        (json!({"pod-name": "nginx-3"}), json!({"pod-name": "nginx-3"})),
        (json!({"pod-name": "mine"}), json!({})),
    ] {
        let answer = hooks.answer("pod-name-label/sync", &pod("pod-name", labels)).await;
        assert_eq!(answer, json!({"labels": expected}));
    }
    let wrong = hooks.ask("pod-name-label/sync", &pod("pod name", json!({})).to_string()).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    let answer = hooks.answer("pod-name-label/finalize", &pod("pod-name", json!({}))).await;
    assert_eq!(answer, json!({"attachments": [], "finalized": true}));
}

/// Metacontroller then leaves the Services that there are.
#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_a_sentence() {
    let hooks = hooks(None).await;
    let set =
        |annotations: Value| decorated(&set(&annotations), &json!({"Service.v1": {}}), false).to_string();
    let nameless = decorated(&json!({"kind": "StatefulSet"}), &json!({}), false).to_string();
    let replicas = set(asking()).replace("\"replicas\":2,\"selector\"", "\"replicas\":\"2\",\"selector\"");
    for (path, body, expected) in [
        ("service-per-pod/sync", "{", "EOF"),
        ("service-per-pod/sync", "{}", "missing field `object`"),
        ("service-per-pod/sync", &nameless, "not a StatefulSet with a name"),
        ("service-per-pod/sync", &replicas, "\"/object/spec/replicas\""),
        (
            "service-per-pod/sync",
            &set(json!({"service-per-pod-label": "a", "service-per-pod-ports": "80"})),
            "\"80\" is not port:targetPort",
        ),
        ("pod-name-label/sync", &set(asking()), "no annotation pod-name-label"),
    ] {
        let response = hooks.ask(path, body).await;
        let text = response.text();
        assert_eq!((response.status, text.lines().count()), (400, 1), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(hooks.ask("service-per-pod", "{}").await.status, 404);
}

#[tokio::test]
async fn what_is_not_known_yet_is_to_be_asked_again() {
    let scope = json!({"namespaceSelector": {"matchLabels": {"tier": "gold"}}});
    let hooks = hooks(Some(json!({"match": scope, "servicePerPod": {"type": "NodePort"}}))).await;
    let request = decorated(&set(&asking()), &json!({"Service.v1": {}}), false);
    assert_eq!(hooks.ask("service-per-pod/sync", &request.to_string()).await.status, 503);
    let mut cluster = Cluster::default();
    let namespace = json!({"metadata": {"name": "demo", "labels": {"tier": "gold"}}});
    cluster.insert(serde_json::from_value::<stateward::model::Namespace>(namespace).unwrap());
    hooks.cluster.store(Arc::new(cluster));
    let answer = hooks.answer("service-per-pod/sync", &request).await;
    assert_eq!(answer["attachments"][0]["spec"]["type"], "NodePort");
}

#[test]
fn the_decorators_that_are_shipped_ask_where_there_is_an_answer() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/metacontroller");
    let mut asked = Vec::new();
    for file in ["service-per-pod.yaml", "pod-name-label.yaml"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let decorator = stateward::manifest::document(&text).unwrap().to_json();
        for (_, hook) in decorator["spec"]["hooks"].as_object().unwrap() {
            let url = hook["webhook"]["url"].as_str().unwrap();
            asked.push(url.strip_prefix("https://stateward.stateward.svc").unwrap().to_owned());
        }
    }
    let answered = Hook::ALL.map(Hook::path);
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|path| answered.contains(&&**path)), "{asked:?}");
}
