//! What new StatefulSets still lack, against an API server.

use crate::support;
use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::{encoding::text, registry::Registry};
use serde_json::{Value, json};
use stateward::cluster::{Cluster, Kind};
use stateward::companions::{CompanionCheck, CompanionConfig};
use stateward::events::{Events, ReviewOrigin};
use stateward::lease::{Elector, LeaseConfig};
use stateward::model::{DisruptionBudget, StatefulSet};
use stateward::policy::{Policies, Profile};
use stateward::process::Stopper;
use support::{api_server::ApiServer, until};

fn set(name: &str, age: i64) -> Value {
    let created = Timestamp::now() - SignedDuration::from_secs(age);
    json!({
        "metadata": {"namespace": "n", "name": name, "uid": format!("uid-{name}"),
            "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()},
        "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": name}}}},
    })
}

#[tokio::test]
async fn an_event_says_what_is_missing_once_and_for_sets_that_are_there() {
    let api = ApiServer::start().await;
    let mut cluster = Cluster::default();
    for kind in Kind::ALL {
        cluster.set_complete(kind, true);
    }
    for (name, age) in [("new", 70), ("young", 5), ("old", 7_000), ("gone", 70)] {
        cluster.insert(serde_json::from_value::<StatefulSet>(set(name, age)).unwrap());
        if name != "gone" {
            api.put_object("statefulsets", "n", name, set(name, age));
        }
    }
    let cluster = Arc::new(ArcSwap::from_pointee(cluster));
    let policies = Arc::new(ArcSwap::from_pointee(Policies::new(Profile::Baseline, Vec::new()).unwrap()));
    let mut registry = Registry::default();
    let (events, sender) = Events::new(api.client(), "pod-0", ReviewOrigin::Unproven, &mut registry);
    let (elector, leadership) =
        Elector::new(api.client(), ("guard", "stateward"), "pod-0", LeaseConfig::default(), &mut registry);
    let config = CompanionConfig { every: Duration::from_millis(20), ..CompanionConfig::default() };
    let known = (Arc::clone(&cluster), policies);
    let check = CompanionCheck::new(known, events, &mut registry, leadership, config);
    let (_stopper, shutdown) = Stopper::new();
    let task = tokio::spawn(async move { tokio::join!(elector.run(&shutdown), sender.run(), check.run()) });
    let missing = || {
        let mut metrics = String::new();
        text::encode(&mut metrics, &registry).unwrap();
        metrics.lines().find_map(|line| line.strip_prefix("missing_companions ")).unwrap().to_owned()
    };
    until("both are missing", async || missing() == "2").await;
    until("the event", async || !api.posted("events").is_empty()).await;

    // Its budget comes.
    let mut now = Cluster::clone(&cluster.load());
    let budget = json!({"metadata": {"namespace": "n", "name": "new"}, "spec": {"maxUnavailable": 1,
        "selector": {"matchLabels": {"app": "new"}}}});
    now.insert(serde_json::from_value::<DisruptionBudget>(budget).unwrap());
    cluster.store(Arc::new(now));
    until("one is missing", async || missing() == "1").await;
    let events = api.posted("events");
    let [event] = &*events else { panic!("{events:#?}") };
    assert_eq!(event["reason"], "PdbMissing");
    assert_eq!((&event["regarding"]["name"], &event["regarding"]["uid"]), (&json!("new"), &json!("uid-new")));
    assert!(event["note"].as_str().unwrap().starts_with("still so a minute after creation: "), "{event}");
    task.abort();
}
