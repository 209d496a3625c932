//! What a connection is doing, and for how long it may.
//!
//! hyper's HTTP/1 `header_read_timeout` starts when a connection goes idle, not with the first byte of the next
//! request, so it cannot be short (against slow clients) and let the API server's connections rest for 90 s. It is off;
//! the phases here take its place.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{Notify, watch},
    time::{Instant, sleep},
};

use super::Limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The TLS handshake is not over; it has a limit of its own.
    Handshake,
    /// Nothing was asked yet. Go's transport dials ahead, so a connection may begin with a rest.
    New,
    /// Nothing of the next request is here.
    Idle,
    /// Some of a request's head is here.
    Head,
    /// A request is being answered; reading its body has a limit of its own.
    Busy,
    /// Everything is sent; the client has not closed yet.
    Closing,
}

/// The phase of one connection, shared by its socket, its service and its deadline.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<ActivityState>);

#[derive(Debug)]
struct ActivityState {
    /// The phase, and since when.
    phase: watch::Sender<(Phase, Instant)>,
    gives_way: AtomicBool,
    told: Notify,
    /// Told when the connection begins to rest.
    rests: Arc<Notify>,
}

impl Activity {
    /// Of a connection that begins; `rests` is told whenever it has nothing to do.
    pub(super) fn new(phase: Phase, rests: Arc<Notify>) -> Self {
        Self(Arc::new(ActivityState {
            phase: watch::Sender::new((phase, Instant::now())),
            gives_way: AtomicBool::new(false),
            told: Notify::new(),
            rests,
        }))
    }

    pub(super) fn enter(&self, phase: Phase) {
        let changed = self.0.phase.send_if_modified(|current| {
            let changes = current.0 != phase;
            if changes {
                *current = (phase, Instant::now());
            }
            changes
        });
        if changed && matches!(phase, Phase::New | Phase::Idle) {
            self.0.rests.notify_waiters();
        }
    }

    /// The phase, and since when.
    pub(super) fn state(&self) -> (Phase, Instant) {
        *self.0.phase.borrow()
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().0
    }

    /// Tells the connection to end if it has nothing to do.
    pub(super) fn give_way(&self) {
        self.0.gives_way.store(true, Ordering::Release);
        self.0.told.notify_one();
    }

    pub(super) fn gives_way(&self) -> bool {
        self.0.gives_way.load(Ordering::Acquire)
    }

    /// Waits until the connection is to end for another.
    pub(super) async fn told_to_give_way(&self) {
        self.0.told.notified().await;
    }

    fn bytes_arrived(&self) {
        if matches!(self.phase(), Phase::New | Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// Waits until no request is half read, so that a close loses none.
    pub(super) async fn between_heads(&self) {
        let _ = self.0.phase.subscribe().wait_for(|(phase, _)| *phase != Phase::Head).await;
    }

    /// Waits until a phase has lasted too long, and names it.
    pub(super) async fn overdue(&self, limits: &Limits) -> Phase {
        let mut changes = self.0.phase.subscribe();
        loop {
            let (phase, _) = *changes.borrow_and_update();
            let limit = match phase {
                Phase::New => Some(limits.first),
                Phase::Idle => Some(limits.idle),
                Phase::Head => Some(limits.head),
                Phase::Handshake | Phase::Busy => None,
                Phase::Closing => Some(limits.linger),
            };
            let expired = async {
                match limit {
                    Some(limit) => sleep(limit).await,
                    None => std::future::pending::<()>().await,
                }
            };
            tokio::select! {
                _ = changes.changed() => {}
                () = expired => return phase,
            }
        }
    }
}

/// A socket that notes when a request begins, and that reads on after it was closed: unread bytes would make the
/// kernel send a reset, which can overtake the answer.
#[derive(Debug)]
pub(super) struct Monitored<S> {
    socket: S,
    activity: Activity,
    closed: bool,
}

impl<S> Monitored<S> {
    pub(super) fn new(socket: S, activity: Activity) -> Self {
        Self { socket, activity, closed: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Monitored<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.socket).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.activity.bytes_arrived();
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Monitored<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            self.activity.enter(Phase::Closing);
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            self.closed = true;
        }
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
