//! The activity of a connection, and its time limit.
//!
//! hyper's HTTP/1 `header_read_timeout` starts when a connection goes idle, not with the first byte of the next
//! request, so it cannot be short (against slow clients) and let the API server's connections rest for 90 s. It is off;
//! the phases here take its place, with one timer a connection: to set one may cost a call of the kernel.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::Limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The TLS handshake is not over; it has a limit of its own.
    Handshake,
    /// Nothing was asked yet. Go's transport dials ahead, so a connection may begin with a rest.
    New,
    /// Nothing of the next request is here.
    Idle,
    /// Some of a request's head is here.
    Head,
    /// A request is being answered; for its body there is a limit, which `body` keeps.
    Busy,
    /// Everything is sent; the client has not closed yet.
    Closing,
}

/// The phase of one connection, shared by its socket, its service and its deadline, which are all of one task.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<ActivityState>);

#[derive(Debug)]
struct ActivityState {
    begun: Instant,
    /// Microseconds from `begun` to the beginning of the phase, and in the lowest byte the phase. Each request goes through three
    /// phases: none of them wakes a task that need not know.
    phase: AtomicU64,
    gives_way: AtomicBool,
    give_way_requested: Notify,
    /// Told when the connection begins to rest.
    rests: Arc<Notify>,
    /// Told when it is no longer in the middle of a head.
    left_head: Notify,
    /// Told when it begins to close, for which it has less time than for the other phases.
    closes: Notify,
}

const PHASES: [Phase; 6] =
    [Phase::Handshake, Phase::New, Phase::Idle, Phase::Head, Phase::Busy, Phase::Closing];

impl Activity {
    /// The activity of a new connection; `rests` is notified whenever it becomes idle.
    pub(super) fn new(phase: Phase, rests: Arc<Notify>) -> Self {
        Self(Arc::new(ActivityState {
            begun: Instant::now(),
            phase: AtomicU64::new(phase as u64),
            gives_way: AtomicBool::new(false),
            give_way_requested: Notify::new(),
            rests,
            left_head: Notify::new(),
            closes: Notify::new(),
        }))
    }

    pub(super) fn enter(&self, phase: Phase) {
        let before = self.phase();
        if before == phase {
            return;
        }
        let micros = u64::try_from(self.0.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.0.phase.store((micros << 8) | phase as u64, Ordering::Release);
        if before == Phase::Head {
            self.0.left_head.notify_waiters();
        }
        match phase {
            Phase::New | Phase::Idle => self.0.rests.notify_waiters(),
            Phase::Closing => self.0.closes.notify_one(),
            Phase::Handshake | Phase::Head | Phase::Busy => {}
        }
    }

    /// The phase, and since when.
    pub(super) fn state(&self) -> (Phase, Instant) {
        let state = self.0.phase.load(Ordering::Acquire);
        let phase = usize::from(state.to_le_bytes()[0]);
        (PHASES[phase], self.0.begun + Duration::from_micros(state >> 8))
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().0
    }

    /// Tells the connection to end if it has nothing to do.
    pub(super) fn give_way(&self) {
        self.0.gives_way.store(true, Ordering::Release);
        self.0.give_way_requested.notify_one();
    }

    pub(super) fn gives_way(&self) -> bool {
        self.0.gives_way.load(Ordering::Acquire)
    }

    /// Waits until the connection is to end for another.
    pub(super) async fn give_way_requested(&self) {
        self.0.give_way_requested.notified().await;
    }

    fn bytes_arrived(&self) {
        if matches!(self.phase(), Phase::New | Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// Waits until no request is half read, so that a close loses none.
    pub(super) async fn between_heads(&self) {
        loop {
            let left = self.0.left_head.notified();
            if self.phase() != Phase::Head {
                return;
            }
            left.await;
        }
    }

    /// Waits until a phase has lasted too long, and names it. Whatever is polled beside it is polled in time to see that a body has
    /// taken too long.
    pub(super) async fn overdue(&self, limits: &Limits) -> Phase {
        // A phase that begins later lasts as long as this at least: to look again then is never too late, and no request sets a timer.
        let shortest = limits.first.min(limits.idle).min(limits.head).min(limits.body);
        loop {
            let ((phase, since), now) = (self.state(), Instant::now());
            let due = since + limit(phase, limits);
            // The task that answers a request sees for itself that its body takes too long, once it is woken.
            if due <= now && !matches!(phase, Phase::Handshake | Phase::Busy) {
                return phase;
            }
            let look = if due > now { due.min(now + shortest) } else { now + shortest };
            tokio::select! {
                () = sleep_until(look) => {}
                () = self.0.closes.notified() => {}
            }
        }
    }
}

/// The usual upper bound of the time between the start of a request and the start of its body's time limit.
const BETWEEN: Duration = Duration::from_millis(50);

/// How long a phase may last. Of a request that is being answered, how long its body may take.
fn limit(phase: Phase, limits: &Limits) -> Duration {
    match phase {
        Phase::Handshake => limits.handshake,
        Phase::New => limits.first,
        Phase::Idle => limits.idle,
        Phase::Head => limits.head,
        Phase::Busy => limits.body + BETWEEN,
        Phase::Closing => limits.linger,
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        Limits {
            first: 30 * SECOND,
            idle: 300 * SECOND,
            head: 10 * SECOND,
            linger: SECOND,
            ..Limits::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_is_over_when_its_time_is_whenever_it_began() {
        for (phase, limit) in [(Phase::New, 30), (Phase::Idle, 300), (Phase::Head, 10), (Phase::Closing, 1)] {
            let (activity, limits) = (Activity::new(Phase::New, Arc::default()), limits());
            let overdue = activity.overdue(&limits);
            tokio::pin!(overdue);
            for other in [Phase::Head, Phase::Busy, Phase::Idle] {
                assert!(overdue.as_mut().now_or_never().is_none());
                advance(3 * SECOND).await;
                activity.enter(other);
            }
            activity.enter(phase);
            assert!(overdue.as_mut().now_or_never().is_none());
            let since = Instant::now();
            assert_eq!(overdue.await, phase);
            assert_eq!((Instant::now() - since).as_secs(), limit, "{phase:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_answered_may_take_as_long_as_it_takes() {
        let (activity, limits) = (Activity::new(Phase::New, Arc::default()), limits());
        activity.enter(Phase::Busy);
        assert!(tokio::time::timeout(3600 * SECOND, activity.overdue(&limits)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_end_of_a_head_is_told() {
        let activity = Activity::new(Phase::New, Arc::default());
        activity.between_heads().now_or_never().expect("there is no head");
        activity.enter(Phase::Head);
        let between = activity.between_heads();
        tokio::pin!(between);
        assert!(between.as_mut().now_or_never().is_none());
        activity.enter(Phase::Busy);
        between.now_or_never().expect("the head is over");
    }
}
