//! What the guard does before it refuses a change for what other objects are like.

use crate::support;
use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use prometheus_client::{encoding::text, registry::Registry};
use serde_json::{Value, json};
use stateward::cluster::Cluster;
use stateward::cluster::Kind;
use stateward::guard::Confirmer;
use stateward::guard::Decision;
use stateward::guard::Guard;
use stateward::guard::GuardAnswer;
use stateward::guard::WebhookGuard;
use stateward::guard::WhenOverloaded;
use stateward::model::StatefulSet;
use stateward::policy::Policies;
use stateward::policy::Policy;
use stateward::policy::Profile;
use stateward::rules;
use stateward::rules::Rule;
use support::api_server::{ApiServer, Fault};
use support::logs::Logs;
use tokio::time::Instant;

const SETS: &str = "statefulsets";

pub(crate) struct Court {
    pub(crate) api: ApiServer,
    pub(crate) judge: WebhookGuard,
    registry: Registry,
}

/// A guard whose snapshot is complete and holds these sets.
async fn court(snapshot: &[Value]) -> Court {
    court_of(only("quorum-even"), snapshot).await
}

pub(crate) async fn court_of(policies: Policies, snapshot: &[Value]) -> Court {
    let api = ApiServer::start().await;
    api.put_object("namespaces", "", "prod", json!({}));
    let mut cluster = Cluster::default();
    for kind in Kind::ALL {
        cluster.set_complete(kind, true);
    }
    for set in snapshot {
        cluster.insert(serde_json::from_value::<StatefulSet>(set.clone()).unwrap());
    }
    let mut registry = Registry::with_prefix("stateward");
    let confirmer = Some(Confirmer::new(api.client(), &mut registry));
    let cluster = Arc::new(ArcSwap::from_pointee(cluster));
    let policies = Arc::new(ArcSwap::from_pointee(policies));
    Court {
        api,
        judge: WebhookGuard {
            cluster,
            policies,
            confirmer,
            reservations: Arc::default(),
            events: None,
            excluded: Vec::new(),
        },
        registry,
    }
}

/// One rule that refuses, and no other that says anything.
fn only(id: &str) -> Policies {
    let level = |rule: &Rule| if rule.id == id { "deny" } else { "off" };
    let rulings: Vec<Value> =
        rules::ALL.iter().map(|rule| json!({"rule": rule.id, "level": level(rule)})).collect();
    policy(&rulings)
}

fn policy(rulings: &[Value]) -> Policies {
    let document = json!({
        "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy",
        "metadata": {"name": "test"}, "spec": {"rules": rulings},
    });
    Policies::new(Profile::Baseline, vec![Policy::from_json(&document).unwrap()]).unwrap()
}

/// A part of the ensemble `ring`.
fn member(name: &str, replicas: i32) -> Value {
    let annotations = json!({"stateward.dev/class": "quorum", "stateward.dev/ensemble": "ring"});
    json!({
        "metadata": {"namespace": "prod", "name": name, "annotations": annotations},
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": name}}}},
    })
}

fn creation(set: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "kind": {"kind": "StatefulSet"},
        "resource": {"group": "apps", "resource": "statefulsets"}, "namespace": "prod", "object": set,
    }})
}

/// One replica more, through the set itself.
fn growth(set: &Value) -> Value {
    let mut review = creation(set);
    let mut old = set.clone();
    old["spec"]["replicas"] = json!(set["spec"]["replicas"].as_i64().unwrap() - 1);
    review["request"]["operation"] = json!("UPDATE");
    review["request"]["oldObject"] = old;
    review
}

fn scale(name: &str, old: i32, new: i32) -> Value {
    let of =
        |replicas| json!({"metadata": {"namespace": "prod", "name": name}, "spec": {"replicas": replicas}});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "UPDATE", "kind": {"kind": "Scale"}, "subResource": "scale",
        "resource": {"group": "apps", "resource": "statefulsets"}, "namespace": "prod", "name": name,
        "object": of(new), "oldObject": of(old),
    }})
}

