//! Background reports, against an API server.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use stateward::audit::{AuditConfig, audit_cluster};
use stateward::lease::{Elector, LeaseConfig};
use stateward::policy::{Policies, Profile};
use stateward::process::{Readiness, Stopper};
use stateward::reports::{ReportKind, Reports, ReportsConfig};
use stateward::watch::{Gauges, Live, WatchConfig};
use tokio::task::JoinHandle;

use crate::support::api_server::{ApiServer, Fault};
use crate::support::logs::Logs;
use crate::support::{etcd, until};

const SETS: &str = "statefulsets";
const BOTH: &[ReportKind] = &[ReportKind::OpenReports, ReportKind::PolicyReport];

fn put(api: &ApiServer, namespace: &str, name: &str, replicas: i32) {
    let metadata = json!({"uid": format!("uid-of-{name}")});
    api.put_object(SETS, namespace, name, json!({"metadata": metadata, "spec": etcd::spec(replicas)}));
}

/// A replica that leads.
struct Leader {
    registry: Registry,
    policies: Arc<ArcSwap<Policies>>,
    tasks: Vec<JoinHandle<()>>,
    _stopper: Stopper,
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Leader {
    fn start(api: &ApiServer) -> Self {
        let mut registry = Registry::with_prefix("stateward");
        let live = Live::new(api.client(), WatchConfig::default(), &Readiness::default(), Gauges::default());
        let policies = Arc::new(ArcSwap::from_pointee(Policies::new(Profile::Baseline, vec![]).unwrap()));
        let known = (live.cluster(), Arc::clone(&policies));
        let lease = ("guard", "stateward");
        let (elector, leadership) =
            Elector::new(api.client(), lease, "pod-0", LeaseConfig::default(), &mut registry);
        let quick = ReportsConfig {
            every: Duration::from_millis(300),
            settle: Duration::from_millis(20),
            rest: Duration::from_millis(20),
            requests_per_second: 10_000,
            ..ReportsConfig::default()
        };
        let reports = Reports::new(api.client(), known, &mut registry, leadership, BOTH, quick);
        let (stopper, shutdown) = Stopper::new();
        let tasks = vec![
            tokio::spawn(async move { drop(live.run().await) }),
            tokio::spawn(async move { elector.run(&shutdown).await }),
            tokio::spawn(async move {
                let _ = reports.run().await;
            }),
        ];
        Self { registry, policies, tasks, _stopper: stopper }
    }

    fn metrics(&self) -> String {
        let mut metrics = String::new();
        text::encode(&mut metrics, &self.registry).unwrap();
        metrics
    }
}

fn report(api: &ApiServer, name: &str) -> Option<Value> {
    api.object("reports", "prod", name)
}

fn finds(api: &ApiServer, name: &str, rule: &str) -> bool {
    let report = report(api, name).unwrap_or_default();
    report["results"].as_array().into_iter().flatten().any(|result| result["policy"] == rule)
}

#[tokio::test]
async fn a_set_has_a_report_that_follows_what_is_wrong_and_is_written_once() {
    let api = ApiServer::start().await;
    put(&api, "prod", "etcd", 4);
    put(&api, "prod", "other", 3);
    let leader = Leader::start(&api);
    until("the first report", async || finds(&api, "stateward-etcd", "quorum-even")).await;
    let first = report(&api, "stateward-etcd").unwrap();
    let owner = &first["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["uid"]), (&json!("StatefulSet"), &json!("uid-of-etcd")));
    until("the other report", async || report(&api, "stateward-other").is_some()).await;

    let rounds = api.requests("/replicasets");
    until("more rounds", async || api.requests("/replicasets") >= rounds + 4).await;
    assert_eq!(api.requests("PATCH"), 2, "nothing that did not change is written");

    put(&api, "prod", "etcd", 5);
    until("the repair", async || !finds(&api, "stateward-etcd", "quorum-even")).await;
    let now = report(&api, "stateward-etcd").unwrap();
    let time = |report: &Value, rule: &str| {
        let results = report["results"].as_array().unwrap().iter();
        results.filter(|result| result["policy"] == rule).map(|r| r["timestamp"].clone()).next()
    };
    assert_eq!(time(&now, "pdb-missing"), time(&first, "pdb-missing"));

    // As with `--cascade=orphan`, which leaves the report alone.
    api.delete(SETS, "prod", "other");
    until("no report without its set", async || report(&api, "stateward-other").is_none()).await;
    api.delete(SETS, "prod", "etcd");
    until("the last one", async || report(&api, "stateward-etcd").is_none()).await;
    assert!(leader.metrics().contains("report_writes_total{outcome=\"failed\"} 0\n"), "{}", leader.metrics());
}

#[tokio::test]
async fn a_namespace_that_fails_is_logged_once_while_others_work() {
    let logs = Logs::capture();
    let api = ApiServer::start().await;
    put(&api, "prod", "etcd", 4);
    put(&api, "test", "etcd", 4);
    api.fail("prod/reports", Fault::ReadOnly(500));
    let leader = Leader::start(&api);
    let failed = || {
        let metrics = leader.metrics();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("stateward_report_writes_total{outcome=\"failed\"} "));
        line.map_or(0, |number| number.parse::<u64>().unwrap())
    };
    until("failures", async || failed() >= 4).await;
    assert!(api.object("reports", "test", "stateward-etcd").is_some());
    let lines = logs.lines_with("background reports are held up");
    assert_eq!(lines.iter().filter(|line| line.contains("WARN")).count(), 1, "{lines:?}");
}

#[tokio::test]
async fn the_findings_are_those_of_an_audit() {
    let api = ApiServer::start().await;
    for (namespace, name, replicas) in [("prod", "a", 4), ("prod", "b", 2), ("zoo", "c", 3), ("zoo", "d", 8)]
    {
        put(&api, namespace, name, replicas);
    }
    // A rule that looks at kinds that are not watched: the budget covers a Deployment's pods too.
    let selector = json!({"matchLabels": {"app": "etcd"}});
    api.put("poddisruptionbudgets", "zoo", "all", json!({"maxUnavailable": 1, "selector": selector}));
    api.put(
        "deployments",
        "zoo",
        "web",
        json!({"selector": selector, "template": etcd::spec(1)["template"]}),
    );
    // In a namespace that has no sets.
    let claim = json!({"name": "data", "persistentVolumeClaim": {"claimName": "data"}});
    let mount = json!([{"name": "data", "mountPath": "/data"}]);
    let containers = json!([{"name": "db", "image": "db", "volumeMounts": mount}]);
    let pod = json!({"metadata": {"labels": {"app": "db"}}, "spec": {"volumes": [claim], "containers": containers}});
    api.put_object("namespaces", "", "web", json!({}));
    let selector = json!({"matchLabels": {"app": "db"}});
    let spec = json!({"replicas": 2, "selector": selector, "template": pod});
    api.put_object("deployments", "web", "db", json!({"metadata": {"uid": "uid-of-db"}, "spec": spec}));
    api.put("persistentvolumeclaims", "web", "data", json!({"accessModes": ["ReadWriteOnce"]}));
    let leader = Leader::start(&api);
    let policies = leader.policies.load_full();
    let config = WatchConfig::default();
    let listing = stateward::watch::list(api.client(), None, config, |_, _| {}).await.unwrap();
    let audit = audit_cluster(&listing, &policies, AuditConfig::default(), jiff::Timestamp::now());
    for rule in ["pdb-counts-others", "deployment-claim-shared"] {
        assert!(audit.findings.iter().any(|found| found.finding.rule.as_str() == rule), "{rule}");
    }
    let mut wanted: Vec<[String; 5]> = Vec::new();
    for found in &audit.findings {
        let (finding, text) = (&found.finding, |text: &str| text.to_owned());
        wanted.push([
            text(finding.rule.as_str()),
            text(finding.level.name()),
            text(&finding.object.namespace),
            text(&finding.object.name),
            finding.message.chars().take(200).collect(),
        ]);
    }
    wanted.sort();
    until("all is reported", async || reported(&api) == wanted).await;

    let count = audit.findings.iter().filter(|found| found.finding.rule.as_str() == "quorum-even").count();
    let line = format!("stateward_findings{{rule=\"quorum-even\",level=\"deny\"}} {count}\n");
    until("the gauges", async || leader.metrics().contains(&line)).await;

    leader.policies.store(Arc::new(Policies::new(Profile::Strict, vec![]).unwrap()));
    until("the new policies", async || {
        leader.metrics().contains("stateward_findings{rule=\"pdb-missing\",level=\"deny\"} 2\n")
    })
    .await;
    assert!(leader.metrics().contains("stateward_findings{rule=\"pdb-missing\",level=\"warn\"} 0\n"));
}

/// The API server refuses to create anything there.
#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_nothing_is_written() {
    let api = ApiServer::start().await;
    put(&api, "prod", "etcd", 4);
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]}});
    api.put_object("namespaces", "", "prod", deleted);
    let leader = Leader::start(&api);
    until("rounds", async || api.requests("/replicasets") > 4).await;
    assert_eq!(api.requests("PATCH"), 0);
    assert!(leader.metrics().contains("report_writes_total{outcome=\"failed\"} 0\n"), "{}", leader.metrics());
}

