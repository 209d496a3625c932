//! Checks of policies in CEL, seen through whole judgements.

use std::process::ExitCode;

use clap::Parser;
use serde_json::{Value, json};
use stateward::admission;
use stateward::cli::Cli;
use stateward::cluster::Cluster;
use stateward::policy::{Policies, Policy, PolicyError, Profile};
use stateward::verdict::{Finding, Level};

use crate::bounds::{bound_of_eight_times, fastest};
use crate::case;
use case::{findings, now};

fn policy(spec: &Value) -> Result<Policy, PolicyError> {
    Policy::from_json(&json!({
        "apiVersion": "stateward.dev/v1alpha1",
        "kind": "StatefulSetPolicy",
        "metadata": {"name": "mine"},
        "spec": spec,
    }))
}

fn check(expression: &str) -> Value {
    json!({"checks": [{"name": "it", "level": "deny", "message": "wrong", "expression": expression}]})
}

fn policies(spec: &Value) -> Policies {
    Policies::new(Profile::Baseline, vec![policy(spec).unwrap()]).unwrap()
}

fn own(findings: Vec<Finding>) -> Vec<(Level, String)> {
    let own = findings.into_iter().filter(|finding| finding.rule.as_str().starts_with("mine/"));
    own.map(|finding| (finding.level, finding.message)).collect()
}

const WEB: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: default, labels: {tier: gold}}
spec:
  replicas: 2
  serviceName: web
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'registry.example/web:1'}]}
";

const ETCD: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: etcd, namespace: default, annotations: {stateward.dev/class: quorum}}
spec:
  replicas: 3
  serviceName: etcd
  selector: {matchLabels: {app: etcd}}
  template:
    metadata: {labels: {app: etcd}}
    spec: {containers: [{name: etcd, image: 'registry.example/etcd:1'}]}
";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: None, selector: {app: web}}
";

fn levels(text: &str, expression: &str) -> Vec<Level> {
    own(findings(text, &policies(&check(expression)))).into_iter().map(|(level, _)| level).collect()
}

/// A review of a StatefulSet, of which nothing else is known.
fn review(operation: &str, old: &Value, new: &Value) -> Vec<u8> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "operation": operation,
            "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
            "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
            "name": "web",
            "namespace": "default",
            "userInfo": {"username": "jane", "groups": ["dev"]},
            "object": new,
            "oldObject": old,
        },
    });
    serde_json::to_vec(&review).unwrap()
}

fn set(replicas: i32) -> Value {
    let mut set = stateward::manifest::document(WEB).unwrap().to_json();
    set["spec"]["replicas"] = replicas.into();
    set
}

fn reviewed(body: &[u8], spec: &Value) -> Vec<(Level, String)> {
    own(admission::review(body, &Cluster::default(), &policies(spec), now()).unwrap().verdict.findings)
}

#[test]
fn an_expression_that_is_false_is_a_finding() {
    assert_eq!(levels(WEB, "object.spec.replicas <= 2"), []);
    assert_eq!(levels(WEB, "object.spec.replicas <= 1"), [Level::Deny]);
    for (text, expression) in [
        (WEB, "request.operation == 'CREATE' && oldObject == null"),
        (WEB, "class == 'replicated' && members == 2 && size(siblings) == 0"),
        (ETCD, "class == 'quorum' && members == 3 && majority == 2"),
        (WEB, "statefulSet.metadata.labels.tier == 'gold' && statefulSet.spec.replicas == 2"),
        (WEB, "size(services) == 0 && size(disruptionBudgets) == 0 && size(autoscalers) == 0"),
    ] {
        assert_eq!(levels(text, expression), [], "{expression}");
        assert_eq!(levels(text, &format!("!({expression})")), [Level::Deny], "{expression}");
    }
    let both = format!("{WEB}---{SERVICE}");
    assert_eq!(
        levels(&both, "services.all(s, s.spec.clusterIP == 'None' && s.spec.selector.app == 'web')"),
        []
    );
}

#[test]
fn a_request_is_read_with_all_its_fields() {
    let spec = check("request.userInfo.username == 'jane' && 'dev' in request.userInfo.groups");
    assert_eq!(reviewed(&review("CREATE", &Value::Null, &set(2)), &spec), []);
    let mut rare = set(2);
    rare["spec"]["template"]["spec"]["dnsPolicy"] = "Default".into();
    let spec = check("object.spec.template.spec.?dnsPolicy.orValue('') != 'Default'");
    assert_eq!(reviewed(&review("CREATE", &Value::Null, &rare), &spec), [(Level::Deny, "wrong".to_owned())]);
}

