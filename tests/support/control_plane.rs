//! A real control plane from the folder that `KUBEBUILDER_ASSETS` names: etcd, kube-apiserver and, where it is there,
//! kube-controller-manager. There is no kubelet: pods are made and deleted, but never run.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use rcgen::KeyPair;
use serde_json::json;

use super::kube_api::{Api, installation};
use super::pki;

/// How long one process may take to be ready.
const START: Duration = Duration::from_secs(90);
/// How long any process lives at most, should the tests hang.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How often a start is tried: another process may take a port that was free.
const ATTEMPTS: usize = 3;

/// Users by token: `admin` is the system's own administrator, `alice` may do everything too but is nobody special.
const TOKENS: &str = "admin-token,admin,uid-admin,\"system:masters\"\nalice-token,alice,uid-alice\n";

pub struct ControlPlane {
    pub address: SocketAddr,
    /// Whether the controllers run, so that sets get pods and what is deleted is collected.
    pub has_controllers: bool,
    api_server: Option<Process>,
    assets: PathBuf,
    folder: PathBuf,
    ca: String,
    etcd_port: u16,
    /// Further flags of the API server.
    flags: Vec<String>,
    others: Vec<Process>,
    _janitor: Process,
}

/// The folder with the binaries, if there is one.
pub fn assets() -> Option<PathBuf> {
    let assets = PathBuf::from(env::var_os("KUBEBUILDER_ASSETS")?);
    let complete = ["etcd", "kube-apiserver"].iter().all(|name| assets.join(name).is_file());
    complete.then_some(assets)
}

/// The one that all tests of this process share; `None` where there are no binaries for it.
pub fn shared() -> Option<&'static ControlPlane> {
    static SHARED: OnceLock<Option<Result<ControlPlane, String>>> = OnceLock::new();
    let started = SHARED.get_or_init(|| assets().map(|assets| ControlPlane::start(&assets, true)));
    started.as_ref().map(|plane| plane.as_ref().unwrap_or_else(|error| panic!("no control plane: {error}")))
}

impl ControlPlane {
    pub fn start(assets: &Path, with_controllers: bool) -> Result<Self, String> {
        Self::start_with_flags(assets, with_controllers, &[])
    }

    /// As [`Self::start`], with further flags of the API server.
    pub fn start_with_flags(assets: &Path, with_controllers: bool, flags: &[String]) -> Result<Self, String> {
        let mut errors = String::new();
        for _ in 0..ATTEMPTS {
            match Self::try_start(assets, with_controllers, flags) {
                Ok(plane) => return Ok(plane),
                Err(error) => errors += &format!("{error}\n"),
            }
        }
        Err(errors)
    }

    fn try_start(assets: &Path, with_controllers: bool, flags: &[String]) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?.keep();
        let janitor = Process::janitor(&folder);
        let [etcd_port, peer_port, port] = free_ports();
        let ca = pki::Ca::new();
        write_credentials(&folder, &ca);

        let etcd = Process::start(&assets.join("etcd"), &etcd_flags(&folder, etcd_port, peer_port), &folder);
        until_listening(etcd_port).map_err(|error| format!("etcd: {error}\n{}", log_of(&folder, "etcd")))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let manager = assets.join("kube-controller-manager");
        let has_controllers = with_controllers && manager.is_file();
        let mut plane = Self {
            address,
            has_controllers,
            api_server: None,
            assets: assets.to_owned(),
            folder,
            ca: ca.pem(),
            etcd_port,
            flags: flags.to_vec(),
            others: vec![etcd],
            _janitor: janitor,
        };
        plane.start_api_server()?;
        if has_controllers {
            let kubeconfig = kubeconfig(address, &plane.folder, "admin-token");
            fs::write(plane.folder.join("admin.kubeconfig"), kubeconfig)
                .map_err(|error| error.to_string())?;
            plane.others.push(Process::start(&manager, &manager_flags(&plane.folder), &plane.folder));
        }
        Ok(plane)
    }

    /// Kills the API server and starts it again, on the same port and with the same data. `meanwhile` runs in between.
    pub fn restart_api_server(&mut self, meanwhile: impl FnOnce()) {
        self.api_server = None;
        meanwhile();
        self.start_api_server().unwrap();
    }

    fn start_api_server(&mut self) -> Result<(), String> {
        let mut flags = api_server_flags(&self.folder, self.address.port(), self.etcd_port);
        flags.extend(self.flags.iter().cloned());
        self.api_server = Some(Process::start(&self.assets.join("kube-apiserver"), &flags, &self.folder));
        let failed = || format!("kube-apiserver is not ready\n{}", log_of(&self.folder, "kube-apiserver"));
        let (address, ca) = (self.address, self.ca.clone());
        // A runtime of its own: this may be called from within one.
        let ready = thread::spawn(move || block_on(until_ready(address, &ca))).join();
        ready.is_ok_and(|ready| ready).then_some(()).ok_or_else(failed)
    }

    /// A token of the service account that Stateward is installed with, and so exactly its rights.
    pub async fn account_token(&self) -> String {
        let api = self.api();
        let account =
            ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
        let objects = installation().into_iter();
        for object in objects.filter(|object| account.contains(&object["kind"].as_str().unwrap())) {
            api.apply(&object).await.allowed();
        }
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600},
        });
        let path = "/api/v1/namespaces/stateward/serviceaccounts/stateward/token";
        let reply = api.post(path, &request).await.allowed();
        reply.body["status"]["token"].as_str().unwrap().to_owned()
    }

    /// A kubeconfig for the user of `token`.
    pub fn kubeconfig(&self, token: &str) -> String {
        kubeconfig(self.address, &self.folder, token)
    }

    pub fn api(&self) -> Api {
        Api::new(self.address, &self.ca, "admin-token")
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn until_ready(address: SocketAddr, ca: &str) -> bool {
    let (api, end) = (Api::new(address, ca, "admin-token"), Instant::now() + START);
    while Instant::now() < end {
        // `default` is made a moment after the server calls itself ready.
        let ready = api.try_get("/readyz").await.is_ok_and(|reply| reply.status == 200)
            && api.try_get("/api/v1/namespaces/default").await.is_ok_and(|reply| reply.status == 200);
        if ready {
            return api.apply(&rights_of_alice()).await.status < 300;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

fn rights_of_alice() -> serde_json::Value {
    let group = "rbac.authorization.k8s.io";
    json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "alice"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "alice"}],
    })
}

