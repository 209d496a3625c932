//! Both ports from bind to the end.

use std::{io, net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    Metrics, ServeConfig,
    connection::{self, ServerStage},
    handshake::Handshake,
    listener::listen,
    ops, review,
    reviews::Reviews,
    tasks::{Task, Tasks},
    tls,
};
use crate::guard::Guard;
use crate::process::{Gate, Readiness, Shutdown};

/// Why the shell could not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address is taken, or not ours.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No certificate to present, or no CA to check clients with.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// A part that should run until the end did not.
    #[error("the {task} stopped working: {reason}")]
    Died {
        /// The part.
        task: &'static str,
        /// What became of it, for the log.
        reason: String,
    },
    /// A second signal came before everything in flight was finished.
    #[error("ended at once, as a second signal asked")]
    Aborted,
}

/// Binds both ports and serves until the shutdown; see [`Server`].
pub async fn serve(
    config: ServeConfig,
    guard: impl Guard,
    readiness: Readiness,
    metrics: Metrics,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    Server::bind(config, guard, readiness, metrics).await?.run(shutdown).await
}

/// Two bound ports, not yet served.
pub struct Server {
    config: ServeConfig,
    webhook: Port,
    ops: Port,
    acceptors: tls::Acceptors,
    refresher: tls::Refresher,
    metrics: Arc<Metrics>,
    ready: Gate,
}

struct Port {
    socket: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Server {
    /// Loads the certificate and binds both ports. Clients can connect from here on and are served by
    /// [`run`](Self::run).
    pub async fn bind(
        config: ServeConfig,
        guard: impl Guard,
        readiness: Readiness,
        metrics: Metrics,
    ) -> Result<Self, ServeError> {
        let metrics = Arc::new(metrics);
        let ready = readiness.gate("webhook");
        let client_ca = config.client_ca.as_deref();
        let (acceptors, refresher) =
            tls::load(&config.tls, client_ca, Arc::clone(&metrics), readiness.gate("certificate")).await?;
        let reviews =
            Reviews { guard: Box::new(guard), metrics: Arc::clone(&metrics), limits: config.limits };
        let webhook = Port::bind(config.bind, review::router(reviews)).await?;
        let ops = Port::bind(config.ops_bind, ops::router(readiness, Arc::clone(&metrics))).await?;
        Ok(Self { config, webhook, ops, acceptors, refresher, metrics, ready })
    }

    /// The HTTPS port's real address.
    pub fn webhook_address(&self) -> SocketAddr {
        self.webhook.address
    }

    /// The plain HTTP port's real address.
    pub fn ops_address(&self) -> SocketAddr {
        self.ops.address
    }

    /// Serves until told to drain, then: readiness off; reviews still answered for a while, each with
    /// `Connection: close`; no more connections; what is in flight finished.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), ServeError> {
        tokio::select! {
            biased;
            () = shutdown.aborted() => Err(ServeError::Aborted),
            end = self.serve_then_drain(&shutdown) => end,
        }
    }

    async fn serve_then_drain(self, shutdown: &Shutdown) -> Result<(), ServeError> {
        let (webhook, ops) = (self.webhook.address, self.ops.address);
        let (drain, ready) = (self.config.drain, self.ready.clone());
        let stage = watch::Sender::new(ServerStage::Serve);
        let mut tasks = self.start(&stage);
        ready.open();
        tracing::info!(%webhook, %ops, "listening");

        tasks.until(shutdown.draining()).await?;
        ready.close();
        stage.send_replace(ServerStage::Drain);
        tracing::info!(serve_for = ?drain.serve_for, "draining: not ready any more, still serving");
        tasks.until(sleep(drain.serve_for)).await?;
        stage.send_replace(ServerStage::Close);
        timeout(drain.finish_within, tasks.webhook.done()).await.unwrap_or_else(|_| {
            tracing::warn!(finish_within = ?drain.finish_within, "ended with connections still open");
            Ok(())
        })
    }

    fn start(self, stage: &watch::Sender<ServerStage>) -> Tasks {
        let limits = self.config.limits;
        let (router, reviews) = (self.webhook.router, stage.subscribe());
        let handle = move |stream, peer| {
            let handshake = Handshake { acceptor: self.acceptors.current(), limits, peer };
            let (metrics, router, stage) = (Arc::clone(&self.metrics), router.clone(), reviews.clone());
            async move {
                if let Some(stream) = handshake.run(stream, &metrics, stage.clone()).await {
                    connection::run(stream, router, limits, stage).await;
                }
            }
        };
        let webhook = listen(self.webhook.socket, limits.connections, stage.subscribe(), handle);

        // Probes and metrics are answered to the very end.
        let router = self.ops.router;
        let always = watch::Sender::new(ServerStage::Serve);
        let stage = always.subscribe();
        let probes = always.subscribe();
        let handle = move |stream, _| connection::run(stream, router.clone(), limits, probes.clone());
        let ops = async move {
            listen(self.ops.socket, limits.connections, stage, handle).await;
            drop(always);
        };
        Tasks {
            webhook: Task::spawn("webhook listener", webhook),
            ops: Task::spawn("ops listener", ops),
            certificates: Task::spawn("certificate refresher", self.refresher.run(self.config.reload_every)),
        }
    }
}

impl Port {
    async fn bind(address: SocketAddr, router: Router) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, router })
    }
}
