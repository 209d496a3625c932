//! Electing a leader, against an API server.

use crate::support;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus_client::{encoding::text, registry::Registry};
use serde_json::{Value, json};
use stateward::lease::Elector;
use stateward::lease::Leadership;
use stateward::lease::LeaseConfig;
use stateward::process::Stopper;
use support::{
    api_server::{ApiServer, Fault},
    logs::Logs,
    until,
};
use tokio::task::JoinHandle;

struct Replica {
    leadership: Leadership,
    registry: Registry,
    stopper: Stopper,
    task: JoinHandle<()>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Quick where it can be; `lasts` is how long a leader that says nothing any more is waited for.
fn terms(lasts: Duration) -> LeaseConfig {
    LeaseConfig { lasts, lead_for: Duration::from_millis(900), retry: Duration::from_millis(20) }
}

const A_SECOND: Duration = Duration::from_secs(1);
const FOR_EVER: Duration = Duration::from_secs(3600);

fn replica(api: &ApiServer, name: &str, lasts: Duration) -> Replica {
    let mut registry = Registry::default();
    let lease = ("guard", "stateward");
    let (elector, leadership) = Elector::new(api.client(), lease, name, terms(lasts), &mut registry);
    let (stopper, shutdown) = Stopper::new();
    let task = tokio::spawn(async move { elector.run(&shutdown).await });
    Replica { leadership, registry, stopper, task }
}

impl Replica {
    async fn leads(&self) {
        support::within("it leads", self.leadership.gained()).await;
    }
}

fn holder(api: &ApiServer) -> String {
    let lease = api.object("leases", "guard", "stateward");
    lease.map(|lease| lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn of_two_one_leads_and_the_other_comes_after_it() {
    let api = ApiServer::start().await;
    let first = replica(&api, "pod-0", A_SECOND);
    first.leads().await;
    let second = replica(&api, "pod-1", A_SECOND);
    until("the second has looked", async || api.requests("/leases/stateward") > 20).await;
    assert!(first.leadership.is_leader() && !second.leadership.is_leader());
    assert!(holder(&api).starts_with("pod-0_"), "{}", holder(&api));
    let mut metrics = String::new();
    text::encode(&mut metrics, &first.registry).unwrap();
    assert!(metrics.contains("\nleader 1\n"), "{metrics}");

    // Without a word, as a process that is killed.
    first.task.abort();
    second.leads().await;
    assert!(!first.leadership.is_leader());
    let lease = api.object("leases", "guard", "stateward").unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    assert!(holder(&api).starts_with("pod-1_"));
}

#[tokio::test]
async fn who_is_told_to_stop_gives_it_back_when_its_work_is_over() {
    let api = ApiServer::start().await;
    let at_work = Arc::new(AtomicUsize::new(0));
    let work = |leadership: Leadership| {
        let at_work = Arc::clone(&at_work);
        tokio::spawn(async move {
            leadership
                .lead(async || {
                    assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0, "two at work");
                    let _end = OnDrop(Arc::clone(&at_work));
                    std::future::pending::<()>().await;
                })
                .await;
        })
    };
    let first = replica(&api, "pod-0", FOR_EVER);
    first.leads().await;
    let second = replica(&api, "pod-1", FOR_EVER);
    let works = [work(first.leadership.clone()), work(second.leadership.clone())];
    until("the first works", async || at_work.load(Ordering::SeqCst) == 1).await;
    first.stopper.stop();
    second.leads().await;
    assert!(!first.leadership.is_leader());
    until("the second works", async || at_work.load(Ordering::SeqCst) == 1).await;
    assert!(works.iter().all(|work| !work.is_finished()));
    until("the first has ended", async || first.task.is_finished()).await;
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_leader_without_an_api_server_leads_no_longer_and_comes_back() {
    let logs = Logs::capture();
    for fault in [Fault::Hang, Fault::Status(500), Fault::Status(403), Fault::Garbage] {
        let api = ApiServer::start().await;
        let replica = replica(&api, "pod-0", FOR_EVER);
        replica.leads().await;
        api.fail("leases", fault);
        support::within("it is lost", replica.leadership.lost()).await;
        api.heal("leases");
        replica.leads().await;
    }
    assert_eq!(logs.lines_with("(the same: debug for 10 minutes)").len(), 4, "{}", logs.text());
}

#[tokio::test]
async fn a_leader_that_is_overruled_leads_no_longer_at_once() {
    let api = ApiServer::start().await;
    // Its own term would not be over before this test is.
    let mut registry = Registry::default();
    let terms = LeaseConfig { lead_for: FOR_EVER, ..terms(FOR_EVER) };
    let lease = ("guard", "stateward");
    let (elector, leadership) = Elector::new(api.client(), lease, "pod-0", terms, &mut registry);
    let (_stopper, shutdown) = Stopper::new();
    let task = tokio::spawn(async move { elector.run(&shutdown).await });
    support::within("it leads", leadership.gained()).await;
    let other = json!({"holderIdentity": "another", "leaseDurationSeconds": 15});
    api.put("leases", "guard", "stateward", other);
    support::within("it is lost", leadership.lost()).await;
    assert_eq!(holder(&api), "another");
    api.delete("leases", "guard", "stateward");
    support::within("it leads", leadership.gained()).await;
    task.abort();
}

#[tokio::test]
async fn what_others_wrote_into_the_lease_stays() {
    let api = ApiServer::start().await;
    let lease = json!({"metadata": {"labels": {"team": "db"}}, "spec": {"holderIdentity": ""}});
    api.put_object("leases", "guard", "stateward", lease);
    let replica = replica(&api, "pod-0", A_SECOND);
    replica.leads().await;
    let lease: Value = api.object("leases", "guard", "stateward").unwrap();
    assert_eq!(lease["metadata"]["labels"], json!({"team": "db"}));
}
