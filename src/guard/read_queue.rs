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

use super::live_read_error::LiveReadError;
use super::live_reads::Freshness;
use crate::cluster::{Cluster, Kind};

/// Reads in flight about namespaces that the snapshot knows: a burst of denials must not become a burst of lists.
const FOR_DENIALS: usize = 16;
/// Reads in flight about anything that the snapshot does not know.
const FOR_UNKNOWN: usize = 8;
/// Reads in flight about one namespace for denials: all that one review needs, and one more.
const FOR_A_NAMESPACE: usize = 6;
/// Reads in flight about one namespace of objects that the snapshot does not know.
const FOR_UNKNOWN_IN_A_NAMESPACE: usize = 2;
/// Reviews about one namespace that wait for reads.
const WAITING_IN_A_NAMESPACE: usize = 64;
/// How long it is remembered that there is no such object.
const ABSENT_FOR: Duration = Duration::from_secs(1);
/// Entries that are kept before those that are over are looked for.
const MOST_ENTRIES: usize = 512;

/// The objects that a read covers: all of a kind in a namespace, or one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ReadKey {
    pub(super) kind: Kind,
    pub(super) namespace: Box<str>,
    pub(super) name: Option<Box<str>>,
    pub(super) freshness: Freshness,
}

impl ReadKey {
    /// One object, which is always read as it is.
    pub(super) fn named(kind: Kind, namespace: &str, name: &str) -> Self {
        let (namespace, name) = (namespace.into(), Some(name.into()));
        Self { kind, namespace, name, freshness: Freshness::Latest }
    }
}

/// Whose slots a read takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// A denial about a namespace that is known.
    Denial,
    /// A denial about a namespace that is not, which may be new, or made up.
    UnknownNamespace,
    /// An object that is not known, for which nothing is denied yet.
    UnknownObject,
}

/// The result of a read: a snapshot with these objects only.
pub(super) type LiveReadResult = Result<Cluster, LiveReadError>;

#[derive(Debug)]
pub(super) struct ReadQueue {
    denials: Semaphore,
    unknown: Semaphore,
    namespaces: Mutex<HashMap<Box<str>, Weak<NamespaceReads>>>,
    pending: Mutex<HashMap<ReadKey, PendingRead>>,
    absent: Mutex<HashMap<ReadKey, Instant>>,
    /// Reads in flight.
    pub(super) in_flight: Gauge,
}

#[derive(Debug)]
struct NamespaceReads {
    denials: Semaphore,
    unknown: Semaphore,
    reviews: Arc<Semaphore>,
}

