//! A real server on real sockets, and a client that sees every byte.
// Each test binary uses a part of it. Clippy's leave to unwrap in tests stops at functions that are not one.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod api_server;
pub mod client;
pub mod etcd;
pub mod guard;
pub mod keeping;
pub mod logs;
pub mod pki;
pub mod served;

use std::{future::Future, net::SocketAddr, time::Duration};

use stateward::process::Readiness;
use stateward::process::Stopper;
use stateward::server::Limits;
use stateward::server::Metrics;
use stateward::server::ServeConfig;
use stateward::server::ServeError;
use stateward::server::Server;
use stateward::server::tls::CertificateSource;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

use client::{Client, Response};
use guard::{Echo, Hold};

/// Far longer than anything here takes: what is not over by then hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs until it is stopped or dropped.
pub struct Running {
    pub webhook: SocketAddr,
    pub ops: SocketAddr,
    pub readiness: Readiness,
    pub hold: Hold,
    pub stopper: Stopper,
    pub folder: TempDir,
    pub task: JoinHandle<Result<(), ServeError>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hold.release();
        self.task.abort();
    }
}

/// Free ports, a self-signed certificate in a folder of its own.
pub fn config(folder: &TempDir) -> ServeConfig {
    ServeConfig {
        bind: ([127, 0, 0, 1], 0).into(),
        ops_bind: ([127, 0, 0, 1], 0).into(),
        tls: CertificateSource::SelfSigned { ca_out: folder.path().join("ca.crt"), hosts: Vec::new() },
        reload_every: Duration::from_millis(20),
        ..ServeConfig::default()
    }
}

/// The defaults, with some limits changed.
pub async fn start_with(change: impl FnOnce(&mut Limits)) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&folder);
    change(&mut config.limits);
    start(config, folder).await
}

pub async fn start(config: ServeConfig, folder: TempDir) -> Running {
    let (readiness, (stopper, shutdown), hold) = (Readiness::default(), Stopper::new(), Hold::default());
    let guard = Echo(hold.clone());
    let server = Server::bind(config, guard, readiness.clone(), Metrics::new()).await.unwrap();
    let (webhook, ops) = (server.webhook_address(), server.ops_address());
    let task = tokio::spawn(server.run(shutdown));
    let running = Running { webhook, ops, readiness, hold, stopper, folder, task };
    running.until("ready", async || running.get("/readyz").await.status == 200).await;
    running
}

impl Running {
    /// A client that trusts the self-signed CA.
    pub async fn client(&self) -> Client {
        let ca = std::fs::read(self.folder.path().join("ca.crt")).unwrap();
        Client::tls(self.webhook, "localhost", pki::client_config(&ca, None)).await.unwrap()
    }

    /// One request to the ops port, over a connection of its own.
    pub async fn get(&self, path: &str) -> Response {
        let mut client = Client::plain(self.ops).await;
        client.send(format!("GET {path} HTTP/1.1\r\nhost: ops\r\n\r\n")).await;
        client.response().await
    }

    /// The value of one line of /metrics.
    pub async fn metric(&self, name_and_labels: &str) -> Option<f64> {
        let text = self.get("/metrics").await.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        until(what, condition).await;
    }

    /// What `run` came to.
    pub async fn end(mut self) -> Result<(), ServeError> {
        within("the end of the server", &mut self.task).await.unwrap()
    }
}

/// Waits for a condition, however long a loaded machine takes.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, met).await;
}

/// Fails where something never happens.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = timeout(PATIENCE, future).await else { panic!("never happened: {what}") };
    value
}
