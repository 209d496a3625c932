//! One budget of bytes for the bodies of all requests in flight.
//!
//! Each body may be megabytes, and there are as many as there are connections. Bytes are taken as they arrive, so that a body
//! that is announced and never sent takes none; where none are left, a body that has been on its way for long gives way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A body that has been on its way for this long gives way to others. The API server sends one in milliseconds.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct ByteBudget {
    most: usize,
    state: Mutex<InFlightState>,
    gauge: Gauge,
}

#[derive(Debug, Default)]
struct InFlightState {
    used: usize,
    /// Bodies that are still read, the oldest first.
    reading: BTreeMap<u64, BodyBeingRead>,
    next: u64,
}

#[derive(Debug)]
struct BodyBeingRead {
    since: Instant,
    bytes: usize,
    give_way: Arc<Notify>,
}

/// The bytes of one body. Dropping it gives them back.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<ByteBudget>,
    id: u64,
    bytes: usize,
    is_whole: bool,
    give_way: Arc<Notify>,
}

/// There are no bytes left.
#[derive(Debug)]
pub(super) struct NoRoom;

impl ByteBudget {
    /// At most `most` bytes, shown by `gauge`.
    pub(super) fn new(most: usize, gauge: Gauge) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default(), gauge })
    }

    /// The share of a body that begins to be read.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        let give_way = Arc::new(Notify::new());
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        let reading = BodyBeingRead { since: Instant::now(), bytes: 0, give_way: Arc::clone(&give_way) };
        state.reading.insert(id, reading);
        Share { budget: Arc::clone(self), id, bytes: 0, is_whole: false, give_way }
    }

    fn lock(&self) -> MutexGuard<'_, InFlightState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &InFlightState) {
        self.gauge.set(i64::try_from(state.used).unwrap_or(i64::MAX));
    }
}

impl InFlightState {
    /// Takes the bytes of the slowest body other than `id` back; false where there is none.
    fn reclaim(&mut self, id: u64) -> bool {
        let is_slow = |reading: &BodyBeingRead| reading.bytes > 0 && reading.since.elapsed() >= SLOW;
        let slow = self.reading.iter().find(|(other, reading)| **other != id && is_slow(reading));
        let Some(reading) = slow.map(|(id, _)| *id).and_then(|id| self.reading.remove(&id)) else {
            return false;
        };
        self.used -= reading.bytes;
        reading.give_way.notify_one();
        true
    }
}

impl Share {
    /// Takes bytes that have arrived.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let mut state = self.budget.lock();
        while state.used + bytes > self.budget.most {
            if !state.reclaim(self.id) {
                return Err(NoRoom);
            }
        }
        // A body that had to give way has been removed already.
        let reading = state.reading.get_mut(&self.id).ok_or(NoRoom)?;
        reading.bytes += bytes;
        state.used += bytes;
        self.bytes += bytes;
        self.budget.show(&state);
        Ok(())
    }

    /// The body is whole: it does not give way any more.
    pub(super) fn complete(&mut self) {
        self.is_whole = self.budget.lock().reading.remove(&self.id).is_some();
    }

    /// The notification that this body has to give way.
    pub(super) fn give_way(&self) -> Arc<Notify> {
        Arc::clone(&self.give_way)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        if state.reading.remove(&self.id).is_some() || self.is_whole {
            state.used -= self.bytes;
        }
        self.budget.show(&state);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn used(budget: &ByteBudget) -> usize {
        budget.lock().used
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_gives_way_and_a_whole_one_does_not() {
        let budget = ByteBudget::new(100, Gauge::default());
        let (mut whole, mut slow) = (budget.share(), budget.share());
        whole.grow(40).unwrap();
        whole.complete();
        slow.grow(50).unwrap();
        let mut new = budget.share();
        assert!(new.grow(20).is_err(), "the other one is not slow yet");
        advance(SLOW).await;
        new.grow(20).unwrap();
        slow.give_way().notified().await;
        assert!(slow.grow(1).is_err());
        assert_eq!(used(&budget), 60);
        assert!(new.grow(41).is_err(), "neither the whole one nor itself gives way");
        drop(slow);
        assert_eq!(used(&budget), 60, "nothing is given back twice");
        drop((whole, new));
        assert_eq!((used(&budget), budget.gauge.get()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_only_announced_takes_nothing() {
        let budget = ByteBudget::new(100, Gauge::default());
        let waiting: Vec<Share> = (0..1000).map(|_| budget.share()).collect();
        let mut share = budget.share();
        share.grow(100).unwrap();
        drop(waiting);
        assert_eq!(used(&budget), 100);
    }
}
