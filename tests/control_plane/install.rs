//! What `deploy/` installs, on a real API server with RBAC enforced: it is taken as it is written, asked about what it should be
//! and no more, may do what it needs and no more, and goes in any order without holding anything up.

use crate::control_plane;
use crate::kube_api;
use crate::stage;
use std::{fs, path::Path};

use control_plane::ControlPlane;
use kube_api::manifests::{objects, output, parse, tool};
use kube_api::{Api, installation, path_of, pod_path};
use serde_json::{Value, json};
use stage::{Guard, SKIPPED, Stage};
use stateward::change::Action;
use stateward::change::Change;
use stateward::change::PodDeletion;
use stateward::change::Requester;
use stateward::cluster::Cluster;
use stateward::evaluate::evaluate;
use stateward::model::Pod;
use stateward::policy::Policies;
use stateward::policy::Profile;

/// A control plane for one test, or the end of the test.
macro_rules! plane {
    ($with_controllers:expr) => {{
        control_plane::bound_lifetime();
        let Some(assets) = control_plane::assets() else {
            eprintln!("{SKIPPED}");
            return;
        };
        ControlPlane::start(&assets, $with_controllers).unwrap()
    }};
}

/// What the API server has added or changed, leaving aside what it adds to every object.
fn drift(written: &Value, read: &Value, exact: bool, place: &str, found: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (key, value) in written {
                let read = read.get(key).unwrap_or(&Value::Null);
                drift(value, read, exact || key == "webhooks", &format!("{place}/{key}"), found);
            }
            let added = read.keys().filter(|key| exact && !written.contains_key(*key));
            found.extend(added.map(|key| format!("{place}/{key} was added")));
        }
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            for (index, (value, other)) in written.iter().zip(read).enumerate() {
                drift(value, other, exact, &format!("{place}/{index}"), found);
            }
        }
        _ if written == read => {}
        _ => found.push(format!("{place}: {written} became {read}")),
    }
}

#[tokio::test]
async fn everything_reads_back_as_it_was_written() {
    let plane = plane!(false);
    let api = plane.api();
    for object in installation() {
        let reply = api.apply(&object).await.allowed();
        // Such as those of Pod Security and of deprecated fields.
        assert!(reply.warnings.is_empty(), "{reply:?}");
        let mut found = Vec::new();
        drift(&object, &api.get(&path_of(&object)).await.body, false, "", &mut found);
        assert!(found.is_empty(), "{}: {found:#?}", object["kind"]);
    }
    for file in ["service-per-pod/rbac.yaml", "monitoring/service.yaml"] {
        for object in objects(&format!("components/{file}")) {
            api.apply(&object).await.warned_of(&[]);
        }
    }
    restricted(&api).await;
}

/// The namespace takes the Deployment's pods, and none that may more.
async fn restricted(api: &Api) {
    let deployment = installation().into_iter().find(|object| object["kind"] == "Deployment").unwrap();
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "one".into();
    pod["metadata"]["namespace"] = "stateward".into();
    assert_eq!(api.create(&pod).await.allowed().body["spec"]["priority"], 1_000_000_000);
    pod["metadata"]["name"] = "two".into();
    pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    assert_eq!(api.create(&pod).await.status, 403);
}

