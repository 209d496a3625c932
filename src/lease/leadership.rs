//! Whether this process leads, for the rest of the process.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::{
    sync::{RwLock, watch},
    time::{Instant, sleep_until},
};

/// Tells whether this process leads. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: watch::Receiver<Option<Instant>>,
    /// Held for reading by whatever is done while leading.
    work: Arc<RwLock<()>>,
}

/// Sender half of [`Leadership`].
#[derive(Debug)]
pub(super) struct LeadershipSetter {
    until: watch::Sender<Option<Instant>>,
    work: Arc<RwLock<()>>,
}

impl LeadershipSetter {
    pub(super) fn new() -> (Self, Leadership) {
        let (until, receiver) = watch::channel(None);
        let work = Arc::new(RwLock::new(()));
        (Self { until, work: Arc::clone(&work) }, Leadership { until: receiver, work })
    }

    pub(super) fn set(&self, until: Option<Instant>) {
        self.until.send_if_modified(|before| std::mem::replace(before, until) != until);
    }

    /// Waits until nothing is done any more as the leader.
    pub(super) async fn vacant(&self) {
        drop(self.work.write().await);
    }
}

impl Leadership {
    /// Whether this process leads, at this very moment. To be asked again before each write that only a leader may do.
    pub fn is_leader(&self) -> bool {
        // A flag would stay set if the elector stopped.
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until this process leads.
    pub async fn gained(&self) {
        let mut until = self.until.clone();
        let leads = |until: &Option<Instant>| until.is_some_and(|until| Instant::now() < until);
        if until.wait_for(leads).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this process does not lead.
    pub async fn lost(&self) {
        let mut changes = self.until.clone();
        loop {
            let until = *changes.borrow_and_update();
            let Some(until) = until.filter(|until| Instant::now() < *until) else { return };
            tokio::select! {
                () = sleep_until(until) => {}
                Ok(()) = changes.changed() => {}
            }
        }
    }

    /// Does the work that `work` makes whenever this process leads, until it is done. Where leadership ends first the work is
    /// dropped, at whatever it waits for, and made anew when there is leadership again.
    pub async fn lead<T, W: Future<Output = T>>(&self, mut work: impl FnMut() -> W) -> T {
        loop {
            self.gained().await;
            let _at_work = self.work.read().await;
            if let Some(done) = self.while_leading(work()).await {
                return done;
            }
        }
    }

    /// Never lets the work take a step after the deadline, however late this task gets its turn.
    async fn while_leading<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut lost, mut work) = (pin!(self.lost()), pin!(work));
        poll_fn(|cx| {
            if lost.as_mut().poll(cx).is_ready() || !self.is_leader() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{Leadership, LeadershipSetter};

    const TERM: Duration = Duration::from_secs(10);

    fn led() -> (LeadershipSetter, Leadership) {
        let (setter, leadership) = LeadershipSetter::new();
        setter.set(Some(Instant::now() + TERM));
        (setter, leadership)
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_itself_at_the_deadline() {
        let (setter, leadership) = led();
        assert!(leadership.is_leader());
        advance(TERM).await;
        assert!(!leadership.is_leader());
        leadership.lost().await;
        drop(setter);
        leadership.lost().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_keeps_the_work_and_a_loss_ends_it() {
        let (setter, leadership) = led();
        let begun = std::sync::atomic::AtomicUsize::new(0);
        let count = || begun.load(std::sync::atomic::Ordering::Relaxed);
        let work = leadership.lead(|| {
            begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(3 * TERM)
        });
        let renewals = async {
            for _ in 0..2 {
                tokio::time::sleep(TERM / 2).await;
                setter.set(Some(Instant::now() + TERM));
            }
            tokio::time::sleep(TERM / 2).await;
            assert_eq!(count(), 1);
            setter.set(None);
            setter.vacant().await;
            setter.set(Some(Instant::now() + 4 * TERM));
        };
        tokio::join!(work, renewals);
        assert_eq!(count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn work_takes_no_step_after_the_deadline_whatever_wakes_it() {
        let (_throne, leadership) = led();
        let (wake, woken) = tokio::sync::oneshot::channel::<()>();
        let work = leadership.while_leading(woken);
        let mut work = std::pin::pin!(work);
        assert!(futures_poll(work.as_mut()).await.is_none(), "pending");
        // After a pause of the process the message is there before the timer has been polled.
        wake.send(()).unwrap();
        advance(TERM).await;
        assert_eq!(futures_poll(work).await, Some(None));
    }

    async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
