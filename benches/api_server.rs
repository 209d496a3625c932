//! What the guard adds to the requests of a real API server, beside a webhook that allows everything; and how long it takes to be
//! ready, beside only listing what it reads.
//!
//! Needs the binaries of a control plane, where `KUBEBUILDER_ASSETS` names their folder. `STATEWARD_OBJECTS` is how many objects the
//! cluster has for the second part, which takes a minute for each 50,000 of them; 100,000 unless it is set.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::format_push_string
)]

#[path = "material/constant.rs"]
mod constant;
#[path = "../tests/support/control_plane.rs"]
#[allow(dead_code)]
mod control_plane;
#[path = "../tests/support/kube_api.rs"]
#[allow(dead_code)]
mod kube_api;
#[path = "../tests/support/pki.rs"]
#[allow(dead_code)]
mod pki;
#[path = "../tests/support/stage.rs"]
#[allow(dead_code)]
mod stage;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use stateward::webhook_config;
use tokio::task::JoinSet;
use tokio::time::sleep;

use control_plane::ControlPlane;
use kube_api::{Api, manifests, set_path};
use stage::Guard;

const ROUNDS: usize = 400;
/// Objects that are created at once.
const AT_ONCE: usize = 16;
/// Objects in one page, as the guard lists them.
const PAGE: usize = 250;
const APPLICATION: &str = include_str!("material/application.yaml");

/// Who is asked about the objects of a namespace of this name.
const ASKED: [&str; 3] = ["none", "constant", "guard"];

/// Set for the process that is the webhook which does nothing: where it writes its CA.
const CA_OUT: &str = "STATEWARD_CONSTANT_CA_OUT";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let Some(ca_out) = std::env::var_os(CA_OUT) {
            let (address, ca) = constant::serve().await;
            std::fs::write(ca_out, ca).unwrap();
            println!("{address}");
            return std::future::pending().await;
        }
        let Some(assets) = control_plane::assets() else { return println!("{}", stage::SKIPPED) };
        let plane = ControlPlane::start(&assets, false).unwrap();
        added(&plane).await;
        ready(&plane).await;
    });
}

/// Changes of sets that only the API server, a webhook that does nothing, and the guard are asked about, in turn.
async fn added(plane: &ControlPlane) {
    let api = plane.api();
    let constant = Constant::start();
    let folder = tempfile::tempdir().unwrap();
    let ca_out = format!("--ca-out={}", folder.path().join("ca.crt").display());
    let guard = Guard::with_flags(plane, folder, &["--bind=127.0.0.1:0", &ca_out]).await;
    for asked in ASKED {
        for object in application(asked, "app") {
            api.create(&object).await.allowed();
        }
    }
    register(&api, "constant", constant.port, &constant.ca).await;
    register(&api, "guard", guard.webhook.port(), &std::fs::read(guard.ca()).unwrap()).await;
    // The API server takes a moment to ask those that it was told of.
    sleep(Duration::from_secs(3)).await;
    let before = guard.asked("statefulsets");
    let update = async |asked: &str, round: usize| {
        let change = json!({"metadata": {"annotations": {"touched": round.to_string()}}});
        api.merge(&set_path(asked, "app"), &change).await.allowed();
    };
    let scale = async |asked: &str, set: &str, round: usize| {
        let replicas = if round.is_multiple_of(2) { 4 } else { 3 };
        api.scale(asked, set, replicas).await.allowed();
    };
    compare("update", update).await;
    compare("scale", async |asked, round| scale(asked, "plain", round).await).await;
    compare("warned", async |asked, round| scale(asked, "bare", round).await).await;
    let asked = guard.asked("statefulsets") - before;
    assert!(asked >= f64::from(u32::try_from(ROUNDS).unwrap()), "the guard was asked {asked} times only");
}

/// The webhook that does nothing, in a process of its own as the guard is.
struct Constant {
    process: Child,
    port: u16,
    ca: Vec<u8>,
}

