//! Manifests of which some name their namespace and others do not.

use jiff::Timestamp;
use stateward::audit::{AuditConfig, audit};
use stateward::cluster::inventory::Inventory;
use stateward::manifest::Source;
use stateward::manifest::SourceOrigin;
use stateward::policy::Policies;
use stateward::policy::Profile;

const SET: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: zk, namespace: staging}
spec:
  replicas: 3
  serviceName: zk
  selector: {matchLabels: {app: zk}}
  template:
    metadata: {labels: {app: zk}}
    spec: {containers: [{name: zk, image: 'zookeeper:3.9'}]}
";
const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: zk}
spec: {clusterIP: None, selector: {app: zk}}
";

fn budget(name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: {name}{namespace}}}\n\
         spec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: zk}}}}}}\n"
    )
}

/// The rules that are found, with `--namespace` if it is given.
fn found(documents: &[&str], namespace: Option<&str>) -> Vec<String> {
    let mut inventory = Inventory::new(namespace);
    let text = documents.join("---\n");
    inventory.add(&Source::new("app.yaml", &text, SourceOrigin::Named));
    let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
    let report = audit(&inventory, &policies, AuditConfig::default(), Timestamp::UNIX_EPOCH);
    report.findings.iter().map(|located| located.finding.rule.to_string()).collect()
}

#[test]
fn objects_without_a_namespace_join_the_only_one_that_is_named() {
    let rules = found(&[SET, SERVICE, &budget("zk", "")], None);
    assert!(
        !rules.iter().any(|rule| rule == "service-not-found")
            && !rules.iter().any(|rule| rule == "pdb-missing"),
        "{rules:?}"
    );
}

#[test]
fn a_namespace_that_is_given_is_not_guessed() {
    let rules = found(&[SET, SERVICE], Some("prod"));
    assert!(rules.iter().any(|rule| rule == "service-not-found"), "{rules:?}");
}

#[test]
fn a_presumed_namespace_never_makes_budgets_collide() {
    let rules = found(&[SET, SERVICE, &budget("zk", ", namespace: staging"), &budget("zk-old", "")], None);
    assert!(!rules.iter().any(|rule| rule == "pdb-overlap"), "{rules:?}");
    let rules =
        found(&[SET, &budget("a", ", namespace: staging"), &budget("b", ", namespace: staging")], None);
    assert!(rules.iter().any(|rule| rule == "pdb-overlap"), "{rules:?}");
}