#[test]
fn raw_objects_are_kept_only_where_a_check_reads_them() {
    let body = review("CREATE", &Value::Null, &set(2));
    for (expression, is_kept) in [("object.spec.replicas == 2", true), ("members == 2", false)] {
        let request = admission::decode_for(&body, &policies(&check(expression))).unwrap();
        assert_eq!(request.change.raw.is_some(), is_kept, "{expression}");
    }
    let none = Policies::new(Profile::Strict, Vec::new()).unwrap();
    assert!(admission::decode_for(&body, &none).unwrap().change.raw.is_none());
}

#[test]
fn what_is_not_known_is_not_judged() {
    let created = review("CREATE", &Value::Null, &set(2));
    for expression in ["size(services) > 5", "size(autoscalers) > 5", "size(disruptionBudgets) > 5"] {
        assert_eq!(reviewed(&created, &check(expression)), [], "{expression}");
    }
    let decided = check("object.spec.replicas > 2 && size(services) > 5");
    assert_eq!(reviewed(&created, &decided).len(), 1, "what is known decides");
}

#[test]
fn what_comes_with_a_set_may_come_after_it() {
    let expression = "size(services) > 0";
    assert_eq!(levels(WEB, expression), [Level::Deny], "files have all there is");
    assert_eq!(levels(&format!("case:\n  create: {{name: web}}\n---{WEB}"), expression), [Level::Warn]);
}

#[test]
fn an_update_is_not_refused_for_what_was_so_before() {
    let spec = check("object.spec.replicas <= 3");
    assert_eq!(reviewed(&review("UPDATE", &set(3), &set(4)), &spec)[0].0, Level::Deny);
    assert_eq!(reviewed(&review("UPDATE", &set(5), &set(4)), &spec)[0].0, Level::Warn);
    let step = check("oldObject == null || object.spec.replicas <= oldObject.spec.replicas + 1");
    assert_eq!(reviewed(&review("UPDATE", &set(1), &set(4)), &step)[0].0, Level::Deny);
    assert_eq!(reviewed(&review("UPDATE", &set(3), &set(4)), &step), []);
}

#[test]
fn exemptions_are_as_those_of_rules() {
    let mut spec = check("object.spec.replicas <= 1");
    spec["exemptions"] = json!([{"rules": ["mine/it"], "reason": "a test"}]);
    let found = findings(WEB, &policies(&spec));
    let found = found.iter().find(|finding| finding.rule.as_str() == "mine/it").unwrap();
    assert_eq!(found.exempt.as_ref().unwrap().reason, "a test");
    let annotated = WEB.replace(
        "labels: {tier: gold}",
        "annotations: {stateward.dev/exempt: mine/it, stateward.dev/exempt-reason: a test}",
    );
    let found = findings(&annotated, &policies(&check("object.spec.replicas <= 1")));
    assert!(found.iter().any(|finding| finding.rule.as_str() == "mine/it" && !finding.counts()));
}

#[test]
fn the_level_is_capped_on_trial() {
    let mut spec = check("object.spec.replicas <= 1");
    spec["enforcement"] = "warn".into();
    assert_eq!(own(findings(WEB, &policies(&spec))), [(Level::Warn, "wrong".to_owned())]);
}