impl Constant {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.crt");
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut process = command.env(CA_OUT, &ca).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let port = address.trim().parse::<SocketAddr>().unwrap().port();
        Self { process, port, ca: std::fs::read(ca).unwrap() }
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

async fn compare(what: &str, request: impl AsyncFn(&str, usize)) {
    let mut times = [const { Vec::new() }; ASKED.len()];
    for round in 0..ROUNDS {
        for (asked, times) in ASKED.iter().zip(&mut times) {
            let start = Instant::now();
            request(asked, round).await;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [alone, constant, guard] = times.map(median);
    let (constant, guard) = (constant - alone, guard - alone);
    println!(
        "{what:<8} {alone:.2} ms alone; a webhook that does nothing adds {constant:.2}, the guard {guard:.2}: {:.2}",
        guard / constant
    );
}

/// Has the server at `port` asked about the namespace of this name, as a cluster is told to ask the guard.
async fn register(api: &Api, name: &str, port: u16, ca: &[u8]) {
    let mut configuration = webhook_config::validating();
    configuration["metadata"]["name"] = name.into();
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        let url = format!("https://localhost:{port}/validate");
        webhook["clientConfig"] = json!({"url": url, "caBundle": ByteString(ca.to_vec())});
        webhook["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
        webhook["failurePolicy"] = "Fail".into();
    }
    api.create(&configuration).await.allowed();
}

/// A namespace with a consensus group and a set that is none, of which the guard has nothing to say; and one that lacks a budget,
/// of which it warns once it has looked again.
fn application(namespace: &str, name: &str) -> Vec<Value> {
    let text =
        APPLICATION.replace("@NAMESPACE@", namespace).replace("@NAME@", name).replace("@REPLICAS@", "3");
    let mut objects = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})];
    objects.extend(manifests::parse("application.yaml", &text));
    let meta = |name: &str| json!({"name": name, "namespace": namespace});
    for name in ["plain", "bare"] {
        let (labels, port) = (json!({"app": name}), json!({"tcpSocket": {"port": 80}}));
        let selector = json!({"matchLabels": labels});
        let term = json!({"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"});
        let preferred = json!([{"weight": 1, "podAffinityTerm": term}]);
        objects.extend([
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": meta(name),
                "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 80}]},
            }),
            json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta(name),
                "spec": {
                    "replicas": 3, "serviceName": name, "selector": selector,
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {
                            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}},
                            "containers": [{"name": name, "image": "example/plain:1", "readinessProbe": port}],
                        },
                    },
                },
            }),
        ]);
        if name == "plain" {
            objects.push(json!({
                "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta(name),
                "spec": {"maxUnavailable": 1, "selector": selector},
            }));
        }
    }
    objects
}

/// From the start of the process until it is ready, in a cluster of many objects, and the time that only listing them takes.
async fn ready(plane: &ControlPlane) {
    let count = std::env::var("STATEWARD_OBJECTS").map_or(100_000, |count| count.parse().unwrap());
    let api = plane.api();
    fill(&api, count).await;
    let lists = [
        "/apis/apps/v1/statefulsets",
        "/api/v1/services",
        "/apis/policy/v1/poddisruptionbudgets",
        "/apis/autoscaling/v2/horizontalpodautoscalers",
        "/api/v1/namespaces",
    ];
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        let listing: JoinSet<()> = lists.into_iter().map(|path| list(api.clone(), path)).collect();
        listing.join_all().await;
        let listed = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let ca_out = format!("--ca-out={}", folder.path().join("ca.crt").display());
        let guard = Guard::with_flags(plane, folder, &["--bind=127.0.0.1:0", &ca_out]).await;
        let ready = start.elapsed().as_secs_f64();
        drop(guard);
        println!("ready    {ready:.1} s among {count} objects, which take {listed:.1} s to list");
        ratios.push(ready / listed);
    }
    println!("ready    {:.2} times as long as listing", median(ratios));
}

/// Reads every page of a list, and nothing of what is in it.
async fn list(api: Api, path: &'static str) {
    let mut next = String::new();
    loop {
        let page = api.bytes(&format!("{path}?limit={PAGE}&continue={next}")).await;
        continued(&page).clone_into(&mut next);
        if next.is_empty() {
            return;
        }
    }
}

/// What a page names as the place to go on from. It stands at the front.
fn continued(page: &[u8]) -> &str {
    const MARK: &str = r#""continue":""#;
    let front = &page[..page.len().min(4096)];
    let front = std::str::from_utf8(front)
        .unwrap_or_else(|error| std::str::from_utf8(&front[..error.valid_up_to()]).unwrap());
    let rest = front.split_once(MARK).map_or("", |(_, rest)| rest);
    rest.split_once('"').map_or("", |(next, _)| next)
}

/// Creates about so many objects: a set, its Service and its budget each.
async fn fill(api: &Api, count: usize) {
    for number in 0..=count / 3 / 100 {
        let metadata = json!({"name": format!("team-{number}")});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        api.create(&namespace).await.allowed();
    }
    let mut creating = JoinSet::new();
    for number in 0..count / 3 {
        if creating.len() == AT_ONCE {
            creating.join_next().await.unwrap().unwrap();
        }
        let api = api.clone();
        creating.spawn(async move {
            let (namespace, name) = (format!("team-{}", number / 100), format!("app-{number}"));
            for object in application(&namespace, &name) {
                if object["metadata"]["name"].as_str().unwrap().starts_with("app-")
                    && ["StatefulSet", "Service", "PodDisruptionBudget"]
                        .contains(&object["kind"].as_str().unwrap())
                {
                    api.create(&object).await.allowed();
                }
            }
        });
    }
    creating.join_all().await;
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
