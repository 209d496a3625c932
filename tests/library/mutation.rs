//! The mutating webhook: reviews in, patches out.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stateward::admission::mutate_review;
use stateward::audit;
use stateward::cluster::Cluster;
use stateward::cluster::inventory::Inventory;
use stateward::manifest;
use stateward::manifest::Source;
use stateward::manifest::SourceOrigin;
use stateward::policy::Policies;
use stateward::policy::Policy;
use stateward::policy::Profile;

const BOTH: &str = "{mutate: {servicePerPod: {label: pod-name, ports: '80:8080'}, podNameLabel: pod-name}}";
const SERVICES: &str = "{mutate: {servicePerPod: {ports: '80:8080'}}}";

fn try_policies(specs: &[&str]) -> Result<Policies, stateward::policy::PolicyError> {
    let policies = specs.iter().enumerate().map(|(index, spec)| {
        let head = "apiVersion: stateward.dev/v1alpha1\nkind: StatefulSetPolicy\n";
        let text = format!("{head}metadata: {{name: policy-{index}}}\nspec: {spec}\n");
        Policy::from_json(&manifest::document(&text).unwrap().to_json())
    });
    Ok(Policies::new(Profile::Baseline, policies.collect::<Result<_, _>>()?).unwrap())
}

fn policies(specs: &[&str]) -> Policies {
    try_policies(specs).unwrap()
}

/// What an answer adds, as operations, and its warnings.
fn answer(review: &[u8], policies: &Policies) -> (Vec<Value>, Vec<String>) {
    let answer: Value =
        serde_json::from_slice(&mutate_review(review, &Cluster::default(), policies).unwrap().body).unwrap();
    let response = &answer["response"];
    assert_eq!(response["allowed"], true);
    assert_eq!(response.get("patch").is_some(), response.get("patchType") == Some(&json!("JSONPatch")));
    let patch = response["patch"].as_str().map(|patch| STANDARD.decode(patch).unwrap());
    let operations = patch.map_or_else(Vec::new, |patch| serde_json::from_slice(&patch).unwrap());
    let warnings: Vec<String> = serde_json::from_value(response["warnings"].clone()).unwrap_or_default();
    assert!(warnings.iter().all(|warning| warning.chars().count() <= 256), "{warnings:?}");
    (operations, warnings)
}

fn review(resource: &str, object: &Value, old: Option<&Value>) -> Vec<u8> {
    let group = if resource == "pods" { "" } else { "apps" };
    let operation = if old.is_some() { "UPDATE" } else { "CREATE" };
    let request = json!({"uid": "u", "operation": operation, "namespace": "demo",
        "resource": {"group": group, "version": "v1", "resource": resource}, "object": object, "oldObject": old});
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    serde_json::to_vec(&review).unwrap()
}

/// What is added to a set that is created.
fn created(set: &Value, specs: &[&str]) -> (Vec<Value>, Vec<String>) {
    answer(&review("statefulsets", set, None), &policies(specs))
}

fn set(annotations: &Value, template: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "demo", "annotations": annotations},
        "spec": {"replicas": 3, "template": {"metadata": template, "spec": {"containers": [{"name": "a"}]}}}})
}

fn add(path: &str, value: impl Into<Value>) -> Value {
    json!({"op": "add", "path": path, "value": value.into()})
}

