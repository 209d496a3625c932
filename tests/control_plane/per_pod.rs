//! Per-pod Services on a real control plane, by a controller that has the rights of its component and no others.
//!
//! See `tests/e2e.rs` for what is needed; without kube-controller-manager each test says that it is skipped.

use crate::control_plane;
use crate::kube_api;
use crate::stage;
use std::time::{Duration, Instant};

use control_plane::ControlPlane;
use kube_api::{Api, example, manifests::objects, pod_path, service_path, set_path};
use serde_json::{Value, json};
use stage::{Guard, SKIPPED, has_controllers, shared_plane};
use tokio::sync::OnceCell;

/// Far longer than anything here takes, 900 Services included: what is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(300);

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < end, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A replica that would make Services.
async fn replica(plane: &ControlPlane) -> Guard {
    for object in objects("components/service-per-pod/rbac.yaml") {
        plane.api().apply(&object).await.allowed();
    }
    let (folder, ca) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ca = format!("--ca-out={}", ca.path().join("ca.crt").display());
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("policy.yaml"), POLICY).unwrap();
    let policies = format!("--policies={}", policies.display());
    Guard::with_flags(plane, folder, &["--bind=127.0.0.1:0", "--controller", &ca, &policies]).await
}

/// For the namespaces of one test.
const POLICY: &str = "
apiVersion: stateward.dev/v1alpha1
kind: StatefulSetPolicy
metadata: {name: gold}
spec:
  match: {namespaceSelector: {matchLabels: {tier: gold}}}
  servicePerPod:
    labels: {team: web}
    annotations: {example.com/kind: nlb}
    externalTrafficPolicy: Local
    loadBalancerClass: example.com/gold
    loadBalancerSourceRanges: [203.0.113.0/24]
    allocateLoadBalancerNodePorts: false
    publishNotReadyAddresses: true
---
apiVersion: stateward.dev/v1alpha1
kind: StatefulSetPolicy
metadata: {name: labelled}
spec:
  match: {namespaceSelector: {matchLabels: {tier: labelled}}}
  servicePerPod: {labelPods: true}
";

/// The API of the plane that most tests share, with a replica that works on it; `None`, said aloud, where there is none.
async fn shared() -> Option<Api> {
    static REPLICA: OnceCell<Guard> = OnceCell::const_new();
    let plane = shared_plane().filter(|plane| has_controllers(plane))?;
    REPLICA.get_or_init(|| replica(plane)).await;
    Some(plane.api())
}

/// The label that the StatefulSet controller gives each pod. The example's own comes from a webhook, which is not called here.
const LABEL: &str = "statefulset.kubernetes.io/pod-name";

/// The example of a macroservice.
fn nginx(namespace: &str) -> Vec<Value> {
    let mut objects = example("macroservice/nginx.yaml", namespace);
    let set = objects.iter_mut().find(|object| object["kind"] == "StatefulSet").unwrap();
    set["metadata"]["annotations"]["service-per-pod-label"] = json!(LABEL);
    objects
}

/// A namespace, and the example of a macroservice in it.
async fn macroservice(api: &Api, namespace: &str) -> Value {
    let namespace_object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    api.create(&namespace_object).await.allowed();
    let objects = nginx(namespace);
    for object in &objects {
        api.apply(object).await.allowed();
    }
    stage::set_of(&objects).clone()
}

async fn services(api: &Api, namespace: &str) -> Vec<Value> {
    let path =
        format!("/api/v1/namespaces/{namespace}/services?labelSelector=stateward.dev%2Fservice-per-pod");
    api.get(&path).await.body["items"].as_array().unwrap().clone()
}

async fn until_there_are(api: &Api, namespace: &str, number: usize) {
    until(&format!("{number} Services in {namespace}"), async || {
        services(api, namespace).await.len() == number
    })
    .await;
}