/// As a person does it.
#[tokio::test]
async fn kubectl_applies_it_and_sees_no_difference_afterwards() {
    let plane = plane!(false);
    let Some(kubectl) = tool("kubectl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    fs::write(&kubeconfig, plane.kubeconfig("admin-token")).unwrap();
    let run = |arguments: &[&str]| {
        let kubeconfig = ["--kubeconfig", kubeconfig.to_str().unwrap()];
        output(&kubectl, &[&kubeconfig, arguments].concat())
    };
    // The namespace is not there yet when the server tries the rest of it out.
    run(&["create", "namespace", "stateward"]);
    let all = [".", "overlays/strict", "overlays/fail", "overlays/service-per-pod"];
    for pending in all {
        run(&["apply", "-k", pending, "--dry-run=server"]);
    }
    for pending in all {
        run(&["apply", "-k", pending]);
        // Fails where there is a difference.
        run(&["diff", "-k", pending]);
        run(&["apply", "--server-side", "--force-conflicts", "-k", pending]);
        run(&["diff", "--server-side", "--force-conflicts", "-k", pending]);
    }
    run(&["delete", "--wait=false", "-k", "overlays/service-per-pod"]);
    nothing_is_left(&plane.api()).await;
}

/// Of what is not in a namespace. The namespace itself waits for its controller.
async fn nothing_is_left(api: &Api) {
    for object in installation().iter().filter(|object| object["metadata"]["namespace"].is_null()) {
        let left = api.get(&path_of(object)).await;
        let is_being_deleted = left.body["metadata"]["deletionTimestamp"].is_string();
        assert!(left.status == 404 || is_being_deleted, "{}", path_of(object));
    }
}

#[tokio::test]
async fn helm_installs_it_and_takes_it_away() {
    let plane = plane!(false);
    let Some(helm) = tool("helm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, chart) = (folder.path().join("kubeconfig"), folder.path().join("chart"));
    fs::write(&kubeconfig, plane.kubeconfig("admin-token")).unwrap();
    // An API server that was built by hand has no version, and helm then finds it too old.
    output(Path::new("cp"), &["-r", "chart", chart.to_str().unwrap()]);
    output(Path::new("sed"), &["-i", "/^kubeVersion/d", chart.join("Chart.yaml").to_str().unwrap()]);
    let (kubeconfig, chart) = (kubeconfig.to_str().unwrap(), chart.to_str().unwrap());
    let run = |arguments: &[&str]| {
        output(&helm, &[arguments, &["--kubeconfig", kubeconfig, "-n", "stateward"]].concat())
    };
    run(&["install", "stateward", chart, "--create-namespace"]);
    let api = plane.api();
    let webhooks = installation().into_iter().filter(|object| object["webhooks"].is_array());
    for mut object in webhooks {
        object["metadata"] = json!({"name": "stateward"});
        let mut found = Vec::new();
        drift(&object, &api.get(&path_of(&object)).await.body, false, "", &mut found);
        assert!(found.is_empty(), "{found:#?}");
    }
    run(&["upgrade", "stateward", chart, "--set", "servicePerPod.enabled=true,failurePolicy=Fail"]);
    // As in an emergency, when the chart at hand is newer than what is installed.
    run(&["upgrade", "stateward", chart, "--reuse-values", "--set", "failurePolicy=Ignore"]);
    run(&["uninstall", "stateward"]);
    for object in installation() {
        // Helm never deletes what is in `crds/`: the policies in the cluster would go with it.
        let is_ours = object["kind"] != "Namespace" && object["kind"] != "CustomResourceDefinition";
        assert!(!is_ours || !api.exists(&path_of(&object)).await, "{}", path_of(&object));
    }
}

const REGISTRY: &str = "admissionregistration.k8s.io";
const ALL: &[&str] = &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
const WRITES: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];

/// Group, resource, subresource, namespace, name.
type Place = [&'static str; 5];

async fn may(api: &Api, verb: &str, [group, resource, subresource, namespace, name]: Place) -> bool {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": verb, "group": group, "resource": resource, "subresource": subresource,
            "namespace": namespace, "name": name,
        }},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    api.post(path, &review).await.allowed().body["status"]["allowed"] == true
}

