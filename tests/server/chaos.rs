//! Good reviews are answered rightly whatever the API server does, and whatever else arrives.
//!
//! The server is a process of its own; the API server is slow, busy, truncates answers, half-closes watches, tells things twice and
//! in the wrong order, and forgets. The soak is the same for ten minutes: `STATEWARD_SOAK_SECONDS=600 cargo test --test server soak --
//! --ignored --nocapture`.

use crate::support;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    api_server::{ApiServer, Fault},
    client::Client,
    served::Served,
    until,
};

const RESOURCES: [&str; 5] =
    ["statefulsets", "services", "poddisruptionbudgets", "horizontalpodautoscalers", "namespaces"];

/// A set that is right in every profile beside its Service and budget.
fn set(name: &str, replicas: i32) -> Value {
    let anti =
        json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": name}}}]);
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"namespace": "prod", "name": name, "uid": format!("uid-{name}"),
            "annotations": {"stateward.dev/class": "quorum"}},
        "spec": {
            "replicas": replicas, "serviceName": name, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {
                "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": anti}},
                "containers": [{"name": "raft", "image": "example/raft:1", "readinessProbe": {"tcpSocket": {"port": 1}},
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            }},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        },
    })
}

fn put_application(api: &ApiServer, name: &str, replicas: i32) {
    put_companions(api, name);
    api.put_object("statefulsets", "prod", name, set(name, replicas));
}

fn put_companions(api: &ApiServer, name: &str) {
    let service = json!({"clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": name}});
    api.put("services", "prod", name, service);
    let budget = json!({"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}});
    api.put("poddisruptionbudgets", "prod", name, budget);
}

fn review(uid: usize, operation: &str, object: &Value, old: &Value) -> String {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": format!("u{uid}"), "operation": operation, "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"}, "namespace": "prod",
        "name": object["metadata"]["name"], "object": object, "oldObject": old, "userInfo": {"username": "jane"},
    }})
    .to_string()
}

fn scale(uid: usize, name: &str, old: i32, new: i32) -> String {
    let of = |replicas: i32| {
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"namespace": "prod", "name": name},
            "spec": {"replicas": replicas}})
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": format!("u{uid}"), "operation": "UPDATE", "kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"}, "subResource": "scale",
        "namespace": "prod", "name": name, "object": of(new), "oldObject": of(old), "userInfo": {"username": "jane"},
    }})
    .to_string()
}

/// What may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Allowed,
    Denied,
    /// A denial that rests on other objects: where they cannot be read in time it is a warning that says so.
    DeniedOrUnconfirmed,
}

/// One after the other, over and over.
fn question(uid: usize) -> (String, Right) {
    let ports = |ports: &str| {
        let mut set = set("web", 1);
        set["metadata"]["annotations"] = json!({"service-per-pod-label": "statefulset.kubernetes.io/pod-name", "service-per-pod-ports": ports});
        set
    };
    let image = |name: &str| {
        let mut new = set(name, 3);
        new["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example/raft:2");
        new
    };
    match uid % 6 {
        0 => (review(uid, "UPDATE", &image("raft"), &set("raft", 3)), Right::Allowed),
        1 => (scale(uid, "raft", 3, 5), Right::Allowed),
        2 => (scale(uid, "raft", 3, 4), Right::DeniedOrUnconfirmed),
        // What it shows itself is wrong.
        3 => (review(uid, "CREATE", &ports("80:http"), &Value::Null), Right::Denied),
        // Its budget and its Service come and go in what the watches say, and are there.
        4 => (review(uid, "UPDATE", &set("churn", 3), &set("churn", 1)), Right::Allowed),
        _ => (review(uid, "UPDATE", &image("churn"), &set("churn", 3)), Right::Allowed),
    }
}

async fn ask(client: &mut Client, uid: usize) -> Result<(), String> {
    let (body, right) = question(uid);
    client
        .send(support::client::request("/validate?timeout=10s", "content-type: application/json\r\n", &body))
        .await;
    let answer = client.response().await;
    let shown = answer.text();
    let json: Value = serde_json::from_str(&shown).map_err(|error| format!("{uid}: {error}: {shown}"))?;
    let response = &json["response"];
    let warnings = response["warnings"].to_string();
    let is_right = match (response["allowed"].as_bool(), right) {
        (Some(true), Right::Allowed) | (Some(false), Right::Denied | Right::DeniedOrUnconfirmed) => true,
        (Some(true), Right::DeniedOrUnconfirmed) => warnings.contains("not refused"),
        _ => false,
    };
    if answer.status == 200 && response["uid"] == format!("u{uid}") && is_right {
        return Ok(());
    }
    Err(format!("{uid} is to be {right:?}: {} {shown}", answer.status))
}

struct Chaos {
    api: Arc<ApiServer>,
    served: Arc<Served>,
    asked: AtomicUsize,
    is_over: AtomicBool,
}

async fn begin() -> Arc<Chaos> {
    let api = ApiServer::start().await;
    api.put_object("namespaces", "", "prod", json!({"metadata": {}}));
    put_application(&api, "raft", 3);
    put_application(&api, "churn", 1);
    let set_up = |folder: &tempfile::TempDir| {
        let kubeconfig = api.kubeconfig(folder.path());
        let flags = ["--profile=strict", "--events=false"].map(str::to_owned).to_vec();
        (flags, vec![("KUBECONFIG".to_owned(), kubeconfig.display().to_string())])
    };
    let served = Served::start(set_up).await;
    Arc::new(Chaos {
        api: Arc::new(api),
        served: Arc::new(served),
        asked: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    })
}

