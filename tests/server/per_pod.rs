//! The controller of per-pod Services against an API server.

use crate::support;
use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use prometheus_client::{encoding::text, registry::Registry};
use serde_json::{Value, json};
use stateward::cluster::Cluster;
use stateward::cluster::Kind;
use stateward::controller::Controller;
use stateward::controller::ControllerConfig;
use stateward::events::{Events, ReviewOrigin};
use stateward::lease::Elector;
use stateward::lease::LeaseConfig;
use stateward::policy::Policies;
use stateward::policy::Policy;
use stateward::policy::Profile;
use stateward::process::Stopper;
use support::{
    api_server::{ApiServer, Fault},
    until,
};
use tokio::{task::JoinHandle, time::sleep};

const SETS: &str = "statefulsets";
const SERVICES: &str = "services";

/// One replica, and what it works on.
struct Replica {
    policies: Arc<ArcSwap<Policies>>,
    cluster: Arc<ArcSwap<Cluster>>,
    registry: Registry,
    task: JoinHandle<()>,
    stopper: Stopper,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Quick where it can be. Nothing is looked at again without a reason.
const CONTROLLER_CONFIG: ControllerConfig = ControllerConfig {
    writes_per_second: 10_000,
    reads_per_second: 10_000,
    burst: 1_000,
    writes_a_round: 7,
    sets_at_once: 2,
    writes_at_once: 8,
    patience: Duration::from_secs(30),
    retry: Duration::from_millis(50),
    reassert: (Duration::from_millis(20), Duration::from_millis(200)),
    pods_fresh: Duration::from_millis(10),
    pods_lasting: Duration::from_secs(3600),
    resync: Duration::from_secs(3600),
};

fn policies(settings: Option<Value>) -> Policies {
    let policy = settings.map(|settings| {
        Policy::from_json(&json!({
            "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": "mine"},
            "spec": settings,
        }))
        .unwrap()
    });
    Policies::new(Profile::Baseline, policy.into_iter().collect()).unwrap()
}

fn replica(api: &ApiServer, name: &str) -> Replica {
    let mut known = Cluster::default();
    known.set_complete(Kind::Namespace, true);
    replica_with(api, name, known, None)
}

fn replica_with(api: &ApiServer, name: &str, known: Cluster, settings: Option<Value>) -> Replica {
    let (cluster, policies) =
        (Arc::new(ArcSwap::from_pointee(known)), Arc::new(ArcSwap::from_pointee(policies(settings))));
    let mut registry = Registry::default();
    let (events, event_sender) = Events::new(api.client(), name, ReviewOrigin::Proven, &mut registry);
    let terms = LeaseConfig {
        lasts: Duration::from_secs(1),
        lead_for: Duration::from_millis(900),
        retry: Duration::from_millis(20),
    };
    let (elector, leadership) =
        Elector::new(api.client(), ("guard", "stateward"), name, terms, &mut registry);
    let controller = Controller::new(
        api.client(),
        (Arc::clone(&cluster), Arc::clone(&policies)),
        Some(events),
        &mut registry,
        leadership,
        CONTROLLER_CONFIG,
    );
    let (stopper, shutdown) = Stopper::new();
    let task = tokio::spawn(async move {
        let election = async {
            elector.run(&shutdown).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = election => {}
            () = controller.run() => {}
            () = event_sender.run() => {}
        }
    });
    Replica { policies, cluster, registry, task, stopper }
}

impl Replica {
    fn metric(&self, line: &str) -> usize {
        let mut metrics = String::new();
        text::encode(&mut metrics, &self.registry).unwrap();
        let value = metrics.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {line} in {metrics}")).parse().unwrap()
    }

    fn services(&self, outcome: &str) -> usize {
        self.metric(&format!("service_per_pod_services_total{{outcome=\"{outcome}\"}}"))
    }

    /// Waits until the set has been looked at once more, and nothing was to be done.
    async fn settles(&self, api: &ApiServer) {
        let settled = || self.metric("service_per_pod_reconciles_total{outcome=\"settled\"}");
        let before = settled();
        api.put_object(SETS, "n", "web", api.object(SETS, "n", "web").unwrap());
        until("nothing is to be done", async || settled() > before).await;
    }
}

fn asking() -> Value {
    json!({"service-per-pod-label": "pod-name", "service-per-pod-ports": "80:8080"})
}

