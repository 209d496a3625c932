//! The guard between a real API server and its users.
//!
//! `KUBEBUILDER_ASSETS` names the folder with etcd and kube-apiserver, as for envtest; without it each test says that it is
//! skipped. With kube-controller-manager there, sets get pods, and what is deleted is collected.

// Helpers beside the tests unwrap too, and what is skipped is said aloud.

use crate::control_plane;
use crate::kube_api;
use crate::stage;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use control_plane::ControlPlane;
use kube_api::{Api, Reply, budget_path, example, pod_path, service_path, set_path};
use serde_json::{Value, json};
use stage::{SKIPPED, Stage, expected, set_of};

pub const APPLICATIONS: [&str; 5] = [
    "consul/consul.yaml",
    "macroservice/nginx.yaml",
    "random-generator/random-generator.yaml",
    "singleton/singleton.yaml",
    "zookeeper/zookeeper.yaml",
];

/// Takes the place of a test's stage, or ends the test where there is none.
macro_rules! stage {
    ($stage:expr) => {
        match $stage.await {
            Some(stage) => stage,
            None => return,
        }
    };
}

async fn apply_all(api: &Api, objects: &[Value]) {
    for object in objects {
        api.apply(object).await.warned_of(&[]);
    }
}

/// The consul of the examples, three members strong.
async fn consul(stage: &Stage, namespace: &str) -> Vec<Value> {
    let objects = example("consul/consul.yaml", namespace);
    apply_all(&stage.api, &objects).await;
    objects
}

async fn replicas(api: &Api, namespace: &str, set: &str) -> i64 {
    api.get(&set_path(namespace, set)).await.body["spec"]["replicas"].as_i64().unwrap()
}

