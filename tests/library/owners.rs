//! Objects that a controller has made: an edit of them by hand would be undone.

use serde_json::{Value, json};
use stateward::change::Action;
use stateward::change::Change;
use stateward::change::ObjectChange;
use stateward::cluster::Cluster;
use stateward::cluster::Kind;
use stateward::evaluate::evaluate;
use stateward::model::Autoscaler;
use stateward::model::DisruptionBudget;
use stateward::model::StatefulSet;
use stateward::policy::Policies;
use stateward::policy::Profile;

fn owned(name: &str, owner: Option<(&str, &str)>, spec: &Value) -> Value {
    let owners = owner.map(|(kind, name)| json!([{"kind": kind, "name": name, "controller": true}]));
    json!({"metadata": {"namespace": "prod", "name": name, "ownerReferences": owners}, "spec": spec})
}

fn etcd(owner: Option<(&str, &str)>, replicas: i32) -> StatefulSet {
    let template = json!({"metadata": {"labels": {"app": "etcd"}}, "spec": {"containers": [
        {"name": "etcd", "image": "quay.io/coreos/etcd:v3.5.9"}]}});
    let spec = json!({"replicas": replicas, "serviceName": "etcd", "template": template});
    serde_json::from_value(owned("etcd", owner, &spec)).unwrap()
}

/// The remedy of a rule's finding.
fn remedy(action: Action, cluster: &Cluster, rule: &str) -> String {
    let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
    let change = Change { action, ..Change::default() };
    let verdict = evaluate(&change, cluster, &policies, jiff::Timestamp::UNIX_EPOCH);
    let found = verdict.findings.iter().find(|finding| finding.rule.as_str() == rule);
    found.unwrap_or_else(|| panic!("{rule}: {verdict:#?}")).remedy.clone()
}

fn complete() -> Cluster {
    let mut cluster = Cluster::default();
    for kind in Kind::ALL {
        cluster.set_complete(kind, true);
    }
    cluster
}

#[test]
fn the_remedy_says_who_has_made_the_set() {
    let create = |owner| Action::StatefulSet(ObjectChange::Create(etcd(owner, 4)));
    let by_hand = remedy(create(None), &complete(), "quorum-even");
    assert!(!by_hand.contains("is made by"), "{by_hand}");
    let made = remedy(create(Some(("EtcdCluster", "main"))), &complete(), "quorum-even");
    assert_eq!(made, by_hand + "; StatefulSet etcd is made by EtcdCluster main: make the edit there");
}

#[test]
fn the_remedy_says_who_has_made_the_budget_beside_the_set() {
    let mut cluster = complete();
    let spec = json!({"maxUnavailable": 0, "selector": {"matchLabels": {"app": "etcd"}}});
    let budget = owned("guard", Some(("Shop", "corner")), &spec);
    cluster.insert(serde_json::from_value::<DisruptionBudget>(budget.clone()).unwrap());
    let expected = "; PodDisruptionBudget guard is made by Shop corner: make the edit there";
    let set = Action::StatefulSet(ObjectChange::Create(etcd(Some(("EtcdCluster", "main")), 3)));
    let beside = remedy(set, &cluster, "pdb-blocks-drain");
    assert!(beside.contains("; StatefulSet etcd is made by EtcdCluster main, "), "{beside}");
    assert!(beside.ends_with(&expected[2..]), "{beside}");

    let mut cluster = complete();
    cluster.insert(etcd(None, 3));
    let budget = Action::DisruptionBudget(ObjectChange::Create(serde_json::from_value(budget).unwrap()));
    let itself = remedy(budget, &cluster, "pdb-blocks-drain");
    assert!(itself.ends_with(expected), "{itself}");
}

#[test]
fn the_remedy_says_who_makes_an_autoscaler_that_is_not_there_yet() {
    let mut cluster = complete();
    cluster.insert(etcd(None, 3));
    let target = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "etcd"});
    let spec = json!({"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5});
    let scaler = owned("etcd", Some(("ScaledObject", "etcd")), &spec);
    let scaler = serde_json::from_value::<Autoscaler>(scaler).unwrap();
    let remedy = remedy(Action::Autoscaler(ObjectChange::Create(scaler)), &cluster, "quorum-autoscaled");
    assert!(remedy.contains("is made by ScaledObject etcd"), "{remedy}");
}