impl Chaos {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Asks good questions over one connection, until it is over.
    async fn good_client(self: Arc<Self>, first: usize) -> Result<(), String> {
        let mut client = self.served.client().await;
        let mut uid = first;
        while self.goes_on() {
            ask(&mut client, uid).await?;
            self.asked.fetch_add(1, Ordering::Relaxed);
            uid += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Asks about sets that it has made up, which have to be read, and breaks off in the middle.
    async fn bad_client(self: Arc<Self>, seed: usize) {
        let mut turn = seed;
        while self.goes_on() {
            let mut client = self.served.client().await;
            for _ in 0..20 {
                turn += 1;
                let body = scale(turn, &format!("made-up-{turn}"), 3, 4);
                let whole = support::client::request(
                    "/validate?timeout=10s",
                    "content-type: application/json\r\n",
                    &body,
                );
                let _ = client.try_send(&whole).await;
                if turn.is_multiple_of(5) {
                    break;
                }
                let _ = client.try_response().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Objects change all the time, and now and then the API server forgets, ends its watches or restarts.
    async fn churn(self: Arc<Self>) {
        let mut turn = 0;
        while self.goes_on() {
            turn += 1;
            put_companions(&self.api, "churn");
            self.api.put(
                "services",
                "prod",
                &format!("other-{}", turn % 7),
                json!({"clusterIP": "10.0.0.1"}),
            );
            match turn % 40 {
                10 => self.api.end_watches(),
                20 => self.api.compact(),
                30 => {
                    self.api.stop();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    self.api.restart().await;
                }
                _ => {}
            }
            if turn % 50 == 0 {
                self.api.forget_requests();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// All of it for so long. `watch` is called each second.
    async fn run(self: &Arc<Self>, time: Duration, mut watch: impl FnMut(&Self)) {
        for resource in RESOURCES {
            self.api.fail(resource, Fault::Unsteady);
        }
        let good: Vec<_> =
            (0..4).map(|n| tokio::spawn(Arc::clone(self).good_client(n * 1_000_000))).collect();
        let mut bad: Vec<_> =
            (0..2).map(|n| tokio::spawn(Arc::clone(self).bad_client(n * 1_000_000))).collect();
        bad.push(tokio::spawn(Arc::clone(self).churn()));
        let end = Instant::now() + time;
        while Instant::now() < end && good.iter().all(|client| !client.is_finished()) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(self.served.get("/livez").await.status, 200);
            watch(self);
        }
        self.is_over.store(true, Ordering::Relaxed);
        for client in good {
            support::within("an answer", client).await.unwrap().unwrap();
        }
        for client in bad {
            support::within("its end", client).await.unwrap();
        }
    }

    /// When all is well again, so is every answer.
    async fn heal(&self) {
        for resource in RESOURCES {
            self.api.heal(resource);
        }
        self.api.compact();
        until("it denies what is to be denied", async || {
            let mut client = self.served.client().await;
            let answer = client.post(&scale(2, "raft", 3, 4)).await;
            answer.json()["response"]["allowed"] == false
        })
        .await;
        let mut client = self.served.client().await;
        for uid in 0..6 {
            ask(&mut client, uid).await.unwrap();
        }
        assert!(!self.served.log().contains("panicked"), "{}", self.served.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn good_reviews_are_answered_rightly_whatever_the_api_server_does() {
    let chaos = begin().await;
    chaos.run(Duration::from_secs(10), |_| {}).await;
    let asked = chaos.asked.load(Ordering::Relaxed);
    assert!(asked > 50, "only {asked} were answered");
    chaos.heal().await;
}

/// Memory and descriptors are flat: what the second half takes is little more than what the first took.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "ten minutes, or STATEWARD_SOAK_SECONDS"]
async fn soak() {
    let seconds = std::env::var("STATEWARD_SOAK_SECONDS").map_or(600, |text| text.parse().unwrap());
    let chaos = begin().await;
    let mut seen: Vec<(u64, usize)> = Vec::new();
    chaos
        .run(Duration::from_secs(seconds), |chaos| {
            seen.push((chaos.served.memory("VmRSS"), chaos.served.descriptors()));
            if seen.len().is_multiple_of(30) {
                let asked = chaos.asked.load(Ordering::Relaxed);
                println!("{} s: {:?} KiB and descriptors, {asked} answers", seen.len(), seen.last().unwrap());
            }
        })
        .await;
    // Caches fill at first.
    let (first, second) = seen[seen.len() / 10..].split_at((seen.len() - seen.len() / 10) / 2);
    let memory = |part: &[(u64, usize)]| part.iter().map(|(memory, _)| *memory).max().unwrap();
    let descriptors = |part: &[(u64, usize)]| part.iter().map(|(_, open)| *open).max().unwrap();
    let (before, after) = (memory(first), memory(second));
    assert!(after < before + before / 10 + 2048, "{before} KiB, then {after} KiB");
    let (before, after) = (descriptors(first), descriptors(second));
    assert!(after <= before + 16, "{before} descriptors, then {after}");
    chaos.heal().await;
}
