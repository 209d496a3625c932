//! The watches against an API server that fails in every way.

use crate::support;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::{encoding::text, registry::Registry};
use serde_json::json;
use stateward::cluster::Cluster;
use stateward::cluster::ClusterView;
use stateward::cluster::Kind;
use stateward::cluster::Lookup;
use stateward::cluster::PendingChange;
use stateward::model::StatefulSet;
use stateward::process::Readiness;
use stateward::watch::Gauges;
use stateward::watch::Live;
use stateward::watch::Stopped;
use stateward::watch::WatchConfig;
use support::{
    api_server::{ApiServer, Fault, pace},
    logs::Logs,
    until,
};
use tokio::task::JoinHandle;

const SETS: &str = "statefulsets";
const SERVICES: &str = "services";
const BUDGETS: &str = "poddisruptionbudgets";

struct Watched {
    api: ApiServer,
    cluster: Arc<ArcSwap<Cluster>>,
    readiness: Readiness,
    registry: Registry,
    task: JoinHandle<Result<std::convert::Infallible, Stopped>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn watch(api: ApiServer) -> Watched {
    watch_at(api, pace())
}

fn watch_at(api: ApiServer, pace: WatchConfig) -> Watched {
    let (readiness, mut registry) = (Readiness::default(), Registry::with_prefix("stateward"));
    let live = Live::new(api.client(), pace, &readiness, Gauges::register_live(&mut registry));
    let cluster = live.cluster();
    let task = tokio::spawn(async move { live.run().await });
    Watched { api, cluster, readiness, registry, task }
}

impl Watched {
    async fn ready(&self) {
        until("ready", async || self.readiness.missing().is_empty()).await;
    }

    async fn until(&self, what: &str, condition: impl Fn(&Cluster) -> bool) {
        until(what, async || condition(&self.cluster.load())).await;
    }

    fn replicas(&self, name: &str) -> Option<i32> {
        replicas(&self.cluster.load(), name)
    }

    /// The value of a metric of a kind.
    fn metric(&self, name: &str, kind: &str) -> i64 {
        let mut written = String::new();
        text::encode(&mut written, &self.registry).unwrap();
        let line = format!("stateward_{name}{{kind=\"{kind}\"}} ");
        written.lines().find_map(|text| text.strip_prefix(&line)).unwrap().parse().unwrap()
    }
}

fn replicas(cluster: &Cluster, name: &str) -> Option<i32> {
    ClusterView::new(cluster, PendingChange::Nothing).set("prod", name).present().map(StatefulSet::replicas)
}

fn service(cluster: &Cluster, name: &str) -> Lookup<()> {
    match ClusterView::new(cluster, PendingChange::Nothing).service("prod", name) {
        Lookup::Present(_) => Lookup::Present(()),
        Lookup::Absent => Lookup::Absent,
        Lookup::Unknown => Lookup::Unknown,
    }
}

fn set(api: &ApiServer, name: &str, replicas: i32) {
    api.put(SETS, "prod", name, json!({"replicas": replicas, "serviceName": name}));
}

#[tokio::test]
async fn a_page_that_would_fill_the_memory_is_read_in_parts() {
    let api = ApiServer::start().await;
    for number in 0..34 {
        let name = format!("set-{number}");
        let annotations = json!({"note": "x".repeat(1 << 20)});
        let set = json!({"metadata": {"annotations": annotations}, "spec": {"replicas": number, "serviceName": name}});
        api.put_object(SETS, "prod", &name, set);
    }
    let watched = watch_at(api, WatchConfig { page: 100, ..pace() });
    watched.ready().await;
    assert_eq!(watched.cluster.load().count(Kind::StatefulSet), 34);
    assert_eq!(watched.api.requests("/statefulsets?limit=100"), 2, "the last page has room for what is left");
    assert_eq!(watched.api.requests("/statefulsets?limit=25"), 1);
}

#[tokio::test]
async fn it_is_ready_when_every_kind_is_listed_and_then_follows() {
    let api = ApiServer::start().await;
    for number in 0..8 {
        set(&api, &format!("set-{number}"), number);
    }
    api.put(SERVICES, "prod", "zk", json!({"clusterIP": "None"}));
    api.put_object("namespaces", "", "prod", json!({"metadata": {"labels": {"tier": "x"}}}));
    let target = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "set-1"});
    api.put("horizontalpodautoscalers", "prod", "a", json!({"scaleTargetRef": target, "maxReplicas": 5}));
    api.fail(BUDGETS, Fault::Hang);
    let watched = watch(api);
    until("all but the budgets", async || watched.readiness.missing() == ["PodDisruptionBudget"]).await;
    assert_eq!(service(&watched.cluster.load(), "zk"), Lookup::Present(()));
    assert_eq!(service(&watched.cluster.load(), "other"), Lookup::Absent);
    assert_eq!(watched.metric("cluster_synced", "PodDisruptionBudget"), 0);
    assert_eq!(watched.metric("cluster_objects", "StatefulSet"), 8);
    assert!(watched.api.requests("/statefulsets?limit=3&continue=6%3D%3D") >= 1, "the list is paged");
    {
        let cluster = watched.cluster.load();
        assert_eq!(cluster.namespace("prod").unwrap().metadata.labels.get("tier"), Some("x"));
        let view = ClusterView::new(&cluster, PendingChange::Nothing);
        assert_eq!(view.autoscalers_of("prod", Kind::StatefulSet, "set-1").len(), 1);
        assert_eq!(view.autoscalers_of("prod", Kind::StatefulSet, "set-2").len(), 0);
    }

    set(&watched.api, "set-1", 7);
    set(&watched.api, "new", 3);
    watched.api.delete(SETS, "prod", "set-0");
    watched.api.delete("namespaces", "", "prod");
    watched.until("deleted", |cluster| replicas(cluster, "set-0").is_none()).await;
    assert_eq!((watched.replicas("set-1"), watched.replicas("new")), (Some(7), Some(3)));
    watched.until("no namespace", |cluster| cluster.namespace("prod").is_none()).await;
    until("a metric", async || watched.metric("cluster_objects", "Namespace") == 0).await;
}