async fn in_file_order(stage: Stage) {
    let namespace = stage.namespace("all").await;
    for file in APPLICATIONS {
        let objects = example(file, &namespace);
        apply_all(&stage.api, &objects).await;
        // Once more, as a pipeline does.
        apply_all(&stage.api, &objects).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn good_applications_pass_baseline_in_file_order() {
    in_file_order(stage!(Stage::set("order-baseline", "baseline"))).await;
}

#[tokio::test]
async fn good_applications_pass_strict_in_file_order() {
    in_file_order(stage!(Stage::set("order-strict", "strict"))).await;
}

/// A sequence that is the same in every run.
pub struct Dice(pub u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Companions come before their set or after it, applications at the same time.
#[tokio::test]
async fn good_applications_pass_baseline_in_any_order() {
    const ROUNDS: usize = 24;
    let stage = stage!(Stage::set("shuffled", "baseline"));
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        rounds.push((round, stage.namespace(&format!("{round}")).await));
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let mine: Vec<_> = rounds.iter().filter(|(round, _)| round % 4 == writer).cloned().collect();
        let api = stage.api.clone();
        writers.spawn(async move {
            for (round, namespace) in mine {
                let mut dice = Dice(round as u64 + 1);
                let mut objects: Vec<Value> =
                    APPLICATIONS.iter().flat_map(|file| example(file, &namespace)).collect();
                dice.shuffle(&mut objects);
                for object in &objects {
                    let reply = api.apply(object).await.allowed();
                    let companion = |rule: &&str| ["service-not-found", "pdb-missing"].contains(rule);
                    assert!(reply.warned().iter().all(companion), "round {round}: {reply:?}");
                }
            }
        });
    }
    while let Some(end) = writers.join_next().await {
        end.unwrap();
    }
    stage.end().await;
}

fn broken_variants() -> Vec<String> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
    let mut files = Vec::new();
    for application in fs::read_dir(&examples).unwrap() {
        let broken = application.unwrap().path().join("broken");
        for file in fs::read_dir(broken).into_iter().flatten() {
            let file = file.unwrap().path();
            files.push(file.strip_prefix(&examples).unwrap().to_str().unwrap().to_owned());
        }
    }
    files.sort();
    assert!(files.len() > 40);
    files
}

/// Waits until the guard has heard of the neighbours that are wrong. What is not known yet is not held against a set, so one
/// that follows them at once may pass.
async fn seen(stage: &Stage, set: &Value, expected: &BTreeMap<String, String>) {
    for _ in 0..200 {
        let reply = stage.api.try_out(set).await;
        let found: BTreeSet<&str> = reply.denials().union(&reply.warned()).copied().collect();
        if reply.status == 404 || expected.keys().all(|rule| found.contains(&**rule)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Each is refused for what its first line says, and warned of for the rest of it.
async fn broken(stage: Stage, profile: &str) {
    let mut wrong = String::new();
    for (number, file) in broken_variants().iter().enumerate() {
        let namespace = stage.namespace(&number.to_string()).await;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples").join(file);
        let mut expected = expected(&fs::read_to_string(path).unwrap(), profile);
        expected.retain(|rule, _| stateward::rules::named(rule).is_some());
        // The files hold no such object. On a cluster it may still follow the set that is being created.
        for missing in ["service-not-found", "pdb-missing"] {
            expected.entry(missing.to_owned()).and_modify(|level| "warn".clone_into(level));
        }
        let at = |level: &str| {
            expected.iter().filter(|(_, at)| *at == level).map(|(rule, _)| rule.clone()).collect::<Vec<_>>()
        };
        let (mut denied, mut warned) = (Vec::new(), Vec::new());
        for object in example(file, &namespace) {
            if object["kind"] == "StatefulSet" {
                seen(&stage, &object, &expected).await;
            }
            let reply = stage.api.apply(&object).await;
            if file.ends_with("zk-old-api.yaml") && object["kind"] == "StatefulSet" {
                // Only a file can hold it.
                assert_eq!(reply.status, 404, "{file}: {reply:?}");
                denied.extend(at("deny"));
                warned.extend(at("warn"));
                continue;
            }
            assert!(reply.status < 300 || reply.status == 422, "{file}: {reply:?}");
            denied.extend(reply.denials().into_iter().map(str::to_owned));
            warned.extend(reply.warned().into_iter().map(str::to_owned));
        }
        if file.ends_with("consul-rollout-too-wide.yaml") && denied.is_empty() {
            // An API server whose feature gate MaxUnavailableStatefulSet is off drops the field before anybody sees it.
            assert!(warned.is_empty(), "{warned:?}");
            continue;
        }
        if file.ends_with("zk-ensemble-of-four.yaml") {
            // While sets of an ensemble are created one by one, more may be to come: nothing is refused for their number.
            assert!(
                denied.is_empty() && warned.iter().any(|rule| rule == "quorum-even"),
                "{denied:?} {warned:?}"
            );
            continue;
        }
        denied.sort();
        denied.dedup();
        warned.sort();
        warned.dedup();
        if denied != at("deny") || warned != at("warn") {
            wrong += &format!("{file}: denied {denied:?}, warned {warned:?}, expected {expected:?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    stage.end().await;
}

#[tokio::test]
async fn broken_variants_in_baseline() {
    broken(stage!(Stage::set("broken-baseline", "baseline")), "baseline").await;
}

#[tokio::test]
async fn broken_variants_in_strict() {
    broken(stage!(Stage::set("broken-strict", "strict")), "strict").await;
}

/// Allowed with warnings of these rules. No pod is ever ready here, and how many pods and claims the controllers have made by now
/// differs from run to run: what is warned of for these does not count.
#[track_caller]
fn scaled(reply: &Reply, rules: &[&str]) {
    assert_eq!(reply.status, 200, "{reply:?}");
    let mut warned = reply.warned();
    warned.retain(|rule| !["quorum-no-spare", "quorum-claims-left"].contains(rule));
    assert_eq!(warned, rules.iter().copied().collect(), "{reply:?}");
}

#[tokio::test]
async fn a_quorum_is_scaled() {
    let stage = stage!(Stage::set("scale", "baseline"));
    let namespace = stage.namespace("consul").await;
    consul(&stage, &namespace).await;
    let api = &stage.api;
    scaled(&api.scale(&namespace, "consul", 5).await, &[]);
    api.scale(&namespace, "consul", 4).await.denied_by(&["quorum-even"]);
    api.scale(&namespace, "consul", 1).await.denied_by(&["quorum-scale-loses-majority"]);
    assert_eq!(replicas(api, &namespace, "consul").await, 5);

    // The same through the set itself.
    let to = |replicas: i32| json!({"spec": {"replicas": replicas}});
    let path = set_path(&namespace, "consul");
    scaled(&api.merge(&path, &to(3)).await, &[]);
    scaled(&api.merge(&path, &to(5)).await, &[]);
    api.merge(&path, &to(4)).await.denied_by(&["quorum-even"]);
    api.merge(&path, &to(1)).await.denied_by(&["quorum-scale-loses-majority"]);
    assert_eq!(replicas(api, &namespace, "consul").await, 5);
    scaled(&api.scale(&namespace, "consul", 0).await, &["quorum-scaled-to-zero"]);
    stage.end().await;
}

#[tokio::test]
async fn other_classes_are_scaled() {
    let stage = stage!(Stage::set("classes", "strict"));
    let namespace = stage.namespace("all").await;
    apply_all(&stage.api, &example("macroservice/nginx.yaml", &namespace)).await;
    apply_all(&stage.api, &example("singleton/singleton.yaml", &namespace)).await;
    stage.api.scale(&namespace, "nginx", 4).await.warned_of(&[]);
    stage.api.scale(&namespace, "my-singleton", 2).await.denied_by(&["singleton-scaled"]);
    stage.api.scale(&namespace, "my-singleton", 0).await.warned_of(&[]);
    stage.end().await;
}

/// The watch may not have it yet, and a Scale does not say what it scales.
#[tokio::test]
async fn a_set_that_has_just_been_created_is_scaled() {
    let stage = stage!(Stage::set("young", "baseline"));
    let namespace = stage.namespace("consul").await;
    let objects = example("consul/consul.yaml", &namespace);
    for round in 0..20 {
        let name = format!("consul-{round}");
        // The members that it joins are its own.
        let mut set = set_of(&objects).to_string();
        for ordinal in 0..3 {
            set = set.replace(&format!("consul-{ordinal}.consul."), &format!("{name}-{ordinal}.consul."));
        }
        let mut set: Value = serde_json::from_str(&set).unwrap();
        set["metadata"]["name"] = name.as_str().into();
        stage.api.create(&set).await.allowed();
        stage.api.scale(&namespace, &name, 4).await.denied_by(&["quorum-even"]);
        stage.api.scale(&namespace, &name, 5).await.allowed();
    }
    stage.end().await;
}

fn autoscaler(namespace: &str) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "consul", "namespace": namespace},
        "spec": {
            "minReplicas": 3, "maxReplicas": 7,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "consul"},
        },
    })
}

/// As far as KEDA's own definition matters here.
fn definition_of_keda() -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh", "scope": "Namespaced",
            "names": {"kind": "ScaledObject", "plural": "scaledobjects"},
            "versions": [
                {"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}},
            ],
        },
    })
}

