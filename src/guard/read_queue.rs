//! Which live read may go, and which reviews wait for the same one.
//!
//! The port is open to more than the API server, so a flood of reviews must not take the reads away from the few that decide:
//! denials about namespaces that are known have slots of their own, one namespace gets a part of them, and reviews that need the
//! same read share it as long as it has not begun. One that has begun is not shared: it may have seen the cluster before the
//! change that a later review is about.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::live_reads::LiveReadError;
use crate::cluster::{Cluster, Kind};

/// Reads in flight about namespaces that the snapshot knows: a burst of denials must not become a burst of lists.
const FOR_DENIALS: usize = 16;
/// Reads in flight about anything that the snapshot does not know.
const FOR_UNKNOWN: usize = 8;
/// Reads in flight about one namespace: all that one review needs, and one more.
const FOR_A_NAMESPACE: usize = 6;
/// Reviews about one namespace that wait for reads.
const WAITING_IN_A_NAMESPACE: usize = 64;
/// How long it is remembered that there is no such object.
const ABSENT_FOR: Duration = Duration::from_secs(1);
/// Entries that are kept before those that are over are looked for.
const MOST_ENTRIES: usize = 512;

/// What is read: all objects of a kind in a namespace, or one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ReadKey {
    pub(super) kind: Kind,
    pub(super) namespace: Box<str>,
    pub(super) name: Option<Box<str>>,
}

/// Whose slots a read takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// A denial about a namespace that is known.
    Denial,
    /// A denial about a namespace that is not, which may be new, or made up.
    UnknownNamespace,
    /// A set that is not known, of which nothing is denied yet.
    UnknownSet,
}

/// What is read: a snapshot with these objects only.
pub(super) type Read = Result<Cluster, LiveReadError>;

#[derive(Debug)]
pub(super) struct ReadQueue {
    denials: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
    namespaces: Mutex<HashMap<Box<str>, Weak<NamespaceReads>>>,
    pending: Mutex<HashMap<ReadKey, PendingRead>>,
    absent: Mutex<HashMap<ReadKey, Instant>>,
    /// Reads in flight.
    pub(super) in_flight: Gauge,
}

#[derive(Debug)]
struct NamespaceReads {
    slots: Arc<Semaphore>,
    reviews: Arc<Semaphore>,
}

/// A read that waits for its slot.
#[derive(Debug)]
struct PendingRead {
    read: WeakShared<BoxFuture<'static, Read>>,
    has_begun: Arc<AtomicBool>,
}

/// A review's leave to wait for reads about its namespace.
pub(super) struct Waiting {
    _review: OwnedSemaphorePermit,
    /// Keeps what is known of the namespace.
    _namespace: Arc<NamespaceReads>,
}

impl ReadQueue {
    pub(super) fn new() -> Self {
        Self {
            denials: Arc::new(Semaphore::new(FOR_DENIALS)),
            unknown: Arc::new(Semaphore::new(FOR_UNKNOWN)),
            namespaces: Mutex::default(),
            pending: Mutex::default(),
            absent: Mutex::default(),
            in_flight: Gauge::default(),
        }
    }

    /// Leave to wait for reads about a namespace, unless too many reviews do already.
    pub(super) fn enter(&self, namespace: &str) -> Option<Waiting> {
        let reads = self.namespace(namespace);
        let review = Arc::clone(&reads.reviews).try_acquire_owned().ok()?;
        Some(Waiting { _review: review, _namespace: reads })
    }

    /// The result of a read that begins after this call, until `deadline`.
    pub(super) async fn read<F>(
        self: &Arc<Self>,
        key: ReadKey,
        lane: Lane,
        deadline: Instant,
        read: impl FnOnce(ReadKey) -> F,
    ) -> Read
    where
        F: Future<Output = Read> + Send + 'static,
    {
        if lane == Lane::UnknownSet && (self.is_absent(&key) || self.unknown.available_permits() == 0) {
            let absent = self.is_absent(&key);
            return if absent { Ok(Cluster::default()) } else { Err(LiveReadError::Overloaded) };
        }
        let (read, has_begun) = self.join(key, lane, read);
        timeout_at(deadline, read).await.unwrap_or_else(|_| {
            let began = has_begun.load(Ordering::Acquire);
            Err(if began { LiveReadError::Timeout } else { LiveReadError::Overloaded })
        })
    }

    /// Remembers for a moment that there is no such object.
    pub(super) fn remember_absent(&self, key: ReadKey) {
        let (mut absent, now) = (lock(&self.absent), Instant::now());
        if absent.len() >= MOST_ENTRIES {
            absent.retain(|_, until| *until > now);
        }
        if absent.len() < MOST_ENTRIES {
            absent.insert(key, now + ABSENT_FOR);
        }
    }

    fn is_absent(&self, key: &ReadKey) -> bool {
        lock(&self.absent).get(key).is_some_and(|until| *until > Instant::now())
    }

    /// The read of this key that waits for its slot, or a new one.
    fn join<F>(
        self: &Arc<Self>,
        key: ReadKey,
        lane: Lane,
        read: impl FnOnce(ReadKey) -> F,
    ) -> (Shared<BoxFuture<'static, Read>>, Arc<AtomicBool>)
    where
        F: Future<Output = Read> + Send + 'static,
    {
        let mut pending = lock(&self.pending);
        if let Some(waiting) = pending.get(&key)
            && let Some(shared) = waiting.read.upgrade()
        {
            return (shared, Arc::clone(&waiting.has_begun));
        }
        if pending.len() >= MOST_ENTRIES {
            pending.retain(|_, waiting| waiting.read.upgrade().is_some());
        }
        let has_begun = Arc::new(AtomicBool::new(false));
        let shared = self.begin(key.clone(), lane, Arc::clone(&has_begun), read(key.clone())).boxed().shared();
        if let Some(waiting) = shared.downgrade() {
            pending.insert(key, PendingRead { read: waiting, has_begun: Arc::clone(&has_begun) });
        }
        (shared, has_begun)
    }

    fn begin(
        self: &Arc<Self>,
        key: ReadKey,
        lane: Lane,
        has_begun: Arc<AtomicBool>,
        read: impl Future<Output = Read> + Send + 'static,
    ) -> impl Future<Output = Read> + Send + 'static {
        let queue = Arc::clone(self);
        async move {
            let namespace = queue.namespace(&key.namespace);
            let _turn = namespace.slots.acquire().await;
            let slots = if lane == Lane::Denial { &queue.denials } else { &queue.unknown };
            let _slot = slots.acquire().await;
            has_begun.store(true, Ordering::Release);
            lock(&queue.pending).remove(&key);
            let _counted = Counted::new(&queue.in_flight);
            read.await
        }
    }

    fn namespace(&self, name: &str) -> Arc<NamespaceReads> {
        let mut namespaces = lock(&self.namespaces);
        if let Some(known) = namespaces.get(name).and_then(Weak::upgrade) {
            return known;
        }
        if namespaces.len() >= MOST_ENTRIES {
            namespaces.retain(|_, reads| reads.strong_count() > 0);
        }
        let new = Arc::new(NamespaceReads {
            slots: Arc::new(Semaphore::new(FOR_A_NAMESPACE)),
            reviews: Arc::new(Semaphore::new(WAITING_IN_A_NAMESPACE)),
        });
        namespaces.insert(name.into(), Arc::downgrade(&new));
        new
    }
}

/// Counts as long as it lives.
struct Counted<'a>(&'a Gauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