#[test]
fn an_expression_without_a_value_goes_by_its_failure_policy() {
    let mut spec = check("object.metadata.labels.none == 'x'");
    let found = own(findings(WEB, &policies(&spec)));
    assert_eq!(found, [(Level::Deny, "the check could not be evaluated: no field `none`".to_owned())]);
    spec["checks"][0]["failurePolicy"] = "Ignore".into();
    assert_eq!(own(findings(WEB, &policies(&spec)))[0].0, Level::Audit);
    spec["checks"][0]["matchConditions"] =
        json!([{"name": "x", "expression": "has(object.metadata.labels.none)"}]);
    assert_eq!(own(findings(WEB, &policies(&spec))), []);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let variables = json!({"variables": [{"name": "a", "expression": "object.spek"}], "checks": []});
    let mut twice = check("true");
    twice["checks"] = json!([twice["checks"][0], twice["checks"][0]]);
    for (spec, pointer, offset, message) in [
        (
            check("object.spec.replica > 1"),
            "/spec/checks/0/expression",
            Some(0),
            "did you mean \"replicas\"?",
        ),
        (check("true && objekt.x"), "/spec/checks/0/expression", Some(8), "there is no variable `objekt`"),
        (check("object.spec.replicas"), "/spec/checks/0/expression", Some(0), "gives a whole number"),
        (
            check("object.spec.template.spec.containers.all(c, c.imag == '')"),
            "/spec/checks/0/expression",
            Some(44),
            "a Container has no field `imag`",
        ),
        (variables, "/spec/variables/0/expression", Some(0), "a StatefulSet has no field `spek`"),
        (twice, "/spec/checks/1/name", None, "there are two checks"),
        (
            json!({"checks": [{"name": "A b", "level": "deny", "expression": "true"}]}),
            "/spec/checks/0/name",
            None,
            "is not a name for a check",
        ),
        (
            json!({"checks": [{"name": "a", "expression": "true"}]}),
            "/spec/checks/0",
            None,
            "the field `level` is missing",
        ),
    ] {
        let error = policy(&spec).unwrap_err();
        assert_eq!((&*error.pointer, error.offset), (pointer, offset), "{spec}: {error}");
        assert!(error.message.contains(message), "{error}");
    }
    let scale = json!({"checks": [{
        "name": "a", "level": "deny", "resources": ["statefulsets", "statefulsets/scale"],
        "expression": "object.spec.serviceName != ''",
    }]});
    assert!(policy(&scale).unwrap_err().message.contains("a ScaleSpec has no field `serviceName`"));
}

#[test]
fn hostile_policies_are_refused_or_bounded() {
    let many: Vec<Value> = (0..5000)
        .map(|number| json!({"name": format!("c{number}"), "level": "deny", "expression": "true"}))
        .collect();
    assert!(policy(&json!({"checks": many})).unwrap_err().message.contains("at most 100"));
    assert!(policy(&check(&"(".repeat(8000))).is_err());
    assert!(policy(&check(&format!("{}true", "!".repeat(8000)))).is_err());
    assert!(policy(&check(&format!("true{}", " && true".repeat(5000)))).is_err());
    let chain: Vec<Value> = (0..32)
        .map(|number| {
            let before = if number == 0 { "1".to_owned() } else { format!("variables.v{}", number - 1) };
            json!({"name": format!("v{number}"), "expression": format!("{before}{}", " + 1".repeat(50))})
        })
        .collect();
    assert!(policy(&json!({"variables": chain})).unwrap_err().message.contains("operations deep"));
}

/// A hundred checks with lists in lists: what a check may cost is bounded, so that eight times as many containers hardly cost
/// more, and the review says what was too costly.
#[test]
fn no_check_stalls_a_review() {
    let costly = "object.spec.template.spec.containers.all(a, object.spec.template.spec.containers.all(b, \
                  object.spec.template.spec.containers.all(c, a.name + b.name != c.name + 'x')))";
    let checks: Vec<Value> = (0..100)
        .map(|number| json!({"name": format!("c{number}"), "level": "deny", "expression": costly}))
        .collect();
    let spec = json!({"checks": checks});
    let times = [50, 400].map(|containers| {
        let mut large = set(2);
        let containers = (0..containers)
            .map(|number| json!({"name": format!("c{number}"), "image": "registry.example/web:1"}));
        large["spec"]["template"]["spec"]["containers"] = containers.collect();
        let review = review("CREATE", &Value::Null, &large);
        let found = reviewed(&review, &spec);
        let is_too_costly = |message: &str| message.contains("costs more than a check may");
        assert!(!found.is_empty() && found.iter().all(|(_, message)| is_too_costly(message)));
        fastest(|| drop(reviewed(&review, &spec)))
    });
    assert!(times[1] < bound_of_eight_times(times[0]), "{times:?}");
}

#[test]
fn shipped_policies_and_examples_pass_their_tests() {
    let args = ["stateward", "policy", "test", "policies"];
    let done = Cli::parse_from(args).run().unwrap();
    assert_eq!(format!("{done:?}"), format!("{:?}", ExitCode::SUCCESS));
}