/// A read that waits for its slot.
#[derive(Debug)]
struct PendingRead {
    read: WeakShared<BoxFuture<'static, LiveReadResult>>,
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
            denials: Semaphore::new(FOR_DENIALS),
            unknown: Semaphore::new(FOR_UNKNOWN),
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
    ) -> LiveReadResult
    where
        F: Future<Output = LiveReadResult> + Send + 'static,
    {
        if lane == Lane::UnknownObject {
            if self.is_absent(&key) {
                return Ok(Cluster::default());
            }
            // It waits for nothing: without an answer nothing is denied.
            let of_namespace = self.namespace(&key.namespace);
            if of_namespace.unknown.available_permits().min(self.unknown.available_permits()) == 0 {
                return Err(LiveReadError::Overloaded);
            }
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
    ) -> (Shared<BoxFuture<'static, LiveReadResult>>, Arc<AtomicBool>)
    where
        F: Future<Output = LiveReadResult> + Send + 'static,
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
        let shared =
            self.begin(key.clone(), lane, Arc::clone(&has_begun), read(key.clone())).boxed().shared();
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
        read: impl Future<Output = LiveReadResult> + Send + 'static,
    ) -> impl Future<Output = LiveReadResult> + Send + 'static {
        let queue = Arc::clone(self);
        async move {
            let namespace = queue.namespace(&key.namespace);
            let (turns, slots) = match lane {
                Lane::Denial => (&namespace.denials, &queue.denials),
                Lane::UnknownNamespace => (&namespace.denials, &queue.unknown),
                Lane::UnknownObject => (&namespace.unknown, &queue.unknown),
            };
            let _turn = turns.acquire().await;
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
            denials: Semaphore::new(FOR_A_NAMESPACE),
            unknown: Semaphore::new(FOR_UNKNOWN_IN_A_NAMESPACE),
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

#[cfg(test)]
mod tests {
    use futures::future::pending;
    use std::sync::atomic::AtomicUsize;
    use tokio::task::JoinSet;
    use tokio::time::advance;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(namespace: &str, name: &str) -> ReadKey {
        let name = Some(name).filter(|name| !name.is_empty()).map(Into::into);
        ReadKey { kind: Kind::StatefulSet, namespace: namespace.into(), name, freshness: Freshness::Latest }
    }

    async fn never(_: ReadKey) -> LiveReadResult {
        pending().await
    }

    async fn at_once(_: ReadKey) -> LiveReadResult {
        Ok(Cluster::default())
    }

    /// Reads that never end, waiting each in a task of its own until they are dropped.
    async fn flood(
        queue: &Arc<ReadQueue>,
        keys: impl Iterator<Item = ReadKey>,
        lane: Lane,
    ) -> JoinSet<LiveReadResult> {
        let mut reads = JoinSet::new();
        for key in keys {
            let (queue, deadline) = (Arc::clone(queue), Instant::now() + MINUTE);
            reads.spawn(async move { queue.read(key, lane, deadline, never).await });
        }
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        reads
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_unknown_sets_takes_no_slot_from_a_denial() {
        let queue = Arc::new(ReadQueue::new());
        let made_up = |index: usize| key(&format!("ns{}", index % 20), &format!("made-up-{index}"));
        let _flood = flood(&queue, (0..500).map(made_up), Lane::UnknownObject).await;
        assert_eq!(queue.in_flight.get(), i64::try_from(FOR_UNKNOWN).unwrap());
        let deadline = Instant::now() + MINUTE;
        let denial = queue.read(key("ns0", ""), Lane::Denial, deadline, at_once);
        assert!(denial.now_or_never().expect("it does not wait").is_ok());
        let unknown = queue.read(key("new", "one"), Lane::UnknownObject, deadline, at_once).now_or_never();
        assert_eq!(unknown.expect("it does not wait").unwrap_err(), LiveReadError::Overloaded);
    }

    #[tokio::test(start_paused = true)]
    async fn one_namespace_leaves_slots_for_others() {
        let queue = Arc::new(ReadQueue::new());
        let _flood = flood(&queue, (0..500).map(|index| key("loud", &index.to_string())), Lane::Denial).await;
        assert_eq!(queue.in_flight.get(), i64::try_from(FOR_A_NAMESPACE).unwrap());
        let other = queue.read(key("quiet", ""), Lane::Denial, Instant::now() + MINUTE, at_once);
        assert!(other.now_or_never().expect("it does not wait").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn reads_that_wait_are_shared_and_one_that_began_is_not() {
        let queue = Arc::new(ReadQueue::new());
        let _flood = flood(&queue, (0..500).map(|_| key("ns", "same")), Lane::Denial).await;
        let began = AtomicUsize::new(0);
        let deadline = Instant::now() + MINUTE;
        let count = |key| {
            began.fetch_add(1, Ordering::Relaxed);
            never(key)
        };
        let another = queue.read(key("ns", "same"), Lane::Denial, deadline, count).now_or_never();
        assert!(another.is_none());
        assert_eq!(began.load(Ordering::Relaxed), 0, "it joined the read that waits");
        assert_eq!(lock(&queue.pending).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_began_is_our_fault_and_what_did_is_not() {
        let queue = Arc::new(ReadQueue::new());
        let deadline = Instant::now() + MINUTE / 2;
        let begun =
            flood(&queue, (0..FOR_A_NAMESPACE).map(|index| key("ns", &index.to_string())), Lane::Denial);
        let mut begun = begun.await;
        let waiting = queue.read(key("ns", "waits"), Lane::Denial, deadline, never).await;
        assert_eq!(waiting.unwrap_err(), LiveReadError::Overloaded);
        advance(MINUTE).await;
        while let Some(end) = begun.join_next().await {
            assert_eq!(end.unwrap().unwrap_err(), LiveReadError::Timeout);
        }
        assert_eq!(queue.in_flight.get(), 0, "their slots are free");
    }

    #[tokio::test(start_paused = true)]
    async fn absence_is_remembered_for_a_moment() {
        let queue = Arc::new(ReadQueue::new());
        let asked = AtomicUsize::new(0);
        let ask = || {
            let count = |key| {
                asked.fetch_add(1, Ordering::Relaxed);
                at_once(key)
            };
            queue.read(key("ns", "gone"), Lane::UnknownObject, Instant::now() + MINUTE, count)
        };
        ask().await.unwrap();
        queue.remember_absent(key("ns", "gone"));
        ask().await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        advance(ABSENT_FOR).await;
        ask().await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        for index in 0..10_000 {
            queue.remember_absent(key("ns", &index.to_string()));
        }
        assert!(lock(&queue.absent).len() <= MOST_ENTRIES);
    }

    #[tokio::test(start_paused = true)]
    async fn reviews_of_one_namespace_that_wait_are_bounded() {
        let queue = ReadQueue::new();
        let waiting: Vec<_> = (0..200).filter_map(|_| queue.enter("loud")).collect();
        assert_eq!(waiting.len(), WAITING_IN_A_NAMESPACE);
        assert!(queue.enter("quiet").is_some());
        drop(waiting);
        assert!(queue.enter("loud").is_some());
    }
}
