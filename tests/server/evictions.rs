//! Pods that go: the others are read, and an eviction that is refused may be tried again.

use serde_json::{Value, json};
use stateward::guard::Guard;
use stateward::guard::GuardAnswer;
use stateward::policy::Policies;
use stateward::policy::Profile;
use tokio::time::Instant;

use crate::confirm::{Court, court_of};
use crate::support;
use crate::support::api_server::Fault;

/// A set of three that are all ready, as the snapshot has it.
fn set(name: &str, class: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"namespace": "prod", "name": name, "annotations": {"stateward.dev/class": class}},
        "spec": {"replicas": 3, "serviceName": name, "template": {"metadata": {"labels": {"app": name}}}},
        "status": {"replicas": 3, "readyReplicas": 3},
    })
}

fn pod(set: &str, ready: bool) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": set, "controller": true});
    let condition = json!({"type": "Ready", "status": if ready { "True" } else { "False" }});
    json!({
        "metadata": {"namespace": "prod", "ownerReferences": [owner]}, "spec": {"nodeName": "node-1"},
        "status": {"phase": "Running", "conditions": [condition]},
    })
}

fn eviction(name: &str, options: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "kind": {"kind": "Eviction"}, "subResource": "eviction",
        "resource": {"group": "", "resource": "pods"}, "namespace": "prod", "name": name,
        "object": {"metadata": {"namespace": "prod", "name": name}, "deleteOptions": options},
    }})
}

fn deletion(name: &str, pod: &Value) -> Value {
    let mut pod = pod.clone();
    pod["metadata"]["name"] = name.into();
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "DELETE", "kind": {"kind": "Pod"},
        "resource": {"group": "", "resource": "pods"}, "namespace": "prod", "name": name, "oldObject": pod,
    }})
}

/// The quorum `zk` and the replicated `web`, each with pods of which these are ready.
async fn court(profile: Profile, ready: [bool; 3]) -> Court {
    let sets = [set("zk", "quorum"), set("web", "replicated")];
    let court = court_of(Policies::new(profile, Vec::new()).unwrap(), &sets).await;
    for (set, name) in sets.into_iter().zip(["zk", "web"]) {
        court.api.put_object("statefulsets", "prod", name, set);
        for (ordinal, ready) in ready.into_iter().enumerate() {
            court.api.put_object("pods", "prod", &format!("{name}-{ordinal}"), pod(name, ready));
        }
    }
    court
}

impl Court {
    async fn response(&self, review: &Value) -> Value {
        let deadline = Instant::now() + support::PATIENCE;
        let reply = match self.judge.validate(review.to_string().as_bytes(), deadline).unwrap() {
            GuardAnswer::Now(reply) => reply,
            GuardAnswer::Later(reply) => support::within("an answer", reply).await,
        };
        serde_json::from_slice::<Value>(&reply.body).unwrap()["response"].take()
    }

    fn pods_read(&self) -> usize {
        self.api.requests("/api/v1/namespaces/prod/pods")
    }
}

#[tokio::test]
async fn a_refused_eviction_is_answered_as_a_budget_answers_it() {
    let court = court(Profile::Strict, [true, true, false]).await;
    let drain = eviction("zk-0", &json!({}));
    let status = court.response(&drain).await["status"].take();
    assert_eq!((&status["code"], &status["reason"]), (&json!(429), &json!("TooManyRequests")), "{status}");
    assert_eq!(status["details"]["causes"][0]["reason"], "DisruptionBudget");
    assert!(status["message"].as_str().unwrap().contains("until zk-2 is ready"), "{status}");
    assert_eq!((court.pods_read(), court.outcomes("learned").as_str()), (3, "1"));
    assert_eq!(court.api.requests("/pods?"), 0, "pods are read by name");

    court.api.put_object("pods", "prod", "zk-2", pod("zk", true));
    assert_eq!(court.response(&drain).await["allowed"], true, "it is tried again");
    assert_eq!(court.response(&eviction("web-0", &json!({}))).await["allowed"], true);
}

#[tokio::test]
async fn the_pod_that_is_not_ready_may_go() {
    let court = court(Profile::Strict, [true, true, false]).await;
    assert_eq!(court.response(&eviction("zk-2", &json!({}))).await["allowed"], true);
    assert_eq!(court.response(&deletion("zk-2", &pod("zk", false))).await["allowed"], true);
}

#[tokio::test]
async fn a_pod_that_is_being_deleted_is_no_member_any_more() {
    let court = court(Profile::Strict, [true, true, true]).await;
    assert_eq!(court.response(&deletion("zk-0", &pod("zk", true))).await["allowed"], true);
    let mut going = pod("zk", true);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    court.api.put_object("pods", "prod", "zk-0", going);
    let refused = court.response(&deletion("zk-1", &pod("zk", true))).await;
    assert_eq!(
        (&refused["status"]["code"], &refused["status"]["reason"]),
        (&json!(422), &json!("Forbidden"))
    );
    assert_eq!(refused["status"]["details"]["causes"][0]["reason"], "FieldValueInvalid");
}

