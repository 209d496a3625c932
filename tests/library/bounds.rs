//! What one object, or many small ones, may cost: time in proportion, and an answer that stays small.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use stateward::admission::{self, Invalid};
use stateward::cluster::{Cluster, Kind};
use stateward::policy::{Policies, Profile};

/// The largest answer, whatever was asked.
const LARGEST_ANSWER: usize = 64 << 10;

fn policies() -> Policies {
    Policies::new(Profile::Strict, Vec::new()).unwrap()
}

fn review(operation: &str, group: &str, resource: &str, object: &Value) -> Vec<u8> {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": operation, "namespace": "prod", "name": object["metadata"]["name"],
        "resource": {"group": group, "resource": resource}, "object": object,
    }});
    review.to_string().into_bytes()
}

fn set(name: &str, image: &str, annotations: &Value) -> Value {
    json!({
        "metadata": {"namespace": "prod", "name": name, "annotations": annotations},
        "spec": {"replicas": 3, "serviceName": "peers", "template": {
            "metadata": {"labels": {"tier": "data", "app": name}},
            "spec": {"containers": [{"name": "main", "image": image}]},
        }},
    })
}

/// A namespace in which everything is known.
fn cluster(sets: &[Value], services: &[Value]) -> Cluster {
    let mut cluster = Cluster::default();
    for kind in Kind::ALL {
        cluster.set_complete(kind, true);
    }
    for set in sets {
        cluster.insert(serde_json::from_value::<stateward::model::StatefulSet>(set.clone()).unwrap());
    }
    for service in services {
        cluster.insert(serde_json::from_value::<stateward::model::Service>(service.clone()).unwrap());
    }
    cluster
}

fn budget() -> Vec<u8> {
    let spec = json!({"maxUnavailable": 2, "selector": {}});
    let budget = json!({"metadata": {"namespace": "prod", "name": "all"}, "spec": spec});
    review("CREATE", "policy", "poddisruptionbudgets", &budget)
}

fn answer(body: &[u8], cluster: &Cluster) -> Value {
    let reviewed = admission::review(body, cluster, &policies(), Timestamp::UNIX_EPOCH).unwrap();
    assert!(reviewed.body.len() < LARGEST_ANSWER, "{} bytes", reviewed.body.len());
    serde_json::from_slice(&reviewed.body).unwrap()
}

/// A set that names this many rules that do not exist.
fn exempt_from(number: usize) -> (Vec<u8>, Cluster) {
    let rules: Vec<String> = (0..number).map(|index| format!("r{index}")).collect();
    let annotations = json!({"stateward.dev/exempt": rules.join(","), "stateward.dev/exempt-reason": "so"});
    (review("CREATE", "apps", "statefulsets", &set("a", "example.com/a", &annotations)), cluster(&[], &[]))
}

/// A budget over this many sets that do not look like each other.
fn budget_over(number: usize) -> (Vec<u8>, Cluster) {
    let sets: Vec<Value> =
        (0..number).map(|index| set(&format!("s{index}"), "zookeeper:3.9", &json!({}))).collect();
    (budget(), cluster(&sets, &[]))
}

/// A budget over this many sets that one Service selects, so that all may be of one group.
fn budget_behind_one_service(number: usize) -> (Vec<u8>, Cluster) {
    let sets: Vec<Value> =
        (0..number).map(|index| set(&format!("s{index}"), "zookeeper:3.9", &json!({}))).collect();
    let selector = json!({"tier": "data"});
    let service = json!({"metadata": {"namespace": "prod", "name": "peers"}, "spec": {"selector": selector}});
    (budget(), cluster(&sets, &[service]))
}

/// A set beside this many, and as many Services that select the pods of all.
fn behind_as_many_services(number: usize) -> (Vec<u8>, Cluster) {
    let of = |index: usize| set(&format!("s{index}"), "zookeeper:3.9", &json!({}));
    let sets: Vec<Value> = (0..number).map(of).collect();
    let service = |index: usize| {
        json!({
            "metadata": {"namespace": "prod", "name": format!("peers{index}")},
            "spec": {"selector": {"tier": "data"}},
        })
    };
    let services: Vec<Value> = (0..number).map(service).collect();
    (review("CREATE", "apps", "statefulsets", &of(number)), cluster(&sets, &services))
}

/// A budget over this many sets, while many objects elsewhere cannot be read.
fn beside_unreadable_objects(number: usize) -> (Vec<u8>, Cluster) {
    let (review, mut cluster) = budget_over(number);
    for index in 0..number * 50 {
        cluster.set_unreadable(Kind::ScaledObject, "other", &index.to_string());
    }
    (review, cluster)
}

