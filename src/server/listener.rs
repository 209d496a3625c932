//! Accepting connections.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time::sleep,
};

use super::{
    activity::{Activity, Phase},
    connection::ServerStage,
    open_connections::OpenConnections,
};

/// Accepts connections and gives each its own task, until the stage says to close; then waits for them to end.
/// Dropping the future ends them at once.
pub(super) async fn listen<H, C>(
    socket: TcpListener,
    connections: Arc<OpenConnections>,
    begins_with: Phase,
    mut stage: watch::Receiver<ServerStage>,
    handle: H,
) where
    H: Fn(TcpStream, SocketAddr, Activity) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    let mut acceptor =
        Acceptor { socket, connections: Arc::clone(&connections), accepted: None, failures: 0 };
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = stage.wait_for(|stage| *stage >= ServerStage::Close) => break,
            Some(end) = running.join_next() => report(end),
            (stream, peer) = acceptor.next() => {
                let place = connections.take(begins_with);
                let connection = handle(stream, peer, place.activity.clone());
                running.spawn(async move {
                    connection.await;
                    drop(place);
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
    connections: Arc<OpenConnections>,
    /// A connection that waits for room.
    accepted: Option<(TcpStream, SocketAddr)>,
    failures: u32,
}

impl Acceptor {
    /// The next connection, once there is room for it. Cancel safe: no connection is lost.
    async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if self.accepted.is_some() {
                self.connections.room().await;
            }
            match self.accepted.take() {
                Some(accepted) => return accepted,
                None => self.accepted = Some(self.accept().await),
            }
        }
    }

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    self.failures = 0;
                    // Answers are one small write: waiting for more to send with them only adds latency.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
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
    fn a_connection_that_is_gone_already_delays_no_other() {
        assert_eq!(pause_after(&io::ErrorKind::ConnectionAborted.into(), 5), None);
    }
}
