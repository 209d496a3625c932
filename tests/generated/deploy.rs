//! The manifests in `deploy/`, as far as they can be tried without a cluster.
//!
//! Where kubectl and helm are beside the binaries in `KUBEBUILDER_ASSETS`, or on the path, the chart and the kustomization are
//! rendered and compared, object by object.

use crate::manifests;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    scheduling::v1::PriorityClass,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
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
    for file in [
        "service-per-pod/rbac.yaml",
        "label-pods/rbac.yaml",
        "reports/rbac.yaml",
        "monitoring/service.yaml",
        "fail/validating.yaml",
    ] {
        objects_of.extend(objects(&format!("components/{file}")));
    }
    no_field_is_lost(&objects_of);
}

fn no_field_is_lost(objects: &[Value]) {
    for object in objects {
        let typed = match object["kind"].as_str().unwrap() {
            "CustomResourceDefinition" => kept::<CustomResourceDefinition>(object),
            "Namespace" => kept::<Namespace>(object),
            "PriorityClass" => kept::<PriorityClass>(object),
            "ServiceAccount" => kept::<ServiceAccount>(object),
            "ClusterRole" => kept::<ClusterRole>(object),
            "ClusterRoleBinding" => kept::<ClusterRoleBinding>(object),
            "Role" => kept::<Role>(object),
            "RoleBinding" => kept::<RoleBinding>(object),
            "Service" => kept::<Service>(object),
            "Deployment" => kept::<Deployment>(object),
            "PodDisruptionBudget" => kept::<PodDisruptionBudget>(object),
            "NetworkPolicy" => kept::<NetworkPolicy>(object),
            "ValidatingWebhookConfiguration" => kept::<ValidatingWebhookConfiguration>(object),
            "MutatingWebhookConfiguration" => kept::<MutatingWebhookConfiguration>(object),
            "ConfigMap" => kept::<ConfigMap>(object),
            "Pod" => kept::<Pod>(object),
            // Of the Prometheus operator and of cert-manager, whose types are not here.
            "ServiceMonitor" | "PrometheusRule" | "Certificate" | "Issuer" => continue,
            other => panic!("{other} has no type here"),
        };
        let mut lost = Vec::new();
        differences(object, &typed, "", &mut lost);
        assert!(lost.is_empty(), "{}: {lost:?}", object["kind"]);
    }
}

#[test]
fn our_own_audit_finds_nothing_in_them() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    command.args(["audit", "--profile", "strict", "--fail-on", "audit", "--fail-on-empty=false"]);
    command.args(["deploy/base", "deploy/components"]);
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
    are_understood(&deployment["spec"]["template"]["spec"]);
}

fn are_understood(pod: &Value) {
    for container in pod["containers"].as_array().unwrap() {
        let arguments = container["args"].as_array().unwrap().iter();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
        command.args(arguments.map(|argument| argument.as_str().unwrap()));
        let output = command.arg("--help").output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
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

/// An alert on a metric that does not exist never fires, and a panel on one stays empty.
#[test]
fn alerts_and_panels_are_about_metrics_that_exist() {
    let mut program = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut program);
    for file in ["components/monitoring/alerts.yaml", "components/dashboard/stateward.json"] {
        let text = read(file);
        let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
        let names: Vec<&str> = words.filter_map(|word| word.strip_prefix("stateward_")).collect();
        assert!(names.len() > 5);
        for name in names {
            let stem = ["_total", "_info", "_bucket", "_count"]
                .iter()
                .fold(name, |stem, suffix| stem.strip_suffix(suffix).unwrap_or(stem));
            assert!(program.contains(&format!("register(\"{stem}\"")), "{file}: stateward_{name}");
        }
    }
}

/// Every rule of the alerts, in their order.
fn alerts() -> Vec<Value> {
    let rules = objects("components/monitoring/alerts.yaml").remove(0);
    let groups = rules["spec"]["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn every_alert_has_its_page() {
    let page = fs::read_to_string(deploy().join("../docs/alerts.md")).unwrap();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let url = alert["annotations"]["runbook_url"].as_str().unwrap();
        assert!(url.ends_with(&format!("/docs/alerts.md#{}", name.to_lowercase())), "{url}");
        assert!(page.contains(&format!("\n## {name}\n")), "{name}");
    }
}

/// Every Markdown file of a folder, and of the folders in it.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            pages(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "md") {
            found.push(entry);
        }
    }
}