impl Court {
    /// The decision, the warnings, and whether there was a live read.
    async fn hear(&self, review: &Value, budget: Duration) -> (Decision, String, bool) {
        let answer = self.judge.validate(review.to_string().as_bytes(), Instant::now() + budget).unwrap();
        let (reply, asked) = match answer {
            GuardAnswer::Now(reply) => (reply, false),
            GuardAnswer::Later(reply) => (support::within("an answer", reply).await, true),
        };
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let warnings = body["response"]["warnings"].as_array().cloned().unwrap_or_default();
        let warnings: Vec<&str> = warnings.iter().filter_map(Value::as_str).collect();
        (reply.facts.decision, warnings.join("\n"), asked)
    }

    pub(crate) fn outcomes(&self, outcome: &str) -> String {
        let mut written = String::new();
        text::encode(&mut written, &self.registry).unwrap();
        let line = format!("stateward_live_reads_total{{outcome=\"{outcome}\"}} ");
        written.lines().find_map(|text| text.strip_prefix(&line)).unwrap().to_owned()
    }
}

#[tokio::test]
async fn there_is_no_live_read_where_nothing_is_refused() {
    let court = court(&[member("a", 2)]).await;
    let (decision, _, asked) = court.hear(&growth(&member("b", 1)), support::PATIENCE).await;
    assert_eq!((decision, asked), (Decision::Allowed, false));
    assert_eq!(court.api.requests("/"), 0);
}

#[tokio::test]
async fn a_denial_that_the_cluster_confirms_is_sent() {
    let court = court(&[member("a", 2)]).await;
    court.api.put_object(SETS, "prod", "a", member("a", 2));
    court.api.put_object(SETS, "other", "b", member("b", 1));
    let (decision, _, asked) = court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!((decision, asked), (Decision::Denied, true));
    assert_eq!(court.outcomes("confirmed"), "1");
    assert_eq!(court.api.requests("/apis/apps/v1/namespaces/prod/statefulsets?limit="), 1);
    assert_eq!(court.api.requests("/poddisruptionbudgets"), 0, "only what the rule reads");
}

#[tokio::test]
async fn a_snapshot_that_is_behind_refuses_nothing() {
    // The other set was there and is gone; or it came a moment ago, and makes the even number odd.
    let stale = court(&[member("a", 2)]).await;
    let (decision, _, asked) = stale.hear(&growth(&member("b", 3)), support::PATIENCE).await;
    assert_eq!((decision, asked), (Decision::Allowed, false));
    stale.api.put_object(SETS, "prod", "a", member("a", 1));
    let (decision, warnings, asked) = stale.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!((decision, warnings.as_str(), asked), (Decision::Allowed, "", true));
    assert_eq!(stale.outcomes("refuted"), "1");

    let young = court(&[]).await;
    young.api.put_object(SETS, "prod", "a", member("a", 1));
    let (decision, warnings, _) = young.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!((decision, warnings.as_str()), (Decision::Allowed, ""));
}

