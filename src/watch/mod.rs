//! The snapshot as the API server has it, kept up to date by watches.
//!
//! ```text
//! follower (one a kind): list in pages, then watch ──▶ channel ──▶ writer: working copy ──▶ ArcSwap<Cluster>
//! ```
//!
//! Followers ask in JSON by hand rather than through `kube::runtime`: an object is then read straight from the answer's bytes
//! into the model, one that cannot be read costs nothing but itself, and a bookmark counts as news, so that staleness can be
//! told from quiet. `kube` brings the connection: kubeconfig, credentials, TLS.

mod config;
mod follow;
mod gauges;
mod list;
mod outages;
mod writer;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use config::WatchConfig;
pub use gauges::Gauges;
pub use list::{list, list_raw_sets};
pub use writer::{SnapshotWriter, WatchEvent};

use crate::api_server::Api;
use crate::cluster::{Cluster, Kind};
use crate::process::{Gate, Readiness, Remark};
use follow::Follower;
use outages::Outages;

/// Events queued for the writer: enough that followers seldom wait, few enough to cost little memory.
const QUEUE: usize = 256;

/// Readiness of one kind.
#[derive(Debug)]
pub struct KindReadiness {
    gate: Gate,
    remark: Remark,
    is_refused: bool,
    /// Whether all objects were known once.
    was_listed: bool,
}

/// The watches did not go on.
#[derive(Debug, thiserror::Error)]
#[error("the watch of the cluster stopped working: {0}")]
pub struct Stopped(String);

/// Keeps a snapshot like the cluster.
pub struct Live {
    api: Api,
    config: WatchConfig,
    gauges: Gauges,
    writer: SnapshotWriter,
    cluster: Arc<ArcSwap<Cluster>>,
}

impl Live {
    /// Nothing is asked before it is [`run`](Self::run). Each kind is a part of `readiness` that is ready when it has been listed,
    /// or when the API server refuses to list it: then it is unknown, which is said there too.
    pub fn new(client: kube::Client, config: WatchConfig, readiness: &Readiness, gauges: Gauges) -> Self {
        let cluster = Arc::new(ArcSwap::from_pointee(Cluster::default()));
        gauges.show(&cluster.load());
        let parts = parts(readiness);
        let writer = SnapshotWriter::new(Arc::clone(&cluster), parts, gauges.clone());
        Self { api: Api::new(client, config.patience), config, gauges, writer, cluster }
    }

    /// The latest snapshot.
    pub fn cluster(&self) -> Arc<ArcSwap<Cluster>> {
        Arc::clone(&self.cluster)
    }

    /// Follows every kind until it is dropped. Errors of the API server are waited out; to return is itself an error.
    pub async fn run(self) -> Result<Infallible, Stopped> {
        let (events, received) = mpsc::channel(QUEUE);
        let (mut tasks, outages) = (JoinSet::new(), Outages::default());
        for kind in Kind::watched() {
            let (api, gauges, events) = (self.api.clone(), self.gauges.clone(), events.clone());
            let outages = outages.clone();
            let follower = Follower { kind, api, config: self.config, gauges, outages, events };
            tasks.spawn(async move { drop(follower.run().await) });
        }
        drop(events);
        tasks.spawn(self.writer.run(received));
        Err(Stopped(match tasks.join_next().await {
            Some(Err(error)) => error.to_string(),
            Some(Ok(())) | None => "a part of it ended".to_owned(),
        }))
    }
}

/// A gate and a remark for every kind.
pub fn parts(readiness: &Readiness) -> BTreeMap<Kind, KindReadiness> {
    let part = |kind: Kind| {
        let gate = readiness.gate(kind.name());
        (kind, KindReadiness { gate, remark: readiness.remark(), is_refused: false, was_listed: false })
    };
    Kind::watched().map(part).collect()
}