/// Rule, level, namespace, object and message of each result.
fn reported(api: &ApiServer) -> Vec<[String; 5]> {
    let mut found = Vec::new();
    for namespace in ["prod", "web", "zoo"] {
        for name in api.names("reports", namespace) {
            let report = api.object("reports", namespace, &name).unwrap();
            for result in report["results"].as_array().unwrap() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                found.push([
                    text(&result["policy"]),
                    text(&result["properties"]["level"]),
                    text(&result["resources"][0]["namespace"]),
                    text(&result["resources"][0]["name"]),
                    text(&result["message"]).chars().take(200).collect(),
                ]);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn the_kind_of_reports_is_the_one_that_is_served() {
    let api = ApiServer::start().await;
    put(&api, "prod", "etcd", 4);
    api.fail("reports", Fault::Status(404));
    api.fail("policyreports", Fault::Status(404));
    let leader = Leader::start(&api);
    until("the metrics alone", async || {
        leader.metrics().contains("rule=\"quorum-even\",level=\"deny\"} 1\n")
    })
    .await;
    assert_eq!(api.requests("PATCH"), 0);
    api.heal("policyreports");
    until("a PolicyReport", async || api.object("policyreports", "prod", "stateward-etcd").is_some()).await;
    api.heal("reports");
    until("a Report", async || report(&api, "stateward-etcd").is_some()).await;
}

#[tokio::test]
async fn rights_that_are_missing_cost_what_rests_on_them_and_nothing_else() {
    let api = ApiServer::start().await;
    put(&api, "prod", "etcd", 4);
    api.fail("replicasets", Fault::Status(403));
    api.fail("reports", Fault::ReadOnly(403));
    let leader = Leader::start(&api);
    until("the metrics", async || leader.metrics().contains("rule=\"quorum-even\",level=\"deny\"} 1\n"))
        .await;
    until("the failure", async || !leader.metrics().contains("outcome=\"failed\"} 0\n")).await;
    api.heal("reports");
    until("the report", async || finds(&api, "stateward-etcd", "quorum-even")).await;
}