#[tokio::test]
async fn an_autoscaler_of_keda_is_reviewed_as_any_other() {
    let stage = stage!(Stage::set("keda", "strict"));
    let namespace = stage.namespace("consul").await;
    consul(&stage, &namespace).await;
    let api = &stage.api;
    api.apply(&definition_of_keda()).await.allowed();
    let path = format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects");
    stage.until("the kind is served", async || api.get(&path).await.status == 200).await;
    let scaled = |most: i32| {
        let target = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "consul"});
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "consul", "namespace": namespace},
            "spec": {"minReplicaCount": 3, "maxReplicaCount": most, "scaleTargetRef": target},
        })
    };
    api.create(&scaled(7)).await.denied_by(&["quorum-autoscaled"]);
    api.create(&scaled(3)).await.allowed();
    let path = format!("{path}/consul");
    api.merge(&path, &json!({"spec": {"maxReplicaCount": 5}})).await.denied_by(&["quorum-autoscaled"]);
    api.delete(&path, &json!({})).await.allowed();
    stage.end().await;
}

const WIDER: &str = "maxUnavailable";

#[tokio::test]
async fn neighbours_of_a_quorum_are_kept_in_strict() {
    let stage = stage!(Stage::set("keep", "strict"));
    let namespace = stage.namespace("consul").await;
    consul(&stage, &namespace).await;
    let (api, budget, service) =
        (&stage.api, budget_path(&namespace, "consul"), service_path(&namespace, "consul"));
    let names_the_set = |reply: Reply, rules: &[&str]| {
        reply.denied_by(rules);
        assert!(reply.body["message"].as_str().unwrap().contains("StatefulSet consul"), "{reply:?}");
    };
    api.create(&autoscaler(&namespace)).await.denied_by(&["quorum-autoscaled"]);

    let relaxed = api.merge(&budget, &json!({"spec": {WIDER: 2}})).await;
    names_the_set(relaxed, &["pdb-below-quorum"]);
    let elsewhere = json!({"spec": {"selector": {"app": "other"}}});
    names_the_set(api.merge(&service, &elsewhere).await, &["service-in-use"]);
    // Their deletion may be the beginning of that of all.
    let dry = json!({"dryRun": ["All"]});
    api.delete(&budget, &dry).await.warned_of(&["pdb-in-use"]);
    api.delete(&service, &dry).await.warned_of(&["service-in-use"]);

    // What has nothing to do with it passes, and so does all of it once the set is gone.
    api.merge(&service, &json!({"metadata": {"labels": {"seen": "yes"}}})).await.warned_of(&[]);
    api.merge(&budget, &json!({"metadata": {"labels": {"seen": "yes"}}})).await.warned_of(&[]);
    api.delete(&set_path(&namespace, "consul"), &json!({})).await.allowed();
    stage.until_gone(&set_path(&namespace, "consul")).await;
    api.delete(&service, &json!({})).await.warned_of(&[]);
    api.delete(&budget, &json!({})).await.warned_of(&[]);
    stage.end().await;
}