/// A budget over this many sets that say they are one ensemble.
fn budget_over_an_ensemble(number: usize) -> (Vec<u8>, Cluster) {
    let annotations = json!({"stateward.dev/ensemble": "ring"});
    let sets: Vec<Value> =
        (0..number).map(|index| set(&format!("s{index}"), "zookeeper:3.9", &annotations)).collect();
    (budget(), cluster(&sets, &[]))
}

/// A set with this many topology constraints, beside as many sets that they all select.
fn constraints(number: usize) -> (Vec<u8>, Cluster) {
    let selector = json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]});
    let constraint = json!({
        "topologyKey": "kubernetes.io/hostname", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": selector,
    });
    let mut constrained = set("a", "zookeeper:3.9", &json!({}));
    constrained["spec"]["template"]["spec"]["topologySpreadConstraints"] = json!(vec![constraint; number]);
    let sets: Vec<Value> =
        (0..number).map(|index| set(&format!("s{index}"), "zookeeper:3.9", &json!({}))).collect();
    (review("CREATE", "apps", "statefulsets", &constrained), cluster(&sets, &[]))
}

/// A set with this many containers, beside one with as many, behind one Service.
fn containers(number: usize) -> (Vec<u8>, Cluster) {
    let of = |name: &str| {
        let containers = (0..number).map(|index| json!({"name": "c", "image": format!("zookeeper{index}")}));
        let mut many = set(name, "zookeeper:3.9", &json!({"stateward.dev/class": "quorum"}));
        many["spec"]["template"]["spec"]["containers"] = containers.collect();
        many
    };
    let selector = json!({"tier": "data"});
    let service = json!({"metadata": {"namespace": "prod", "name": "peers"}, "spec": {"selector": selector}});
    (review("CREATE", "apps", "statefulsets", &of("a")), cluster(&[of("b")], &[service]))
}

/// A set with this many claims and as many claim templates of other names.
fn claims(number: usize) -> (Vec<u8>, Cluster) {
    let volume =
        |index| json!({"name": format!("v{index}"), "persistentVolumeClaim": {"claimName": "shared"}});
    let mut many = set("a", "zookeeper:3.9", &json!({}));
    many["spec"]["template"]["spec"]["volumes"] = (0..number).map(volume).collect();
    let template = |index| json!({"metadata": {"name": format!("t{index}")}});
    many["spec"]["volumeClaimTemplates"] = (0..number).map(template).collect();
    (review("CREATE", "apps", "statefulsets", &many), cluster(&[], &[]))
}

type Attack = (&'static str, fn(usize) -> (Vec<u8>, Cluster), usize);

/// Each with the size at which it begins to double.
const ATTACKS: [Attack; 9] = [
    ("names of rules", exempt_from, 1000),
    ("a budget over sets", budget_over, 60),
    ("a budget behind one Service", budget_behind_one_service, 60),
    ("as many Services as sets", behind_as_many_services, 100),
    ("beside unreadable objects", beside_unreadable_objects, 60),
    ("a budget over an ensemble", budget_over_an_ensemble, 60),
    ("topology constraints", constraints, 60),
    ("containers", containers, 250),
    ("claims", claims, 250),
];

/// For how long this thread has been running, to a few milliseconds. What else the machine does is not counted, where it is Linux.
fn ran(started: Instant) -> Duration {
    let read = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    };
    read().unwrap_or_else(|| started.elapsed())
}

/// The fastest of a few runs, as the others were disturbed.
pub fn fastest(run: impl Fn()) -> Duration {
    let started = Instant::now();
    let timed = || {
        let before = ran(started);
        run();
        ran(started).saturating_sub(before)
    };
    (0..3).map(|_| timed()).min().unwrap()
}

/// The most that eight times as much of something may take. A square would be 64 times as much. What is constant and small is
/// left out of the comparison.
pub fn bound_of_eight_times(one: Duration) -> Duration {
    one.max(Duration::from_millis(4)) * 30
}

#[test]
fn eight_times_as_much_costs_nowhere_near_its_square() {
    for (name, attack, start) in ATTACKS {
        let times = [1, 2, 4, 8].map(|factor| {
            let (body, cluster) = attack(start * factor);
            fastest(|| drop(answer(&body, &cluster)))
        });
        println!("{name} from {start}: {times:?}");
        assert!(times[3] < bound_of_eight_times(times[0]), "{name}: {times:?}");
    }
}

#[test]
fn forty_thousand_names_are_told_in_few_words() {
    let (body, cluster) = exempt_from(40_000);
    let answer = answer(&body, &cluster);
    let warnings = answer["response"]["warnings"].as_array().unwrap();
    let of_the_rule = |warning: &&Value| warning.as_str().unwrap().contains("there is no rule");
    assert!((1..=20).contains(&warnings.iter().filter(of_the_rule).count()), "{warnings:?}");
    assert!(warnings.iter().map(|warning| warning.as_str().unwrap().len()).sum::<usize>() <= 4096);
}