fn until_listening(port: u16) -> Result<(), String> {
    let end = Instant::now() + START;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > end {
            return Err("does not listen".to_owned());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Ports that were free, all at the same time, a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn write_credentials(folder: &Path, ca: &pki::Ca) {
    let serving = ca.issue_for(["localhost", "127.0.0.1"]);
    let accounts = KeyPair::generate().unwrap();
    for (name, text) in [
        ("ca.crt", ca.pem()),
        ("api.crt", serving.certificate),
        ("api.key", serving.key),
        ("accounts.key", accounts.serialize_pem()),
        ("accounts.pub", accounts.public_key_pem()),
        ("tokens.csv", TOKENS.to_owned()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn kubeconfig(address: SocketAddr, folder: &Path, token: &str) -> String {
    let cluster =
        json!({"server": format!("https://{address}"), "certificate-authority": folder.join("ca.crt")});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user", "namespace": "stateward"}}],
    });
    config.to_string()
}

fn etcd_flags(folder: &Path, port: u16, peer_port: u16) -> Vec<String> {
    let (clients, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    vec![
        "--name=test".to_owned(),
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=test={peers}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server_flags(folder: &Path, port: u16, etcd_port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
        format!("--cert-dir={}", file("certs")),
        format!("--tls-cert-file={}", file("api.crt")),
        format!("--tls-private-key-file={}", file("api.key")),
        format!("--token-auth-file={}", file("tokens.csv")),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        // There is no kube-proxy: a webhook's Service is called at one of its endpoints.
        "--enable-aggregator-routing=true".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn manager_flags(folder: &Path) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--kubeconfig={}", file("admin.kubeconfig")),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!("--service-account-private-key-file={}", file("accounts.key")),
        format!("--root-ca-file={}", file("ca.crt")),
        // Nobody sends the heartbeats of nodes.
        "--node-monitor-grace-period=24h".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn log_of(folder: &Path, name: &str) -> String {
    let log = fs::read_to_string(folder.join(name).with_extension("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// A process that ends with this value and with this process, however that ends: a shell beside it waits for the other end of
/// its input to close, and passes on the signals that come through it. Statics are never dropped, and a test that is killed drops nothing at all.
pub struct Process {
    keeper: Child,
    leash: Option<ChildStdin>,
    is_waited_for: bool,
}

impl Process {
    /// Its output goes to `NAME.log` in `folder`.
    pub fn start(program: &Path, flags: &[String], folder: &Path) -> Self {
        let name = program.file_name().unwrap().to_str().unwrap();
        let log = File::create(folder.join(name).with_extension("log")).unwrap();
        let mut keeper = Command::new("sh");
        keeper.args([
            "-c",
            r#"trap : HUP INT TERM; "$@" </dev/null & while read -r signal; do kill -"$signal" $!; done; kill -9 $!; wait"#,
            "keeper",
        ]);
        keeper.arg(program).args(flags).stderr(log.try_clone().unwrap()).stdout(log);
        // Everything is on this machine, whatever proxies it has.
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            keeper.env_remove(proxy);
        }
        Self::keep(&mut keeper, true).unwrap()
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&mut self, name: &str) {
        writeln!(self.leash.as_mut().unwrap(), "{name}").unwrap();
    }

    /// Removes the folder when everything else is over.
    fn janitor(folder: &Path) -> Self {
        let mut keeper = Command::new("sh");
        keeper.args(["-c", r#"trap : HUP INT TERM; read -r _; sleep 2; rm -rf "$1""#, "janitor"]).arg(folder);
        Self::keep(keeper.stdout(Stdio::null()).stderr(Stdio::null()), false).unwrap()
    }

    fn keep(command: &mut Command, is_waited_for: bool) -> io::Result<Self> {
        let mut keeper = command.stdin(Stdio::piped()).spawn()?;
        let leash = keeper.stdin.take();
        Ok(Self { keeper, leash, is_waited_for })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.leash = None;
        if self.is_waited_for {
            let _ = self.keeper.wait();
        }
    }
}

/// Ends this process, and with it all others, should the tests hang.
pub fn bound_lifetime() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        thread::spawn(|| {
            thread::sleep(LIFETIME);
            eprintln!("the end-to-end tests took longer than {LIFETIME:?}");
            std::process::abort();
        });
    });
}