/// That it may do what it needs, the end-to-end tests show by doing it.
#[tokio::test]
async fn the_account_may_do_nothing_more() {
    let plane = plane!(false);
    let account = plane.api().with_token(&plane.account_token().await);
    let allowed: [(&[&str], Place); 9] = [
        (&["get", "list", "watch"], ["apps", "statefulsets", "", "default", "x"]),
        (&["get", "list", "watch"], ["", "services", "", "default", "x"]),
        (&["get"], ["", "pods", "", "default", "x"]),
        (&["create"], ["events.k8s.io", "events", "", "default", ""]),
        (&["get", "patch"], [REGISTRY, "validatingwebhookconfigurations", "", "", "stateward"]),
        (&["get", "patch"], [REGISTRY, "mutatingwebhookconfigurations", "", "", "stateward"]),
        (&["get", "update"], ["", "secrets", "", "stateward", "stateward-tls"]),
        (&["create"], ["coordination.k8s.io", "leases", "", "stateward", ""]),
        (&["get", "update"], ["coordination.k8s.io", "leases", "", "stateward", "stateward"]),
    ];
    for (verbs, place) in allowed {
        for verb in verbs {
            assert!(may(&account, verb, place).await, "{verb} {place:?}");
        }
    }
    let refused: [(&[&str], Place); 18] = [
        (WRITES, ["apps", "statefulsets", "", "default", "x"]),
        (&["update", "patch"], ["apps", "statefulsets", "scale", "default", "x"]),
        (WRITES, ["", "services", "", "default", "x"]),
        (WRITES, ["policy", "poddisruptionbudgets", "", "default", "x"]),
        (WRITES, ["", "namespaces", "", "", "x"]),
        (&["list", "watch", "create", "update", "patch", "delete"], ["", "pods", "", "default", "x"]),
        (&["create"], ["", "pods", "eviction", "default", "x"]),
        (&["create"], ["", "pods", "exec", "stateward", "x"]),
        (ALL, ["", "secrets", "", "default", "x"]),
        (ALL, ["", "secrets", "", "kube-system", "stateward-tls"]),
        (&["get", "list", "watch", "update", "patch", "delete"], ["", "secrets", "", "stateward", "other"]),
        (&["list", "watch", "patch", "delete"], ["", "secrets", "", "stateward", "stateward-tls"]),
        (&["get", "update", "delete"], ["coordination.k8s.io", "leases", "", "stateward", "other"]),
        (ALL, ["coordination.k8s.io", "leases", "", "kube-system", "stateward"]),
        (WRITES, [REGISTRY, "validatingwebhookconfigurations", "", "", "other"]),
        (&["create", "delete"], [REGISTRY, "mutatingwebhookconfigurations", "", "", "stateward"]),
        (WRITES, ["rbac.authorization.k8s.io", "clusterroles", "", "", "stateward"]),
        (&["create"], ["", "serviceaccounts", "token", "stateward", "stateward"]),
    ];
    for (verbs, place) in refused {
        for verb in verbs {
            assert!(!may(&account, verb, place).await, "{verb} {place:?}");
        }
    }
}

/// Every pod there is, in the ways that matter to a deletion.
fn pods(namespace: &str) -> Vec<Value> {
    let owner = |api_version: &str, kind: &str, controller: Option<bool>| json!([{"apiVersion": api_version, "kind": kind, "name": "db", "uid": "1", "controller": controller}]);
    let owners = [
        owner("apps/v1", "StatefulSet", Some(true)),
        owner("apps/v1", "StatefulSet", Some(false)),
        owner("apps/v1", "StatefulSet", None),
        owner("apps/v1", "ReplicaSet", Some(true)),
        owner("apps.kruise.io/v1", "StatefulSet", Some(true)),
        Value::Null,
    ];
    let mut pods = Vec::new();
    for owners in &owners {
        for node in ["", "node-1"] {
            for grace in [0, 30] {
                for phase in ["Pending", "Running", "Ready", "Succeeded", "Failed"] {
                    let mut spec = json!({
                        "terminationGracePeriodSeconds": grace, "automountServiceAccountToken": false,
                        "containers": [{"name": "db", "image": "db"}],
                    });
                    if !node.is_empty() {
                        spec["nodeName"] = node.into();
                    }
                    let name = format!("db-{}", pods.len());
                    let status = match phase {
                        "Ready" => {
                            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
                        }
                        phase => {
                            json!({"phase": phase, "conditions": [{"type": "Ready", "status": "False"}]})
                        }
                    };
                    pods.push(json!({
                        "apiVersion": "v1", "kind": "Pod", "spec": spec, "status": status,
                        "metadata": {"namespace": namespace, "name": name, "ownerReferences": owners},
                    }));
                }
            }
        }
    }
    pods
}