/// Creates or replaces the set `web`, as `kubectl apply` does: the status stays.
fn put_set(api: &ApiServer, annotations: &Value, replicas: i32) {
    let before = api.object(SETS, "n", "web").unwrap_or_else(|| json!({"status": {}}));
    api.put_object(
        SETS,
        "n",
        "web",
        json!({
            "metadata": {
                "uid": "set-1", "annotations": annotations, "managedFields": before["metadata"]["managedFields"],
            },
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}},
            "status": before["status"],
        }),
    );
}

/// A Service that another owner made.
fn foreign() -> Value {
    json!({
        "metadata": {"uid": "foreign-1", "labels": {"app": "mine"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.9", "selector": {"app": "mine"}, "ports": [{"port": 80}]},
    })
}

/// One that Metacontroller's decorator has made for a pod.
fn metacontrollers(ordinal: u32) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "set-1", "controller": true,
        "blockOwnerDeletion": true});
    let port = json!({"f:port": {}, "f:name": {}, "f:protocol": {}, "f:targetPort": {}});
    let fields = json!({
        "f:metadata": {
            "f:annotations": {
                "f:metacontroller.k8s.io/decorator-controller": {}, "f:metacontroller.k8s.io/last-applied-configuration": {},
                "f:cloud/kind": {},
            },
            "f:labels": {"f:app": {}},
            "f:ownerReferences": {"k:{\"uid\":\"set-1\"}": {}},
        },
        "f:spec": {"f:selector": {}, "f:type": {}, "f:ports": {"k:{\"port\":79,\"protocol\":\"TCP\"}": port}},
    });
    json!({
        "metadata": {
            "uid": format!("old-{ordinal}"), "labels": {"app": "service-per-pod"}, "ownerReferences": [owner],
            "annotations": {
                "metacontroller.k8s.io/decorator-controller": "service-per-pod",
                "metacontroller.k8s.io/last-applied-configuration": "{}",
                "cloud/kind": "nlb",
            },
            "managedFields": [{
                "manager": "metacontroller", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
            }],
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": format!("10.0.1.{ordinal}"), "selector": {"pod-name": format!("web-{ordinal}")},
            "ports": [{"name": "port-79", "port": 79, "protocol": "TCP", "targetPort": 8080, "nodePort": 31000}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
    })
}

async fn until_services(api: &ApiServer, names: &[&str]) {
    until(&format!("the Services are {names:?}"), async || api.names(SERVICES, "n") == names).await;
}

fn service(api: &ApiServer, name: &str) -> Value {
    api.object(SERVICES, "n", name).unwrap()
}

fn condition(api: &ApiServer) -> Option<String> {
    let set = api.object(SETS, "n", "web")?;
    let conditions = set["status"]["conditions"].as_array()?.clone();
    let ours = conditions.iter().find(|condition| condition["type"] == "stateward.dev/ServicePerPod")?;
    Some(ours["reason"].as_str().unwrap().to_owned())
}

fn writes(api: &ApiServer) -> usize {
    ["PATCH ", "DELETE "].map(|method| api.requests(method)).iter().sum()
}

#[tokio::test]
async fn the_services_follow_the_set() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 3);
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0", "web-1", "web-2"]).await;
    let made = service(&api, "web-1");
    assert_eq!(made["spec"]["selector"], json!({"pod-name": "web-1"}));
    assert_eq!(
        (&made["spec"]["type"], &made["spec"]["ports"][0]["port"]),
        (&json!("LoadBalancer"), &json!(80))
    );
    assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "set-1");

    put_set(&api, &asking(), 5);
    until_services(&api, &["web-0", "web-1", "web-2", "web-3", "web-4"]).await;
    put_set(&api, &asking(), 2);
    until_services(&api, &["web-0", "web-1"]).await;
    until("the last deletion is counted", async || {
        (replica.services("created"), replica.services("deleted")) == (5, 3)
    })
    .await;

    let mut other = asking();
    other["service-per-pod-ports"] = json!("80:81,443:8443");
    other["service-per-pod-label"] = json!("other");
    other["stateward.dev/service-per-pod-type"] = json!("ClusterIP");
    put_set(&api, &other, 2);
    until("the Service is another", async || {
        let spec = &service(&api, "web-1")["spec"];
        spec["type"] == "ClusterIP"
            && spec["selector"] == json!({"other": "web-1"})
            && spec["ports"].as_array().unwrap().len() == 2
            && spec["ports"][0]["targetPort"] == 81
    })
    .await;
    assert_eq!(service(&api, "web-1")["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(service(&api, "web-1")["spec"]["clusterIP"], made["spec"]["clusterIP"]);

    other["service-per-pod-ports"] = json!("443:8443");
    put_set(&api, &other, 2);
    until("a port goes", async || service(&api, "web-0")["spec"]["ports"].as_array().unwrap().len() == 1)
        .await;

    for key in ["service-per-pod-label", "service-per-pod-ports"] {
        let mut half = asking();
        half.as_object_mut().unwrap().remove(key);
        put_set(&api, &half, 2);
        until_services(&api, &[]).await;
        put_set(&api, &asking(), 2);
        until_services(&api, &["web-0", "web-1"]).await;
    }
}

#[tokio::test]
async fn nothing_is_written_where_nothing_differs() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 3);
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0", "web-1", "web-2"]).await;
    replica.settles(&api).await;
    let before = writes(&api);
    // What a load balancer's controller writes, and what people add, is none of our business.
    let mut changed = service(&api, "web-1");
    changed["status"] = json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}});
    changed["metadata"]["annotations"]["mine"] = json!("x");
    changed["spec"]["externalIPs"] = json!(["203.0.113.9"]);
    api.put_object(SERVICES, "n", "web-1", changed);
    replica.settles(&api).await;
    api.compact();
    until("a new list", async || api.requests("labelSelector=stateward.dev%2Fservice-per-pod&limit") == 2)
        .await;
    put_set(&api, &asking(), 3);
    replica.settles(&api).await;
    assert_eq!(writes(&api), before);

    // What is ours is put right.
    let mut changed = service(&api, "web-1");
    changed["spec"]["selector"] = json!({"app": "x"});
    api.put_object(SERVICES, "n", "web-1", changed);
    until("it is put right", async || {
        service(&api, "web-1")["spec"]["selector"] == json!({"pod-name": "web-1"})
    })
    .await;
    api.delete(SERVICES, "n", "web-2");
    until_services(&api, &["web-0", "web-1", "web-2"]).await;
}