#[test]
fn no_link_leads_nowhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("README.md"), root.join("certs/README.md")];
    for folder in ["docs", "deploy", "policies"] {
        pages(&root.join(folder), &mut found);
    }
    assert!(found.len() > 15);
    for page in found {
        let text = fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            assert!(page.parent().unwrap().join(link).exists(), "{}: {link}", page.display());
        }
    }
}

/// What the pages tell people to search the log for.
#[test]
fn the_pages_quote_what_the_program_says() {
    let mut program = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut program);
    let pages = ["alerts", "certificates", "emergency"];
    let pages = pages.map(|page| fs::read_to_string(deploy().join(format!("../docs/{page}.md"))).unwrap());
    let pages = pages.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    for said in [
        "policy not used",
        "a review panicked",
        "cannot read lease",
        "live read before denial failed",
        "background reports are held up",
    ] {
        assert!(program.contains(said), "the program does not say `{said}`");
        assert!(pages.iter().any(|page| page.contains(said)), "no page mentions `{said}`");
    }
}

#[test]
fn alerts_fire_when_they_should() {
    let Some(promtool) = tool("promtool") else { return };
    output(&promtool, &["check", "rules", "monitoring/alerts.rules.yaml"]);
    let tests = ["monitoring/alerts.test.yaml", "monitoring/certificate.test.yaml"];
    output(&promtool, &[&["test", "rules"], &tests[..]].concat());
    for alert in alerts() {
        let name = format!("alertname: {}\n", alert["alert"].as_str().unwrap());
        assert!(tests.iter().any(|file| read(file).contains(&name)), "{name} has no test in which it fires");
    }
}

/// Each query of the dashboard, with values for the variables of Grafana.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("components/dashboard/stateward.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let filled = targets.map(|target| {
        let query = target["expr"].as_str().unwrap().replace("$namespace", ".*");
        query.replace("$__rate_interval", "5m").replace("$__range", "6h")
    });
    filled.collect()
}