const USERS: [(&str, &str); 11] = [
    ("alice", "people"),
    ("system:node:node-1", "system:nodes"),
    ("system:node:node-2", "system:nodes"),
    ("system:node:node-1", "people"),
    ("system:serviceaccount:kube-system:statefulset-controller", "system:serviceaccounts"),
    ("system:serviceaccount:kube-system:generic-garbage-collector", "system:serviceaccounts"),
    ("system:serviceaccount:kube-system:namespace-controller", "system:serviceaccounts"),
    ("system:serviceaccount:kube-system:default", "system:serviceaccounts"),
    ("system:serviceaccount:kube-system:snapshot-controller", "system:serviceaccounts"),
    ("system:kube-scheduler", "people"),
    ("system:kube-controller-manager", "people"),
];

/// Whether the rule refuses it.
fn refuses(pod: &Value, grace_period: Option<i64>, (user, group): (&str, &str)) -> bool {
    let pod = serde_json::from_value(pod.clone()).unwrap();
    let requester = Requester { username: user.into(), groups: vec![group.into()] };
    let action = Action::PodDeletion(PodDeletion { pod, grace_period });
    let change = Change { action, requester, ..Change::default() };
    let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
    evaluate(&change, &Cluster::default(), &policies, jiff::Timestamp::UNIX_EPOCH).is_denied()
}

/// Whether its set may lose a member with it: what is known of the set decides then.
fn may_cost_a_member(pod: &Value, (user, group): (&str, &str)) -> bool {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    let requester = Requester { username: user.into(), groups: vec![group.into()] };
    let is_own_kubelet = requester.kubelet_of() == Some(&*pod.spec.node_name);
    pod.stateful_set().is_some()
        && pod.may_run()
        && pod.is_serving()
        && !requester.is_system()
        && !is_own_kubelet
}

fn asked(stage: &Stage, webhook: &str, operation: &str, resource: &str) -> f64 {
    let decisions = ["allowed", "mutated", "warned", "denied"].into_iter().filter_map(|decision| {
        stage.metric(&format!(
            "stateward_admission_requests_total{{webhook=\"{webhook}\",operation=\"{operation}\",resource=\"{resource}\",\
             decision=\"{decision}\"}}"
        ))
    });
    decisions.sum()
}

/// Whoever the tests act as.
async fn rights_for_all(api: &Api) {
    let group = "rbac.authorization.k8s.io";
    let everybody = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "all"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:authenticated"}],
    });
    api.apply(&everybody).await.allowed();
}