#[tokio::test]
async fn a_foreign_service_is_left_alone_and_reported_until_it_is_gone() {
    let api = ApiServer::start().await;
    api.put_object(SERVICES, "n", "web-1", foreign());
    let before = service(&api, "web-1");
    put_set(&api, &asking(), 3);
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0", "web-1", "web-2"]).await;
    until("the condition", async || condition(&api).as_deref() == Some("ServicePerPodBlocked")).await;
    until("the events", async || api.posted("events").len() > 1).await;
    let mut events = api.posted("events");
    events.sort_by_key(|event| event["regarding"]["kind"].to_string());
    let [on_service, on_set] = &*events else { panic!("{events:#?}") };
    for event in &events {
        assert_eq!((&event["reason"], &event["action"]), (&json!("ServicePerPodBlocked"), &json!("Skipped")));
    }
    let regarding = |event: &Value| (event["regarding"]["name"].clone(), event["regarding"]["uid"].clone());
    assert_eq!(regarding(on_set), (json!("web"), json!("set-1")));
    assert!(on_set["note"].as_str().unwrap().starts_with("Service web-1: "), "{on_set}");
    assert_eq!(regarding(on_service), (json!("web-1"), json!("foreign-1")));
    assert_eq!(on_service["related"]["name"], "web");

    // The StatefulSet controller writes the status as it knows it.
    let mut set = api.object(SETS, "n", "web").unwrap();
    set["status"] = json!({"replicas": 3});
    api.put_object(SETS, "n", "web", set);
    until("the condition is back", async || condition(&api).is_some()).await;
    assert_eq!(service(&api, "web-1"), before, "not touched");

    api.delete(SERVICES, "n", "web-1");
    until("the pod's own", async || replica.services("created") > 2).await;
    until("the condition goes", async || condition(&api).is_none()).await;
    assert_eq!(
        api.object(SETS, "n", "web").unwrap()["status"]["replicas"],
        3,
        "the rest of the status stays"
    );
}

