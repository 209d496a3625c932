//! Both ports from bind to the end.

use std::{io, net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    time::{sleep, timeout},
};

use super::{
    Callers, Limits, Metrics, ServeConfig,
    activity::Phase,
    connection::{self, ServerStage},
    handshake::Handshake,
    listener::listen,
    open_connections::OpenConnections,
    ops, own_thread, review,
    reviews::Reviews,
    tasks::{ServerTask, Tasks},
    tls,
};
use crate::guard::Guard;
use crate::process::{Gate, Readiness, Shutdown};

/// Why the server could not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address is taken, or not ours.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
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
        /// The outcome, for the log.
        reason: String,
    },
    /// A second signal came before everything in flight was finished.
    #[error("stopped without draining: second signal")]
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
    callers: Arc<Callers>,
    webhook: BoundPort,
    ops: BoundPort,
    acceptors: tls::Acceptors,
    refresher: tls::Refresher,
    metrics: Arc<Metrics>,
    ready: Gate,
}

struct BoundPort {
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
        let callers = Arc::new(config.callers.clone());
        let reviews =
            Reviews::new(Box::new(guard), Arc::clone(&metrics), config.limits, Arc::clone(&callers));
        let webhook = BoundPort::bind(config.bind, review::router(reviews, config.metacontroller)).await?;
        let ops = BoundPort::bind(config.ops_bind, ops::router(readiness, Arc::clone(&metrics))).await?;
        Ok(Self { config, callers, webhook, ops, acceptors, refresher, metrics, ready })
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
        let mut tasks = self.start(&stage)?;
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
        })?;
        tasks.end_ops().await
    }

    fn start(self, stage: &watch::Sender<ServerStage>) -> Result<Tasks, ServeError> {
        let limits = self.config.limits;
        let gauge = self.metrics.connections("webhook");
        let connections = OpenConnections::new(limits.connections, limits.handshakes, gauge);
        let (router, forbidding, reviews) =
            (self.webhook.router, review::forbidding_router(), stage.subscribe());
        let (metrics, callers) = (Arc::clone(&self.metrics), self.callers);
        let handle = move |stream, peer, activity| {
            let handshake = Handshake { acceptor: self.acceptors.current(), limits, peer };
            let (metrics, stage) = (Arc::clone(&metrics), reviews.clone());
            let (router, forbidding, callers) = (router.clone(), forbidding.clone(), Arc::clone(&callers));
            async move {
                let Some(stream) = handshake.run(stream, &metrics, stage.clone(), &activity).await else {
                    return;
                };
                let may_ask = callers.accept(stream.get_ref().1.peer_certificates());
                let router = if may_ask { router } else { forbidding };
                connection::run(stream, router, limits, stage, activity).await;
            }
        };
        let webhook = listen(self.webhook.socket, connections, Phase::Handshake, stage.subscribe(), handle);
        let (keep_ops, stop_ops) = oneshot::channel();
        let ops = ops_port(self.ops, stop_ops, &limits, &self.metrics)?;
        Ok(Tasks {
            webhook: ServerTask::spawn("webhook listener", webhook),
            ops: ServerTask::spawn("ops listener", ops),
            keep_ops,
            certificates: ServerTask::spawn(
                "certificate refresher",
                self.refresher.run(self.config.reload_every),
            ),
        })
    }
}

/// Probes and metrics, on a thread of their own and to the very end: no review keeps them waiting.
fn ops_port(
    port: BoundPort,
    stop: oneshot::Receiver<()>,
    limits: &Limits,
    metrics: &Metrics,
) -> Result<impl Future<Output = ()> + Send + 'static, ServeError> {
    let limits = Limits { first: limits.ops_idle, idle: limits.ops_idle, ..*limits };
    let gauge = metrics.connections("ops");
    let connections = OpenConnections::new(limits.ops_connections, limits.ops_connections, gauge);
    let BoundPort { socket, address, router } = port;
    let serve = move |socket| async move {
        let always = watch::Sender::new(ServerStage::Serve);
        let stage = always.subscribe();
        let handle = move |stream, _, activity| {
            connection::run(stream, router.clone(), limits, stage.clone(), activity)
        };
        listen(socket, connections, Phase::New, always.subscribe(), handle).await;
    };
    own_thread::serve(socket, stop, serve).map_err(|source| ServeError::Bind { address, source })
}

impl BoundPort {
    async fn bind(address: SocketAddr, router: Router) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, router })
    }
}