/// The conditions in CEL are exactly as wide as the rules: what they may refuse is asked about, and nothing else.
#[tokio::test]
async fn only_deletions_of_pods_that_may_be_refused_are_asked_about() {
    let plane = plane!(false);
    let stage = Stage::on(&plane, "conditions", "strict").await;
    let namespace = stage.namespace("pods").await;
    rights_for_all(&stage.api).await;
    let (mut tried, mut refused, mut in_question, mut wrong) = (0, 0, 0, String::new());
    for pod in pods(&namespace) {
        stage.api.create(&pod).await.allowed();
        let path = pod_path(&namespace, pod["metadata"]["name"].as_str().unwrap());
        stage.api.merge(&format!("{path}/status"), &json!({"status": pod["status"]})).await.allowed();
        let pod = stage.api.get(&path).await.body;
        for user in USERS {
            let api = stage.api.acting_as(user.0, user.1);
            for grace in [None, Some(0), Some(30)] {
                let reply = api.delete(&path, &json!({"gracePeriodSeconds": grace, "dryRun": ["All"]})).await;
                assert!(matches!(reply.status, 200 | 422), "{reply:?}");
                let expected = refuses(&pod, grace, user);
                if (reply.status == 422) != expected {
                    wrong += &format!("{} {user:?} {grace:?}: {reply:?}\n", pod["spec"]);
                }
                tried += 1;
                refused += u32::from(expected);
                in_question += u32::from(expected || may_cost_a_member(&pod, user));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(refused > 20 && refused * 10 < tried, "{refused} of {tried}");
    let asked = asked(&stage, "validate", "DELETE", "pods");
    assert!(in_question > refused && in_question * 5 < tried, "{in_question} of {tried}");
    assert_eq!(Some(asked), Some(f64::from(in_question)));
    stage.end().await;
}

/// Other pods than those that say so are created without a question, and the others get their label.
#[tokio::test]
async fn only_pods_that_want_their_name_as_a_label_are_asked_about() {
    let plane = plane!(false);
    let stage = Stage::on(&plane, "labels", "strict").await;
    let namespace = stage.namespace("pods").await;
    let none = json!({"other": "pod-name-label"});
    for (name, annotations) in [("a", Value::Null), ("b", none), ("c", json!({"pod-name-label": "pod-name"}))]
    {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": namespace, "name": name, "annotations": annotations},
            "spec": {"automountServiceAccountToken": false, "containers": [{"name": "a", "image": "a"}]},
        });
        let created = stage.api.create(&pod).await.allowed().body;
        let expected = if name == "c" { json!({"pod-name": "c"}) } else { Value::Null };
        assert_eq!(created["metadata"]["labels"], expected, "{name}");
    }
    assert_eq!(Some(asked(&stage, "mutate", "CREATE", "pods")), Some(1.0));
    stage.end().await;
}

/// A set with its Service and budget, changed in every way that is asked about. There is nobody to ask: no pod ever runs here.
async fn is_held_up(api: &Api, namespace: &str) -> Option<String> {
    let applied = kube_api::example("consul/consul.yaml", namespace);
    let mut replies = Vec::new();
    for object in &applied {
        replies.push(api.apply(object).await);
    }
    replies.push(api.scale(namespace, "consul", 5).await);
    for object in applied.iter().rev() {
        replies.push(api.delete(&path_of(object), &json!({})).await);
    }
    replies.into_iter().find(|reply| reply.status >= 300).map(|reply| format!("{reply:?}"))
}

pub(crate) async fn user_namespace(api: &Api, name: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    api.create(&namespace).await.allowed();
}

async fn until_gone(api: &Api, path: &str) {
    until(async || api.get(path).await.status == 404).await;
}

pub(crate) async fn apply_all(api: &Api, objects: &[Value]) {
    for object in objects {
        let reply = api.apply(object).await;
        assert!(reply.status < 300, "{}: {reply:?}", object["kind"]);
    }
}

/// Front to back, back to front, and from several places in the middle.
fn orders(objects: &[Value]) -> Vec<Vec<Value>> {
    let mut orders = vec![objects.to_vec(), objects.iter().rev().cloned().collect()];
    for first in [3, 7, 10] {
        let mut order = objects.to_vec();
        order.rotate_left(first);
        orders.push(order);
    }
    orders
}

#[tokio::test]
async fn it_goes_in_any_order_and_holds_nothing_up() {
    let plane = plane!(true);
    if !stage::has_controllers(&plane) {
        return;
    }
    let (api, objects) = (plane.api(), installation());
    user_namespace(&api, "users").await;
    for order in orders(&objects) {
        apply_all(&api, &objects).await;
        assert_eq!(is_held_up(&api, "users").await, None, "nobody is there to be asked");
        for object in &order {
            let reply = api.delete(&path_of(object), &json!({})).await;
            // What was in the namespace may have gone with it.
            assert!(reply.status < 300 || reply.status == 404, "{reply:?}");
            assert_eq!(is_held_up(&api, "users").await, None, "without {}", object["kind"]);
        }
        until_gone(&api, "/api/v1/namespaces/stateward").await;
    }
    api.delete("/api/v1/namespaces/users", &json!({})).await.allowed();
    until_gone(&api, "/api/v1/namespaces/users").await;
}

/// The worst that can be done with failurePolicy Fail: everything is taken away but the configurations.
#[tokio::test]
async fn what_fail_holds_up_is_free_when_the_configurations_are_gone() {
    let plane = plane!(true);
    let Some(kubectl) = tool("kubectl") else { return };
    if !stage::has_controllers(&plane) {
        return;
    }
    let api = plane.api();
    for name in ["users", "going"] {
        user_namespace(&api, name).await;
        apply_all(&api, &kube_api::example("zookeeper/zookeeper.yaml", name)).await;
    }
    let objects = parse("overlays/fail", &output(&kubectl, &["kustomize", "overlays/fail"]));
    apply_all(&api, &objects).await;
    let (webhooks, others): (Vec<_>, Vec<_>) =
        objects.iter().partition(|object| object["webhooks"].is_array());
    // A moment passes until the API server knows them.
    until(async || is_held_up(&api, "users").await.is_some_and(|why| why.contains("failed calling webhook")))
        .await;
    for object in others {
        let reply = api.delete(&path_of(object), &json!({})).await;
        assert!(reply.status < 300 || reply.status == 404, "{reply:?}");
    }
    until_gone(&api, "/api/v1/namespaces/stateward").await;

    // The system itself is never asked about, nor what ends what others have decided.
    assert_eq!(is_held_up(&api, "kube-system").await, None);
    who_cleans_up_is_free(&api).await;
    let (set, foreground) = (kube_api::set_path("users", "zk"), json!({"propagationPolicy": "Foreground"}));
    assert!(api.delete(&set, &foreground).await.status >= 500, "nobody could say whether it is protected");
    api.delete("/api/v1/namespaces/going", &json!({})).await.allowed();
    until_gone(&api, "/api/v1/namespaces/going").await;

    assert!(is_held_up(&api, "users").await.is_some());
    for object in webhooks {
        api.delete(&path_of(object), &json!({})).await.allowed();
    }
    until(async || is_held_up(&api, "users").await.is_none()).await;
    api.delete(&set, &foreground).await.allowed();
    until_gone(&api, &set).await;
}

/// Exactly those are let through whom the guard would never refuse anything.
async fn who_cleans_up_is_free(api: &Api) {
    rights_for_all(api).await;
    for (user, group) in USERS {
        let requester = Requester { username: user.into(), groups: vec![group.into()] };
        let path = format!("{}?dryRun=All", kube_api::service_path("users", "zk-headless"));
        let reply =
            api.acting_as(user, group).merge(&path, &json!({"metadata": {"labels": {"a": "b"}}})).await;
        assert_eq!(reply.status == 200, requester.is_cleanup_controller(), "{user}: {reply:?}");
    }
}

pub(crate) async fn until(condition: impl AsyncFn() -> bool) {
    for _ in 0..1200 {
        if condition().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it never happens");
}

/// An address of this machine that is not loopback, which no `EndpointSlice` may name.
pub(crate) fn address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: this asks for the way there.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback())
}