#[tokio::test]
async fn a_watch_that_ends_is_resumed_where_it_was() {
    let api = ApiServer::start().await;
    let watched = watch(api);
    watched.ready().await;
    until("watches", async || watched.api.watching(SETS) == 1).await;
    set(&watched.api, "a", 1);
    watched.until("a", |cluster| replicas(cluster, "a") == Some(1)).await;
    watched.api.bookmark(SETS);
    until("the bookmark's time", async || {
        watched.metric("cluster_last_event_timestamp_seconds", "StatefulSet") > 0
    })
    .await;
    for round in 2..5 {
        watched.api.end_watches();
        set(&watched.api, "a", round);
        watched.until("the change", |cluster| replicas(cluster, "a") == Some(round)).await;
    }
    assert_eq!(watched.api.requests("/statefulsets?limit"), 1, "there is no need to list again");
}

#[tokio::test]
async fn a_relist_shows_the_old_until_it_is_complete_and_then_drops_what_vanished() {
    let api = ApiServer::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        set(&api, name, 1);
    }
    let watched = watch(api);
    watched.ready().await;
    until("watches", async || watched.api.watching(SETS) == 1).await;
    watched.api.fail(SETS, Fault::Mute);
    watched.api.delete(SETS, "prod", "a");
    set(&watched.api, "b", 9);
    watched.api.fail(SETS, Fault::Hang);
    watched.api.compact();
    until("the relist", async || watched.api.requests("/statefulsets?limit") == 2).await;
    assert_eq!((watched.replicas("a"), watched.replicas("b")), (Some(1), Some(1)), "the old stays");
    assert!(watched.cluster.load().is_complete(Kind::StatefulSet));
    // The list that hangs is cut off with its connection.
    watched.api.stop();
    watched.api.heal(SETS);
    watched.api.restart().await;
    watched.until("the new", |cluster| replicas(cluster, "a").is_none()).await;
    assert_eq!(watched.replicas("b"), Some(9));
    assert_eq!(watched.cluster.load().count(Kind::StatefulSet), 4);
}

#[tokio::test]
async fn an_expired_version_means_a_new_list_in_both_forms() {
    let api = ApiServer::start().await;
    set(&api, "a", 1);
    let watched = watch(api);
    watched.ready().await;
    // As an event of the watch.
    watched.api.compact();
    until("a second list", async || watched.api.requests("/statefulsets?limit") == 2).await;
    set(&watched.api, "a", 2);
    watched.until("the change", |cluster| replicas(cluster, "a") == Some(2)).await;
    // As the answer to the request, again and again.
    watched.api.fail(SETS, Fault::Expired);
    watched.api.end_watches();
    until("more lists", async || watched.api.requests("/statefulsets?limit") >= 5).await;
    watched.api.heal(SETS);
    set(&watched.api, "a", 3);
    watched.until("the change", |cluster| replicas(cluster, "a") == Some(3)).await;
}