fn patched(mut object: Value, operations: &[Value]) -> Value {
    let patch: json_patch::Patch = serde_json::from_value(json!(operations)).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

/// Every request that a real API server sent, under a policy that wants all there is.
#[test]
fn captures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".mutate.json"));
    files.sort();
    assert!(files.len() >= 12);
    let policies = policies(&[BOTH]);
    let mut text = String::new();
    for file in files {
        let body = fs::read(&file).unwrap();
        let (operations, warnings) = answer(&body, &policies);
        text += &format!("{}\n", file.file_name().unwrap().to_string_lossy());
        for line in
            operations.iter().map(Value::to_string).chain(warnings.iter().map(|w| format!("warning: {w}")))
        {
            text += &format!("  {line}\n");
        }

        let mut again: Value = serde_json::from_slice(&body).unwrap();
        again["request"]["object"] = patched(again["request"]["object"].take(), &operations);
        let (operations, _) = answer(&serde_json::to_vec(&again).unwrap(), &policies);
        assert!(operations.is_empty(), "{}: {operations:?}", file.display());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn missing_maps_are_made_and_keys_escaped() {
    let (label, ports) = (
        add("/metadata/annotations/service-per-pod-label", "statefulset.kubernetes.io/pod-name"),
        add("/metadata/annotations/service-per-pod-ports", "80:8080"),
    );
    for missing in [json!({"name": "web"}), json!({"name": "web", "annotations": null})] {
        let mut set = set(&json!({}), &json!({}));
        set["metadata"] = missing;
        let expected = vec![add("/metadata/annotations", json!({})), label.clone(), ports.clone()];
        assert_eq!(created(&set, &[SERVICES]).0, expected);
    }
    let others = json!({"example.com/a~b": "kept"});
    assert_eq!(created(&set(&others, &json!({})), &[SERVICES]).0, [label, ports]);

    let with = |template: &Value| {
        created(&set(&json!({}), template), &["{mutate: {podNameLabel: example.com/pod}}"]).0
    };
    let path = "/spec/template/metadata";
    let map = add(&format!("{path}/annotations"), json!({}));
    let key = add(&format!("{path}/annotations/pod-name-label"), "example.com/pod");
    assert_eq!(with(&json!({"annotations": {"a": "b"}})), [key.clone()].as_slice());
    assert_eq!(with(&json!({"labels": {"a": "b"}})), [map.clone(), key.clone()].as_slice());
    assert_eq!(with(&json!(null)), [add(path, json!({})), map, key]);

    let pod = json!({"metadata": {"name": "web-0", "annotations": {"pod-name-label": "example.com/a"}}});
    let (operations, _) = answer(&review("pods", &pod, None), &policies(&[]));
    assert_eq!(
        operations,
        [add("/metadata/labels", json!({})), add("/metadata/labels/example.com~1a", "web-0")]
    );
}

#[test]
fn values_that_users_have_set_are_kept_and_reported() {
    let own = json!({"service-per-pod-label": "own", "service-per-pod-ports": ""});
    let (operations, warnings) =
        created(&set(&own, &json!({"annotations": {"pod-name-label": "own"}})), &[BOTH]);
    assert_eq!(operations, [] as [Value; 0]);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains("policy-0") && warning.contains("left as it is")));
    let same = json!({"service-per-pod-label": "pod-name", "service-per-pod-ports": "80:8080"});
    let (operations, warnings) =
        created(&set(&same, &json!({"annotations": {"pod-name-label": "pod-name"}})), &[BOTH]);
    assert_eq!((operations.len(), warnings.len()), (0, 0), "{warnings:?}");
}

#[test]
fn a_running_pod_is_never_restarted() {
    let template = add("/spec/template/metadata/annotations/pod-name-label", "pod-name");
    let own_label = json!({"service-per-pod-label": "statefulset.kubernetes.io/pod-name", "service-per-pod-ports": "80:80"});
    let old = set(&own_label, &json!({"annotations": {"a": "b"}}));
    let with = |pointer: &str, value: Value, set: &Value| {
        let mut set = set.clone();
        *set.pointer_mut(pointer).unwrap() = value;
        set
    };
    let same = with("/metadata/name", json!("web"), &old);
    let changed = with("/spec/template/spec/containers/0/name", json!("b"), &old);
    let scaled = with("/spec/replicas", json!(5), &old);
    let (from_none, to_none) =
        (with("/spec/replicas", json!(0), &old), with("/spec/replicas", json!(0), &old));
    // Scaled to 0 a moment ago: its pods are still there, and stay where it is scaled up again now.
    let mut going = from_none.clone();
    going["status"] = json!({"replicas": 2});
    let policies = policies(&["{mutate: {podNameLabel: pod-name}}"]);
    let updated = |old: &Value, new: &Value| answer(&review("statefulsets", new, Some(old)), &policies);
    for (old, new, is_added) in [
        (&old, &same, false),
        (&old, &scaled, false),
        (&old, &changed, true),
        (&from_none, &old, true),
        (&old, &to_none, false),
        (&going, &old, false),
    ] {
        let (operations, warnings) = updated(old, new);
        assert_eq!(operations, if is_added { vec![template.clone()] } else { vec![] }, "{new}");
        assert_eq!(warnings.len(), usize::from(!is_added), "{new}");
        assert!(warnings.iter().all(|warning| warning.contains("comes with the next rollout")));
    }
    // A manifest without the label replaces the set: removing the label would restart the pods, keeping it does not.
    let injected = patched(old.clone(), std::slice::from_ref(&template));
    let (operations, _) = updated(&injected, &old);
    assert_eq!(patched(old, &operations), injected);
}