#[tokio::test]
async fn baseline_warns_of_a_set_that_a_budget_can_protect() {
    let court = court(Profile::Baseline, [true, true, false]).await;
    let response = court.response(&eviction("zk-0", &json!({}))).await;
    assert_eq!(response["allowed"], true);
    assert!(
        response["warnings"][0].as_str().unwrap().starts_with("quorum-no-spare: 2 of the 3"),
        "{response}"
    );
}

#[tokio::test]
async fn baseline_refuses_the_eviction_of_a_group_over_several_sets() {
    let names = ["zk-a", "zk-b", "zk-c"];
    let sets = names.map(|name| {
        let mut set = set(name, "quorum");
        set["metadata"]["annotations"]["stateward.dev/ensemble"] = "zk".into();
        set["spec"]["replicas"] = 1.into();
        set["status"] = json!({"replicas": 1, "readyReplicas": 1});
        set
    });
    let court = court_of(Policies::new(Profile::Baseline, Vec::new()).unwrap(), &sets).await;
    for (name, set) in names.into_iter().zip(sets) {
        court.api.put_object("statefulsets", "prod", name, set);
        court.api.put_object("pods", "prod", &format!("{name}-0"), pod(name, name != "zk-c"));
    }
    let response = court.response(&eviction("zk-a-0", &json!({}))).await;
    assert_eq!(response["status"]["code"], 429, "{response}");
    let deleted = court.response(&deletion("zk-a-0", &pod("zk-a", true))).await;
    assert_eq!(deleted["allowed"], true, "{deleted}");
}

/// A drain evicts all pods of a node at once: none shows yet that another goes.
#[tokio::test]
async fn of_two_evictions_at_the_same_time_one_waits() {
    let court = court(Profile::Strict, [true, true, true]).await;
    let (one, other) = (eviction("zk-0", &json!({})), eviction("zk-1", &json!({})));
    let (one, other) = tokio::join!(court.response(&one), court.response(&other));
    let mut allowed = [one["allowed"].as_bool(), other["allowed"].as_bool()];
    allowed.sort_unstable();
    assert_eq!(allowed, [Some(false), Some(true)]);
    let again = court.response(&eviction("zk-0", &json!({}))).await;
    assert_eq!(again["allowed"], one["allowed"], "the one that goes may be asked for once more");
}

#[tokio::test]
async fn a_forced_eviction_is_a_forced_deletion() {
    let court = court(Profile::Strict, [true, true, true]).await;
    let forced = json!({"gracePeriodSeconds": 0});
    let response = court.response(&eviction("web-0", &forced)).await;
    assert_eq!(response["status"]["code"], 422, "waiting does not help: {response}");
    assert!(
        response["status"]["message"].as_str().unwrap().contains("kubectl drain without --grace-period=0")
    );
    assert_eq!(court.pods_read(), 1, "the others do not matter");
    let tried = json!({"gracePeriodSeconds": 0, "dryRun": ["All"]});
    assert_eq!(court.response(&eviction("web-0", &tried)).await["status"]["code"], 422);

    court.api.put_object("pods", "prod", "zk-2", pod("zk", false));
    let both = court.response(&eviction("zk-0", &forced)).await;
    assert_eq!(both["status"]["code"], 422, "{both}");
    // `kubectl drain --dry-run=server` says it in the Eviction alone, and would wait for ever.
    let tried = court.response(&eviction("zk-0", &json!({"dryRun": ["All"]}))).await;
    assert_eq!(tried["allowed"], true, "{tried}");
}

#[tokio::test]
async fn what_cannot_be_read_refuses_nothing() {
    let court = court(Profile::Strict, [true, true, false]).await;
    court.api.fail("pods", Fault::Status(403));
    for review in [eviction("zk-0", &json!({})), eviction("web-0", &json!({"gracePeriodSeconds": 0}))] {
        assert_eq!(court.response(&review).await["allowed"], true);
    }
    assert_eq!(court.outcomes("failed"), "2");
}

#[tokio::test]
async fn there_is_no_live_read_for_pods_of_no_set() {
    let court = court(Profile::Strict, [true, true, false]).await;
    for name in ["zk", "zk-3", "zk-00", "zk-0-1", "other-0", "-", ""] {
        assert_eq!(court.response(&eviction(name, &json!({}))).await["allowed"], true, "{name:?}");
    }
    assert_eq!(court.api.requests("/"), 0);
}