/// A quorum of three, and a budget that was made a moment before it and lets `evicted` of them be evicted.
async fn behind_a_budget(profile: Profile, evicted: i32) -> (Decision, String) {
    let court = court_of(Policies::new(profile, Vec::new()).unwrap(), &[]).await;
    let budget = json!({"maxUnavailable": evicted, "selector": {"matchLabels": {"app": "b"}}});
    court.api.put("poddisruptionbudgets", "prod", "b", budget);
    let mut set = member("b", 3);
    set["spec"]["serviceName"] = json!("b");
    let service = json!({"clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "b"}});
    court.api.put("services", "prod", "b", service);
    let (decision, warnings, asked) = court.hear(&creation(&set), support::PATIENCE).await;
    assert!(asked);
    assert_eq!(court.outcomes("refuted"), "1");
    (decision, warnings)
}

#[tokio::test]
async fn what_was_made_a_moment_ago_is_not_called_missing() {
    let (_, warnings) = behind_a_budget(Profile::Baseline, 1).await;
    assert!(!warnings.contains("pdb-missing") && !warnings.contains("service-not-found"), "{warnings}");
}

#[tokio::test]
async fn what_was_made_a_moment_ago_is_judged() {
    // Neither is what the snapshot says, that there is no budget, nor is it right.
    let (_, warnings) = behind_a_budget(Profile::Baseline, 2).await;
    assert!(warnings.contains("pdb-below-quorum"), "{warnings}");
    let (decision, _) = behind_a_budget(Profile::Strict, 2).await;
    assert_eq!(decision, Decision::Denied);
}

#[tokio::test]
async fn a_warning_waits_for_no_answer_that_misses_nothing_and_a_denial_does() {
    let level = |rule: &Rule| match rule.id {
        "pdb-missing" => "warn",
        "pdb-below-quorum" => "deny",
        _ => "off",
    };
    let rules: Vec<Value> =
        rules::ALL.iter().map(|rule| json!({"rule": rule.id, "level": level(rule)})).collect();
    let court = court_of(policy(&rules), &[]).await;
    let mut set = member("b", 3);
    set["metadata"]["annotations"] = json!({"stateward.dev/class": "quorum"});
    let (decision, warnings, _) = court.hear(&creation(&set), support::PATIENCE).await;
    assert_eq!(decision, Decision::Warned, "{warnings}");
    assert_eq!(court.api.requests("/poddisruptionbudgets?resourceVersion=0"), 1);
    assert_eq!(court.api.requests("?limit="), 0);

    // What the cache shows would refuse it.
    let budget = json!({"maxUnavailable": 2, "selector": {"matchLabels": {"app": "b"}}});
    court.api.put("poddisruptionbudgets", "prod", "b", budget);
    let (decision, warnings, _) = court.hear(&creation(&set), support::PATIENCE).await;
    assert_eq!(decision, Decision::Denied, "{warnings}");
    assert_eq!(court.api.requests("/poddisruptionbudgets?limit="), 1);
}

#[tokio::test]
async fn a_namespace_that_began_to_end_is_let_go() {
    let court = court(&[member("a", 2)]).await;
    court.api.put_object(SETS, "prod", "a", member("a", 2));
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    court.api.put_object("namespaces", "", "prod", going);
    let (decision, _, _) = court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!(decision, Decision::Allowed);
}

#[tokio::test]
async fn what_cannot_be_confirmed_is_a_warning_that_says_why() {
    let court = court(&[member("a", 2)]).await;
    for (fault, outcome, why) in [
        (Fault::Hang, "timeout", "did not answer in time"),
        (Fault::Status(403), "failed", "403: as the test wants it"),
        (Fault::Status(500), "failed", "500: as the test wants it"),
        (Fault::Garbage, "failed", "not an answer of a Kubernetes API"),
    ] {
        court.api.fail(SETS, fault);
        let budget = if fault == Fault::Hang { Duration::from_millis(50) } else { support::PATIENCE };
        let (decision, warnings, _) = court.hear(&growth(&member("b", 2)), budget).await;
        assert_eq!(decision, Decision::Warned, "{fault:?}");
        assert!(warnings.contains("not refused") && warnings.contains(why), "{warnings}");
        assert!(warnings.contains("4 members"), "{warnings}");
        assert_ne!(court.outcomes(outcome), "0");
    }
    court.api.stop();
    let (decision, _, _) = court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!(decision, Decision::Warned);
    assert_eq!((court.outcomes("timeout"), court.outcomes("failed")), ("1".to_owned(), "4".to_owned()));
}

#[tokio::test]
async fn live_reads_that_fail_alike_are_logged_once_and_counted_each() {
    let logs = Logs::capture();
    let court = court(&[member("a", 2)]).await;
    court.api.fail(SETS, Fault::Status(403));
    for _ in 0..5 {
        court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    }
    let lines = logs.lines_with("live read before denial failed");
    let warnings = lines.iter().filter(|line| line.contains("WARN")).count();
    assert_eq!((warnings, court.outcomes("failed").as_str()), (1, "5"), "{}", logs.text());
}

#[tokio::test]
async fn a_namespace_too_large_to_read_refuses_nothing_and_costs_no_more_than_the_limit() {
    let court = court(&[member("a", 2)]).await;
    for index in 0..34 {
        let mut large = member(&format!("large-{index}"), 2);
        large["metadata"]["annotations"]["note"] = json!("x".repeat(1 << 20));
        court.api.put_object(SETS, "prod", &format!("large-{index}"), large);
    }
    let (decision, warnings, _) = court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!(decision, Decision::Warned, "{warnings}");
    let why = "not refused, because the live read of statefulsets failed: those in the namespace have more than 32 MiB";
    assert!(warnings.contains(why), "{warnings}");
    assert_eq!(court.outcomes("failed"), "1");
    // A namespace of the same number of objects, each as large as a set with a long history of managers.
    for index in 0..34 {
        let mut set = member(&format!("large-{index}"), 2);
        set["metadata"]["annotations"]["note"] = json!("x".repeat(100 << 10));
        court.api.put_object(SETS, "prod", &format!("large-{index}"), set);
    }
    let (decision, warnings, _) = court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!(decision, Decision::Denied, "{warnings}");
}

#[tokio::test]
async fn a_broken_neighbour_is_not_an_absent_one() {
    let court = court(&[member("a", 2)]).await;
    court.api.put_object(SETS, "prod", "a", json!({"spec": {"replicas": "two"}}));
    let (decision, _, _) = court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_ne!(decision, Decision::Denied);
}

#[tokio::test]
async fn the_scale_of_a_set_that_is_not_known_yet_reads_it() {
    let court = court(&[]).await;
    court.api.put_object(SETS, "prod", "a", member("a", 3));
    let (decision, _, asked) = court.hear(&scale("a", 3, 5), support::PATIENCE).await;
    assert_eq!((decision, asked), (Decision::Allowed, true));
    assert_eq!(court.outcomes("learned"), "1");
    let (decision, _, _) = court.hear(&scale("a", 3, 4), support::PATIENCE).await;
    assert_eq!(decision, Decision::Denied);
    assert_eq!(court.outcomes("confirmed"), "1");

    let (decision, _, _) = court.hear(&scale("nowhere", 3, 4), support::PATIENCE).await;
    assert_eq!(decision, Decision::Allowed);
    court.api.fail(SETS, Fault::Hang);
    let (decision, _, _) = court.hear(&scale("a", 3, 4), Duration::from_millis(50)).await;
    assert_eq!((decision, court.outcomes("timeout")), (Decision::Allowed, "1".to_owned()));
}

#[tokio::test]
async fn a_scale_rests_on_the_set_as_it_is_now() {
    let court = court(&[member("a", 3)]).await;
    let mut exempt = member("a", 3);
    exempt["metadata"]["annotations"]["stateward.dev/class"] = json!("replicated");
    court.api.put_object(SETS, "prod", "a", exempt);
    let (decision, _, _) = court.hear(&scale("a", 3, 4), support::PATIENCE).await;
    assert_eq!(decision, Decision::Allowed);
}

#[tokio::test]
async fn a_name_that_is_none_is_asked_for_nowhere() {
    let court = court(&[]).await;
    let (decision, _, _) = court.hear(&scale("../../../api/v1/secrets", 3, 4), support::PATIENCE).await;
    assert_eq!((decision, court.api.requests("/")), (Decision::Allowed, 0));
}

#[tokio::test]
async fn a_burst_of_denials_is_no_burst_of_reads() {
    let court = court(&[member("a", 2)]).await;
    let resources = [SETS, "services", "namespaces"];
    for resource in &resources {
        court.api.fail(resource, Fault::Hang);
    }
    let review = growth(&member("b", 2)).to_string();
    let deadline = Instant::now() + support::PATIENCE;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let GuardAnswer::Later(reply) = court.judge.validate(review.as_bytes(), deadline).unwrap() else {
            panic!()
        };
        waiting.spawn(reply);
    }
    // Three kinds are read; each once at once, and once more for all that came later.
    support::until("reads", async || court.api.requests("/") == 6).await;
    tokio::task::yield_now().await;
    assert_eq!(court.api.requests("/"), 6);
    // Not more wait than may, and the others are told so.
    assert_eq!(court.outcomes("overloaded"), "36");
    // A live read whose review has ended frees its place.
    waiting.abort_all();
    while waiting.join_next().await.is_some() {}
    for resource in &resources {
        court.api.heal(resource);
    }
    court.api.put_object(SETS, "prod", "a", member("a", 2));
    let (decision, _, _) = court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!(decision, Decision::Denied);
}

/// The decisions of a hundred reviews while the API server does not answer, of which not all can wait.
async fn decisions_when_overloaded(when: WhenOverloaded) -> (usize, usize) {
    let mut court = court(&[member("a", 2)]).await;
    court.judge.confirmer = court.judge.confirmer.map(|confirmer| confirmer.when_overloaded(when));
    for resource in [SETS, "services", "namespaces"] {
        court.api.fail(resource, Fault::Hang);
    }
    let review = growth(&member("b", 2)).to_string();
    let deadline = Instant::now() + Duration::from_millis(300);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let GuardAnswer::Later(reply) = court.judge.validate(review.as_bytes(), deadline).unwrap() else {
            panic!()
        };
        waiting.spawn(reply);
    }
    let (mut denied, mut warned) = (0, 0);
    while let Some(reply) = waiting.join_next().await {
        match reply.unwrap().facts.decision {
            Decision::Denied => denied += 1,
            Decision::Warned => warned += 1,
            other => panic!("{other:?}"),
        }
    }
    (denied, warned)
}