async fn condition(api: &Api, namespace: &str) -> String {
    let set = api.get(&set_path(namespace, "nginx")).await.body;
    let conditions = set["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ours = conditions.iter().find(|condition| condition["type"] == "stateward.dev/ServicePerPod");
    ours.map(|condition| condition["reason"].as_str().unwrap().to_owned()).unwrap_or_default()
}

async fn annotate(api: &Api, namespace: &str, annotations: &Value) {
    let change = json!({"metadata": {"annotations": annotations}});
    api.merge(&set_path(namespace, "nginx"), &change).await.allowed();
}

async fn service(api: &Api, namespace: &str, name: &str) -> Value {
    api.get(&service_path(namespace, name)).await.allowed().body
}

#[tokio::test]
async fn from_three_to_five_to_two_to_nothing() {
    let Some(api) = shared().await else { return };
    let namespace = "scaled";
    macroservice(&api, namespace).await;
    until_there_are(&api, namespace, 3).await;
    for service in services(&api, namespace).await {
        let (name, spec) = (&service["metadata"]["name"], &service["spec"]);
        assert_eq!(spec["type"], "LoadBalancer");
        assert_eq!(spec["selector"], json!({LABEL: name}));
        let port = &spec["ports"][0];
        assert_eq!(
            (&port["name"], &port["port"], &port["targetPort"]),
            (&json!("port-80"), &json!(80), &json!(80))
        );
        assert_eq!(service["metadata"]["finalizers"], Value::Null);
    }
    let first = service(&api, namespace, "nginx-0").await;
    api.scale(namespace, "nginx", 5).await.allowed();
    until_there_are(&api, namespace, 5).await;
    api.scale(namespace, "nginx", 2).await.allowed();
    until_there_are(&api, namespace, 2).await;
    assert_eq!(
        service(&api, namespace, "nginx-0").await["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"],
        "not touched"
    );
    api.merge(&set_path(namespace, "nginx"), &json!({"spec": {"ordinals": {"start": 1}}})).await.allowed();
    // A Service stays until its pod has gone, and the StatefulSet controller deletes this one only when another is ready.
    api.delete(&pod_path(namespace, "nginx-0"), &json!({})).await.allowed();
    until("the Services begin at 1", async || {
        let names: Vec<Value> = services(&api, namespace)
            .await
            .iter()
            .map(|service| service["metadata"]["name"].clone())
            .collect();
        names == ["nginx-1", "nginx-2"]
    })
    .await;
    api.delete(&set_path(namespace, "nginx"), &json!({})).await.allowed();
    until_there_are(&api, namespace, 0).await;
    until("the set is gone", async || !api.exists(&set_path(namespace, "nginx")).await).await;
}

/// A deletion in the foreground waits for nothing that only a cloud can do.
#[tokio::test]
async fn a_deletion_in_the_foreground_does_not_wait_for_load_balancers() {
    let Some(api) = shared().await else { return };
    let namespace = "foreground";
    macroservice(&api, namespace).await;
    until_there_are(&api, namespace, 3).await;
    // As a cloud's controller protects what it has made.
    let cleanup = json!({"metadata": {"finalizers": ["service.kubernetes.io/load-balancer-cleanup"]}});
    api.merge(&service_path(namespace, "nginx-1"), &cleanup).await.allowed();
    let options = json!({"propagationPolicy": "Foreground"});
    api.delete(&set_path(namespace, "nginx"), &options).await.allowed();
    until("the set is gone", async || !api.exists(&set_path(namespace, "nginx")).await).await;
    until_there_are(&api, namespace, 1).await;
    api.merge(&service_path(namespace, "nginx-1"), &json!({"metadata": {"finalizers": null}}))
        .await
        .allowed();
    until_there_are(&api, namespace, 0).await;
}

#[tokio::test]
async fn annotations_are_followed() {
    let Some(api) = shared().await else { return };
    let namespace = "annotated";
    macroservice(&api, namespace).await;
    until_there_are(&api, namespace, 3).await;
    let before = service(&api, namespace, "nginx-0").await;
    annotate(&api, namespace, &json!({"service-per-pod-ports": "80:8080,443:8443"})).await;
    until("there is another port", async || {
        service(&api, namespace, "nginx-0").await["spec"]["ports"].as_array().unwrap().len() == 2
    })
    .await;
    let label = LABEL;
    annotate(&api, namespace, &json!({"service-per-pod-ports": "443:8443", "service-per-pod-label": label}))
        .await;
    until("a port goes, and the label is another", async || {
        let spec = &service(&api, namespace, "nginx-0").await["spec"];
        spec["ports"].as_array().unwrap().len() == 1 && spec["selector"] == json!({label: "nginx-0"})
    })
    .await;
    for kind in ["ClusterIP", "NodePort"] {
        annotate(&api, namespace, &json!({"stateward.dev/service-per-pod-type": kind})).await;
        until(kind, async || service(&api, namespace, "nginx-0").await["spec"]["type"] == kind).await;
    }
    annotate(&api, namespace, &json!({"stateward.dev/service-per-pod-type": "Headless"})).await;
    until("the condition", async || condition(&api, namespace).await == "ServicePerPodTypeInvalid").await;
    annotate(&api, namespace, &json!({"stateward.dev/service-per-pod-type": null})).await;
    until("a load balancer", async || {
        service(&api, namespace, "nginx-0").await["spec"]["type"] == "LoadBalancer"
    })
    .await;
    let after = service(&api, namespace, "nginx-0").await;
    assert_eq!(
        (&after["metadata"]["uid"], &after["spec"]["clusterIP"]),
        (&before["metadata"]["uid"], &before["spec"]["clusterIP"])
    );
    until("the condition goes", async || condition(&api, namespace).await.is_empty()).await;
    annotate(&api, namespace, &json!({"service-per-pod-label": null})).await;
    until_there_are(&api, namespace, 0).await;
}

#[tokio::test]
async fn a_foreign_service_in_the_way() {
    let Some(api) = shared().await else { return };
    let namespace = "foreign";
    let foreign = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": "nginx-1"},
        "spec": {"selector": {"app": "mine"}, "ports": [{"port": 1}]},
    });
    let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    api.create(&own).await.allowed();
    api.create(&foreign).await.allowed();
    let before = service(&api, namespace, "nginx-1").await;
    for object in nginx(namespace) {
        api.apply(&object).await.allowed();
    }
    until_there_are(&api, namespace, 2).await;
    until("the condition", async || condition(&api, namespace).await == "ServicePerPodBlocked").await;
    until("an event on each", async || {
        let events = api.get(&format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")).await.body;
        let is_there = |kind: &str, name: &str| {
            events["items"].as_array().unwrap().iter().any(|event| {
                event["reason"] == "ServicePerPodBlocked"
                    && (&event["regarding"]["kind"], &event["regarding"]["name"])
                        == (&json!(kind), &json!(name))
            })
        };
        is_there("StatefulSet", "nginx") && is_there("Service", "nginx-1")
    })
    .await;
    // The StatefulSet controller writes the status anew, and our condition is not there for it.
    api.scale(namespace, "nginx", 4).await.allowed();
    until_there_are(&api, namespace, 3).await;
    until("the condition is back", async || condition(&api, namespace).await == "ServicePerPodBlocked").await;
    assert_eq!(service(&api, namespace, "nginx-1").await, before);
    api.delete(&service_path(namespace, "nginx-1"), &json!({})).await.allowed();
    until_there_are(&api, namespace, 4).await;
    until("the condition goes", async || condition(&api, namespace).await.is_empty()).await;
}

