//! The real guard between a test's namespaces and the control plane.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use stateward::webhook_config;
use tempfile::TempDir;

use super::control_plane::{self, ControlPlane, Process};
use super::kube_api::{Api, pod_path};

/// Far longer than anything here takes: what is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub const SKIPPED: &str = "SKIPPED: KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd";
const NO_CONTROLLERS: &str = "SKIPPED: KUBEBUILDER_ASSETS names no folder with kube-controller-manager";

/// The shared control plane; says so and gives `None` where there is none.
pub fn shared_plane() -> Option<&'static ControlPlane> {
    control_plane::bound_lifetime();
    // Started by whichever test comes first; the others wait for it.
    let plane = control_plane::shared();
    if plane.is_none() {
        eprintln!("{SKIPPED}");
    }
    plane
}

/// Whether the controllers run there; says so where they do not.
pub fn has_controllers(plane: &ControlPlane) -> bool {
    if !plane.has_controllers {
        eprintln!("{NO_CONTROLLERS}");
    }
    plane.has_controllers
}

/// A guard, and the namespaces it guards.
pub struct Stage {
    pub api: Api,
    name: &'static str,
    guard: Guard,
}

/// `stateward serve`, for as long as this lives.
pub struct Guard {
    pub webhook: SocketAddr,
    ops: SocketAddr,
    folder: TempDir,
    process: Process,
}

impl Stage {
    /// On the shared control plane; says so and gives `None` where there is none.
    pub async fn set(name: &'static str, profile: &str) -> Option<Self> {
        Some(Self::on(shared_plane()?, name, profile).await)
    }

    /// As [`Self::set`], where the controllers run.
    pub async fn set_with_controllers(name: &'static str, profile: &str) -> Option<Self> {
        let plane = shared_plane().filter(|plane| has_controllers(plane))?;
        Some(Self::on(plane, name, profile).await)
    }

    pub async fn on(plane: &ControlPlane, name: &'static str, profile: &str) -> Self {
        Self::with_flags(plane, name, tempfile::tempdir().unwrap(), &[&format!("--profile={profile}")]).await
    }

    /// Where the controllers run, under a policy with this `spec`.
    pub async fn set_with_policy(name: &'static str, spec: &Value) -> Option<Self> {
        let plane = shared_plane().filter(|plane| has_controllers(plane))?;
        let policy = json!({
            "apiVersion": "stateward.dev/v1alpha1", "kind": "StatefulSetPolicy", "metadata": {"name": name}, "spec": spec,
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.json");
        fs::write(&file, policy.to_string()).unwrap();
        let policies = format!("--policies={}", file.display());
        Some(Self::with_flags(plane, name, folder, &[&policies]).await)
    }

    async fn with_flags(plane: &ControlPlane, name: &'static str, folder: TempDir, flags: &[&str]) -> Self {
        let ca = format!("--ca-out={}", folder.path().join("ca.crt").display());
        let flags = [&["--bind=127.0.0.1:0", &*ca], flags].concat();
        let guard = Guard::with_flags(plane, folder, &flags).await;
        let stage = Self { api: plane.api(), name, guard };
        stage.register().await;
        stage
    }

    /// A guarded namespace, `STAGE-SUFFIX`.
    pub async fn namespace(&self, suffix: &str) -> String {
        let namespace = self.unguarded_namespace(suffix).await;
        self.protect(&namespace).await;
        namespace
    }

    pub async fn unguarded_namespace(&self, suffix: &str) -> String {
        let name = format!("{}-{suffix}", self.name);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.api.create(&namespace).await.allowed();
        name
    }

    /// From here on the guard is asked about this namespace.
    pub async fn protect(&self, namespace: &str) {
        let path = format!("/api/v1/namespaces/{namespace}");
        self.api.merge(&path, &json!({"metadata": {"labels": {"e2e": self.name}}})).await.allowed();
        self.until("the webhook is called", async || {
            // Its name is too long in every profile.
            let set = json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": {"name": "x".repeat(60), "namespace": namespace},
                "spec": {
                    "selector": {"matchLabels": {"app": "x"}},
                    "template": {
                        "metadata": {"labels": {"app": "x"}},
                        "spec": {"containers": [{"name": "x", "image": "x"}]},
                    },
                },
            });
            let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets?dryRun=All");
            let reply = self.api.post(&path, &set).await;
            assert!(reply.status < 300 || reply.denials().contains("name-too-long"), "{reply:?}");
            reply.status == 422
        })
        .await;
    }

    /// Waits for a condition, however long a loaded machine takes.
    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < end, "never happened: {what}\n{}", self.guard.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a pod, and makes it one that runs on a node.
    pub async fn running_pod(&self, namespace: &str, node: &str, name: &str) {
        let (api, path) = (&self.api, pod_path(namespace, name));
        self.until("the pod is made", async || api.exists(&path).await).await;
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        api.post(&format!("{path}/binding"), &binding).await.allowed();
        let running = json!({"status": {"phase": "Running"}});
        api.merge(&format!("{path}/status"), &running).await.allowed();
    }

    pub async fn until_gone(&self, path: &str) {
        self.until(&format!("{path} is gone"), async || self.api.get(path).await.status == 404).await;
    }

