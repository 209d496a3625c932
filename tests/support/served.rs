//! `stateward serve` as a process of its own, so that what it takes of the machine can be measured.

use std::{
    fs, io,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    client::{Client, Response, request},
    pki, until,
};

/// A server that ends with this value.
pub struct Served {
    pub webhook: SocketAddr,
    pub ops: SocketAddr,
    pub folder: TempDir,
    child: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Waits until it is ready. `set_up` may put files into its folder, and gives the flags and the environment.
    pub async fn start(set_up: impl FnOnce(&TempDir) -> (Vec<String>, Vec<(String, String)>)) -> Self {
        let served = Self::listening(set_up).await;
        served.until("it is ready", async || served.get("/readyz").await.status == 200).await;
        served
    }

    /// Waits only until it listens.
    pub async fn listening(set_up: impl FnOnce(&TempDir) -> (Vec<String>, Vec<(String, String)>)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (flags, environment) = set_up(&folder);
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_stateward"))
            .args(["serve", "--bind=127.0.0.1:0", "--ops-bind=127.0.0.1:0"])
            .arg(format!("--ca-out={}", folder.path().join("ca.crt").display()))
            .args(flags)
            .envs(environment)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut served = Self { webhook: unknown, ops: unknown, folder, child };
        until("it listens", async || served.log().contains("listening")).await;
        let log = served.log();
        let line = log.lines().find(|line| line.contains("listening")).unwrap();
        let address = |field: &str| {
            let (_, rest) = line.split_once(field).unwrap();
            rest.split_whitespace().next().unwrap().parse().unwrap()
        };
        (served.webhook, served.ops) = (address("webhook="), address("ops="));
        served
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }

    /// A client, unless the server takes no more of them.
    pub async fn try_client(&self) -> io::Result<Client> {
        let ca = fs::read(self.folder.path().join("ca.crt")).unwrap();
        Client::tls(self.webhook, "localhost", pki::client_config(&ca, None)).await
    }

    /// The answer to one request to the ops port.
    pub async fn get(&self, path: &str) -> Response {
        let mut client = Client::plain(self.ops).await;
        client.send(request(path, "", "").replacen("POST", "GET", 1)).await;
        client.response().await
    }

    /// The answer to a review, over a connection of its own.
    pub async fn review(&self, review: &str) -> Value {
        self.client().await.post(review).await.json()["response"].clone()
    }

    /// Waits for something, and shows the log where it does not come.
    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        until(&format!("{what}\n{}", self.log()), condition).await;
    }

    /// A line of `/proc/PID/status`, in KiB: `VmRSS` is what is resident now, `VmHWM` the most it has been.
    pub fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many file descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}