/// As Metacontroller makes a Service: with a whole object, under its own name.
async fn decorate(api: &Api, set: &Value, ordinal: u32) -> Value {
    let (namespace, name) = (&set["metadata"]["namespace"], format!("nginx-{ordinal}"));
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "nginx", "uid": set["metadata"]["uid"], "controller": true,
        "blockOwnerDeletion": true,
    });
    let object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": namespace, "name": name, "labels": {"app": "service-per-pod"}, "ownerReferences": [owner],
            "annotations": {
                "metacontroller.k8s.io/decorator-controller": "service-per-pod",
                "metacontroller.k8s.io/last-applied-configuration": "{}",
                "example.com/kind": "nlb",
            },
        },
        "spec": {
            "type": "LoadBalancer", "selector": {"pod-name": name},
            "ports": [{"name": "port-79", "port": 79, "targetPort": 80}, {"name": "port-80", "port": 80, "targetPort": 80}],
        },
    });
    let path =
        format!("/api/v1/namespaces/{}/services?fieldManager=metacontroller", namespace.as_str().unwrap());
    let made = api.post(&path, &object).await.allowed().body;
    // As a cloud answers.
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}});
    let path = service_path(namespace.as_str().unwrap(), &name);
    api.merge(&format!("{path}/status"), &status).await.allowed();
    made
}