#[tokio::test]
async fn what_we_had_no_time_to_confirm_is_denied_where_that_is_wanted() {
    assert_eq!(decisions_when_overloaded(WhenOverloaded::Warn).await, (0, 100));
    // Those whose own reads had begun failed for the API server, not for us.
    let (denied, warned) = decisions_when_overloaded(WhenOverloaded::Deny).await;
    assert!(denied >= 36 && denied + warned == 100, "{denied} {warned}");
}

#[tokio::test]
async fn a_namespace_that_is_excluded_is_told_nothing_and_reads_nothing() {
    let mut court = court(&[member("a", 2)]).await;
    court.judge.excluded = vec!["prod".to_owned()];
    let (decision, warnings, asked) = court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!((decision, warnings.as_str(), asked), (Decision::Allowed, "", false));
    let (decision, _, asked) = court.hear(&scale("nowhere", 3, 4), support::PATIENCE).await;
    assert_eq!((decision, asked, court.api.requests("/")), (Decision::Allowed, false, 0));
}

#[tokio::test]
async fn a_flood_about_sets_that_were_made_up_starves_no_denial() {
    let court = court(&[member("a", 2)]).await;
    court.api.put_object(SETS, "prod", "a", member("a", 2));
    court.api.fail(SETS, Fault::Hang);
    let deadline = Instant::now() + support::PATIENCE;
    let mut flood = tokio::task::JoinSet::new();
    for index in 0..200 {
        let review = scale(&format!("made-up-{index}"), 3, 4).to_string();
        let GuardAnswer::Later(reply) = court.judge.validate(review.as_bytes(), deadline).unwrap() else {
            panic!()
        };
        flood.spawn(reply);
    }
    support::until("answers", async || court.outcomes("skipped") == "198").await;
    court.api.heal(SETS);
    let (decision, _, _) = court.hear(&growth(&member("b", 2)), support::PATIENCE).await;
    assert_eq!((decision, court.outcomes("confirmed").as_str()), (Decision::Denied, "1"));
}

