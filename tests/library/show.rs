//! One application at a glance, and what a drain of nodes would take.

use jiff::Timestamp;
use serde_json::{Value, json};
use stateward::audit::{AuditConfig, audit_cluster};
use stateward::cluster::{ClusterObject, Kind, Listing};
use stateward::policy::{Policies, Profile};
use stateward::report::Report;
use stateward::show::{BudgetStatus, DrainPlan, Glance, NodePlace, Placement, PodPlace};

/// `ZooKeeper`s with a budget and a Service, of which so many are ready.
fn listing(sets: &[(&str, i32, i32)]) -> Listing {
    let mut listing = Listing::default();
    let mut insert = |kind, object: Value| {
        ClusterObject::from_json(kind, &object.to_string()).unwrap().insert_into(&mut listing.cluster);
    };
    for (name, replicas, ready) in sets {
        let metadata = json!({"name": name, "namespace": "data"});
        let labels = json!({"app": name});
        let template = json!({
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "zk", "image": "zookeeper:3.9",
                "readinessProbe": {"tcpSocket": {"port": 2181}}, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]},
        });
        insert(
            Kind::StatefulSet,
            json!({"metadata": metadata, "status": {"replicas": replicas, "readyReplicas": ready}, "spec": {
                "replicas": replicas, "serviceName": name, "selector": {"matchLabels": labels}, "template": template,
                "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}),
        );
        let selector = json!({"matchLabels": labels});
        insert(
            Kind::DisruptionBudget,
            json!({"metadata": metadata, "spec": {"maxUnavailable": 1, "selector": selector}}),
        );
        let spec = json!({"clusterIP": "None", "publishNotReadyAddresses": true, "selector": labels});
        insert(Kind::Service, json!({"metadata": metadata, "spec": spec}));
    }
    for kind in Kind::listed() {
        listing.cluster.set_complete(kind, true);
    }
    listing
}

fn report(listing: &Listing) -> Report {
    let policies = Policies::new(Profile::Baseline, Vec::new()).unwrap();
    let config = AuditConfig { pictures: true, ..AuditConfig::default() };
    audit_cluster(listing, &policies, config, Timestamp::UNIX_EPOCH)
}

fn pod(name: &str, node: &str, is_ready: bool) -> PodPlace {
    let set = name.rsplit_once('-').unwrap().0;
    PodPlace {
        namespace: "data".into(),
        name: name.into(),
        set: Some(set.into()),
        node: node.into(),
        labels: [("app", set)].into_iter().collect(),
        is_ready,
        is_deleting: false,
    }
}

fn node(name: &str, zone: &str) -> NodePlace {
    NodePlace { name: name.into(), zone: zone.into(), is_cordoned: false, is_ready: true }
}

fn status(name: &str, allowed: i32) -> BudgetStatus {
    BudgetStatus { namespace: "data".into(), name: name.into(), allowed, allowed_when_healthy: 1 }
}

fn text_of(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut anstream::StripStream::new(&mut out)).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn an_application_at_a_glance() {
    let listing = listing(&[("zk", 3, 2)]);
    let report = report(&listing);
    let pods = vec![
        pod("zk-2", "", false),
        pod("zk-0", "a", true),
        pod("zk-1", "a", true),
        pod("other-0", "a", true),
    ];
    let placement = Placement { pods: Ok(pods), nodes: Ok(vec![node("a", "eu-1")]) };
    let glances = Glance::of(&report, "data", "zk", Some(&placement));
    insta::assert_snapshot!(text_of(|out| glances[0].write_text(out)));
    let json = text_of(|out| Glance::write_json(&glances, out));
    let json: Value = serde_json::from_str(&json).unwrap();
    let shown = &json["applications"][0];
    assert_eq!(shown["fatal"][0], json!({"kind": "node", "name": "a", "members": 2}));
    assert_eq!((&shown["ready"], &shown["drain"]["now"]), (&json!(2), &json!(0)));
    assert_eq!(shown["steps"][1]["replicas"], 5);
    assert!(Glance::of(&report, "data", "zq", None).is_empty());
}

#[test]
fn an_autoscaler_decides_how_many_members_there_are() {
    let mut listing = listing(&[("zk", 1, 1)]);
    let target = json!({"kind": "StatefulSet", "name": "zk"});
    let spec = json!({"minReplicas": 3, "maxReplicas": 3, "scaleTargetRef": target});
    let scaler = json!({"metadata": {"name": "zk", "namespace": "data"}, "spec": spec});
    let scaler = ClusterObject::from_json(Kind::Autoscaler, &scaler.to_string()).unwrap();
    scaler.insert_into(&mut listing.cluster);
    let report = report(&listing);
    let application = &report.applications[0];
    assert_eq!((application.replicas, application.members), (3, Some(3)));
    let steps: Vec<i32> = application.steps.iter().map(|step| step.replicas).collect();
    let (up, down) = steps.split_at(steps.iter().take_while(|replicas| **replicas > 3).count());
    assert_eq!((up[0], down), (4, &[2, 1, 0][..]));
}

#[test]
fn what_may_not_be_read_is_said() {
    let listing = listing(&[("zk", 3, 3)]);
    let report = report(&listing);
    let refused = || "403: pods is forbidden".to_owned();
    let placement = Placement { pods: Err(refused()), nodes: Err(refused()) };
    let glances = Glance::of(&report, "data", "zk", Some(&placement));
    let text = text_of(|out| glances[0].write_text(out));
    assert!(text.contains("pods      not known: 403: pods is forbidden"), "{text}");
    assert!(text.contains("3 of 3 ready: 1 more may be away"), "{text}");
    let plan = DrainPlan::of(&["a".to_owned()], &report, &listing.cluster, &placement, &[]);
    let text = text_of(|out| plan.write_text(out));
    assert!(text.contains("not known pods: 403"), "{text}");
}

#[test]
fn a_drain_of_nodes() {
    let listing = listing(&[("zk", 3, 3), ("half", 3, 2)]);
    let report = report(&listing);
    let pods = vec![
        pod("zk-0", "a", true),
        pod("zk-1", "b", true),
        pod("zk-2", "b", true),
        pod("half-0", "c", true),
        pod("half-2", "d", false),
    ];
    let names = ["a", "b", "c", "d"].map(str::to_owned);
    let placement =
        Placement { pods: Ok(pods), nodes: Ok(names.iter().map(|name| node(name, "")).collect()) };
    let statuses = [status("zk", 1), status("half", 0)];
    let plan = DrainPlan::of(&names, &report, &listing.cluster, &placement, &statuses);
    insta::assert_snapshot!(text_of(|out| plan.write_text(out)));
    let without = DrainPlan::of(&names[1..2], &report, &Listing::default().cluster, &placement, &[]);
    let json: Value = serde_json::from_str(&text_of(|out| without.write_json(out))).unwrap();
    assert_eq!(json["nodes"][0]["outcome"], "unsafe", "no budget keeps one of the two: {json}");
    assert_eq!(json["refused"], json!(["b"]));
}