    /// The value of one line of /metrics.
    pub fn metric(&self, name_and_labels: &str) -> Option<f64> {
        let (_, text) = self.guard.get("/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    pub fn is_ready(&self) -> bool {
        self.guard.is_ready()
    }

    /// The guard is well, and everything was answered by it and not by an accident.
    pub async fn end(self) {
        let log = self.ended().await;
        assert!(!log.contains("is forbidden: User"), "it lacks a right: {log}");
    }

    /// The same where the API server was started anew: at first it does not know who has which right.
    pub async fn end_after_restart(self) {
        drop(self.ended().await);
    }

    async fn ended(&self) -> String {
        for kind in ["validating", "mutating"] {
            let path =
                format!("/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/{}", self.name);
            self.api.delete(&path, &json!({})).await.allowed();
        }
        assert!(self.guard.is_ready(), "{}", self.guard.log());
        let log = self.guard.log();
        // The kube client calls it an error that an API server is away.
        assert!(!log.contains(" ERROR stateward") && !log.contains("panic"), "{log}");
        log
    }

    /// Registers as it is shipped, but for what has no place here: there is no way from this API server to a Service, the
    /// guarded namespaces are those of one test, and a loaded machine takes its time.
    async fn register(&self) {
        for mut configuration in [webhook_config::validating(), webhook_config::mutating()] {
            configuration["metadata"]["name"] = self.name.into();
            for webhook in configuration["webhooks"].as_array_mut().unwrap() {
                let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap().to_owned();
                webhook["clientConfig"] = json!({
                    "url": format!("https://localhost:{}{path}", self.guard.webhook.port()),
                    "caBundle": ByteString(fs::read(self.guard.ca()).unwrap()),
                });
                webhook["namespaceSelector"] = json!({"matchLabels": {"e2e": self.name}});
                webhook["failurePolicy"] = "Fail".into();
                webhook["timeoutSeconds"] = 10.into();
            }
            self.api.create(&configuration).await.allowed();
        }
    }
}

impl Guard {
    /// Waits until it is ready. Its own files are kept in `folder`.
    pub async fn with_flags(plane: &ControlPlane, folder: TempDir, flags: &[&str]) -> Self {
        let kubeconfig = folder.path().join("kubeconfig");
        fs::write(&kubeconfig, plane.kubeconfig(&plane.account_token().await)).unwrap();
        Self::start(folder, &format!("KUBECONFIG={}", kubeconfig.display()), flags).await
    }

    /// One that needs no API server.
    pub async fn standalone(folder: TempDir, flags: &[&str]) -> Self {
        Self::start(folder, "KUBECONFIG=", &[&["--standalone"], flags].concat()).await
    }

    async fn start(folder: TempDir, environment: &str, flags: &[&str]) -> Self {
        let mut command = vec![
            environment.to_owned(),
            env!("CARGO_BIN_EXE_stateward").to_owned(),
            "serve".to_owned(),
            "--ops-bind=127.0.0.1:0".to_owned(),
        ];
        command.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let process = Process::start(Path::new("env"), &command, folder.path());
        let end = Instant::now() + PATIENCE;
        loop {
            let log = fs::read_to_string(folder.path().join("env.log")).unwrap();
            if let Some(line) = log.lines().find(|line| line.contains("listening")) {
                let [webhook, ops] = ["webhook=", "ops="].map(|field| {
                    let (_, rest) = line.split_once(field).unwrap();
                    rest.split_whitespace().next().unwrap().parse().unwrap()
                });
                let guard = Self { webhook, ops, folder, process };
                while !guard.is_ready() {
                    assert!(Instant::now() < end, "not ready: {}", guard.log());
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                return guard;
            }
            assert!(Instant::now() < end, "does not listen: {log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// How often it was asked about a sort of object.
    pub fn asked(&self, resource: &str) -> f64 {
        let (_, text) = self.get("/metrics").unwrap();
        let counts = text.lines().filter(|line| line.starts_with("stateward_admission_requests_total"));
        let counts = counts.filter(|line| line.contains(&format!("resource=\"{resource}\"")));
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// A number among its metrics.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(value.parse().unwrap())
    }

    pub fn has_ended(&self) -> bool {
        TcpStream::connect_timeout(&self.ops, PATIENCE).is_err()
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&mut self, name: &str) {
        self.process.signal(name);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("env.log")).unwrap()
    }

    fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|(status, _)| status == 200)
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut socket = TcpStream::connect_timeout(&self.ops, PATIENCE).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(socket, "GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer))
    }
}

/// What each rule is expected at, from the first line of a broken variant: `… expected: a, b (deny, warn / deny, deny)`.
pub fn expected(text: &str, profile: &str) -> BTreeMap<String, String> {
    let line = text.lines().next().unwrap();
    let (rules, levels) = line.split_once("expected: ").unwrap().1.split_once(" (").unwrap();
    let (baseline, strict) = levels.trim_end_matches(')').split_once(" / ").unwrap();
    let levels = if profile == "strict" { strict } else { baseline };
    rules
        .split(", ")
        .zip(levels.split(", "))
        .map(|(rule, level)| (rule.to_owned(), level.to_owned()))
        .collect()
}

/// The set among the objects of an application.
pub fn set_of(objects: &[Value]) -> &Value {
    objects.iter().find(|object| object["kind"] == "StatefulSet").unwrap()
}