#[tokio::test]
async fn what_metacontroller_made_is_taken_over_with_its_load_balancer() {
    let Some(api) = shared().await else { return };
    let namespace = "adopted";
    let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    api.create(&own).await.allowed();
    let objects = nginx(namespace);
    let mut set = stage::set_of(&objects).clone();
    let annotations = set["metadata"]["annotations"].take();
    api.apply(&set).await.allowed();
    let live = api.get(&set_path(namespace, "nginx")).await.body;
    let mut made = Vec::new();
    for ordinal in 0..3 {
        made.push(decorate(&api, &live, ordinal).await);
    }
    set["metadata"]["annotations"] = annotations;
    api.apply(&set).await.allowed();
    until_there_are(&api, namespace, 3).await;
    until("all are right", async || {
        services(&api, namespace)
            .await
            .iter()
            .all(|service| service["spec"]["ports"].as_array().unwrap().len() == 1)
    })
    .await;
    for (before, after) in made.iter().zip(services(&api, namespace).await) {
        let of = |service: &Value| {
            let node_port = |port: &Value| (port["port"] == 80).then(|| port["nodePort"].clone());
            let ports = service["spec"]["ports"].as_array().unwrap();
            (
                service["metadata"]["uid"].clone(),
                service["spec"]["clusterIP"].clone(),
                ports.iter().find_map(node_port),
            )
        };
        assert_eq!(of(before), of(&after));
        assert_eq!(after["status"]["loadBalancer"]["ingress"][0]["ip"], "203.0.113.7");
        let annotations = after["metadata"]["annotations"].as_object().unwrap();
        let keys: Vec<&str> = annotations.keys().map(String::as_str).collect();
        assert_eq!(keys, ["example.com/kind", "stateward.dev/service-per-pod-applied"]);
        assert_eq!(after["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
    }
    api.scale(namespace, "nginx", 1).await.allowed();
    until_there_are(&api, namespace, 1).await;
}

#[tokio::test]
async fn a_set_that_is_made_anew_around_its_pods_keeps_their_services() {
    let Some(api) = shared().await else { return };
    let namespace = "orphaned";
    let set = macroservice(&api, namespace).await;
    until_there_are(&api, namespace, 3).await;
    let before = services(&api, namespace).await;
    api.delete(&set_path(namespace, "nginx"), &json!({"propagationPolicy": "Orphan"})).await.allowed();
    until("the set is gone", async || !api.exists(&set_path(namespace, "nginx")).await).await;
    until_there_are(&api, namespace, 3).await;
    let uid = api.apply(&set).await.allowed().body["metadata"]["uid"].clone();
    until("they belong to the new one", async || {
        services(&api, namespace)
            .await
            .iter()
            .all(|service| service["metadata"]["ownerReferences"][0]["uid"] == uid)
    })
    .await;
    let uids = |services: &[Value]| -> Vec<Value> {
        services.iter().map(|service| service["metadata"]["uid"].clone()).collect()
    };
    assert_eq!(uids(&services(&api, namespace).await), uids(&before));
    assert_eq!(condition(&api, namespace).await, "");
}

/// Server-side apply merges ports by number, and refuses the name that is there twice.
#[tokio::test]
async fn ports_that_were_edited_are_put_right() {
    let Some(api) = shared().await else { return };
    let namespace = "edited";
    macroservice(&api, namespace).await;
    until_there_are(&api, namespace, 3).await;
    let before = service(&api, namespace, "nginx-1").await;
    let port =
        |name: &str, port: u16| json!({"name": name, "port": port, "protocol": "TCP", "targetPort": 80});
    for ports in [json!([port("port-80", 81)]), json!([port("port-80", 80), port("mine", 8080)])] {
        let change = json!({"metadata": {"annotations": {"example.com/mine": "x"}},
            "spec": {"ports": ports, "selector": {"app": "wrong"}}});
        api.merge(&service_path(namespace, "nginx-1"), &change).await.allowed();
        until("it is put right", async || {
            let spec = &service(&api, namespace, "nginx-1").await["spec"];
            spec["selector"] == json!({LABEL: "nginx-1"}) && spec["ports"].as_array().unwrap().len() == 1
        })
        .await;
        let after = service(&api, namespace, "nginx-1").await;
        assert_eq!(after["spec"]["ports"], before["spec"]["ports"], "the node port too");
        assert_eq!(after["spec"]["clusterIP"], before["spec"]["clusterIP"]);
        assert_eq!(after["metadata"]["annotations"]["example.com/mine"], "x");
    }
    assert_eq!(condition(&api, namespace).await, "");
}

/// A pod on a node ends when its kubelet says so, and there is none.
#[tokio::test]
async fn a_service_stays_while_its_pod_drains() {
    let Some(api) = shared().await else { return };
    let namespace = "drained";
    let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    api.create(&own).await.allowed();
    for mut object in nginx(namespace) {
        if object["kind"] == "StatefulSet" {
            object["spec"]["podManagementPolicy"] = json!("Parallel");
        }
        api.apply(&object).await.allowed();
    }
    until_there_are(&api, namespace, 3).await;
    let path = pod_path(namespace, "nginx-2");
    until("the pod is there", async || api.exists(&path).await).await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "drained"}});
    api.create(&node).await.allowed();
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "nginx-2", "namespace": namespace},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "drained"},
    });
    api.post(&format!("{path}/binding"), &binding).await.allowed();
    api.merge(&format!("{path}/status"), &json!({"status": {"phase": "Running"}})).await.allowed();
    api.scale(namespace, "nginx", 1).await.allowed();
    // The other pod is on no node, and goes at once.
    until_there_are(&api, namespace, 2).await;
    assert!(!api.get(&path).await.allowed().body["metadata"]["deletionTimestamp"].is_null());
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(api.exists(&service_path(namespace, "nginx-2")).await, "it is draining");
    api.delete(&path, &json!({"gracePeriodSeconds": 0})).await.allowed();
    until_there_are(&api, namespace, 1).await;
}

