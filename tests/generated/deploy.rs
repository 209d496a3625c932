//! The manifests in `deploy/`, as far as they can be tried without a cluster.
//!
//! Where kubectl and helm are beside the binaries in `KUBEBUILDER_ASSETS`, or on the path, the chart and the kustomization are
//! rendered and compared, object by object.

use crate::manifests;
use std::{collections::BTreeMap, fs, path::Path, process::Command};

use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    scheduling::v1::PriorityClass,
};
use manifests::{deploy, installation, objects, output, parse, tool};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use stateward::server::Drain;

fn of_kind(kind: &str) -> Value {
    installation().into_iter().find(|object| object["kind"] == kind).unwrap()
}

fn read(file: &str) -> String {
    fs::read_to_string(deploy().join(file)).unwrap()
}

/// What a type keeps of an object.
fn kept<T: Serialize + DeserializeOwned>(object: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
}

/// The places where `whole` is not as `part` says.
fn differences(part: &Value, whole: &Value, place: &str, found: &mut Vec<String>) {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            for (key, value) in part {
                differences(value, whole.get(key).unwrap_or(&Value::Null), &format!("{place}/{key}"), found);
            }
        }
        (Value::Array(part), Value::Array(whole)) if part.len() == whole.len() => {
            for (index, (value, other)) in part.iter().zip(whole).enumerate() {
                differences(value, other, &format!("{place}/{index}"), found);
            }
        }
        _ if part == whole => {}
        _ => found.push(format!("{place}: {part} is {whole}")),
    }
}

/// A misspelt field is one that the types of the API do not know.
#[test]
fn no_field_is_misspelt() {
    let mut objects_of = installation();
    for file in ["service-per-pod/rbac.yaml", "monitoring/service.yaml", "fail/validating.yaml"] {
        objects_of.extend(objects(&format!("components/{file}")));
    }
    for object in objects_of {
        let typed = match object["kind"].as_str().unwrap() {
            "Namespace" => kept::<Namespace>(&object),
            "PriorityClass" => kept::<PriorityClass>(&object),
            "ServiceAccount" => kept::<ServiceAccount>(&object),
            "ClusterRole" => kept::<ClusterRole>(&object),
            "ClusterRoleBinding" => kept::<ClusterRoleBinding>(&object),
            "Role" => kept::<Role>(&object),
            "RoleBinding" => kept::<RoleBinding>(&object),
            "Service" => kept::<Service>(&object),
            "Deployment" => kept::<Deployment>(&object),
            "PodDisruptionBudget" => kept::<PodDisruptionBudget>(&object),
            "NetworkPolicy" => kept::<NetworkPolicy>(&object),
            "ValidatingWebhookConfiguration" => kept::<ValidatingWebhookConfiguration>(&object),
            "MutatingWebhookConfiguration" => kept::<MutatingWebhookConfiguration>(&object),
            "ConfigMap" => kept::<ConfigMap>(&object),
            other => panic!("{other} has no type here"),
        };
        let mut lost = Vec::new();
        differences(&object, &typed, "", &mut lost);
        assert!(lost.is_empty(), "{}: {lost:?}", object["kind"]);
    }
}

#[test]
fn our_own_audit_finds_nothing_in_them() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    command.args(["audit", "--profile", "strict", "--fail-on", "audit", "deploy/base", "deploy/components"]);
    let output = command.arg("deploy/overlays").current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// What it asks of others it does itself: judged as the StatefulSet that it is not.