#[test]
fn the_panels_ask_what_prometheus_understands() {
    let rules = queries().into_iter().enumerate();
    let rules = rules.map(|(index, query)| json!({"record": format!("panel:{index}"), "expr": query}));
    let rules = rules.collect::<Vec<_>>();
    assert!(rules.len() > 20 && rules.iter().all(|rule| !rule["expr"].as_str().unwrap().contains('$')));
    let Some(promtool) = tool("promtool") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, json!({"groups": [{"name": "panels", "rules": rules}]}).to_string()).unwrap();
    output(&promtool, &["check", "rules", file.to_str().unwrap()]);
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
    let free = |key: &str| {
        [".certificates.certManager.issuerRef", ".webhooks.namespaceSelector"].contains(&place)
            || (place.is_empty() && key == "global")
    };
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
        // Versions of kustomize differ in where they put the entries that a patch names; the API server asks all of them at once.
        if let Some(webhooks) = object["webhooks"].as_array_mut() {
            webhooks.sort_by_key(|webhook| webhook["name"].to_string());
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

/// What the chart makes of values, in a namespace.
fn templated(helm: &Path, chart: &str, namespace: &str, values: &[&str]) -> Vec<Value> {
    let arguments = [&["template", "stateward", chart, "--namespace", namespace], values].concat();
    parse("chart", &output(helm, &arguments))
}

/// Fails unless both have the same objects.
fn assert_same(place: &str, ours: Vec<Value>, theirs: Vec<Value>) {
    let (ours, theirs) = (normalised(ours), normalised(theirs));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{place}");
    for (key, object) in &ours {
        let mut found = Vec::new();
        differences(object, &theirs[key], "", &mut found);
        differences(&theirs[key], object, "", &mut found);
        assert!(found.is_empty(), "{place}, {key}: {found:#?}");
    }
}

const EVERYTHING: &str = "certificates.mode=cert-manager,profile=strict,serviceMonitor.enabled=true,prometheusRule.enabled=true,\
                          dashboard.enabled=true,servicePerPod.enabled=true,servicePerPod.labelPods=true,reports.enabled=true,\
                          failurePolicy=Fail";

#[test]
fn chart_and_kustomization_are_the_same() {
    let (Some(kubectl), Some(helm)) = (tool("kubectl"), tool("helm")) else { return };
    for (folder, namespace, values) in [
        (".", "stateward", "replicas=2"),
        ("overlays/strict", "stateward", "profile=strict"),
        ("overlays/fail", "stateward", "failurePolicy=Fail"),
        ("overlays/cert-manager", "stateward", "certificates.mode=cert-manager"),
        ("overlays/monitoring", "stateward", "serviceMonitor.enabled=true,prometheusRule.enabled=true"),
        ("overlays/service-per-pod", "stateward", "servicePerPod.enabled=true"),
        ("overlays/reports", "stateward", "reports.enabled=true"),
        ("overlays/everything", "stateward", EVERYTHING),
        ("overlays/namespace", "guards", "certificates.mode=cert-manager"),
    ] {
        let mut kustomized = parse(folder, &output(&kubectl, &["kustomize", folder]));
        // Helm installs what is in `crds/` without rendering it; a test of its own compares the two files.
        kustomized.retain(|object| object["kind"] != "CustomResourceDefinition");
        let mut templated = templated(&helm, "chart", namespace, &["--set", values]);
        templated.retain(|object| object["metadata"]["annotations"]["helm.sh/hook"].is_null());
        let is_deployment = |object: &&Value| object["kind"] == "Deployment";
        is_understood(kustomized.iter().find(is_deployment).unwrap());
        assert_same(folder, kustomized, templated);
    }
}

/// `helm upgrade --reuse-values` gives a chart the values of the older one, without what came since: here, without any.
#[test]
fn the_chart_does_with_the_values_of_an_older_one() {
    let Some(helm) = tool("helm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("stateward");
    output(Path::new("cp"), &["-r", "chart", chart.to_str().unwrap()]);
    fs::write(chart.join("values.yaml"), "{}").unwrap();
    for values in ["replicas=2", EVERYTHING] {
        let older = templated(&helm, chart.to_str().unwrap(), "stateward", &["--set", values]);
        assert_same(values, templated(&helm, "chart", "stateward", &["--set", values]), older);
    }
}

#[test]
fn the_chart_takes_what_people_set() {
    let Some(helm) = tool("helm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    fs::write(&file, VALUES).unwrap();
    let objects = templated(&helm, "chart", "guards", &["--values", file.to_str().unwrap()]);
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
            let stays_open = kind.starts_with("Validating")
                && stateward::webhook_config::ALWAYS_OPEN.contains(&webhook["name"].as_str().unwrap());
            assert_eq!(webhook["failurePolicy"], if stays_open { "Ignore" } else { "Fail" });
            assert!(webhook["clientConfig"]["caBundle"].is_string());
            assert_eq!(webhook["clientConfig"]["service"]["namespace"], "guards");
            let excluded = &webhook["namespaceSelector"]["matchExpressions"][0]["values"];
            assert_eq!(*excluded, json!(["kube-system", "guards", "istio-system"]));
        }
    }
    no_field_is_lost(&objects);
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

/// Names, where the API server reaches it, what OpenShift and network policies ask for.
#[test]
fn the_chart_fits_into_other_clusters() {
    let Some(helm) = tool("helm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    fs::write(&file, ELSEWHERE).unwrap();
    let objects = templated(&helm, "chart", "guards", &["--values", file.to_str().unwrap()]);
    no_field_is_lost(&objects);
    let one = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    is_understood(one("Deployment"));
    are_understood(&one("Pod")["spec"]);
    let rollout = &one("Deployment")["spec"]["strategy"]["rollingUpdate"];
    assert_eq!(*rollout, json!({"maxSurge": 0, "maxUnavailable": 1}), "the ports of a node are taken");
    let pod = &one("Deployment")["spec"]["template"];
    let labels =
        json!({"app.kubernetes.io/name": "guard", "app.kubernetes.io/part-of": "stateward", "team": "a"});
    assert_eq!(pod["metadata"]["labels"], labels);
    let (pod, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
    assert_eq!(container["image"], "registry.example/mirror/stateward:0.1.0");
    for argument in [
        "--bind=[::]:10250",
        "--ops-bind=[::]:8080",
        "--service-name=canary",
        "--webhook-configuration=canary",
    ] {
        assert!(container["args"].as_array().unwrap().contains(&argument.into()), "{container}");
    }
    assert_eq!(container["ports"][0]["containerPort"], 10250);
    assert_eq!((&pod["hostNetwork"], &pod["dnsPolicy"]), (&true.into(), &"ClusterFirstWithHostNet".into()));
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    assert_eq!(
        (&pod["serviceAccountName"], &pod["volumes"][1]["name"]),
        (&"robot".into(), &"scratch".into())
    );
    assert_eq!(
        (&container["env"][1]["value"], &container["volumeMounts"][1]["mountPath"]),
        (&"UTC".into(), &"/scratch".into())
    );
    assert_eq!(container["livenessProbe"]["timeoutSeconds"], 9);
    assert!(objects.iter().all(|object| object["kind"] != "ServiceAccount"));
    assert_eq!(
        one("ClusterRoleBinding")["subjects"][0],
        json!({"kind": "ServiceAccount", "name": "robot", "namespace": "guards"})
    );
    its_names_agree(&objects);
    let policy = &one("NetworkPolicy")["spec"];
    assert_eq!(policy["podSelector"]["matchLabels"], json!({"app.kubernetes.io/name": "guard"}));
    assert_eq!(policy["ingress"][0]["from"], json!([{"ipBlock": {"cidr": "10.0.0.0/28"}}]));
    assert_eq!(policy["egress"][0]["ports"], json!([{"protocol": "TCP", "port": 18443}]));
    assert_eq!(policy["egress"][0]["to"], json!([{"ipBlock": {"cidr": "10.0.0.0/28"}}]));
    assert_eq!(policy["egress"][2]["ports"][0]["port"], 4317);
}

/// Every object has the one name or begins with it, and what names another names it so.
fn its_names_agree(objects: &[Value]) {
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("canary") || object["kind"] == "PriorityClass", "{name}");
        assert_eq!(object["metadata"]["labels"]["team"], "a", "{name}");
        for webhook in object["webhooks"].as_array().into_iter().flatten() {
            assert_eq!(webhook["clientConfig"]["service"]["name"], "canary");
            let timeout = if object["kind"] == "ValidatingWebhookConfiguration" { 5 } else { 4 };
            assert_eq!(webhook["timeoutSeconds"], timeout);
            let expressions = &webhook["namespaceSelector"]["matchExpressions"];
            assert_eq!(expressions[1], json!({"key": "guarded", "operator": "Exists"}));
        }
        if object["roleRef"].is_object() {
            assert_eq!(object["roleRef"]["name"], "canary");
        }
        let rules = object["rules"].as_array().into_iter().flatten();
        for rule in rules.filter(|rule| rule["apiGroups"] == json!(["admissionregistration.k8s.io"])) {
            assert_eq!(rule["resourceNames"], json!(["canary"]));
        }
    }
    let monitor = objects.iter().find(|object| object["kind"] == "ServiceMonitor").unwrap();
    assert_eq!(monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"], "guard");
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(
        (&endpoint["relabelings"][0]["targetLabel"], &endpoint["scrapeTimeout"]),
        (&"node".into(), &"5s".into())
    );
}

const ELSEWHERE: &str = "
fullnameOverride: canary
nameOverride: guard
commonLabels: {team: a}
image: {registry: registry.example, repository: mirror/stateward}
serviceAccount: {create: false, name: robot}
ports: {webhook: 10250}
bindAddress: '::'
hostNetwork: true
podSecurityContext: {runAsUser: null, runAsGroup: null}
env: [{name: TZ, value: UTC}]
volumes: [{name: scratch, emptyDir: {}}]
volumeMounts: [{name: scratch, mountPath: /scratch}]
probes: {liveness: {timeoutSeconds: 9}}
webhooks:
  validatingTimeoutSeconds: 5
  mutatingTimeoutSeconds: 4
  namespaceSelector: {matchExpressions: [{key: guarded, operator: Exists}]}
networkPolicy:
  webhookFrom: [{ipBlock: {cidr: 10.0.0.0/28}}]
  apiServerTo: [{ipBlock: {cidr: 10.0.0.0/28}}]
  apiServerPorts: [18443]
  extraEgress: [{ports: [{protocol: TCP, port: 4317}]}]
serviceMonitor:
  enabled: true
  scrapeTimeout: 5s
  relabelings: [{sourceLabels: [__meta_kubernetes_pod_node_name], targetLabel: node}]
";

/// What the image says of everything that is linked into the program.
#[test]
fn the_licences_of_all_dependencies_are_in_the_image() {
    let mut script = Command::new("sh");
    script.arg(deploy().join("third-party")).arg("x86_64-unknown-linux-gnu");
    let done = script.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8_lossy(&done.stdout);
    let named = |name: &str| {
        text.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
    };
    for name in ["kube", "ring", "rustls", "serde", "tokio"] {
        assert!(named(name), "{name} is linked in");
    }
    assert!(!named("criterion") && !named("stateward"), "tests are not, and it is its own");
    let licences: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Licence: ")).collect();
    assert!(licences.len() > 100 && licences.iter().all(|licence| !licence.is_empty()), "{licences:?}");
    assert!(text.contains("TERMS AND CONDITIONS FOR USE"));
}
