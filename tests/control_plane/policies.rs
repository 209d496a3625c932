//! Policies and exemptions as objects of a real API server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::control_plane::{self, ControlPlane};
use crate::kube_api::{Api, Reply, example, installation, path_of};
use crate::stage::{SKIPPED, Stage, set_of};

const POLICIES: &str = "/apis/stateward.dev/v1alpha1/statefulsetpolicies";

fn policy(name: &str, namespace: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["match"] = json!({"namespaces": [namespace]});
    json!({
        "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": name}, "spec": spec,
    })
}

fn level(name: &str, namespace: &str, rule: &str, level: &Value) -> Value {
    policy(name, namespace, &json!({"rules": [{"rule": rule, "level": level}]}))
}

fn exemption(namespace: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetExemption",
        "metadata": {"name": "moving", "namespace": namespace}, "spec": spec,
    })
}

/// A guard alone on a control plane, which is given away too: it lives as long.
async fn alone(name: &'static str) -> Option<(Stage, ControlPlane)> {
    control_plane::bound_lifetime();
    let Some(assets) = control_plane::assets() else {
        eprintln!("{SKIPPED}");
        return None;
    };
    let plane = ControlPlane::start(&assets, false).unwrap();
    Some((Stage::on(&plane, name, "baseline").await, plane))
}

async fn install_definitions(stage: &Stage) {
    for object in installation().iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        stage.api.apply(object).await.allowed();
    }
    stage.until("the kinds are served", async || stage.api.get(POLICIES).await.status == 200).await;
}

/// A set with four members, which the shipped profile denies.
fn even(namespace: &str) -> Value {
    let mut set = set_of(&example("zookeeper/zookeeper.yaml", namespace)).clone();
    set["spec"]["replicas"] = json!(4);
    set
}

/// Waits until the set is allowed, or denied; how long it took.
async fn until_allowed(stage: &Stage, set: &Value, what: &str, is_allowed: bool) -> Duration {
    let start = std::time::Instant::now();
    stage.until(what, async || (stage.api.try_out(set).await.status < 300) == is_allowed).await;
    println!("{what}: {:?}", start.elapsed());
    start.elapsed()
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

async fn until_ready_says(stage: &Stage, path: &str, reason: &str) -> Value {
    stage
        .until(&format!("{path} is {reason}"), async || {
            condition(&stage.api.get(path).await.body, "Ready")["reason"] == reason
        })
        .await;
    stage.api.get(path).await.body
}

/// Asks again and again until told to stop: every answer is one of the two that policies lead to, and none is lost.
fn load(api: &Api, set: &Value, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<usize> {
    let (api, set, stop) = (api.clone(), set.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut answers = 0;
        while !stop.load(Ordering::Relaxed) {
            let reply: Reply = api.try_out(&set).await;
            assert!(reply.status < 300 || reply.denials().iter().eq(&["quorum-even"]), "{reply:?}");
            answers += 1;
        }
        answers
    })
}

#[tokio::test]
async fn a_policy_takes_effect_at_once_and_its_last_good_version_stays() {
    let Some((stage, _plane)) = alone("policies").await else { return };
    let namespace = stage.namespace("a").await;
    let (set, name) = (even(&namespace), "policies-team");
    stage.api.try_out(&set).await.denied_by(&["quorum-even"]);
    install_definitions(&stage).await;
    let stop = Arc::new(AtomicBool::new(false));
    let askers = [(); 2].map(|()| load(&stage.api, &set, &stop));
    let path = format!("{POLICIES}/{name}");

    let put = async |rule: &str, wanted: Value| {
        stage.api.apply(&level(name, &namespace, rule, &wanted)).await.allowed();
    };
    put("quorum-even", json!("warn")).await;
    until_allowed(&stage, &set, "the definitions are noticed", true).await;
    until_ready_says(&stage, &path, "InForce").await;
    for round in 0..3 {
        put("quorum-even", json!("deny")).await;
        let denied = until_allowed(&stage, &set, "it denies", false).await;
        // `off` without quotes, as kubectl reads it.
        put("quorum-even", json!(false)).await;
        let allowed = until_allowed(&stage, &set, "it is off", true).await;
        assert!(denied.max(allowed) < Duration::from_secs(10), "round {round}: {denied:?} {allowed:?}");
    }

    put("quorum-evne", json!("deny")).await;
    let said = until_ready_says(&stage, &path, "Malformed").await;
    let message = condition(&said, "Ready")["message"].as_str().unwrap();
    assert!(
        message.starts_with("spec.rules[0].rule: there is no rule \"quorum-evne\"; did you mean"),
        "{message}"
    );
    assert!(message.ends_with("the last good version is in force"), "{message}");
    assert_eq!(said["status"]["observedGeneration"], said["metadata"]["generation"]);
    stage.api.try_out(&set).await.allowed();
    assert_eq!(stage.metric(&format!("stateward_policy_errors{{policy=\"{name}\"}}")), Some(1.0));
    stage
        .until("an Event", async || {
            let events = stage.api.get("/apis/events.k8s.io/v1/namespaces/default/events").await.body;
            let mut events = events["items"].as_array().into_iter().flatten();
            events.any(|event| event["regarding"]["name"] == name && event["reason"] == "PolicyMalformed")
        })
        .await;

    put("quorum-even", json!("warn")).await;
    let said = until_ready_says(&stage, &path, "InForce").await;
    assert_eq!(condition(&said, "Effective")["reason"], "MatchesNothing");
    stage.api.delete(&path, &json!({})).await.allowed();
    until_allowed(&stage, &set, "it is deleted", false).await;

    // A status is written once for a version, not again and again.
    stage.api.apply(&level(name, &namespace, "quorum-even", &json!("warn"))).await.allowed();
    let before = until_ready_says(&stage, &path, "InForce").await["metadata"]["resourceVersion"].clone();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stage.api.get(&path).await.body["metadata"]["resourceVersion"], before);
    stage.api.delete(&path, &json!({})).await.allowed();
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        assert!(asker.await.unwrap() > 0);
    }
    stage.end().await;
}

