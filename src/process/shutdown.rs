//! When to stop, in two steps: drain, then at once.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ShutdownStage {
    Run,
    Drain,
    Abort,
}

/// Tells everything that holds it when to stop.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<ShutdownStage>);

/// Stops what holds the [`Shutdown`] it was made with. Dropping it stops nothing.
#[derive(Debug)]
pub struct Stopper(watch::Sender<ShutdownStage>);

impl Stopper {
    /// A stopper and what it stops.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(ShutdownStage::Run);
        (Self(sender), Shutdown(receiver))
    }

    /// The first call begins the orderly end, the second ends at once.
    pub fn stop(&self) {
        self.0.send_modify(|stage| {
            *stage = if *stage == ShutdownStage::Run { ShutdownStage::Drain } else { ShutdownStage::Abort };
        });
    }
}

impl Shutdown {
    /// Listens to SIGTERM, SIGINT and SIGHUP: the first begins the orderly end, the second ends at once.
    ///
    /// Must be called within a tokio runtime.
    pub fn signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (stopper, shutdown) = Stopper::new();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => tracing::info!("SIGTERM"),
                    _ = interrupt.recv() => tracing::info!("SIGINT"),
                    _ = hangup.recv() => tracing::info!("SIGHUP"),
                }
                stopper.stop();
            }
        });
        Ok(shutdown)
    }

    /// Waits for the orderly end to begin.
    pub async fn draining(&self) {
        self.reached(ShutdownStage::Drain).await;
    }

    /// Waits for the order to end at once.
    pub async fn aborted(&self) {
        self.reached(ShutdownStage::Abort).await;
    }

    async fn reached(&self, stage: ShutdownStage) {
        let mut changes = self.0.clone();
        if changes.wait_for(|now| *now >= stage).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