#[tokio::test]
async fn what_is_asked_for_wrongly_changes_nothing() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 2);
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0", "web-1"]).await;
    let mut wrong = asking();
    wrong["service-per-pod-ports"] = json!("80:http");
    put_set(&api, &wrong, 1);
    until("the condition", async || condition(&api).as_deref() == Some("ServicePerPodPortsInvalid")).await;
    assert_eq!(api.names(SERVICES, "n").len(), 2);
    put_set(&api, &asking(), 1);
    until_services(&api, &["web-0"]).await;
    until("the condition goes", async || condition(&api).is_none()).await;
    assert_eq!(replica.services("updated"), 0);
}

#[tokio::test]
async fn what_is_being_deleted_is_left_to_the_garbage_collector() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 2);
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0", "web-1"]).await;
    replica.settles(&api).await;
    let before = writes(&api);
    let mut set = api.object(SETS, "n", "web").unwrap();
    set["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    set["spec"]["replicas"] = json!(5);
    api.put_object(SETS, "n", "web", set);
    api.delete(SERVICES, "n", "web-1");
    // Another set that is looked at afterwards.
    api.put_object(
        SETS,
        "n",
        "other",
        json!({"metadata": {"uid": "2", "annotations": asking()}, "spec": {"replicas": 1}}),
    );
    until_services(&api, &["other-0", "web-0"]).await;
    assert_eq!(writes(&api), before + 1);
}

#[tokio::test]
async fn what_metacontroller_made_is_taken_over_as_it_is() {
    let api = ApiServer::start().await;
    for ordinal in 0..2 {
        api.put_object(SERVICES, "n", &format!("web-{ordinal}"), metacontrollers(ordinal));
    }
    put_set(&api, &asking(), 2);
    let replica = replica(&api, "pod-0");
    until("both are taken over", async || replica.services("adopted") > 1).await;
    let taken = service(&api, "web-1");
    let (metadata, spec) = (&taken["metadata"], &taken["spec"]);
    assert_eq!((&metadata["uid"], &spec["clusterIP"]), (&json!("old-1"), &json!("10.0.1.1")));
    assert_eq!(taken["status"]["loadBalancer"]["ingress"][0]["ip"], "203.0.113.1");
    let annotations = metadata["annotations"].as_object().unwrap();
    let annotations: Vec<&str> = annotations.keys().map(String::as_str).collect();
    assert_eq!(annotations, ["cloud/kind", "stateward.dev/service-per-pod-applied"], "{taken:#}");
    assert_eq!(metadata["labels"]["stateward.dev/service-per-pod"], "web");
    let ports = spec["ports"].as_array().unwrap();
    assert_eq!((ports.len(), &ports[0]["port"]), (1, &json!(80)), "{taken:#}");
    assert_eq!(metadata["ownerReferences"].as_array().unwrap().len(), 1);
    replica.settles(&api).await;
    assert_eq!((replica.services("created"), replica.services("deleted")), (0, 0));
    put_set(&api, &asking(), 1);
    until_services(&api, &["web-0"]).await;
}

#[tokio::test]
async fn policies_are_followed_and_a_class_is_kept() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 1);
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0"]).await;
    let settings = json!({
        "labels": {"team": "web"}, "annotations": {"cloud/kind": "nlb"}, "externalTrafficPolicy": "Local",
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
    });
    replica.policies.store(Arc::new(policies(Some(json!({"servicePerPod": settings})))));
    until("the settings are there", async || {
        service(&api, "web-0")["spec"]["externalTrafficPolicy"] == "Local"
    })
    .await;
    let set = service(&api, "web-0");
    assert_eq!(
        (&set["metadata"]["labels"]["team"], &set["metadata"]["annotations"]["cloud/kind"]),
        (&json!("web"), &json!("nlb"))
    );

    replica.policies.store(Arc::new(policies(Some(json!({"servicePerPod": {"loadBalancerClass": "new"}})))));
    until("the condition", async || condition(&api).as_deref() == Some("ServicePerPodClassFixed")).await;
    until("the settings go", async || {
        let service = service(&api, "web-0");
        service["metadata"]["labels"]["team"].is_null()
            && service["metadata"]["annotations"]["cloud/kind"].is_null()
            && service["spec"]["loadBalancerSourceRanges"].is_null()
            && service["spec"]["loadBalancerClass"].is_null()
    })
    .await;
    assert_eq!(replica.services("refused"), 0);
    let updated = replica.services("updated");
    let uid = service(&api, "web-0")["metadata"]["uid"].clone();
    api.delete(SERVICES, "n", "web-0");
    until("it is made anew", async || {
        let service = api.object(SERVICES, "n", "web-0").unwrap_or_default();
        service["spec"]["loadBalancerClass"] == "new" && service["metadata"]["uid"] != uid
    })
    .await;
    until("the condition goes", async || condition(&api).is_none()).await;
    assert_eq!(replica.services("updated"), updated, "it was not tried over and over");
}