/// A review of a Deployment that writes to the claim `data`; a scale where `scaled` says from what to what.
fn deployment(operation: &str, replicas: i32, scaled: Option<(i32, i32)>) -> Value {
    let container =
        json!({"name": "a", "image": "example/a", "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    let volume = json!({"name": "data", "persistentVolumeClaim": {"claimName": "data"}});
    let object = json!({
        "metadata": {"namespace": "prod", "name": "wiki"},
        "spec": {"replicas": replicas, "strategy": {"type": "Recreate"},
            "template": {"spec": {"containers": [container], "volumes": [volume]}}},
    });
    let mut review = match scaled {
        Some((old, new)) => scale("wiki", old, new),
        None => creation(&object),
    };
    let request = &mut review["request"];
    request["operation"] = json!(operation);
    request["resource"]["resource"] = json!("deployments");
    if operation == "UPDATE" && scaled.is_none() {
        request["oldObject"] = object.clone();
        request["oldObject"]["spec"]["replicas"] = json!(1);
    }
    if scaled.is_some() {
        request["deployment"] = object;
    }
    review
}

#[tokio::test]
async fn the_claim_of_a_deployment_is_read_when_two_pods_would_write_to_it() {
    let court = court_of(only("deployment-claim-shared"), &[]).await;
    let (one, two) = (deployment("CREATE", 1, None), deployment("CREATE", 2, None));
    let (decision, _, asked) = court.hear(&one, support::PATIENCE).await;
    assert_eq!((decision, asked), (Decision::Allowed, false));
    // It does not exist yet: nothing is known of it.
    assert_eq!(court.hear(&two, support::PATIENCE).await.0, Decision::Allowed);
    assert_eq!(court.api.requests("/api/v1/namespaces/prod/persistentvolumeclaims/data"), 1);

    for (mode, decision) in [
        ("ReadWriteOnce", Decision::Denied),
        ("ReadWriteMany", Decision::Allowed),
        ("ReadWriteOncePod", Decision::Denied),
    ] {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        court.api.put("persistentvolumeclaims", "prod", "data", json!({"accessModes": [mode]}));
        for review in [&two, &deployment("UPDATE", 2, None)] {
            assert_eq!(court.hear(review, support::PATIENCE).await.0, decision, "{mode}");
        }
    }
    court.api.fail("persistentvolumeclaims", Fault::Status(403));
    assert_eq!(court.hear(&two, support::PATIENCE).await.0, Decision::Allowed, "unknown never denies");
}

#[tokio::test]
async fn a_deployment_that_is_scaled_is_read_with_its_claim() {
    let court = court_of(only("deployment-claim-shared"), &[]).await;
    let mut review = deployment("UPDATE", 1, Some((1, 2)));
    assert_eq!(
        court.hear(&review, support::PATIENCE).await.0,
        Decision::Allowed,
        "there is no such Deployment"
    );
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let object = review["request"].as_object_mut().unwrap().remove("deployment").unwrap();
    court.api.put_object("deployments", "prod", "wiki", object);
    court.api.put("persistentvolumeclaims", "prod", "data", json!({"accessModes": ["ReadWriteOnce"]}));
    assert_eq!(court.hear(&review, support::PATIENCE).await.0, Decision::Denied);
    court.api.fail("deployments", Fault::Hang);
    assert_eq!(court.hear(&review, Duration::from_millis(50)).await.0, Decision::Allowed);
}

/// The ensemble `ring` of five members in two sets, in the snapshot and in the cluster, where shrinking below a majority is refused.
async fn ring() -> Court {
    let court = court_of(only("quorum-scale-loses-majority"), &[member("a", 3), member("b", 2)]).await;
    court.api.put_object(SETS, "prod", "a", member("a", 3));
    court.api.put_object(SETS, "prod", "b", member("b", 2));
    court
}

#[tokio::test]
async fn what_was_allowed_a_moment_ago_counts_before_the_watch_shows_it() {
    let court = ring().await;
    let (mut trial, one, other) = (scale("a", 3, 1), scale("a", 3, 1), scale("b", 2, 0));
    trial["request"]["dryRun"] = json!(true);
    assert_eq!(court.hear(&trial, support::PATIENCE).await.0, Decision::Allowed);
    let (decision, ..) = court.hear(&other, support::PATIENCE).await;
    assert_eq!(decision, Decision::Allowed, "a dry run reserves nothing");

    let court = ring().await;
    let too_far = scale("b", 5, 1);
    assert_eq!(court.hear(&too_far, support::PATIENCE).await.0, Decision::Denied);
    assert_eq!(court.hear(&one, support::PATIENCE).await.0, Decision::Allowed, "a denial reserves nothing");
    assert_eq!(court.hear(&other, support::PATIENCE).await.0, Decision::Denied);
    // The same set may go on, and back.
    assert_eq!(court.hear(&scale("a", 1, 3), support::PATIENCE).await.0, Decision::Allowed);
    assert_eq!(court.hear(&other, support::PATIENCE).await.0, Decision::Allowed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_sets_of_one_group_are_never_both_shrunk_at_once() {
    for _ in 0..40 {
        let court = Arc::new(ring().await);
        let both = [scale("a", 3, 1), scale("b", 2, 0)].map(|review| {
            let court = Arc::clone(&court);
            tokio::spawn(async move { court.hear(&review, support::PATIENCE).await.0 })
        });
        let mut allowed = 0;
        for decision in both {
            allowed += usize::from(decision.await.unwrap() == Decision::Allowed);
        }
        assert_eq!(allowed, 1);
    }
}

/// A quorum with a claim template and no replicas.
fn stopped() -> Value {
    let mut set = member("a", 0);
    set["metadata"]["annotations"].as_object_mut().unwrap().remove("stateward.dev/ensemble");
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}}]);
    set
}