#[tokio::test]
async fn neighbours_of_a_quorum_are_warned_of_in_baseline() {
    let stage = stage!(Stage::set("warn", "baseline"));
    let namespace = stage.namespace("consul").await;
    let objects = consul(&stage, &namespace).await;
    let (api, budget, service) =
        (&stage.api, budget_path(&namespace, "consul"), service_path(&namespace, "consul"));
    // Warnings come from the watch, which may be a moment behind.
    stage
        .until("all is known", async || {
            let path = format!("{}?dryRun=All", set_path(&namespace, "consul"));
            api.merge(&path, &json!({"metadata": {"labels": {"seen": "yes"}}})).await.warnings.is_empty()
        })
        .await;
    let relaxed = api.merge(&budget, &json!({"spec": {WIDER: 2}})).await;
    relaxed.warned_of(&["pdb-below-quorum"]);
    api.apply(&objects[2]).await.allowed();
    api.delete(&budget, &json!({})).await.warned_of(&["pdb-in-use"]);
    let elsewhere = json!({"spec": {"selector": {"app": "other"}}});
    let changed = api.merge(&service, &elsewhere).await;
    changed.warned_of(&["service-in-use"]);
    api.apply(&objects[1]).await.allowed();
    api.delete(&service, &json!({})).await.warned_of(&["service-in-use"]);
    api.create(&autoscaler(&namespace)).await.warned_of(&["quorum-autoscaled"]);
    stage.end().await;
}

/// Service, budget and set follow each other as fast as they can.
async fn at_once(stage: Stage) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..5 {
        let (api, namespace) = (stage.api.clone(), stage.namespace(&writer.to_string()).await);
        writers.spawn(async move {
            for round in 0..10 {
                let objects = example("consul/consul.yaml", &namespace);
                let text = serde_json::to_string(&objects).unwrap();
                let text = text.replace("\"consul\"", &format!("\"consul-{round}\""));
                let objects: Vec<Value> = serde_json::from_str(&text).unwrap();
                for object in &objects {
                    api.create(object).await.warned_of(&[]);
                }
            }
        });
    }
    while let Some(end) = writers.join_next().await {
        end.unwrap();
    }
    stage.end().await;
}

