//! The open connections of one port: so many at once, and the one that rests longest gives way to a new one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::activity::{Activity, Phase};

/// The open connections of one port.
pub(super) struct OpenConnections {
    most: usize,
    most_handshakes: usize,
    open: Mutex<Open>,
    /// Told when a connection ends or begins to rest: there may be room then.
    changed: Arc<Notify>,
    gauge: Gauge,
}

#[derive(Default)]
struct Open {
    connections: BTreeMap<u64, Activity>,
    next: u64,
}

/// The place of one connection. Dropping it makes room.
pub(super) struct ConnectionPlace {
    connections: Arc<OpenConnections>,
    id: u64,
    pub(super) activity: Activity,
}

impl OpenConnections {
    /// At most `most`, of which `most_handshakes` are not further than that; shown by `gauge`.
    pub(super) fn new(most: usize, most_handshakes: usize, gauge: Gauge) -> Arc<Self> {
        let changed = Arc::new(Notify::new());
        Arc::new(Self { most, most_handshakes, open: Mutex::default(), changed, gauge })
    }

    /// Waits until there is room for a connection that has come; for that one gives way that rests. Cancel safe.
    pub(super) async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let open = self.lock();
                if open.connections.len() < self.most {
                    return;
                }
                if let Some(resting) = open.longest(rest) {
                    resting.give_way();
                }
            }
            changed.await;
        }
    }

    /// Takes a place, in the phase that a connection begins with.
    pub(super) fn take(self: &Arc<Self>, phase: Phase) -> ConnectionPlace {
        let activity = Activity::new(phase, Arc::clone(&self.changed));
        let mut open = self.lock();
        let handshakes = || open.connections.values().filter(|other| other.phase() == Phase::Handshake);
        if phase == Phase::Handshake
            && open.connections.len() >= self.most_handshakes
            && handshakes().count() >= self.most_handshakes
            && let Some(oldest) = open.longest(|phase| (phase == Phase::Handshake).then_some(0))
        {
            oldest.give_way();
        }
        let id = open.next;
        open.next += 1;
        open.connections.insert(id, activity.clone());
        self.gauge.inc();
        drop(open);
        ConnectionPlace { connections: Arc::clone(self), id, activity }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The connection of the lowest rank that has been in its phase for the longest, unless it was told already.
    fn longest(&self, rank: impl Fn(Phase) -> Option<u8>) -> Option<&Activity> {
        let candidates = self.connections.values().filter(|activity| !activity.gives_way());
        let ranked = candidates.filter_map(|activity| {
            let (phase, since) = activity.state();
            Some(((rank(phase)?, since), activity))
        });
        ranked.min_by_key(|(key, _): &((u8, Instant), _)| *key).map(|(_, activity)| activity)
    }
}

/// Which connections give way first: those that have asked nothing yet, then those that rest, then those that have not shown
/// that they can ask.
fn rest(phase: Phase) -> Option<u8> {
    match phase {
        Phase::New => Some(0),
        Phase::Idle => Some(1),
        Phase::Handshake => Some(2),
        Phase::Head | Phase::Busy | Phase::Closing => None,
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.connections.lock().connections.remove(&self.id);
        self.connections.gauge.dec();
        self.connections.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use std::time::Duration;
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_longest_rest_gives_way_and_work_does_not() {
        let connections = OpenConnections::new(3, 3, Gauge::default());
        connections.room().await;
        let busy = connections.take(Phase::New);
        busy.activity.enter(Phase::Busy);
        let idle = connections.take(Phase::New);
        idle.activity.enter(Phase::Idle);
        advance(SECOND).await;
        connections.room().now_or_never().expect("there is room for a third");
        let young = connections.take(Phase::New);
        young.activity.enter(Phase::Idle);
        assert!(connections.room().now_or_never().is_none());
        let told = [&busy, &idle, &young].map(|place| place.activity.gives_way());
        assert_eq!(told, [false, true, false]);
        drop(idle);
        connections.room().now_or_never().expect("its place is free");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_begins_to_rest_gives_way_to_one_that_waits() {
        let connections = OpenConnections::new(1, 1, Gauge::default());
        let busy = connections.take(Phase::New);
        busy.activity.enter(Phase::Busy);
        let room = connections.room();
        tokio::pin!(room);
        assert!(room.as_mut().now_or_never().is_none());
        assert!(!busy.activity.gives_way());
        busy.activity.enter(Phase::Idle);
        assert!(room.as_mut().now_or_never().is_none());
        busy.activity.give_way_requested().now_or_never().expect("it was told");
        drop(busy);
        room.now_or_never().expect("there is room");
    }

    #[tokio::test(start_paused = true)]
    async fn handshakes_push_out_handshakes_only() {
        let connections = OpenConnections::new(10, 2, Gauge::default());
        let idle = connections.take(Phase::New);
        let first = connections.take(Phase::Handshake);
        advance(SECOND).await;
        let second = connections.take(Phase::Handshake);
        let third = connections.take(Phase::Handshake);
        let told = [&idle, &first, &second, &third].map(|place| place.activity.gives_way());
        assert_eq!(told, [false, true, false, false]);
        assert_eq!(connections.gauge.get(), 4);
    }
}