#[test]
fn services_wait_for_the_label_that_they_select() {
    let old = set(&json!({}), &json!({"annotations": {}}));
    let update =
        |spec: &str, old: &Value| answer(&review("statefulsets", old, Some(old)), &policies(&[spec]));
    let (operations, warnings) = update(BOTH, &old);
    assert_eq!(operations, [] as [Value; 0], "pod-name is on no pod yet");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let controllers = "{mutate: {servicePerPod: {ports: '80:8080'}, podNameLabel: pod-name}}";
    let (operations, warnings) = update(controllers, &old);
    assert_eq!((operations.len(), warnings.len()), (2, 1), "the controller's label is on every pod");
    let own = set(&json!({}), &json!({"annotations": {"pod-name-label": "pod-name"}}));
    assert_eq!(update(BOTH, &own).0.len(), 2, "the label is there by now");
}

/// What the webhook itself has added is never denied, and costs no Services without endpoints.
#[test]
fn services_are_not_asked_for_where_no_pod_will_have_their_label() {
    const ALONE: &str = "{mutate: {servicePerPod: {label: pod-name, ports: '80:8080'}}}";
    let perhaps =
        "{priority: 1, match: {namespaceSelector: {matchLabels: {a: b}}}, mutate: {podNameLabel: pod-name}}";
    let other = "{priority: 1, mutate: {podNameLabel: other}}";
    let template = |annotation: &str| json!({"annotations": {"pod-name-label": annotation}});
    let taken = json!({"labels": {"pod-name": "fixed"}});
    for (specs, template, added) in [
        (&[ALONE][..], json!({}), 0),
        (&[BOTH], template("mine"), 0),
        (&[ALONE], template("pod-name"), 2),
        (&[BOTH, perhaps], json!({}), 0),
        (&[BOTH, other], json!({}), 0),
        (&[BOTH], taken, 0),
    ] {
        let (operations, warnings) = created(&set(&json!({}), &template), specs);
        let on_set =
            operations.iter().filter(|op| op["path"].as_str().unwrap().starts_with("/metadata/annotations/"));
        assert_eq!(on_set.count(), added, "{specs:?} {template}");
        assert_eq!(
            warnings.iter().any(|w| w.contains("no pod has its name as label")),
            added == 0,
            "{warnings:?}"
        );
    }
    let own = json!({"service-per-pod-label": "other"});
    assert_eq!(
        created(&set(&own, &json!({})), &[SERVICES]).0.len(),
        0,
        "nor are ports added to a label that selects nothing"
    );
    let own = json!({"service-per-pod-label": "statefulset.kubernetes.io/pod-name"});
    assert_eq!(created(&set(&own, &json!({})), &[ALONE]).0.len(), 1);
}

#[test]
fn the_strongest_policy_that_surely_applies_decides() {
    let plain = set(&json!({}), &json!({}));
    let ports = |specs: &[&str]| {
        let added = created(&plain, specs).0;
        let is_ports = |path: &Value| path.as_str().unwrap().ends_with("service-per-pod-ports");
        added.into_iter().find(|op| is_ports(&op["path"])).map(|op| op["value"].clone())
    };
    let of = |priority: u8, scope: &str, ports: &str| {
        format!("{{priority: {priority}, match: {scope}, mutate: {{servicePerPod: {{ports: '{ports}'}}}}}}")
    };
    let (weak, strong) = (of(1, "{}", "1:1"), of(2, "{}", "2:2"));
    assert_eq!(ports(&[&weak, &strong]), Some(json!("2:2")));
    assert_eq!(ports(&[&weak, &of(2, "{namespaces: [other]}", "2:2")]), Some(json!("1:1")));
    let perhaps = of(2, "{namespaceSelector: {matchLabels: {a: b}}}", "2:2");
    assert_eq!(ports(&[&weak, &perhaps]), None, "the namespace's labels are not known");
    assert_eq!(
        ports(&[&strong, &of(1, "{namespaceSelector: {matchLabels: {a: b}}}", "1:1")]),
        Some(json!("2:2"))
    );
    assert_eq!(ports(&[]), None);
}

