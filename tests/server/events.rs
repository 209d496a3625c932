//! Events about refused and warned changes.

use crate::support;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::{encoding::text, registry::Registry};
use serde_json::{Value, json};
use stateward::cluster::Cluster;
use stateward::cluster::Kind;
use stateward::events::{Events, ReviewOrigin};
use stateward::guard::Decision;
use stateward::guard::Guard;
use stateward::guard::GuardAnswer;
use stateward::guard::WebhookGuard;
use stateward::policy::Policies;
use stateward::policy::Profile;
use support::{
    api_server::{ApiServer, Fault},
    logs::Logs,
    until,
};
use tokio::{task::JoinHandle, time::Instant};

struct Newsroom {
    api: ApiServer,
    judge: WebhookGuard,
    registry: Registry,
    task: JoinHandle<()>,
}

impl Drop for Newsroom {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn newsroom() -> Newsroom {
    newsroom_of(ReviewOrigin::Proven).await
}

async fn newsroom_of(reviews: ReviewOrigin) -> Newsroom {
    let api = ApiServer::start().await;
    let mut cluster = Cluster::default();
    for kind in Kind::ALL {
        cluster.set_complete(kind, true);
    }
    let mut registry = Registry::with_prefix("stateward");
    let (events, event_sender) = Events::new(api.client(), "pod-1", reviews, &mut registry);
    let task = tokio::spawn(event_sender.run());
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    let judge = WebhookGuard {
        cluster: Arc::new(ArcSwap::from_pointee(cluster)),
        policies: Arc::new(ArcSwap::from_pointee(policies)),
        confirmer: None,
        reservations: Arc::default(),
        events: Some(events),
        excluded: Vec::new(),
    };
    Newsroom { api, judge, registry, task }
}

fn etcd(name: &str, replicas: i32) -> Value {
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [
        {"name": "etcd", "image": "quay.io/coreos/etcd:v3.5.9"}]}});
    json!({
        "metadata": {"namespace": "prod", "name": name, "uid": format!("uid-of-{name}")},
        "spec": {"replicas": replicas, "template": template},
    })
}

fn review(operation: &str, set: &Value, old: Option<&Value>, dry_run: bool) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": operation, "kind": {"kind": "StatefulSet"}, "namespace": "prod",
        "resource": {"group": "apps", "resource": "statefulsets"}, "object": set, "oldObject": old,
        "dryRun": dry_run,
    }})
}

impl Newsroom {
    fn hear(&self, review: &Value) -> Decision {
        let deadline = Instant::now() + support::PATIENCE;
        match self.judge.validate(review.to_string().as_bytes(), deadline).unwrap() {
            GuardAnswer::Now(reply) => reply.facts.decision,
            GuardAnswer::Later(_) => panic!("no live read is needed"),
        }
    }

    fn counted(&self, outcome: &str) -> usize {
        let mut written = String::new();
        text::encode(&mut written, &self.registry).unwrap();
        let line = format!("stateward_events_total{{outcome=\"{outcome}\"}} ");
        written.lines().find_map(|text| text.strip_prefix(&line)).unwrap().parse().unwrap()
    }

    async fn until_counted(&self, outcome: &str, number: usize) {
        until(outcome, async || self.counted(outcome) >= number).await;
    }

    /// The event of a rule about an object.
    fn event(&self, reason: &str, name: &str) -> Option<Value> {
        let is_it = |event: &Value| event["reason"] == reason && event["regarding"]["name"] == name;
        self.api.posted("events").into_iter().find(is_it)
    }
}

#[tokio::test]
async fn a_refused_creation_is_told_once_about_an_object_that_never_was() {
    let room = newsroom().await;
    let even = review("CREATE", &etcd("etcd", 4), None, false);
    assert_eq!(room.hear(&even), Decision::Denied);
    until("the event", async || room.event("QuorumEven", "etcd").is_some()).await;
    let event = room.event("QuorumEven", "etcd").unwrap();
    assert_eq!(
        event["regarding"],
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "namespace": "prod", "name": "etcd",
        })
    );
    assert_eq!(event["metadata"], json!({"generateName": "etcd-", "namespace": "prod"}));
    let told = ["type", "action", "reportingInstance"].map(|key| event[key].as_str().unwrap());
    assert_eq!(told, ["Warning", "Refused", "pod-1"]);
    assert!(event["note"].as_str().unwrap().starts_with("refused: 4 members"), "{event}");
    assert_eq!(room.api.requests("/apis/events.k8s.io/v1/namespaces/prod/events"), 1, "nothing of warnings");

    assert_eq!(room.hear(&even), Decision::Denied);
    room.until_counted("repeated", 1).await;
    assert_eq!((room.counted("created"), room.api.posted("events").len()), (1, 1), "told once");
}