#[test]
fn it_is_held_to_its_own_rules() {
    let mut set = of_kind("Deployment");
    set["kind"] = "StatefulSet".into();
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [set, of_kind("PodDisruptionBudget")]});
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    command.args(["audit", "--profile", "strict", "--format", "json", "-"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.json");
    fs::write(&file, objects.to_string()).unwrap();
    let output = command.stdin(fs::File::open(file).unwrap()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["summary"]["statefulSets"], 1, "{report}");
    let rules =
        report["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap());
    assert_eq!(rules.collect::<Vec<_>>(), ["service-name-missing"], "{report}");
}

#[test]
fn the_end_comes_after_the_drain() {
    let Drain { serve_for, finish_within } = Drain::default();
    let whole = (serve_for + finish_within).as_secs();
    let grace = &of_kind("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
    assert!(grace.as_u64().unwrap() > whole, "{grace}");
    let chart = read("chart/templates/deployment.yaml");
    assert!(chart.contains("terminationGracePeriodSeconds: {{ add .Values.drainSeconds 30 }}"));
    assert_eq!((serve_for.as_secs(), finish_within.as_secs()), (10, 20));
    assert_eq!(objects_of_values()["drainSeconds"], 10);
}

/// `--help` is only reached past flags that there are.
fn is_understood(deployment: &Value) {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    let output = command.args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn its_flags_are_those_of_the_program() {
    is_understood(&of_kind("Deployment"));
}

#[test]
fn the_image_is_of_this_version() {
    let image = format!("stateward:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(of_kind("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"], image);
    let chart = read("chart/Chart.yaml");
    for key in ["version", "appVersion"] {
        assert!(chart.contains(&format!("\n{key}: {}\n", env!("CARGO_PKG_VERSION"))), "{key}");
    }
}

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, text);
        } else {
            *text += &fs::read_to_string(entry).unwrap();
        }
    }
}

/// An alert on a metric that nobody counts never rings.
#[test]
fn alerts_are_about_metrics_that_exist() {
    let mut program = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut program);
    let alerts = read("components/monitoring/alerts.yaml");
    let names: Vec<&str> = alerts
        .split(|c: char| !c.is_ascii_lowercase() && c != '_')
        .filter_map(|word| word.strip_prefix("stateward_"))
        .collect();
    assert!(names.len() > 5);
    for name in names {
        let stem = name.trim_end_matches("_total").trim_end_matches("_info");
        assert!(program.contains(&format!("register(\"{stem}\"")), "stateward_{name}");
    }
}

fn objects_of_values() -> Value {
    serde_saphyr::from_str(&read("chart/values.yaml")).unwrap()
}

/// Every value has its place in the schema, and the schema knows no value that there is not.
fn same_keys(schema: &Value, values: &Value, place: &str) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (key, value) in values.as_object().into_iter().flatten() {
        assert!(properties.contains_key(key), "{place}.{key} is not in the schema");
        same_keys(&properties[key], value, &format!("{place}.{key}"));
    }
    let free =
        |key: &str| place == ".certificates.certManager.issuerRef" || (place.is_empty() && key == "global");
    for key in properties.keys().filter(|key| !free(key)) {
        assert!(values.get(key).is_some(), "{place}.{key} is not in values.yaml");
    }
}

#[test]
fn the_schema_is_about_the_values() {
    let schema: Value = serde_json::from_str(&read("chart/values.schema.json")).unwrap();
    same_keys(&schema, &objects_of_values(), "");
}

/// An object by kind and name, without what only one of the tools writes.
fn normalised(objects: Vec<Value>) -> BTreeMap<String, Value> {
    const OF_HELM: [&str; 4] = ["helm.sh/chart", "instance", "version", "managed-by"];
    let mut all = BTreeMap::new();
    for mut object in objects {
        if object["kind"] == "Namespace" {
            continue; // `helm install --create-namespace`
        }
        let text = object.to_string();
        if let Some((_, rest)) = text.split_once("stateward-policies-") {
            let hash = format!("stateward-policies-{}", &rest[..rest.find('"').unwrap()]);
            object = serde_json::from_str(&text.replace(&hash, "stateward-policies")).unwrap();
        }
        if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
            labels.retain(|key, _| !OF_HELM.iter().any(|of_helm| key.ends_with(of_helm)));
        }
        if let Some(annotations) = object.pointer_mut("/spec/template/metadata/annotations") {
            annotations.as_object_mut().unwrap().remove("checksum/policies");
        }
        let key =
            format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        assert!(all.insert(key, object).is_none());
    }
    all
}