/// A replica behind the Service as it is installed.
pub(crate) struct Replica {
    pub(crate) guard: Guard,
    slice: Value,
}

impl Replica {
    /// One that is ready, started as the Deployment does; the API server hears of it then.
    pub(crate) async fn start(plane: &ControlPlane, number: usize) -> Self {
        let deployment = installation().into_iter().find(|object| object["kind"] == "Deployment").unwrap();
        let flags =
            deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap().iter();
        let flags = flags.map(|flag| flag.as_str().unwrap());
        // No volume is mounted here, and the log is read.
        let elsewhere =
            |flag: &&str| !["serve", "--log", "--policies"].iter().any(|start| flag.starts_with(start));
        let mut flags: Vec<&str> = flags.filter(elsewhere).collect();
        flags.extend(["--bind=0.0.0.0:0", "--drain-seconds=3"]);
        let guard = Guard::with_flags(plane, tempfile::tempdir().unwrap(), &flags).await;
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "namespace": "stateward", "name": format!("stateward-{number}"),
                "labels": {"kubernetes.io/service-name": "stateward"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address().unwrap()], "conditions": {"ready": true}}],
            "ports": [{"name": "webhook", "port": guard.webhook.port(), "protocol": "TCP"}],
        });
        plane.api().create(&slice).await.allowed();
        Self { guard, slice }
    }

    /// As a pod goes: the API server and the process are told at the same time.
    async fn go(&mut self, api: &Api) {
        self.guard.signal("TERM");
        api.delete(&path_of(&self.slice), &json!({})).await.allowed();
        until(async || self.guard.has_ended()).await;
    }
}

/// The entries of both configurations, each with one thing changed.
pub(crate) async fn patch_entries(api: &Api, manager: &str, change: &Value) {
    for object in installation().iter().filter(|object| object["webhooks"].is_array()) {
        let entries = object["webhooks"].as_array().unwrap().iter().map(|webhook| {
            let mut entry = change.clone();
            entry["name"] = webhook["name"].clone();
            entry
        });
        let patch = json!({
            "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": {"name": "stateward"},
            "webhooks": entries.collect::<Vec<_>>(),
        });
        api.apply_as(manager, &patch).await.allowed();
    }
}