#[test]
fn what_goes_away_is_left_alone() {
    let mut going = set(&json!({}), &json!({}));
    going["metadata"]["deletionTimestamp"] = json!("2026-11-24T00:00:00Z");
    let (operations, warnings) = answer(&review("statefulsets", &going, Some(&going)), &policies(&[BOTH]));
    assert_eq!((operations.len(), warnings.len()), (0, 0));
    let mut by_gc: Value =
        serde_json::from_slice(&review("statefulsets", &set(&json!({}), &json!({})), None)).unwrap();
    by_gc["request"]["userInfo"] =
        json!({"username": "system:serviceaccount:kube-system:generic-garbage-collector"});
    assert_eq!(answer(&serde_json::to_vec(&by_gc).unwrap(), &policies(&[BOTH])).0.len(), 0);
}

#[test]
fn a_pod_gets_its_label_where_it_can() {
    let long = "a".repeat(64);
    for (name, key, own, added, said) in [
        (Some("web-0"), "pod-name", None, true, ""),
        (None, "pod-name", None, false, ""),
        (Some("web-0"), "pod-name", Some("web-0"), false, ""),
        (Some("web-0"), "pod-name", Some("mine"), false, "pod-name=mine"),
        (Some("web-0"), "", None, false, "not a valid label key"),
        (Some("web-0"), "no key", None, false, "not a valid label key"),
        (Some(&*long), "pod-name", None, false, "longer than a label's value"),
    ] {
        let mut pod = json!({"metadata": {"generateName": "web-", "labels": {"app": "web"}, "annotations": {"pod-name-label": key}}});
        if let Some(name) = name {
            pod["metadata"]["name"] = json!(name);
        }
        if let Some(own) = own {
            pod["metadata"]["labels"][key] = json!(own);
        }
        let (operations, warnings) = answer(&review("pods", &pod, None), &policies(&[]));
        assert_eq!(operations.len(), usize::from(added), "{pod}");
        assert_eq!(warnings.is_empty(), said.is_empty(), "{pod}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains(said)), "{warnings:?}");
    }
    let plain = json!({"metadata": {"name": "web-0"}});
    assert_eq!(answer(&review("pods", &plain, None), &policies(&[BOTH])).0.len(), 0);
}

/// Files are judged as they would be once the webhook has been over them.
#[test]
fn an_audit_judges_after_mutation() {
    let manifest = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: demo, annotations: {service-per-pod-label: pod-name, service-per-pod-ports: '80:80'}}
spec: {serviceName: web, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: nginx}]}}}
";
    let rules = |specs: &[&str]| {
        let mut inventory = Inventory::new(None);
        inventory.add(&Source::new("app.yaml", manifest, SourceOrigin::Named));
        let report = audit::audit(
            &inventory,
            &policies(specs),
            audit::AuditConfig::default(),
            "2026-11-24T00:00:00Z".parse().unwrap(),
        );
        let mut out = Vec::new();
        stateward::report::formats::ReportFormat::Json.write(&report, &mut out).unwrap();
        let report: Value = serde_json::from_slice(&out).unwrap();
        let rules =
            report["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap().to_owned());
        rules.collect::<Vec<_>>()
    };
    assert!(rules(&[]).contains(&"service-per-pod-label-unset".to_owned()));
    assert!(
        !rules(&["{mutate: {podNameLabel: pod-name}}"]).contains(&"service-per-pod-label-unset".to_owned())
    );
    assert!(
        rules(&["{mutate: {podNameLabel: other}}"]).contains(&"service-per-pod-label-unset".to_owned()),
        "another label does not help"
    );
}

#[test]
fn a_policy_that_would_break_what_it_touches_is_refused() {
    for (spec, pointer) in [
        ("{mutate: {podNameLabel: 'pod name'}}", "/spec/mutate/podNameLabel"),
        ("{mutate: {servicePerPod: {label: '', ports: '80:80'}}}", "/spec/mutate/servicePerPod/label"),
        ("{mutate: {servicePerPod: {ports: '80:http'}}}", "/spec/mutate/servicePerPod/ports"),
        ("{mutate: {servicePerPod: {label: a}}}", "/spec/mutate/servicePerPod"),
        ("{mutate: {podNameLabel: controller-revision-hash}}", "/spec/mutate/podNameLabel"),
        ("{mutate: {podNameLabels: a}}", "/spec/mutate/podNameLabels"),
    ] {
        let error = try_policies(&[spec]).unwrap_err();
        assert_eq!(error.pointer, pointer, "{error}");
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z~/]{0,6}".prop_map(Value::from)
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z~/]{1,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Entries that no rule knows.
fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::hash_map("x[a-zA-Z~/]{1,6}", anything(), 0..4).prop_map(|map| map.into_iter().collect())
}