#[test]
fn what_is_left_out_is_counted() {
    let (body, cluster) = budget_over(57);
    let answer = answer(&body, &cluster);
    assert_eq!(answer["response"]["allowed"], false);
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.contains("(and 37 more like it)"), "{message}");
}

#[test]
fn a_long_value_is_cut_where_it_is_quoted() {
    let long = "x".repeat(200_000);
    let annotations = json!({
        "stateward.dev/exempt": long, "stateward.dev/exempt-reason": long, "stateward.dev/class": long,
    });
    let body = review("CREATE", "apps", "statefulsets", &set("a", &long, &annotations));
    assert_eq!(answer(&body, &cluster(&[], &[]))["response"]["allowed"], false);
}

#[test]
fn no_value_forges_a_line_or_moves_a_cursor() {
    let annotations = json!({"stateward.dev/class": "x\u{1b}[2J\n::error::forged\u{202e}"});
    let body = review("CREATE", "apps", "statefulsets", &set("a", "a\u{7}b", &annotations));
    let answer = answer(&body, &cluster(&[], &[])).to_string();
    for unfit in ["\\u001b", "\\u0007", "\u{202e}", "\n"] {
        assert!(!answer.contains(unfit), "{unfit:?} in {answer}");
    }
}

/// A review of a creation, with one part of the request replaced.
fn with(pointer: &str, value: Value) -> Vec<u8> {
    let mut review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "namespace": "prod", "name": "a",
        "kind": {"kind": "StatefulSet"}, "userInfo": {"username": "jane", "groups": ["a"]},
        "resource": {"group": "apps", "resource": "statefulsets"}, "subResource": "",
        "object": set("a", "a", &json!({})),
    }});
    *review.pointer_mut(pointer).unwrap() = value;
    review.to_string().into_bytes()
}

#[test]
fn what_is_longer_than_kubernetes_allows_is_no_review() {
    let long = |bytes: usize| json!("x".repeat(bytes));
    for (pointer, most) in [
        ("/request/uid", 253),
        ("/request/name", 253),
        ("/request/namespace", 253),
        ("/request/kind/kind", 253),
        ("/request/subResource", 253),
        ("/request/resource/group", 253),
        ("/request/object/metadata/name", 253),
        ("/request/object/metadata/namespace", 253),
        ("/request/userInfo/username", 1024),
        ("/request/userInfo/groups/0", 1024),
    ] {
        assert!(admission::decode(&with(pointer, long(most))).is_ok(), "{pointer}");
        for bytes in [most + 1, 1 << 20] {
            let error = admission::decode(&with(pointer, long(bytes))).unwrap_err().to_string();
            assert!(error.len() < 2000 && error.contains(&most.to_string()), "{pointer}: {error}");
        }
    }
    let groups = |number: usize| json!(vec!["g"; number]);
    assert!(admission::decode(&with("/request/userInfo/groups", groups(4096))).is_ok());
    assert!(admission::decode(&with("/request/userInfo/groups", groups(4097))).is_err());
    let containers = |number: usize| json!(vec![json!({}); number]);
    let pointer = "/request/object/spec/template/spec/containers";
    assert!(admission::decode(&with(pointer, containers(20_000))).is_ok());
    assert!(admission::decode(&with(pointer, containers(20_001))).is_err());
    let unknown = admission::decode(&with("/request/operation", long(1 << 20))).unwrap_err();
    assert!(unknown.to_string().len() < 2000);
    let kind = admission::decode(&with("/kind", long(1 << 20))).unwrap_err();
    assert!(matches!(kind, Invalid::NotAReview { .. }) && kind.to_string().len() < 2000);
}

#[test]
fn both_webhooks_read_a_review_alike() {
    let review = String::from_utf8(with("/request/uid", json!("u"))).unwrap();
    let twice =
        |field: &str| review.replacen("\"request\":{", &format!("\"request\":{{{field},"), 1).into_bytes();
    let mut not_utf8 = review.replacen("prod", "prXd", 1).into_bytes();
    let position = not_utf8.iter().position(|byte| *byte == b'X').unwrap();
    not_utf8[position] = 0xff;
    let bodies = [
        twice("\"object\":null"),
        twice("\"uid\":\"other\""),
        twice("\"operation\":\"DELETE\""),
        twice("\"dryRun\":false,\"dryRun\":true"),
        not_utf8,
    ];
    for body in bodies {
        let (cluster, policies) = (cluster(&[], &[]), policies());
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert!(admission::decode(&body).is_err(), "{shown}");
        assert!(admission::mutate_review(&body, &cluster, &policies).is_err(), "{shown}");
    }
    assert!(admission::decode(&twice("\"somethingNew\":1,\"somethingNew\":2")).is_ok());
}