#[tokio::test]
async fn companions_created_just_before_are_seen_in_strict() {
    at_once(stage!(Stage::set("at-once-strict", "strict"))).await;
}

#[tokio::test]
async fn companions_created_just_before_are_seen_in_baseline() {
    at_once(stage!(Stage::set("at-once-baseline", "baseline"))).await;
}

/// Four members and neither budget nor spread.
fn even(namespace: &str) -> Value {
    let mut set = set_of(&example("consul/consul.yaml", namespace)).clone();
    set["spec"]["replicas"] = 4.into();
    set["spec"]["template"]["spec"]["affinity"] = Value::Null;
    set
}

#[tokio::test]
async fn what_was_wrong_before_stays_possible_and_gets_no_worse() {
    let stage = stage!(Stage::set("ratchet", "strict"));
    let namespace = stage.unguarded_namespace("consul").await;
    stage.api.create(&even(&namespace)).await.allowed();
    stage.protect(&namespace).await;
    let (api, path) = (&stage.api, set_path(&namespace, "consul"));
    let known = ["pdb-missing", "quorum-even", "service-not-found", "spread-missing"];

    let image = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "hashicorp/consul:1.19"}]);
    let patched =
        api.try_send(http::Method::PATCH, &path, "application/json-patch+json", Some(&image)).await.unwrap();
    patched.warned_of(&known);
    api.merge(&path, &json!({"metadata": {"labels": {"seen": "yes"}}})).await.warned_of(&known);
    let hasty = json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 0}}}});
    api.merge(&path, &hasty).await.denied_by(&["grace-period-zero"]);
    let fewer = api.scale(&namespace, "consul", 1).await;
    assert!(fewer.denials().contains("quorum-scale-loses-majority"), "{fewer:?}");
    api.scale(&namespace, "consul", 5).await.warned_of(&["pdb-missing", "spread-missing"]);
    stage.end().await;
}

#[tokio::test]
async fn pods_are_deleted_with_patience() {
    let strict = stage!(Stage::set_with_controllers("pods", "strict"));
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}});
    strict.api.create(&node).await.allowed();
    let namespace = strict.namespace("consul").await;
    consul(&strict, &namespace).await;
    let (force, gently) = (json!({"gracePeriodSeconds": 0}), json!({"gracePeriodSeconds": 30}));
    let (alice, admin) = (strict.api.with_token("alice-token"), strict.api.clone());
    for name in ["consul-0", "consul-1"] {
        strict.running_pod(&namespace, "node-1", name).await;
    }

    let first = pod_path(&namespace, "consul-0");
    alice.delete(&first, &force).await.denied_by(&["pod-force-deleted"]);
    admin.delete(&first, &force).await.denied_by(&["pod-force-deleted"]);
    alice.delete(&first, &gently).await.warned_of(&[]);
    // It is on its way, and its process may still run.
    alice.delete(&first, &force).await.denied_by(&["pod-force-deleted"]);
    let uid = admin.get(&first).await.body["metadata"]["uid"].clone();
    let other = admin.acting_as("system:node:node-2", "system:nodes");
    other.delete(&first, &force).await.denied_by(&["pod-force-deleted"]);
    let kubelet = admin.acting_as("system:node:node-1", "system:nodes");
    kubelet.delete(&first, &force).await.warned_of(&[]);
    strict
        .until("it is replaced", async || {
            let now = admin.get(&first).await;
            now.status == 404 || now.body["metadata"]["uid"] != uid
        })
        .await;

    // One that was never scheduled has no process, and one that has ended has none left.
    strict.until("a third pod", async || admin.exists(&pod_path(&namespace, "consul-2")).await).await;
    alice.delete(&pod_path(&namespace, "consul-2"), &force).await.warned_of(&[]);
    let second = pod_path(&namespace, "consul-1");
    admin.merge(&format!("{second}/status"), &json!({"status": {"phase": "Succeeded"}})).await.allowed();
    // The controller deletes it too.
    let ended = alice.delete(&second, &force).await;
    assert!(matches!(ended.status, 200 | 404), "{ended:?}");
    strict.end().await;
}