/// A policy that is deleted by mistake must not cost an address, open what was closed, or buy load balancers.
#[tokio::test]
async fn without_a_policy_services_keep_what_it_gave_them() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 1);
    let mut known = Cluster::default();
    known.set_complete(Kind::Namespace, true);
    let given = json!({"servicePerPod": {
        "type": "NodePort", "labels": {"team": "web"}, "annotations": {"cloud/internal": "true"},
        "externalTrafficPolicy": "Local", "publishNotReadyAddresses": true,
    }});
    let first = replica_with(&api, "pod-0", known.clone(), Some(given));
    until_services(&api, &["web-0"]).await;
    first.settles(&api).await;
    let before = service(&api, "web-0");
    assert_eq!(before["spec"]["type"], "NodePort");

    first.policies.store(Arc::new(policies(None)));
    put_set(&api, &asking(), 2);
    until_services(&api, &["web-0", "web-1"]).await;
    first.settles(&api).await;
    assert_eq!((service(&api, "web-0"), first.services("updated")), (before.clone(), 0));
    let new = service(&api, "web-1");
    for field in [
        "/spec/type",
        "/spec/externalTrafficPolicy",
        "/spec/publishNotReadyAddresses",
        "/metadata/annotations",
        "/metadata/labels",
    ] {
        assert_eq!(new.pointer(field), before.pointer(field), "a new pod's is like the others: {field}");
    }
    until("an Event", async || !api.posted("events").is_empty()).await;
    assert_eq!(api.posted("events")[0]["reason"], "ServicePerPodSettingsKept");
    assert_eq!(condition(&api), None, "the set has the Services it asks for");
    // What the annotations of the set say is followed all the same.
    let mut other = asking();
    other["service-per-pod-ports"] = json!("80:81");
    put_set(&api, &other, 2);
    until("the port is another", async || service(&api, "web-0")["spec"]["ports"][0]["targetPort"] == 81)
        .await;
    assert_eq!(service(&api, "web-0")["spec"]["type"], "NodePort");

    // One that has lost its label is not seen by the watch.
    drop(first);
    put_set(&api, &other, 1);
    let mut unlabelled = service(&api, "web-0");
    unlabelled["metadata"]["labels"].as_object_mut().unwrap().remove("stateward.dev/service-per-pod");
    api.delete(SERVICES, "n", "web-1");
    api.put_object(SERVICES, "n", "web-0", unlabelled);
    let second = replica_with(&api, "pod-1", known, None);
    until("it is put right", async || {
        service(&api, "web-0")["metadata"]["labels"]["stateward.dev/service-per-pod"] == "web"
    })
    .await;
    assert_eq!(service(&api, "web-0")["spec"]["type"], "NodePort");

    // Another policy decides, and the type stays until one is named.
    second.policies.store(Arc::new(policies(Some(json!({"servicePerPod": {"labels": {"team": "other"}}})))));
    until("the label is another", async || service(&api, "web-0")["metadata"]["labels"]["team"] == "other")
        .await;
    let (spec, annotations) =
        (&service(&api, "web-0")["spec"], &service(&api, "web-0")["metadata"]["annotations"]);
    assert_eq!((&spec["type"], &annotations["cloud/internal"]), (&json!("NodePort"), &Value::Null));
    second.policies.store(Arc::new(policies(Some(json!({"servicePerPod": {"type": "LoadBalancer"}})))));
    until("the type is another", async || service(&api, "web-0")["spec"]["type"] == "LoadBalancer").await;
}

/// As a process that has just been elected, before it has read the policies.
#[tokio::test]
async fn before_the_policies_are_known_nothing_is_written() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 1);
    let mut known = Cluster::default();
    known.set_complete(Kind::Namespace, true);
    let settings = json!({"servicePerPod": {"type": "ClusterIP", "labels": {"team": "web"}}});
    let first = replica_with(&api, "pod-0", known.clone(), Some(settings.clone()));
    until_services(&api, &["web-0"]).await;
    first.settles(&api).await;
    drop(first);

    let second = replica_with(&api, "pod-1", known, None);
    second.policies.store(Arc::new(policies(None).partial()));
    let before = writes(&api);
    until("it leads", async || second.metric("leader") == 1).await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(api.object(SERVICES, "n", "web-0").unwrap()["spec"]["type"], "ClusterIP");
    assert_eq!(writes(&api), before);
    second.policies.store(Arc::new(policies(Some(settings))));
    second.settles(&api).await;
    assert_eq!(writes(&api), before);
}