#[tokio::test]
async fn a_server_that_goes_away_leaves_what_was_known() {
    let api = ApiServer::start().await;
    set(&api, "a", 1);
    let logs = Logs::capture();
    let watched = watch(api);
    watched.ready().await;
    watched.api.stop();
    until("it is noticed", async || logs.lines_with("cannot watch").len() >= 5).await;
    assert!(watched.cluster.load().is_complete(Kind::StatefulSet));
    assert_eq!(watched.replicas("a"), Some(1));
    assert!(watched.readiness.missing().is_empty());
    watched.api.restart().await;
    set(&watched.api, "a", 2);
    watched.until("the change", |cluster| replicas(cluster, "a") == Some(2)).await;

    for fault in [Fault::Status(500), Fault::Status(503), Fault::Garbage] {
        let asked = watched.api.requests("/statefulsets");
        watched.api.fail(SETS, fault);
        watched.api.end_watches();
        until("some attempts", async || watched.api.requests("/statefulsets") >= asked + 3).await;
        assert_eq!(watched.replicas("a"), Some(2), "{fault:?}");
        watched.api.heal(SETS);
    }
    set(&watched.api, "a", 3);
    watched.until("the change", |cluster| replicas(cluster, "a") == Some(3)).await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_any_more_is_given_up() {
    let api = ApiServer::start().await;
    let short = std::time::Duration::from_millis(50);
    let watched = watch_at(api, WatchConfig { watch: short, silence: short, ..pace() });
    watched.ready().await;
    until("new watches", async || watched.api.requests("/statefulsets?watch") >= 3).await;
    assert_eq!(watched.api.requests("/statefulsets?limit"), 1);
}

#[tokio::test]
async fn a_kind_that_may_not_be_listed_is_unknown_until_it_may() {
    let api = ApiServer::start().await;
    api.put(SERVICES, "prod", "zk", json!({}));
    api.fail(SERVICES, Fault::Status(403));
    api.fail("horizontalpodautoscalers", Fault::Status(404));
    let logs = Logs::capture();
    let watched = watch(api);
    watched.ready().await;
    assert_eq!(service(&watched.cluster.load(), "zk"), Lookup::Unknown);
    let remarks = watched.readiness.remarks();
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[0].starts_with("Service unknown (cannot list: 403: "), "{remarks:?}");
    until("more attempts", async || watched.api.requests("/services?limit") >= 4).await;
    assert_eq!(logs.lines_with("until then rules deny nothing").len(), 2);
    watched.api.heal(SERVICES);
    watched.until("the services", |cluster| service(cluster, "zk") == Lookup::Present(())).await;
    assert_eq!(service(&watched.cluster.load(), "other"), Lookup::Absent);
    assert_eq!(watched.readiness.remarks().len(), 1);

    // Taken away again: what was known is found still, but nothing is concluded from what is not.
    watched.api.fail(SERVICES, Fault::Status(403));
    watched.api.end_watches();
    watched.until("unknown", |cluster| service(cluster, "other") == Lookup::Unknown).await;
    assert_eq!(service(&watched.cluster.load(), "zk"), Lookup::Present(()));
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_unknown_and_spoils_nothing_else() {
    let api = ApiServer::start().await;
    api.put_object(SERVICES, "prod", "bad", json!({"spec": {"selector": "everything"}}));
    api.put(SERVICES, "prod", "zk", json!({}));
    let logs = Logs::capture();
    let watched = watch(api);
    watched.ready().await;
    let lookups = |cluster: &Cluster| ["bad", "zk", "other"].map(|name| service(cluster, name));
    let expected = [Lookup::Unknown, Lookup::Present(()), Lookup::Absent];
    assert_eq!(lookups(&watched.cluster.load()), expected);
    assert_eq!(watched.metric("cluster_unreadable_objects", "Service"), 1);
    watched.api.compact();
    until("a second list", async || {
        watched.metric("cluster_objects", "Service") == 1 && watched.api.requests("/services?limit") == 2
    })
    .await;
    until("a watch", async || watched.api.watching(SERVICES) == 1).await;
    assert_eq!(logs.lines_with("an object cannot be read").len(), 1, "{}", logs.text());

    watched.api.put(SERVICES, "prod", "bad", json!({"selector": {}}));
    watched.until("mended", |cluster| service(cluster, "bad") == Lookup::Present(())).await;
    watched.api.put_object(SERVICES, "prod", "zk", json!({"spec": {"clusterIP": 7}}));
    watched.until("broken", |cluster| service(cluster, "zk") == Lookup::Unknown).await;
    watched.api.delete(SERVICES, "prod", "zk");
    watched.until("gone", |cluster| service(cluster, "zk") == Lookup::Absent).await;
}