/// Nothing but the manifests, with failurePolicy Fail and the certificate that the replicas make themselves: the API server calls the Service that they name, under the name that it
/// has, while every replica is replaced.
#[tokio::test]
async fn as_it_is_shipped_it_is_rolled_over_under_load() {
    let plane = plane!(false);
    if address().is_none() {
        eprintln!("SKIPPED: this machine has no address but loopback");
        return;
    }
    let api = plane.api();
    user_namespace(&api, "users").await;
    apply_all(&api, &installation()).await;
    let (first, second) = tokio::join!(Replica::start(&plane, 0), Replica::start(&plane, 1));
    let mut replicas = vec![first, second];
    apply_all(&api, &kube_api::example("consul/consul.yaml", "users")).await;
    patch_entries(&api, "fail", &json!({"failurePolicy": "Fail"})).await;
    let is_asked = async || api.merge(CONSUL_TRIED, &json!({"spec": {"replicas": 4}})).await.status == 422;
    until(is_asked).await;

    let load = [(); 4].map(|()| tokio::spawn(reviews_without_pause(plane.api())));
    for number in 2..4 {
        replicas.push(Replica::start(&plane, number).await);
        replicas.remove(0).go(&api).await;
    }
    for load in load {
        load.abort();
        assert!(load.await.unwrap_err().is_cancelled(), "a review failed");
    }
    let answered = replicas.iter().map(|replica| replica.guard.asked("statefulsets/scale"));
    assert!(answered.sum::<f64>() > 10.0);
    for Replica { guard, .. } in replicas {
        assert!(!guard.log().contains("is forbidden: User"), "{}", guard.log());
    }
}

const CONSUL_TRIED: &str = "/apis/apps/v1/namespaces/users/statefulsets/consul/scale?dryRun=All";

/// Panics at the first review that fails.
async fn reviews_without_pause(api: Api) {
    loop {
        api.scale("users", "consul", 5).await.warned_of(&[]);
        let refused = api.merge(CONSUL_TRIED, &json!({"spec": {"replicas": 4}})).await;
        assert!(refused.denials().contains("quorum-even"), "{refused:?}");
        api.scale("users", "consul", 3).await.warned_of(&[]);
        api.merge(&format!("{CONSUL_TRIED}&fieldManager=x"), &json!({"spec": {"replicas": 5}}))
            .await
            .allowed();
    }
}

/// With the rights of its component and no others.
#[tokio::test]
async fn the_controller_does_its_work_with_the_rights_of_its_component() {
    let plane = plane!(true);
    if !stage::has_controllers(&plane) {
        return;
    }
    let api = plane.api();
    user_namespace(&api, "users").await;
    apply_all(&api, &objects("components/service-per-pod/rbac.yaml")).await;
    let (folder, ca) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ca = format!("--ca-out={}", ca.path().join("ca.crt").display());
    let flags = ["--bind=127.0.0.1:0", "--controller", &ca];
    let guard = Guard::with_flags(&plane, folder, &flags).await;
    // One of the names is taken.
    let foreign = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "users", "name": "nginx-1"},
        "spec": {"ports": [{"port": 1}]},
    });
    api.create(&foreign).await.allowed();
    apply_all(&api, &kube_api::example("macroservice/nginx.yaml", "users")).await;
    let (set, service) = (kube_api::set_path("users", "nginx"), |name| kube_api::service_path("users", name));
    until(async || api.exists(&service("nginx-0")).await && api.exists(&service("nginx-2")).await).await;
    let said = async || api.get(&set).await.body["status"]["conditions"].to_string();
    until(async || said().await.contains("stateward.dev/ServicePerPod")).await;
    api.delete(&service("nginx-1"), &json!({})).await.allowed();
    api.scale("users", "nginx", 1).await.allowed();
    until(async || !api.exists(&service("nginx-2")).await).await;
    api.delete(&set, &json!({})).await.allowed();
    until_gone(&api, &service("nginx-0")).await;
    assert!(!guard.log().contains("is forbidden: User"), "{}", guard.log());
}
