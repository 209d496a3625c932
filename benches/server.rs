//! Reviews a second over TLS on loopback: the real server beside an axum handler that reads the body and answers a
//! constant.
//!
//! Both servers run at once, each on one thread of its own, and are asked in turn by the same client, so that whatever
//! else the machine does is the same for both. The client runs on the same machine, hence the second figure: the time
//! that the server's own thread was running.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "material/constant.rs"]
mod constant;
mod material;
#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use stateward::guard::WebhookGuard;
use stateward::process::Readiness;
use stateward::process::Stopper;
use stateward::server::Metrics;
use stateward::server::Server;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use material::{Recorded, recorded};
use support::{client::Client, pki};

const CONNECTIONS: usize = 8;
const SETS: usize = 1_000;
const ROUNDS: usize = 7;
/// How long one server is asked in a round.
const ROUND: Duration = Duration::from_millis(700);

/// A server, alone on its thread, with the connections to it.
struct Subject {
    runtime: Runtime,
    address: SocketAddr,
    ca: Vec<u8>,
    clients: Vec<Client>,
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let stopper = Stopper::new();
    let (mut ours, mut constant) = (real_server(&folder, stopper.1), constant_server());
    let client = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    client.block_on(async {
        ours.connect().await;
        constant.connect().await;
    });
    for recorded in &recorded() {
        compare(&client, recorded, &mut ours, &mut constant);
    }
}

fn compare(client: &Runtime, Recorded { name, body }: &Recorded, ours: &mut Subject, constant: &mut Subject) {
    let body = std::str::from_utf8(body).unwrap();
    let request = support::client::request("/validate", "content-type: application/json\r\n", body);
    let request: Arc<[u8]> = request.into_bytes().into();
    let rounds = (0..ROUNDS).map(|_| {
        let ours = client.block_on(ours.ask(&request));
        let constant = client.block_on(constant.ask(&request));
        (ours, constant)
    });
    let rounds: Vec<_> = rounds.collect();
    let of = |figure: &dyn Fn(&(Round, Round)) -> f64| median(rounds.iter().map(figure).collect());
    println!(
        "{name:<8} {:>6.0} reviews/s beside {:>6.0}: {:.2}; {:.1} us of the server's thread beside {:.1}: {:.2}",
        of(&|(ours, _)| ours.rate),
        of(&|(_, constant)| constant.rate),
        of(&|(ours, constant)| ours.rate / constant.rate),
        of(&|(ours, _)| ours.busy_us),
        of(&|(_, constant)| constant.busy_us),
        of(&|(ours, constant)| constant.busy_us / ours.busy_us),
    );
}

/// What one server did in one round.
struct Round {
    rate: f64,
    /// For each review, in microseconds.
    busy_us: f64,
}

impl Subject {
    async fn connect(&mut self) {
        for _ in 0..CONNECTIONS {
            let config = pki::client_config(&self.ca, None);
            self.clients.push(Client::tls(self.address, "localhost", config).await.unwrap());
        }
    }

    /// Asks over all connections at once, each as fast as it is answered, until the round is over.
    async fn ask(&mut self, request: &Arc<[u8]>) -> Round {
        let (busy, start) = (self.busy().await, Instant::now());
        let mut asking = JoinSet::new();
        for mut client in self.clients.drain(..) {
            let request = Arc::clone(request);
            asking.spawn(async move {
                let mut answered = 0_u32;
                while start.elapsed() < ROUND {
                    client.send(&request).await;
                    assert_eq!(client.response().await.status, 200);
                    answered += 1;
                }
                (client, answered)
            });
        }
        let mut answered = 0;
        for (client, count) in asking.join_all().await {
            self.clients.push(client);
            answered += count;
        }
        let (seconds, busy) = (start.elapsed().as_secs_f64(), self.busy().await.saturating_sub(busy));
        let answered = f64::from(answered);
        Round { rate: answered / seconds, busy_us: busy.as_secs_f64() * 1e6 / answered }
    }

    /// For how long the server's thread has been running (0 where this is not Linux).
    async fn busy(&self) -> Duration {
        let read = || {
            let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
            text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
        };
        self.runtime.spawn(async move { read().unwrap_or_default() }).await.unwrap()
    }
}

fn one_thread(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build().unwrap()
}

fn real_server(folder: &tempfile::TempDir, shutdown: stateward::process::Shutdown) -> Subject {
    let runtime = one_thread("stateward");
    let judge = WebhookGuard {
        cluster: Arc::new(ArcSwap::from_pointee(material::cluster(SETS))),
        policies: Arc::new(ArcSwap::from_pointee(material::policies())),
        confirmer: None,
        reservations: Arc::default(),
        events: None,
        excluded: Vec::new(),
    };
    let server = Server::bind(support::config(folder), judge, Readiness::default(), Metrics::new());
    let server = runtime.block_on(server).unwrap();
    let address = server.webhook_address();
    runtime.spawn(server.run(shutdown));
    let ca = std::fs::read(folder.path().join("ca.crt")).unwrap();
    Subject { runtime, address, ca, clients: Vec::new() }
}

fn constant_server() -> Subject {
    let runtime = one_thread("constant");
    let (address, ca) = runtime.block_on(runtime.spawn(constant::serve())).unwrap();
    Subject { runtime, address, ca: ca.into_bytes(), clients: Vec::new() }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