fn annotations() -> impl Strategy<Value = Option<Value>> {
    let key = prop_oneof![
        Just("service-per-pod-label".to_owned()),
        Just("service-per-pod-ports".to_owned()),
        Just("pod-name-label".to_owned()),
        "[a-z~/]{1,6}",
    ];
    let map = prop::collection::hash_map(key, "[a-z/~]{0,8}", 0..4).prop_map(|map| Some(json!(map)));
    prop_oneof![Just(None), Just(Some(Value::Null)), map]
}

/// `metadata` with a name, any annotations, any labels, and what else there may be.
fn metadata() -> impl Strategy<Value = Option<Value>> {
    let map = (unknown(), annotations(), annotations(), any::<bool>());
    let map = map.prop_map(|(mut map, annotations, labels, has_name)| {
        map.extend(annotations.map(|value| ("annotations".to_owned(), value)));
        map.extend(labels.map(|value| ("labels".to_owned(), value)));
        map.extend(has_name.then(|| ("name".to_owned(), json!("web-0"))));
        Some(Value::Object(map))
    });
    prop_oneof![Just(None), Just(Some(Value::Null)), map]
}

fn object() -> impl Strategy<Value = Value> {
    (unknown(), metadata(), unknown(), unknown(), metadata(), 0..3_i32).prop_map(
        |(mut object, own, mut spec, mut template, of_pods, replicas)| {
            template.extend(of_pods.map(|value| ("metadata".to_owned(), value)));
            spec.insert("template".to_owned(), Value::Object(template));
            spec.insert("replicas".to_owned(), json!(replicas));
            spec.insert("selector".to_owned(), json!({"matchLabels": {"app": "web"}}));
            object.insert("spec".to_owned(), Value::Object(spec));
            object.extend(own.map(|value| ("metadata".to_owned(), value)));
            Value::Object(object)
        },
    )
}

/// Whether everything that `before` says, `after` says too. Null and an empty map say nothing.
fn keeps(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Null, _) => true,
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .all(|(key, value)| value.is_null() || after.get(key).is_some_and(|other| keeps(value, other))),
        _ => before == after,
    }
}

proptest! {
    #[test]
    fn a_second_time_adds_nothing_and_nothing_is_lost(object in object(), old in prop::option::of(object()), pod in any::<bool>()) {
        let resource = if pod { "pods" } else { "statefulsets" };
        let old = old.filter(|_| !pod);
        let policies = policies(&[BOTH]);
        let (operations, warnings) = answer(&review(resource, &object, old.as_ref()), &policies);
        let once = patched(object.clone(), &operations);
        prop_assert!(keeps(&object, &once), "{object} {once}");
        prop_assert_eq!(&object["spec"]["selector"], &once["spec"]["selector"]);
        let (again, said) = answer(&review(resource, &once, old.as_ref()), &policies);
        prop_assert_eq!(again, [] as [Value; 0]);
        prop_assert_eq!(warnings, said);
    }

    /// Whatever an object looks like, a patch for it can be applied.
    #[test]
    fn a_patch_fits_any_object(object in anything()) {
        let addition = |map, key: &str| stateward::mutate::Addition { map, key: key.to_owned(), value: "v".to_owned() };
        let additions = [
            addition(stateward::mutate::MutatedMap::TemplateAnnotations, "a/b~c"),
            addition(stateward::mutate::MutatedMap::Annotations, "d"),
            addition(stateward::mutate::MutatedMap::Labels, "~1"),
        ];
        let patch = stateward::mutate::patch(object.clone(), &additions);
        let mut once = object.clone();
        json_patch::patch(&mut once, &patch).unwrap();
        prop_assert!(keeps(&object, &once));
        prop_assert!(stateward::mutate::patch(once, &additions).0.is_empty());
    }
}