#[tokio::test]
async fn forced_deletions_are_warned_of_in_baseline() {
    let stage = stage!(Stage::set_with_controllers("forced", "baseline"));
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-3"}});
    stage.api.create(&node).await.allowed();
    let namespace = stage.namespace("consul").await;
    consul(&stage, &namespace).await;
    stage.running_pod(&namespace, "node-3", "consul-0").await;
    let (alice, pod) = (stage.api.with_token("alice-token"), pod_path(&namespace, "consul-0"));
    let forced = alice.delete(&pod, &json!({"gracePeriodSeconds": 0})).await;
    forced.warned_of(&["pod-force-deleted"]);
    stage.end().await;
}

#[tokio::test]
async fn deletions_complete() {
    let stage = stage!(Stage::set_with_controllers("deletions", "strict"));
    let namespace = stage.namespace("all").await;
    for file in APPLICATIONS {
        apply_all(&stage.api, &example(file, &namespace)).await;
    }
    let api = &stage.api;
    for pod in ["consul-2", "zk-2", "rg-0", "nginx-0", "my-singleton-0"] {
        stage.until("pods are made", async || api.exists(&pod_path(&namespace, pod)).await).await;
    }
    for (set, how) in [("consul", "Orphan"), ("zk", "Foreground"), ("rg", "Background")] {
        let path = set_path(&namespace, set);
        api.delete(&path, &json!({"propagationPolicy": how})).await.allowed();
        stage.until_gone(&path).await;
    }
    assert!(api.exists(&pod_path(&namespace, "consul-2")).await, "orphans stay");
    let mut consul = set_of(&example("consul/consul.yaml", &namespace)).clone();
    api.try_out(&consul).await.allowed();
    consul["spec"]["replicas"] = json!(1);
    let reply = api.try_out(&consul).await;
    assert!(reply.denials().contains("quorum-scale-loses-majority"), "they are adopted: {reply:?}");
    consul["spec"]["replicas"] = json!(3);
    consul["spec"]["ordinals"] = json!({"start": 3});
    let reply = api.try_out(&consul).await;
    assert!(reply.denials().contains("quorum-members-replaced"), "they would be deleted: {reply:?}");
    stage.until_gone(&pod_path(&namespace, "zk-2")).await;
    stage.until_gone(&pod_path(&namespace, "rg-0")).await;

    // All the rest at once, in whatever order the controller likes.
    let path = format!("/api/v1/namespaces/{namespace}");
    api.delete(&path, &json!({})).await.allowed();
    stage.until_gone(&path).await;
    stage.end().await;
}

#[tokio::test]
async fn everything_of_a_kind_is_deleted_at_once() {
    let stage = stage!(Stage::set("collections", "baseline"));
    let namespace = stage.namespace("all").await;
    for file in APPLICATIONS {
        apply_all(&stage.api, &example(file, &namespace)).await;
    }
    let sets = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets");
    stage.api.delete(&sets, &json!({})).await.allowed();
    let empty = async || stage.api.get(&sets).await.body["items"].as_array().unwrap().is_empty();
    stage.until("the sets are gone", empty).await;
    stage.end().await;
}