#[tokio::test]
async fn what_a_policy_may_say_is_waited_for() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 1);
    let scope = json!({"namespaceSelector": {"matchLabels": {"tier": "gold"}}});
    let settings = json!({"match": scope, "servicePerPod": {"type": "NodePort"}});
    let mut known = Cluster::default();
    known.set_complete(Kind::Namespace, true);
    let replica = replica_with(&api, "pod-0", known.clone(), Some(settings));
    let held = || replica.metric("service_per_pod_reconciles_total{outcome=\"held\"}");
    until("it is held up", async || held() > 1).await;
    assert_eq!(api.names(SERVICES, "n").len(), 0);
    let namespace = json!({"metadata": {"name": "n", "labels": {"tier": "gold"}}});
    known.insert(serde_json::from_value::<stateward::model::Namespace>(namespace).unwrap());
    replica.cluster.store(Arc::new(known));
    until_services(&api, &["web-0"]).await;
    assert_eq!(service(&api, "web-0")["spec"]["type"], "NodePort");
}

#[tokio::test]
async fn a_service_that_takes_its_time_to_go_is_waited_for() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 2);
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0", "web-1"]).await;
    let mut slow = service(&api, "web-1");
    slow["metadata"]["finalizers"] = json!(["service.kubernetes.io/load-balancer-cleanup"]);
    api.put_object(SERVICES, "n", "web-1", slow);
    put_set(&api, &asking(), 1);
    until("it is being deleted", async || !service(&api, "web-1")["metadata"]["deletionTimestamp"].is_null())
        .await;
    put_set(&api, &asking(), 2);
    until("it is looked at", async || {
        replica.metric("service_per_pod_reconciles_total{outcome=\"changed\"}") > 2
    })
    .await;
    let old = service(&api, "web-1")["metadata"]["uid"].clone();
    api.delete(SERVICES, "n", "web-1");
    until("there is a new one", async || {
        api.object(SERVICES, "n", "web-1").is_some_and(|service| service["metadata"]["uid"] != old)
    })
    .await;
    assert_eq!(replica.services("deleted"), 1);
}

#[tokio::test]
async fn what_fails_is_tried_again_and_what_is_refused_is_reported() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 9);
    api.fail(SERVICES, Fault::ReadOnly(500));
    let replica = replica(&api, "pod-0");
    until("it fails", async || replica.services("failed") > 0).await;
    assert_eq!(condition(&api), None, "it may pass");
    until("it lasts", async || condition(&api).as_deref() == Some("ServicePerPodFailing")).await;
    api.fail(SERVICES, Fault::ReadOnly(403));
    until("the condition", async || condition(&api).as_deref() == Some("ServicePerPodRefused")).await;
    api.heal(SERVICES);
    until("all are there", async || api.names(SERVICES, "n").len() == 9).await;
    until("the condition goes", async || condition(&api).is_none()).await;
}

/// What goes may be what leaves no room for what comes: in a quota, among the node ports.
#[tokio::test]
async fn deletions_do_not_wait_for_what_cannot_be_made() {
    for code in [403, 500] {
        let api = ApiServer::start().await;
        put_set(&api, &asking(), 5);
        let replica = replica(&api, "pod-0");
        until("all are there", async || api.names(SERVICES, "n").len() == 5).await;
        replica.settles(&api).await;
        api.fail(SERVICES, Fault::NoPatch(code));
        let mut set = api.object(SETS, "n", "web").unwrap();
        set["spec"]["ordinals"] = json!({"start": 5});
        api.put_object(SETS, "n", "web", set);
        until_services(&api, &[]).await;
        api.heal(SERVICES);
        until_services(&api, &["web-5", "web-6", "web-7", "web-8", "web-9"]).await;
    }
}

