//! The TLS handshake of one connection.

use std::{io, net::SocketAddr};

use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Limits, Metrics, activity::Activity, connection::ServerStage};

pub(super) struct Handshake {
    pub(super) acceptor: TlsAcceptor,
    pub(super) limits: Limits,
    pub(super) peer: SocketAddr,
}

impl Handshake {
    /// Gives nothing where it fails, takes too long, has to give way to others, or the server ends first.
    pub(super) async fn run(
        self,
        stream: TcpStream,
        metrics: &Metrics,
        mut stage: watch::Receiver<ServerStage>,
        activity: &Activity,
    ) -> Option<TlsStream<TcpStream>> {
        let accepted = tokio::select! {
            biased;
            accepted = timeout(self.limits.handshake, self.acceptor.accept(stream)) => accepted,
            _ = stage.wait_for(|stage| *stage >= ServerStage::Close) => return None,
            () = activity.give_way_requested() => Ok(Err(io::ErrorKind::ConnectionAborted.into())),
        };
        let error = match accepted {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        metrics.handshake_failed();
        tracing::debug!(peer = %self.peer, %error, "TLS handshake failed");
        None
    }
}