#[tokio::test]
async fn an_exemption_counts_where_a_policy_lets_it_and_until_its_end() {
    let Some((stage, _plane)) = alone("exemptions").await else { return };
    let namespace = stage.namespace("a").await;
    let set = even(&namespace);
    install_definitions(&stage).await;
    let path = format!("/apis/stateward.dev/v1alpha1/namespaces/{namespace}/statefulsetexemptions/moving");
    let spec = |end: Option<Timestamp>| {
        let mut spec = json!({"rules": ["quorum-even"], "names": ["*"], "reason": "migrating"});
        if let Some(end) = end {
            spec["expiresAt"] = json!(end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
        spec
    };
    stage.api.apply(&exemption(&namespace, &spec(None))).await.allowed();
    until_ready_says(&stage, &path, "NotHonoured").await;
    stage.api.try_out(&set).await.denied_by(&["quorum-even"]);

    let by_name = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    let honours = policy("exemptions-honoured", &namespace, &json!({"exemptionNamespaces": by_name}));
    stage.api.apply(&honours).await.allowed();
    until_allowed(&stage, &set, "the exemption counts", true).await;
    let reply = stage.api.try_out(&set).await;
    let used = "exempt from quorum-even: migrating (StatefulSetExemption moving)";
    assert!(reply.warnings.iter().any(|warning| warning == used), "{reply:?}");
    until_ready_says(&stage, &path, "InForce").await;

    let end: Timestamp = Timestamp::from_second(Timestamp::now().as_second() + 5).unwrap();
    stage.api.apply(&exemption(&namespace, &spec(Some(end)))).await.allowed();
    let until = format!("exempt from quorum-even until {end}: migrating (StatefulSetExemption moving)");
    stage
        .until("the end is known", async || {
            let reply = stage.api.try_out(&set).await;
            reply.status >= 300 || reply.warnings.contains(&until)
        })
        .await;
    loop {
        let asked = Timestamp::now();
        let reply = stage.api.try_out(&set).await;
        let answered = Timestamp::now();
        if answered < end {
            assert!(reply.status < 300, "{reply:?}");
        } else if asked >= end {
            let message = reply.body["message"].as_str().unwrap_or_default();
            let ended = format!("(an exemption by StatefulSetExemption moving ended on {end})");
            assert!(message.contains(&ended), "{reply:?}");
            break;
        }
    }
    until_ready_says(&stage, &path, "Ended").await;
    stage.api.delete(&path, &json!({})).await.allowed();
    stage.api.delete(&format!("{POLICIES}/exemptions-honoured"), &json!({})).await.allowed();
    stage.end().await;
}

/// The users are those of the API server, and the annotation is judged by who sets it.
#[tokio::test]
async fn only_those_whom_a_policy_names_exempt_by_annotation() {
    let policy = json!({
        "annotationExemptionsBy": {
            "users": ["carol"], "groups": ["platform"], "serviceAccounts": [{"namespace": "argocd", "name": "*"}],
        },
    });
    let Some(stage) = Stage::set_with_policy("exempting", &policy).await else { return };
    let namespace = stage.namespace("a").await;
    let admin = |user: &str| stage.api.acting_as(user, "system:masters");
    let (bob, carol) = (admin("bob"), admin("carol"));
    let argo = admin("system:serviceaccount:argocd:argocd-application-controller");
    let mut set = even(&namespace);
    set["metadata"]["annotations"]["stateward.dev/exempt"] = "quorum-even".into();
    set["metadata"]["annotations"]["stateward.dev/exempt-reason"] = "moving".into();

    let reply = bob.try_out(&set).await;
    reply.denied_by(&["quorum-even"]);
    assert!(reply.warned().contains("annotation-ignored"), "{reply:?}");
    argo.try_out(&set).await.allowed();
    carol.try_out(&set).await.allowed();

    set["spec"]["replicas"] = 3.into();
    let reply = bob.apply(&set).await.allowed();
    assert!(reply.warned().contains("annotation-ignored"), "{reply:?}");
    stage.api.delete(&path_of(&set), &json!({})).await.allowed();
    stage.until_gone(&path_of(&set)).await;

    let reply = carol.apply(&set).await.allowed();
    assert!(!reply.warned().contains("annotation-ignored"), "{reply:?}");
    let name = set["metadata"]["name"].as_str().unwrap().to_owned();
    let path = path_of(&set);
    // It was set by one who may: others change and scale the set.
    stage.until("the exemption is known", async || bob.scale(&namespace, &name, 4).await.status == 200).await;
    let labelled = bob.merge(&path, &json!({"metadata": {"labels": {"touched": "yes"}}})).await.allowed();
    assert!(!labelled.warned().contains("annotation-ignored"), "{labelled:?}");
    let other = json!({"metadata": {"annotations": {"stateward.dev/exempt-reason": "because"}}});
    assert!(bob.merge(&path, &other).await.allowed().warned().contains("annotation-ignored"));
    stage.end().await;
}

/// What the API server refuses, and what it takes.
#[tokio::test]
async fn the_definitions_refuse_what_the_parser_refuses() {
    let Some(stage) = Stage::set("definitions", "baseline").await else { return };
    let namespace = stage.unguarded_namespace("a").await;
    install_definitions(&stage).await;
    for (spec, message) in [
        (json!({"rules": [{"rule": "quorum-even", "level": "deny", "classes": ["quorum"]}]}), ""),
        (json!({"rules": [{"rule": "quorum-even", "level": false}]}), ""),
        (json!({"rules": [{"rule": "quorum-even", "level": "off", "params": {"any": [1]}}]}), ""),
        (json!({"rules": [{"rule": "quorum-even", "level": "error"}]}), "Unsupported value"),
        (json!({"rules": [{"rule": "quorum-even", "level": true}]}), "Unsupported value"),
        (json!({"rules": [{"rule": "quorum-even"}]}), "Required value"),
        (json!({"classes": [{"class": "quorum"}]}), "a class needs `images` or a `selector`"),
        (json!({"classes": [{"class": "leader", "images": ["x"]}]}), "Unsupported value"),
        (json!({"exemptions": [{"rules": ["*"], "reason": " "}]}), "should match"),
        (json!({"operated": "enforce", "onMissingCompanion": "deny", "annotationExemptions": null}), ""),
        (json!({"operated": "deny"}), "Unsupported value"),
    ] {
        let reply = stage.api.try_out(&policy("definitions-policy", &namespace, &spec)).await;
        let said = reply.body["message"].as_str().unwrap_or_default();
        assert_eq!(reply.status, if message.is_empty() { 201 } else { 422 }, "{spec}: {reply:?}");
        assert!(said.contains(message), "{spec}: {said}");
    }
    for (spec, message) in [
        (json!({"rules": ["*"], "selector": {"matchLabels": {"app": "x"}}, "reason": "x"}), ""),
        (json!({"rules": ["*"], "reason": "x"}), "say which StatefulSets"),
        (json!({"rules": [], "names": ["*"], "reason": "x"}), "at least 1 items"),
        (json!({"rules": ["*"], "names": ["*"]}), "Required value"),
        (json!({"rules": ["*"], "names": ["*"], "reason": "x", "expiresAt": "tomorrow"}), "date-time"),
    ] {
        let reply = stage.api.try_out(&exemption(&namespace, &spec)).await;
        let said = reply.body["message"].as_str().unwrap_or_default();
        assert_eq!(reply.status, if message.is_empty() { 201 } else { 422 }, "{spec}: {reply:?}");
        assert!(said.contains(message), "{spec}: {said}");
    }
    // The shipped profiles, as they are in the repository.
    for profile in ["baseline", "strict"] {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("policies/{profile}.yaml"));
        let document =
            stateward::manifest::document(&std::fs::read_to_string(file).unwrap()).unwrap().to_json();
        assert_eq!(stage.api.try_out(&document).await.status, 201, "{profile}");
    }
    stage.end().await;
}