async fn with_claims(rule: &str, members: i32) -> Court {
    let court = court_of(only(rule), &[stopped()]).await;
    court.api.put_object(SETS, "prod", "a", stopped());
    for ordinal in 0..members {
        court.api.put("persistentvolumeclaims", "prod", &format!("data-a-{ordinal}"), json!({}));
    }
    court
}

#[tokio::test]
async fn claims_tell_how_many_members_there_were_before_zero() {
    let court = with_claims("quorum-scale-step", 3).await;
    assert_eq!(court.hear(&scale("a", 0, 7), support::PATIENCE).await.0, Decision::Denied);
    assert_eq!(court.hear(&scale("a", 0, 5), support::PATIENCE).await.0, Decision::Allowed);
    let mut set = stopped();
    set["spec"]["replicas"] = json!(7);
    assert_eq!(
        court.hear(&creation(&set), support::PATIENCE).await.0,
        Decision::Warned,
        "it may be a first attempt again"
    );
    court.api.fail("persistentvolumeclaims", Fault::Status(403));
    assert_eq!(
        court.hear(&scale("a", 0, 7), support::PATIENCE).await.0,
        Decision::Allowed,
        "unknown never denies"
    );

    let court = with_claims("quorum-scale-loses-majority", 5).await;
    let (decision, warnings, _) = court.hear(&scale("a", 0, 1), support::PATIENCE).await;
    assert_eq!(decision, Decision::Warned, "they may have been removed as they should be");
    assert!(warnings.contains("5 members have left claims"), "{warnings}");
    assert_eq!(court.hear(&scale("a", 0, 3), support::PATIENCE).await.0, Decision::Allowed);
    let court = with_claims("quorum-scale-step", 0).await;
    assert_eq!(court.hear(&scale("a", 0, 7), support::PATIENCE).await.0, Decision::Allowed, "a new group");
}

#[tokio::test]
async fn claims_of_members_that_were_removed_are_named() {
    let court = with_claims("quorum-claims-left", 5).await;
    let mut set = stopped();
    set["spec"]["replicas"] = json!(3);
    court.api.put_object(SETS, "prod", "a", set.clone());
    let mut cluster = Cluster::clone(&court.judge.cluster.load());
    cluster.insert(serde_json::from_value::<StatefulSet>(set).unwrap());
    court.judge.cluster.store(Arc::new(cluster));
    let (decision, ..) = court.hear(&scale("a", 3, 5), support::PATIENCE).await;
    assert_eq!(decision, Decision::Denied);
    assert_eq!(court.hear(&scale("a", 5, 7), support::PATIENCE).await.0, Decision::Allowed);
}