#[test]
fn chart_and_kustomization_are_the_same() {
    let (Some(kubectl), Some(helm)) = (tool("kubectl"), tool("helm")) else { return };
    for (folder, values) in [
        (".", ""),
        ("overlays/strict", "profile=strict"),
        ("overlays/fail", "failurePolicy=Fail"),
        ("overlays/cert-manager", "certificates.mode=cert-manager"),
        ("overlays/monitoring", "serviceMonitor.enabled=true,prometheusRule.enabled=true"),
        ("overlays/service-per-pod", "servicePerPod.enabled=true"),
    ] {
        let kustomized = output(&kubectl, &["kustomize", folder]);
        let mut arguments = vec!["template", "stateward", "chart", "--namespace", "stateward"];
        arguments.extend(["--set", values].into_iter().filter(|_| !values.is_empty()));
        let templated = output(&helm, &arguments);
        let kustomized = normalised(parse(folder, kustomized));
        let templated = normalised(parse("chart", templated));
        let (ours, theirs): (Vec<_>, Vec<_>) = (kustomized.keys().collect(), templated.keys().collect());
        assert_eq!(ours, theirs, "{folder}");
        for (key, object) in &kustomized {
            let mut found = Vec::new();
            differences(object, &templated[key], "", &mut found);
            differences(&templated[key], object, "", &mut found);
            assert!(found.is_empty(), "{folder}, {key}: {found:#?}");
        }
        is_understood(&kustomized["Deployment stateward"]);
    }
}

#[test]
fn the_chart_takes_what_people_set() {
    let Some(helm) = tool("helm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    fs::write(&file, VALUES).unwrap();
    let arguments =
        ["template", "stateward", "chart", "--namespace", "guards", "--values", file.to_str().unwrap()];
    let objects = parse("chart", output(&helm, &arguments));
    let one = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let pod = &one("Deployment")["spec"]["template"];
    assert_eq!(pod["metadata"]["annotations"]["team"], "storage");
    is_understood(one("Deployment"));
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/stateward@sha256:".to_owned() + &"0".repeat(64));
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 50);
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    for argument in
        ["--drain-seconds=20", "--events=false", "--cert-file=/etc/stateward/tls/tls.crt", "--log=debug"]
    {
        assert!(arguments.contains(&argument), "{arguments:?}");
    }
    assert!(one("ConfigMap")["data"]["a.yaml"].as_str().unwrap().starts_with("kind:"));
    let kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert!(!kinds.contains(&"NetworkPolicy") && !kinds.contains(&"PriorityClass"), "{kinds:?}");
    for kind in ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"] {
        for webhook in one(kind)["webhooks"].as_array().unwrap() {
            assert_eq!(webhook["failurePolicy"], "Fail");
            assert!(webhook["clientConfig"]["caBundle"].is_string());
            assert_eq!(webhook["clientConfig"]["service"]["namespace"], "guards");
            let excluded = &webhook["namespaceSelector"]["matchExpressions"][0]["values"];
            assert_eq!(*excluded, json!(["kube-system", "guards", "istio-system"]));
        }
    }
    for object in objects.iter().filter(|object| object["metadata"]["namespace"].is_string()) {
        assert_eq!(object["metadata"]["namespace"], "guards", "{}", object["kind"]);
    }
}

const VALUES: &str = "
image:
  repository: registry.example/stateward
  digest: sha256:0000000000000000000000000000000000000000000000000000000000000000
failurePolicy: Fail
excludedNamespaces: [istio-system]
certificates:
  mode: secret
  caBundle: |
    -----BEGIN CERTIFICATE-----
policies:
  a.yaml: |
    kind: StatefulSetPolicy
podAnnotations: {team: storage}
drainSeconds: 20
events: false
log: debug
networkPolicy: {enabled: false}
priorityClass: {create: false}
";
