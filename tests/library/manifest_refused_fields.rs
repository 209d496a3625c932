//! Fields that the API server drops or refuses: what it drops is as if it were absent; of what it refuses it tells the
//! person itself, so the webhook lets it through and a file is unreadable there.

use jiff::Timestamp;
use serde_json::{Value, json};
use stateward::admission::{mutate_review, review};
use stateward::cluster::Cluster;
use stateward::policy::{Policies, Profile};

fn set(change: impl FnOnce(&mut Value)) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "zk", "namespace": "x"},
        "spec": {"replicas": 4, "serviceName": "zk", "selector": {"matchLabels": {"app": "zk"}}, "template": {
            "metadata": {"labels": {"app": "zk"}},
            "spec": {"containers": [{"name": "zk", "image": "zookeeper:3.9"}]}}}});
    change(&mut set);
    set
}

fn body(resource: (&str, &str), object: &Value) -> Vec<u8> {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "kind": {"kind": object["kind"]}, "resource": {"group": resource.0, "resource": resource.1},
        "name": "zk", "namespace": "x", "operation": "CREATE", "userInfo": {"username": "a"}, "object": object}});
    review.to_string().into_bytes()
}

fn answers(body: &[u8]) -> [Value; 2] {
    let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
    let judged = review(body, &Cluster::default(), &policies, Timestamp::UNIX_EPOCH).unwrap().body;
    let filled = mutate_review(body, &Cluster::default(), &policies).unwrap().body;
    [judged, filled].map(|body| serde_json::from_slice::<Value>(&body).unwrap()["response"].clone())
}

fn finds(response: &Value, rule: &str) -> bool {
    response["auditAnnotations"]["findings"].as_str().unwrap_or_default().contains(rule)
}

#[test]
fn what_the_api_server_drops_is_as_if_it_were_absent() {
    for limit in [json!("1"), json!("a"), json!("")] {
        let dropped =
            set(|set| set["spec"]["updateStrategy"] = json!({"rollingUpdate": {"maxUnavailable": limit}}));
        let [judged, filled] = answers(&body(("apps", "statefulsets"), &dropped));
        assert_eq!((&judged["allowed"], &filled["allowed"]), (&json!(false), &json!(true)), "{judged}");
        assert!(finds(&judged, "quorum-even") && !finds(&judged, "rollout-below-quorum"), "{judged}");
    }
}

#[test]
fn a_word_the_api_server_refuses_makes_no_finding_and_hides_none() {
    let constraint = json!([{"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotShedule", "maxSkew": 1,
                             "labelSelector": {"matchLabels": {"app": "zk"}}}]);
    let misspelt = set(|set| set["spec"]["template"]["spec"]["topologySpreadConstraints"] = constraint);
    let [judged, _] = answers(&body(("apps", "statefulsets"), &misspelt));
    assert!(finds(&judged, "quorum-even") && !finds(&judged, "spread-"), "{judged}");
}

#[test]
fn of_what_the_api_server_refuses_it_tells_the_person_itself() {
    let budget = |limit: Value| {
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "zk"},
               "spec": {"minAvailable": limit, "selector": {"matchLabels": {"app": "zk"}}}})
    };
    let cases = [
        (("apps", "statefulsets"), set(|set| set["spec"]["replicas"] = json!("3")), "spec.replicas"),
        (
            ("apps", "statefulsets"),
            set(|set| set["spec"]["template"]["spec"]["containers"] = json!({})),
            "containers",
        ),
        (("policy", "poddisruptionbudgets"), budget(json!("1")), "spec.minAvailable"),
        (("policy", "poddisruptionbudgets"), budget(json!({})), "spec.minAvailable"),
        (("", "services"), json!({"kind": "Service", "spec": {"selector": []}}), "spec.selector"),
    ];
    for (resource, object, field) in cases {
        for response in answers(&body(resource, &object)) {
            assert_eq!((&response["allowed"], &response["uid"]), (&json!(true), &json!("u")), "{object}");
            assert!(response["warnings"][0].as_str().unwrap().contains(field), "{response}");
            assert_eq!((response.get("auditAnnotations"), response.get("patch")), (None, None), "{response}");
        }
    }
}

#[test]
fn a_review_that_is_none_is_still_none() {
    let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
    let good = String::from_utf8(body(("apps", "statefulsets"), &set(|_| ()))).unwrap();
    for broken in [
        good.replace("\"uid\":\"u\"", "\"uid\":7"),
        good.replace("CREATE", "MAKE"),
        good.replace("\"replicas\":4", "\"replicas\":\"4\"").replace("admission.k8s.io/v1", "v1"),
        good[..good.len() - 2].to_owned(),
    ] {
        assert!(review(broken.as_bytes(), &Cluster::default(), &policies, Timestamp::UNIX_EPOCH).is_err());
    }
}
