//! Accepting connections.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinError, JoinSet},
    time::sleep,
};

use super::connection::ServerStage;

/// Accepts connections and gives each its own task, until the stage says to close; then waits for them to end.
/// Dropping the future ends them at once.
pub(super) async fn listen<H, C>(
    socket: TcpListener,
    connections: usize,
    mut stage: watch::Receiver<ServerStage>,
    handle: H,
) where
    H: Fn(TcpStream, SocketAddr) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    let mut acceptor = Acceptor { socket, slots: Arc::new(Semaphore::new(connections)), failures: 0 };
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = stage.wait_for(|stage| *stage >= ServerStage::Close) => break,
            Some(end) = running.join_next() => report(end),
            (slot, stream, peer) = acceptor.next() => {
                let connection = handle(stream, peer);
                running.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
        }
    }
    drop(acceptor);
    while let Some(end) = running.join_next().await {
        report(end);
    }
}

fn report(end: Result<(), JoinError>) {
    if let Err(error) = end {
        tracing::error!(%error, "a connection's task died");
    }
}

struct Acceptor {
    socket: TcpListener,
    slots: Arc<Semaphore>,
    failures: u32,
}

impl Acceptor {
    /// The next connection, once there is a slot for it. Cancel safe: no connection is lost.
    async fn next(&mut self) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return std::future::pending().await;
        };
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    self.failures = 0;
                    // Answers are one small write: waiting for more to send with them only adds latency.
                    let _ = stream.set_nodelay(true);
                    return (slot, stream, peer);
                }
                Err(error) => self.back_off(&error).await,
            }
        }
    }

    async fn back_off(&mut self, error: &io::Error) {
        let Some(pause) = pause_after(error, self.failures) else {
            return;
        };
        self.failures = self.failures.saturating_add(1);
        tracing::warn!(%error, ?pause, "cannot accept connections");
        sleep(pause).await;
    }
}

/// How long to wait after an error of `accept`: not at all where only that one connection failed. The rest, such as
/// too many open files, lasts, and the listener stays readable: without a pause it would spin.
fn pause_after(error: &io::Error, failures: u32) -> Option<Duration> {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    match error.kind() {
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted => None,
        _ => Some(Duration::from_millis(10 << failures.min(7))),
    }
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::pause_after;

    const EMFILE: i32 = 24;

    #[test]
    fn too_many_files_waits_longer_each_time_up_to_a_bound() {
        let error = io::Error::from_raw_os_error(EMFILE);
        let pauses: Vec<_> = (0..10).filter_map(|failures| pause_after(&error, failures)).collect();
        assert_eq!(pauses.len(), 10);
        assert_eq!(pauses.first(), Some(&Duration::from_millis(10)));
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&Duration::from_millis(1280)));
    }

    #[test]
    fn a_connection_that_is_gone_already_delays_nobody() {
        assert_eq!(pause_after(&io::ErrorKind::ConnectionAborted.into(), 5), None);
    }
}