/// `kubectl delete --cascade=orphan`, and a set of the same name that asks for less.
#[tokio::test]
async fn services_of_an_earlier_set_are_deleted_where_no_set_asks_for_them() {
    for (annotations, expected) in
        [(asking(), &["web-0", "web-1", "web-copy"][..]), (json!({}), &["web-copy"])]
    {
        let api = ApiServer::start().await;
        put_set(&api, &asking(), 3);
        let replica = replica(&api, "pod-0");
        until_services(&api, &["web-0", "web-1", "web-2"]).await;
        replica.settles(&api).await;
        api.delete(SETS, "n", "web");
        for name in ["web-0", "web-1", "web-2"] {
            let mut orphan = service(&api, name);
            orphan["metadata"].as_object_mut().unwrap().remove("ownerReferences");
            if name == "web-0" {
                // A user made it from a copy.
                api.put_object(SERVICES, "n", "web-copy", orphan.clone());
            }
            api.put_object(SERVICES, "n", name, orphan);
        }
        let metadata = json!({"uid": "set-2", "annotations": annotations});
        api.put_object(SETS, "n", "web", json!({"metadata": metadata, "spec": {"replicas": 2}}));
        until_services(&api, expected).await;
    }
}

#[tokio::test]
async fn when_the_leader_is_killed_midway_another_goes_on() {
    let api = ApiServer::start().await;
    let first = replica(&api, "pod-0");
    until("the first leads", async || first.metric("leader") > 0).await;
    let second = replica(&api, "pod-1");
    put_set(&api, &asking(), 900);
    until("it is midway", async || api.names(SERVICES, "n").len() > 100).await;
    first.task.abort();
    until("it has ended", async || first.task.is_finished()).await;
    let midway = api.names(SERVICES, "n").len();
    assert!(midway < 900);
    until("all are there", async || api.names(SERVICES, "n").len() == 900).await;
    assert!(second.services("created") <= 900 - midway);
    put_set(&api, &asking(), 3);
    until_services(&api, &["web-0", "web-1", "web-2"]).await;

    // Given back in good order, the lease is taken at once; nothing is written without it.
    second.stopper.stop();
    until("it has let go", async || second.metric("leader") == 0).await;
    put_set(&api, &asking(), 5);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(api.names(SERVICES, "n").len(), 3);
}

#[tokio::test]
async fn a_large_set_does_not_keep_the_others_waiting() {
    let api = ApiServer::start().await;
    for name in ["big-a", "big-b", "big-c"] {
        let set = json!({"metadata": {"uid": name, "annotations": asking()}, "spec": {"replicas": 300}});
        api.put_object(SETS, "n", name, set);
    }
    put_set(&api, &asking(), 2);
    let _replica = replica(&api, "pod-0");
    until("the small one is served", async || api.object(SERVICES, "n", "web-1").is_some()).await;
    let made = api.names(SERVICES, "n").len();
    assert!(made < 100, "{made}");
    until("so are the large ones", async || api.names(SERVICES, "n").len() == 902).await;
}

/// An apply merges ports by number: it would be refused for the name that is there twice, for ever.
#[tokio::test]
async fn ports_that_were_edited_are_put_right() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 1);
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0"]).await;
    replica.settles(&api).await;
    let before = service(&api, "web-0");
    let edits: [fn(&mut Value); 3] = [
        |spec| spec["ports"][0]["port"] = json!(81),
        |spec| spec["ports"].as_array_mut().unwrap().push(json!({"name": "x", "port": 9, "protocol": "TCP"})),
        |spec| spec["ports"][0]["protocol"] = json!("UDP"),
    ];
    for edit in edits {
        let mut edited = service(&api, "web-0");
        edit(&mut edited["spec"]);
        edited["spec"]["selector"] = json!({"app": "x"});
        edited["spec"]["externalIPs"] = json!(["203.0.113.9"]);
        api.put_object(SERVICES, "n", "web-0", edited);
        until("the selector is right", async || {
            service(&api, "web-0")["spec"]["selector"] == json!({"pod-name": "web-0"})
        })
        .await;
        let spec = &service(&api, "web-0")["spec"];
        assert_eq!(spec["ports"], before["spec"]["ports"], "with its node port");
        assert_eq!(spec["clusterIP"], before["spec"]["clusterIP"]);
        assert_eq!(spec["externalIPs"], json!(["203.0.113.9"]), "what others add stays");
    }
    replica.settles(&api).await;
    assert_eq!((replica.services("updated"), replica.services("refused")), (3, 0));
}