#[tokio::test]
async fn a_pod_without_its_label_is_told_of_and_labelled_where_a_policy_wants_it() {
    let Some(api) = shared().await else { return };
    let namespace = "unlabelled";
    macroservice(&api, namespace).await;
    annotate(&api, namespace, &json!({"service-per-pod-label": "pod-name"})).await;
    let missing = "ServicePerPodLabelMissing";
    until("the condition", async || condition(&api, namespace).await == missing).await;
    // The right to label pods is a component of its own.
    let labels = json!({"metadata": {"labels": {"tier": "labelled"}}});
    api.merge(&format!("/api/v1/namespaces/{namespace}"), &labels).await.allowed();
    until("it is refused", async || {
        let set = api.get(&set_path(namespace, "nginx")).await.body;
        set["status"]["conditions"].to_string().contains("it was refused: pods")
    })
    .await;
    for object in objects("components/label-pods/rbac.yaml") {
        api.apply(&object).await.allowed();
    }
    until("the pod has its label", async || {
        let pod = api.get(&pod_path(namespace, "nginx-0")).await.body;
        pod["metadata"]["labels"]["pod-name"] == "nginx-0"
    })
    .await;
    until("the condition goes", async || condition(&api, namespace).await.is_empty()).await;
}

#[tokio::test]
async fn a_policy_is_followed_where_it_applies() {
    let Some(api) = shared().await else { return };
    let namespace = "gold";
    macroservice(&api, namespace).await;
    until_there_are(&api, namespace, 3).await;
    let labels = json!({"metadata": {"labels": {"tier": "gold"}}});
    api.merge(&format!("/api/v1/namespaces/{namespace}"), &labels).await.allowed();
    // The load balancers that there are keep their class.
    until("the condition", async || condition(&api, namespace).await == "ServicePerPodClassFixed").await;
    until("the settings", async || {
        let service = service(&api, namespace, "nginx-2").await;
        service["metadata"]["labels"]["team"] == "web" && service["spec"]["externalTrafficPolicy"] == "Local"
    })
    .await;
    api.delete(&service_path(namespace, "nginx-2"), &json!({})).await.allowed();
    until("it is made anew", async || {
        let service = api.get(&service_path(namespace, "nginx-2")).await.body;
        service["spec"]["loadBalancerClass"] == "example.com/gold"
    })
    .await;
    let made = service(&api, namespace, "nginx-2").await;
    let (metadata, spec) = (&made["metadata"], &made["spec"]);
    assert_eq!(metadata["annotations"]["example.com/kind"], "nlb");
    assert_eq!(spec["loadBalancerSourceRanges"], json!(["203.0.113.0/24"]));
    assert_eq!(
        (&spec["allocateLoadBalancerNodePorts"], &spec["publishNotReadyAddresses"]),
        (&json!(false), &json!(true))
    );
    // What the type has no use for is left out.
    annotate(&api, namespace, &json!({"stateward.dev/service-per-pod-type": "ClusterIP"})).await;
    until("all have an address within the cluster", async || {
        services(&api, namespace).await.iter().all(|service| service["spec"]["type"] == "ClusterIP")
    })
    .await;
    until("the condition goes", async || condition(&api, namespace).await.is_empty()).await;
}

