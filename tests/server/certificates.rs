//! The certificate that all replicas share: two of them, an API server, and everything that happens to either.

use crate::support;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use stateward::certs::managed::SecretContent;
use stateward::certs::x509::Certificate;
use support::{
    api_server::{ApiServer, Fault},
    keeping::{Clock, DAY, KINDS, Replica, SETTLE, ca_bundles, content, data, install, trusted, version},
    logs::Logs,
    until,
};

const ENTRIES: [&str; 2] = ["sets.stateward.dev", "pods.stateward.dev"];
const EXPIRY: &str = "stateward_certificate_expiry_timestamp_seconds";
const CA_EXPIRY: &str = "stateward_ca_expiry_timestamp_seconds";
const FAILED_SECRET: &str = "stateward_certificate_failures_total{of=\"secret\"}";
const FAILED_BUNDLE: &str = "stateward_certificate_failures_total{of=\"ca_bundle\"}";

struct RuleTest {
    api: Arc<ApiServer>,
    clock: Clock,
    replicas: Arc<[Replica; 2]>,
}

/// Two that start at once, and a pair of webhook configurations; everything is as it should be in the end.
async fn scene() -> RuleTest {
    let api = ApiServer::start().await;
    install(&api, &ENTRIES);
    let clock = Clock::new();
    let replicas = tokio::join!(Replica::start(&api, &clock, "pod-0"), Replica::start(&api, &clock, "pod-1"));
    let scene = RuleTest { api: Arc::new(api), clock, replicas: Arc::new(replicas.into()) };
    scene.until_right("the start").await;
    scene
}

impl RuleTest {
    fn leaf(&self) -> Option<Certificate> {
        Some(content(&self.api)?.leaf?.identity.certificate)
    }

    /// Whether both present what is in the Secret, and everybody who should trust that does, for a good while.
    async fn is_right(&self) -> bool {
        let (Some(leaf), Some(content)) = (self.leaf(), content(&self.api)) else { return false };
        let bundle = stateward::certs::x509::pem_of(&content.bundle).into_bytes();
        let carries = |kind: &&str| ca_bundles(&self.api, kind).values().all(|carried| *carried == bundle);
        let is_renewed = leaf.until.duration_since(self.clock.now()) > 20 * DAY;
        let is_owned = |kind: &&str| {
            let fields = &self.api.object(kind, "", "stateward").unwrap()["metadata"]["managedFields"];
            fields.to_string().contains("stateward-ca-bundle")
        };
        let is_published = KINDS.iter().all(carries) && !KINDS.iter().any(is_owned);
        if content.next.is_some() || content.signer.is_none() || !is_renewed || !is_published {
            return false;
        }
        for replica in &*self.replicas {
            if replica.shown(&bundle, &self.clock).await.as_ref() != Some(&leaf) {
                return false;
            }
        }
        true
    }

    async fn until_right(&self, what: &str) {
        until(what, async || self.is_right().await).await;
    }

    /// The number of times that the Secret or a configuration has been written does not grow any more.
    async fn is_quiet(&self) {
        let versions = || {
            let configurations = KINDS.map(|kind| version(&self.api, kind, "", "stateward"));
            (version(&self.api, "secrets", "guard", "certificate"), configurations)
        };
        let (before, asked) = (versions(), self.api.requests("/secrets/certificate"));
        until("many looks", async || self.api.requests("/secrets/certificate") > asked + 20).await;
        assert_eq!(versions(), before);
    }
}

/// Calls all replicas without pause, each time with what the API server trusts at that moment.
struct Caller {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<Vec<String>>,
}