/// A pod of the set `web`.
fn put_pod(api: &ApiServer, ordinal: u32, labels: &Value) {
    let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "set-1", "controller": true});
    let mut all = json!({"app": "web"});
    all.as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
    let metadata = json!({"uid": format!("pod-{ordinal}"), "labels": all, "annotations": {"pod-name-label": "pod-name"},
        "ownerReferences": [owner]});
    api.put_object("pods", "n", &format!("web-{ordinal}"), json!({"metadata": metadata}));
}

#[tokio::test]
async fn a_service_stays_until_its_pod_has_gone() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 3);
    for ordinal in 0..3 {
        put_pod(&api, ordinal, &json!({"pod-name": format!("web-{ordinal}")}));
    }
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0", "web-1", "web-2"]).await;
    replica.settles(&api).await;
    put_set(&api, &asking(), 1);
    api.delete("pods", "n", "web-2");
    until_services(&api, &["web-0", "web-1"]).await;
    let lists = || api.requests("/pods?");
    let before = lists();
    until("it has been looked for", async || lists() > before + 2).await;
    assert_eq!(api.names(SERVICES, "n"), ["web-0", "web-1"], "it is draining");
    // Not being able to look is not to see that it has gone.
    api.fail("pods", Fault::Status(500));
    let before = lists();
    until("it has been looked for", async || lists() > before + 2).await;
    assert_eq!(api.names(SERVICES, "n"), ["web-0", "web-1"]);
    api.heal("pods");
    api.delete("pods", "n", "web-1");
    until_services(&api, &["web-0"]).await;

    // Without the right to look, it goes at once.
    put_set(&api, &asking(), 2);
    put_pod(&api, 1, &json!({"pod-name": "web-1"}));
    until_services(&api, &["web-0", "web-1"]).await;
    api.fail("pods", Fault::Status(403));
    put_set(&api, &asking(), 1);
    until_services(&api, &["web-0"]).await;
}

#[tokio::test]
async fn a_pod_without_its_label_is_told_of_and_labelled_where_a_policy_wants_it() {
    let api = ApiServer::start().await;
    put_set(&api, &asking(), 2);
    let replica = replica(&api, "pod-0");
    until_services(&api, &["web-0", "web-1"]).await;
    replica.settles(&api).await;
    put_pod(&api, 0, &json!({"pod-name": "web-0"}));
    put_pod(&api, 1, &json!({}));
    let mut set = api.object(SETS, "n", "web").unwrap();
    set["status"]["replicas"] = json!(2);
    api.put_object(SETS, "n", "web", set);
    until("the condition", async || condition(&api).as_deref() == Some("ServicePerPodLabelMissing")).await;
    until("the event", async || !api.posted("events").is_empty()).await;
    let note = api.posted("events")[0]["note"].as_str().unwrap().to_owned();
    assert!(
        note.starts_with("Pod web-1: its Service has no endpoint") && note.contains("kubectl label"),
        "{note}"
    );
    assert_eq!(api.requests("PATCH /api/v1/namespaces/n/pods"), 0);

    api.fail("pods", Fault::ReadOnly(403));
    replica.policies.store(Arc::new(policies(Some(json!({"servicePerPod": {"labelPods": true}})))));
    until("it is tried", async || api.requests("PATCH /api/v1/namespaces/n/pods/web-1") > 0).await;
    assert_eq!(condition(&api).as_deref(), Some("ServicePerPodLabelMissing"));
    api.heal("pods");
    until("it has its label", async || {
        api.object("pods", "n", "web-1").unwrap()["metadata"]["labels"]["pod-name"] == "web-1"
    })
    .await;
    until("the condition goes", async || condition(&api).is_none()).await;
    until("it is counted", async || replica.metric("service_per_pod_labelled_pods_total") == 1).await;
    assert_eq!(api.requests("PATCH /api/v1/namespaces/n/pods/web-0"), 0);
}

#[tokio::test]
async fn the_services_of_a_set_are_written_several_at_a_time() {
    let api = ApiServer::start().await;
    api.fail(SERVICES, Fault::Slow(Duration::from_millis(20)));
    put_set(&api, &asking(), 30);
    let _replica = replica(&api, "pod-0");
    until("all are there", async || api.names(SERVICES, "n").len() == 30).await;
    let most = api.most_at_once("PATCH");
    assert!((2..=8).contains(&most), "{most}");
}