#[tokio::test]
async fn a_warning_is_told_about_the_object_itself() {
    let room = newsroom().await;
    let (old, new) = (etcd("etcd", 4), etcd("etcd", 4));
    assert_eq!(room.hear(&review("UPDATE", &new, Some(&old), false)), Decision::Warned);
    until("the event", async || room.event("QuorumEven", "etcd").is_some()).await;
    let event = room.event("QuorumEven", "etcd").unwrap();
    assert_eq!((&event["action"], &event["regarding"]["uid"]), (&json!("Warned"), &json!("uid-of-etcd")));
}

#[tokio::test]
async fn nothing_is_told_of_a_dry_run() {
    let room = newsroom().await;
    assert_eq!(room.hear(&review("CREATE", &etcd("dry", 4), None, true)), Decision::Denied);
    assert_eq!(room.hear(&review("CREATE", &etcd("real", 4), None, false)), Decision::Denied);
    until("the event", async || room.event("QuorumEven", "real").is_some()).await;
    assert_eq!(room.event("QuorumEven", "dry"), None);
    let levels = room.api.posted("events").into_iter().map(|event| event["action"].clone());
    assert!(levels.collect::<Vec<_>>().iter().all(|action| action == "Refused" || action == "Warned"));
}

#[tokio::test]
async fn an_api_server_that_takes_no_events_harms_nothing() {
    let room = newsroom().await;
    let logs = Logs::capture();
    room.api.fail("events", Fault::Status(403));
    for number in 0..3 {
        let even = review("CREATE", &etcd(&format!("etcd-{number}"), 4), None, false);
        assert_eq!(room.hear(&even), Decision::Denied);
    }
    room.until_counted("failed", 3).await;
    assert_eq!(logs.lines_with("WARN").len(), 1, "{}", logs.text());
    room.api.heal("events");
    assert_eq!(room.hear(&review("CREATE", &etcd("later", 4), None, false)), Decision::Denied);
    until("the event", async || room.event("QuorumEven", "later").is_some()).await;

    room.api.fail("events", Fault::Hang);
    for number in 0..400 {
        let even = review("CREATE", &etcd(&format!("hung-{number}"), 4), None, false);
        assert_eq!(room.hear(&even), Decision::Denied);
    }
    assert!(room.counted("dropped") >= 100, "{}", room.counted("dropped"));
}

#[tokio::test]
async fn a_name_that_is_none_is_not_asked_for() {
    let room = newsroom().await;
    let mut strange = review("CREATE", &etcd("etcd", 4), None, false);
    strange["request"]["namespace"] = json!("../../../v1/secrets?");
    assert_eq!(room.hear(&strange), Decision::Denied);
    room.until_counted("failed", 1).await;
    assert_eq!(room.api.requests("/"), 0);
}

#[tokio::test]
async fn a_review_that_may_be_made_up_is_told_only_of_an_object_that_is_there() {
    let room = newsroom_of(ReviewOrigin::Unproven).await;
    let (there, other, gone) = (etcd("there", 4), etcd("other", 4), etcd("gone", 4));
    room.api.put_object("statefulsets", "prod", "there", there.clone());
    let mut younger = other.clone();
    younger["metadata"]["uid"] = json!("another-uid");
    room.api.put_object("statefulsets", "prod", "other", younger);
    for set in [&other, &gone] {
        assert_eq!(room.hear(&review("UPDATE", set, Some(set), false)), Decision::Warned);
    }
    assert_eq!(room.hear(&review("CREATE", &etcd("new", 4), None, false)), Decision::Denied);
    assert_eq!(room.hear(&review("UPDATE", &there, Some(&there), false)), Decision::Warned);
    until("the event", async || room.event("QuorumEven", "there").is_some()).await;
    assert!(room.counted("unconfirmed") >= 3);
    let about = |event: &Value| event["regarding"]["name"] != "there";
    assert!(!room.api.posted("events").iter().any(about), "{:?}", room.api.posted("events"));
}