#[tokio::test]
async fn dry_runs_see_the_verdict_and_change_nothing() {
    let stage = stage!(Stage::set("dry-run", "strict"));
    let namespace = stage.namespace("consul").await;
    let api = &stage.api;
    let dry = |path: String| format!("{path}?dryRun=All");
    let sets = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets");
    // Nothing of a file that is only tried out exists when its set is reviewed.
    let objects = example("consul/consul.yaml", &namespace);
    let tried = api.post(&dry(sets.clone()), set_of(&objects)).await;
    tried.warned_of(&["pdb-missing", "service-not-found"]);
    assert!(!api.exists(&set_path(&namespace, "consul")).await);
    let mut four = set_of(&objects).clone();
    four["spec"]["replicas"] = 4.into();
    api.post(&dry(sets), &four).await.denied_by(&["quorum-even"]);

    apply_all(api, &objects).await;
    let scale = dry(format!("{}/scale", set_path(&namespace, "consul")));
    api.merge(&scale, &json!({"spec": {"replicas": 5}})).await.warned_of(&[]);
    api.merge(&scale, &json!({"spec": {"replicas": 4}})).await.denied_by(&["quorum-even"]);
    assert_eq!(replicas(api, &namespace, "consul").await, 3);
    let dry = json!({"dryRun": ["All"]});
    api.delete(&budget_path(&namespace, "consul"), &dry).await.warned_of(&["pdb-in-use"]);
    api.delete(&set_path(&namespace, "consul"), &dry).await.warned_of(&[]);
    assert!(api.exists(&set_path(&namespace, "consul")).await);
    stage.end().await;
}

#[tokio::test]
async fn another_manager_applies_a_part() {
    let stage = stage!(Stage::set("managers", "strict"));
    let namespace = stage.namespace("consul").await;
    consul(&stage, &namespace).await;
    let part = |extra: Value| {
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "consul", "namespace": namespace},
        });
        set.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        set
    };
    let api = &stage.api;
    api.apply_as("scaler", &part(json!({"spec": {"replicas": 5}}))).await.warned_of(&[]);
    api.apply_as("scaler", &part(json!({"spec": {"replicas": 4}}))).await.denied_by(&["quorum-even"]);
    assert_eq!(replicas(api, &namespace, "consul").await, 5);
    let class = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "consul", "namespace": namespace},
        "spec": {"selector": {"app": "other"}}});
    api.apply_as("other", &class).await.denied_by(&["service-in-use"]);
    stage.end().await;
}

const SETS: &str = "stateward_cluster_objects{kind=\"StatefulSet\"}";

#[tokio::test]
async fn the_guard_outlives_the_api_server() {
    control_plane::bound_lifetime();
    let Some(assets) = control_plane::assets() else {
        eprintln!("{SKIPPED}");
        return;
    };
    let mut plane = ControlPlane::start(&assets, false).unwrap();
    let stage = Stage::on(&plane, "restart", "strict").await;
    let namespace = stage.namespace("consul").await;
    let objects = consul(&stage, &namespace).await;
    stage.until("the set is known", async || stage.metric(SETS) == Some(1.0)).await;

    plane.restart_api_server(|| {
        std::thread::sleep(Duration::from_secs(3));
        assert!(stage.is_ready(), "what it knows is good enough");
        assert_eq!(stage.metric(SETS), Some(1.0));
    });
    // A connection of its own: those of before are dead.
    let api = plane.api();
    // Its own view of the webhooks takes a moment to return.
    stage.until("it answers", async || api.scale(&namespace, "consul", 3).await.status == 200).await;
    api.scale(&namespace, "consul", 4).await.denied_by(&["quorum-even"]);
    // A server that has just started may not know yet who may read what; what cannot be read again refuses nothing.
    let budget = budget_path(&namespace, "consul");
    let relaxed = json!({"spec": {WIDER: 2}});
    let tried = format!("{budget}?dryRun=All");
    stage.until("it may read", async || api.merge(&tried, &relaxed).await.status == 422).await;
    api.merge(&budget, &relaxed).await.denied_by(&["pdb-below-quorum"]);
    assert!(stage.is_ready());

    // It follows what happens from then on.
    let mut second = set_of(&objects).clone();
    second["metadata"]["name"] = "second".into();
    second["metadata"]["annotations"] = json!({"stateward.dev/exempt": "selector-overlap", "stateward.dev/exempt-reason": "a copy for this test"});
    api.create(&second).await.allowed();
    stage.until("the watches go on", async || stage.metric(SETS) == Some(2.0)).await;
    stage.end_after_restart().await;
}