/// With a control plane of its own, whose leader can be killed.
#[tokio::test]
async fn nine_hundred_and_the_leader_killed_midway() {
    control_plane::bound_lifetime();
    let Some(assets) = control_plane::assets() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let plane = ControlPlane::start(&assets, true).unwrap();
    if !has_controllers(&plane) {
        return;
    }
    let api = plane.api();
    let (first, second) = (replica(&plane).await, replica(&plane).await);
    let namespace = "large";
    macroservice(&api, namespace).await;
    until_there_are(&api, namespace, 3).await;
    api.scale(namespace, "nginx", 900).await.allowed();
    until("it is midway", async || services(&api, namespace).await.len() > 200).await;
    let leads = |guard: &Guard| guard.log().contains(" became leader lease=");
    assert_eq!((leads(&first), leads(&second)), (true, false), "{}", second.log());
    // At once, as a node that loses its power.
    drop(first);
    assert!(services(&api, namespace).await.len() < 900);
    until_there_are(&api, namespace, 900).await;
    let log = second.log();
    assert!(leads(&second) && !log.contains("WARN") && !log.contains("ERROR"), "{log}");
    api.scale(namespace, "nginx", 2).await.allowed();
    until_there_are(&api, namespace, 2).await;
    api.delete(&format!("/api/v1/namespaces/{namespace}"), &json!({})).await.allowed();
    until("the namespace is gone", async || !api.exists(&format!("/api/v1/namespaces/{namespace}")).await)
        .await;
}