impl Caller {
    fn start(scene: &RuleTest) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (api, clock, replicas) =
            (Arc::clone(&scene.api), scene.clock.clone(), Arc::clone(&scene.replicas));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&calls));
        let task = tokio::spawn(async move {
            let mut failures = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                for replica in &*replicas {
                    let (asked, bundle) = (Instant::now(), trusted(&api));
                    let answer = replica.review(&bundle, &clock).await;
                    // A call that this machine held up for so long trusts what was true long ago.
                    if asked.elapsed() > SETTLE / 2 {
                        continue;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    match answer {
                        Ok(response) if response.status == 200 => {}
                        other => failures.push(format!("{}: {other:?}", clock.now())),
                    }
                }
            }
            failures
        });
        Self { stop, calls, task }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    async fn failures(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_review_fails_through_ten_rotations_of_ca_and_leaf() {
    let scene = scene().await;
    let caller = Caller::start(&scene);
    let (mut cas, mut leaves) = (Vec::new(), Vec::new());
    while cas.len() <= 10 {
        let content = content(&scene.api).unwrap();
        let (ca, leaf) = (content.signer.unwrap().certificate, content.leaf.unwrap().identity.certificate);
        if cas.last() != Some(&ca) {
            cas.push(ca);
        }
        assert_ne!(leaves.last(), Some(&leaf), "the time has come");
        leaves.push(leaf);
        assert!(content.bundle.len() <= 3, "{:?}", content.bundle);
        scene.clock.advance(28);
        let before = caller.calls();
        until("it was called", async || caller.calls() > before + 4).await;
        until("another leaf", async || scene.leaf().is_some_and(|leaf| Some(&leaf) != leaves.last())).await;
        scene.until_right("the rotation").await;
    }
    assert!(leaves.len() > 20, "{}", leaves.len());
    assert_eq!(caller.failures().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_start_at_once_end_with_one_secret_and_tell_when_it_ends() {
    let scene = scene().await;
    let leaf = scene.leaf().unwrap();
    for replica in &*scene.replicas {
        until("ready", async || replica.is_ready().await).await;
        for (metric, until) in [(EXPIRY, leaf.until), (CA_EXPIRY, scene.clock.now() + 160 * DAY)] {
            let shown = replica.server.metric(metric).await.unwrap();
            let until = f64::from(u32::try_from(until.as_second()).unwrap());
            assert!((shown - until).abs() < 1.0, "{metric} {shown}");
        }
    }
    let secret = scene.api.object("secrets", "guard", "certificate").unwrap();
    assert_eq!(secret["type"], "kubernetes.io/tls");
    assert_eq!(secret["metadata"]["labels"]["app.kubernetes.io/managed-by"], "stateward");
    scene.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_deleted_or_spoilt_is_written_back_without_a_failed_review() {
    let scene = scene().await;
    let (caller, good) = (Caller::start(&scene), data(&scene.api).unwrap());
    let spoil = |change: &dyn Fn(&mut std::collections::BTreeMap<String, ByteString>)| {
        let mut secret = scene.api.object("secrets", "guard", "certificate").unwrap();
        let mut data = good.clone();
        change(&mut data);
        secret["data"] = json!(data);
        scene.api.put_object("secrets", "guard", "certificate", secret);
    };
    scene.api.delete("secrets", "guard", "certificate");
    until("it is back", async || data(&scene.api).as_ref() == Some(&good)).await;
    spoil(&|data| data.clear());
    until("it is back", async || data(&scene.api).as_ref() == Some(&good)).await;
    for part in ["tls.crt", "tls.key", "ca.crt", "ca.key"] {
        spoil(&|data| drop(data.insert(part.to_owned(), ByteString(b"rubbish".to_vec()))));
        until("it is back", async || data(&scene.api).as_ref() == Some(&good)).await;
        spoil(&|data| drop(data.remove(part)));
        until("it is back", async || data(&scene.api).as_ref() == Some(&good)).await;
    }
    scene.until_right("the end").await;
    assert_eq!(caller.failures().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_in_its_place_is_taken_up_without_a_failed_review() {
    let (scene, other) = (scene().await, scene().await);
    let (caller, theirs) = (Caller::start(&scene), other.leaf().unwrap());
    let mut secret = scene.api.object("secrets", "guard", "certificate").unwrap();
    secret["data"] = json!(data(&other.api).unwrap());
    scene.api.put_object("secrets", "guard", "certificate", secret);
    until("it is taken up", async || {
        let bundle = trusted(&scene.api);
        scene.replicas[0].shown(&bundle, &scene.clock).await == Some(theirs.clone())
            && scene.replicas[1].shown(&bundle, &scene.clock).await == Some(theirs.clone())
    })
    .await;
    assert_eq!(content(&scene.api).unwrap().bundle.len(), 2, "a client may still need the CA before it");
    assert_eq!(caller.failures().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_makes_little_work_and_no_failures() {
    let scene = scene().await;
    for days in [-20, 500, -500, 900, -930, 60] {
        scene.clock.advance(days);
        scene.until_right(&format!("after {days} days")).await;
        scene.is_quiet().await;
    }
    assert!(content(&scene.api).unwrap().bundle.len() <= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_bundle_is_put_right_whatever_is_done_to_it() {
    let scene = scene().await;
    for kind in KINDS {
        let mut blank = scene.api.object(kind, "", "stateward").unwrap();
        blank["webhooks"][1]["clientConfig"]["caBundle"] = json!("");
        blank["webhooks"][0]["failurePolicy"] = json!("Fail");
        scene.api.put_object(kind, "", "stateward", blank);
        scene.until_right("after a blank").await;
        let entry = scene.api.object(kind, "", "stateward").unwrap()["webhooks"][0].clone();
        assert_eq!((&entry["failurePolicy"], &entry["sideEffects"]), (&json!("Fail"), &json!("None")));

        let mut foreign = scene.api.object(kind, "", "stateward").unwrap();
        foreign["webhooks"][0]["clientConfig"]["caBundle"] = json!(ByteString(b"rubbish".to_vec()));
        scene.api.put_object(kind, "", "stateward", foreign);
        scene.until_right("after rubbish").await;
    }
    install(&scene.api, &ENTRIES);
    scene.until_right("after they are applied again").await;

    install(&scene.api, &ENTRIES[..1]);
    scene.until_right("after one entry is gone").await;
    assert_eq!(ca_bundles(&scene.api, KINDS[0]).len(), 1, "a bundle that a user removed is not added");

    scene.api.delete(KINDS[1], "", "stateward");
    let asked = scene.api.requests(KINDS[1]);
    until("many looks", async || scene.api.requests(KINDS[1]) > asked + 10).await;
    assert_eq!(
        scene.api.object(KINDS[1], "", "stateward"),
        None,
        "nor is a configuration that a user deleted"
    );
    install(&scene.api, &ENTRIES);
    scene.until_right("after it is there again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_bundle_that_may_not_be_changed_is_told_of_and_ends_nothing() {
    let scene = scene().await;
    scene.api.fail(KINDS[0], Fault::ReadOnly(403));
    install(&scene.api, &ENTRIES);
    let told = || {
        let events = scene.api.posted("events").into_iter();
        events.filter(|event| event["reason"] == "CaBundleNotKept").collect::<Vec<Value>>()
    };
    until("the event", async || !told().is_empty()).await;
    let event = &told()[0];
    assert_eq!(event["metadata"]["namespace"], "default");
    assert_eq!(
        event["regarding"],
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "name": "stateward", "uid": "uid-of-validatingwebhookconfigurations",
        })
    );
    let failures = async || {
        let mut failures = 0.0;
        for replica in &*scene.replicas {
            failures += replica.server.metric(FAILED_BUNDLE).await.unwrap();
        }
        failures
    };
    until("the metric", async || failures().await > 3.0).await;
    until("the other", async || !ca_bundles(&scene.api, KINDS[1])["sets.stateward.dev"].is_empty()).await;
    let bundle = ca_bundles(&scene.api, KINDS[1])["sets.stateward.dev"].clone();
    for replica in &*scene.replicas {
        assert_eq!(replica.review(&bundle, &scene.clock).await.unwrap().status, 200);
    }
    // While no client can trust another CA, the present one stays in use.
    for _ in 0..5 {
        let before = scene.leaf();
        scene.clock.advance(28);
        until("another leaf", async || scene.leaf().is_some_and(|leaf| Some(leaf) != before)).await;
    }
    let content = content(&scene.api).unwrap();
    assert!(content.next.is_some() && content.leaf.unwrap().ca == content.signer.unwrap().certificate);
    scene.api.heal(KINDS[0]);
    scene.until_right("afterwards").await;
    assert_eq!(told().len(), 1, "told once in a while");
}

#[tokio::test]
async fn without_a_secret_there_is_no_readiness_and_nothing_is_lost_when_it_comes() {
    let logs = Logs::capture();
    let (api, clock) = (ApiServer::start().await, Clock::new());
    install(&api, &ENTRIES);
    api.fail("secrets", Fault::Status(403));
    let replica = Replica::start(&api, &clock, "pod-0").await;
    until("failures", async || replica.server.metric(FAILED_SECRET).await > Some(2.0)).await;
    let said = replica.server.get("/readyz").await.text();
    let why = "not ready: certificate\ncertificate: there is no certificate yet: ";
    assert!(said.starts_with(why) && said.contains("403"), "{said}");
    assert!(replica.review(b"", &clock).await.is_err());
    assert_eq!(logs.lines_with("there is no certificate yet").len(), 1, "{}", logs.text());
    api.heal("secrets");
    until("ready", async || replica.is_ready().await).await;
    until("trusted", async || replica.review(&trusted(&api), &clock).await.is_ok()).await;

    for fault in [Fault::Status(403), Fault::Status(500), Fault::Garbage] {
        api.fail("secrets", fault);
        let before = replica.server.metric(FAILED_SECRET).await.unwrap();
        until("failures", async || replica.server.metric(FAILED_SECRET).await > Some(before + 2.0)).await;
        assert_eq!(replica.review(&trusted(&api), &clock).await.unwrap().status, 200);
    }
    assert!(replica.is_ready().await);
}

/// Others that are trusted may be about to go for one that says it is ready.
#[tokio::test]
async fn a_replica_is_not_ready_before_the_api_server_trusts_it() {
    let (api, clock) = (ApiServer::start().await, Clock::new());
    install(&api, &ENTRIES);
    api.fail(KINDS[0], Fault::ReadOnly(403));
    let replica = Replica::start(&api, &clock, "pod-0").await;
    until("failures", async || replica.server.metric(FAILED_BUNDLE).await > Some(2.0)).await;
    let said = replica.server.get("/readyz").await.text();
    let why = "not ready: certificate\ncertificate: the certificate is not used before the webhook configurations have its CA";
    assert!(said.starts_with(why) && said.contains("403"), "{said}");
    api.heal(KINDS[0]);
    until("ready", async || replica.is_ready().await).await;
    assert_eq!(replica.review(&trusted(&api), &clock).await.unwrap().status, 200);
}

/// As at a first installation without the right to the Lease.
#[tokio::test]
async fn without_a_leader_it_is_said_why_there_is_no_readiness() {
    let logs = Logs::capture();
    let (api, clock) = (ApiServer::start().await, Clock::new());
    install(&api, &ENTRIES);
    api.fail("leases", Fault::Status(403));
    let replica = Replica::start(&api, &clock, "pod-0").await;
    let said = async || replica.server.get("/readyz").await.text();
    until("it waits for a leader", async || said().await.contains("this replica does not lead")).await;
    let text = said().await;
    assert!(text.contains("leader: cannot read lease: 403: "), "{text}");
    until("more tries", async || api.requests("/leases/stateward") > 5).await;
    let lines = logs.lines_with("WARN");
    let lines: Vec<&String> = lines.iter().filter(|line| line.contains("cannot read lease")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("without a leader caBundle"), "{lines:?}");
    api.heal("leases");
    until("ready", async || replica.is_ready().await).await;
    assert_eq!(said().await, "ok\n");
}

#[tokio::test]
async fn a_secret_that_is_of_no_use_is_replaced_and_one_of_others_left_alone() {
    let (api, clock) = (ApiServer::start().await, Clock::new());
    let empty = json!({"metadata": {"labels": {"team": "db"}}, "type": "Opaque", "data": {"tls.crt": ""}});
    api.put_object("secrets", "guard", "certificate", empty);
    let replica = Replica::start(&api, &clock, "pod-0").await;
    until("ready", async || replica.is_ready().await).await;
    let secret = api.object("secrets", "guard", "certificate").unwrap();
    assert_eq!((&secret["metadata"]["labels"], &secret["type"]), (&json!({"team": "db"}), &json!("Opaque")));
    drop(replica);

    let logs = Logs::capture();
    let annotations = json!({"cert-manager.io/certificate-name": "stateward"});
    let foreign = json!({"metadata": {"annotations": annotations}, "data": {}});
    api.put_object("secrets", "guard", "certificate", foreign);
    let replica = Replica::start(&api, &clock, "pod-1").await;
    until("failures", async || replica.server.metric(FAILED_SECRET).await > Some(2.0)).await;
    assert_eq!(data(&api), Some([].into()));
    assert_eq!(
        logs.lines_with("kept by cert-manager: mount it and give --cert-file").len(),
        1,
        "{}",
        logs.text()
    );
}

#[tokio::test]
async fn no_key_is_ever_logged() {
    let logs = Logs::capture();
    let (api, clock) = (ApiServer::start().await, Clock::new());
    install(&api, &ENTRIES);
    let replica = Replica::start(&api, &clock, "pod-0").await;
    until("ready", async || replica.is_ready().await).await;
    let good = data(&api).unwrap();
    let secrets: Vec<String> = ["tls.key", "ca.key"]
        .into_iter()
        .flat_map(|key| {
            let pem = String::from_utf8(good[key].0.clone()).unwrap();
            let encoded = json!(good[key]).as_str().unwrap().to_owned();
            [pem.lines().nth(1).unwrap().to_owned(), encoded]
        })
        .collect();
    // One that is not as a Secret should be, and one with a key where no key should be.
    let strange =
        json!({"metadata": {}, "data": {"tls.key": good["tls.key"]}, "type": {"ca.key": good["ca.key"]}});
    api.put_object("secrets", "guard", "certificate", strange);
    until("failures", async || replica.server.metric(FAILED_SECRET).await > Some(2.0)).await;
    let misplaced = json!({"metadata": {}, "data": {"tls.crt": good["tls.key"], "ca.crt": good["ca.key"]}});
    api.put_object("secrets", "guard", "certificate", misplaced);
    until("it is back", async || content(&api).as_ref().is_some_and(SecretContent::has_all_objects)).await;
    for secret in secrets {
        assert!(!logs.text().contains(&secret));
    }
}
