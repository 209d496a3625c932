//! Live reads of what a denial rests on.
//!
//! A watch is always a little behind. Before a change is refused for what other objects are like, those are read again: all of
//! the kinds in question in the one namespace that the change is about, at the same time and within the request's own time. Where
//! it is only warned of, the API server's cache is asked, which answers at once.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;
use tracing::{Instrument, trace_span};

use super::confirmation::ReferencedObject;
use super::live_read_error::{LARGEST, LiveReadError, PAGE, PAGES};
use super::read_queue::{Lane, ReadKey, ReadQueue};
use crate::api_server::{AnswerLimits, Api, ApiError};
use crate::cluster::{Cluster, Kind, ObjectRead};
use crate::process::traces::SPANS;

/// Lists over a mebibyte that are in memory at a time. Who may fill a namespace can provoke denials in it too, and must not be able
/// to exhaust the memory of this replica: with these, and as many small lists as there are slots, all answers take less than
/// 100 MiB. What is kept of them is what the snapshot has of the namespace.
const LARGE_AT_ONCE: usize = 2;

/// Asks the API server for the neighbours of one change. Clones share the limits.
#[derive(Clone)]
pub struct LiveReader {
    api: Api,
    queue: Arc<ReadQueue>,
}

/// The objects to read before a denial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveReadRequest {
    /// The namespace the change is about.
    pub namespace: Box<str>,
    /// The StatefulSet the change names without showing it, as a scale does: it must be read even where no other set matters.
    pub set: Option<Box<str>>,
    /// The kinds that the verdict rests on.
    pub kinds: Vec<Kind>,
    /// How fresh it has to be.
    pub freshness: Freshness,
}

/// How fresh a list has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Read from the cache of the API server.
    Cached,
    /// Read with quorum, so that nothing is missed.
    Latest,
}

/// The result of a read.
#[derive(Debug)]
pub struct Fresh {
    /// The snapshot with what was read in its place, so that a confirmed finding gives the same remedy. A kind that was read is
    /// complete in it for that one namespace; one that could not be read is not.
    pub cluster: Cluster,
    /// The kinds that could not be read, and why.
    pub failed: Vec<(Kind, LiveReadError)>,
}

impl Fresh {
    /// Why this kind is not known, if it was wanted and is not.
    pub fn failure(&self, kind: Kind) -> Option<&LiveReadError> {
        self.failed.iter().find(|(failed, _)| *failed == kind).map(|(_, failure)| failure)
    }
}

impl LiveReader {
    /// Reads over `client`.
    pub fn new(client: kube::Client) -> Self {
        // Each read ends at its review's deadline; this only bounds reads without a waiting review.
        let api =
            Api::new(client, Duration::from_secs(30)).with_limits(AnswerLimits::new(LARGEST, LARGE_AT_ONCE));
        Self { api, queue: Arc::new(ReadQueue::new()) }
    }

    /// How many reads are in flight.
    pub fn in_flight(&self) -> Gauge {
        self.queue.in_flight.clone()
    }

    /// Reads what is wanted until `deadline`. The Namespace itself comes from the snapshot where it cannot be read: which policies
    /// apply depends on its labels.
    pub async fn fresh(&self, wanted: &LiveReadRequest, snapshot: &Cluster, deadline: Instant) -> Fresh {
        let known = snapshot.namespace(&wanted.namespace);
        let is_known = known.is_some() || !snapshot.is_complete(Kind::Namespace);
        let lane = if is_known { Lane::Denial } else { Lane::UnknownNamespace };
        let waiting = self.queue.enter(&wanted.namespace);
        let kinds = Kind::watched().filter(|kind| *kind == Kind::Namespace || wanted.rests_on(*kind));
        let reads = kinds.map(async |kind| {
            let found = match &waiting {
                Some(_) => self.read(wanted.key(kind), lane, deadline).await,
                None => Err(LiveReadError::Overloaded),
            };
            (kind, found)
        });
        let read = futures::future::join_all(reads).await;
        let mut fresh = Fresh { cluster: snapshot.clone(), failed: Vec::new() };
        for (kind, found) in read {
            fresh.take(kind, found, wanted);
        }
        fresh
    }

    /// `snapshot` with these objects of a kind as they are, and what kept some from being read. Where nothing did, one that is not
    /// there does not exist.
    pub(super) async fn with_named(
        &self,
        kind: Kind,
        names: &[String],
        snapshot: &Cluster,
        namespace: &str,
        deadline: Instant,
    ) -> (Cluster, Option<LiveReadError>) {
        let mut cluster = snapshot.clone();
        let Some(_waiting) = self.queue.enter(namespace) else {
            return (cluster, Some(LiveReadError::Overloaded));
        };
        let reads = names.iter().map(|name| {
            let key = ReadKey::named(kind, namespace, name);
            self.read(key, Lane::Denial, deadline)
        });
        let mut failure = None;
        for read in futures::future::join_all(reads).await {
            match read {
                Ok(found) => cluster.add(&found),
                Err(error) => failure = Some(error),
            }
        }
        cluster.set_complete(kind, failure.is_none());
        (cluster, failure)
    }

    /// One object by name, or nothing where there is no such.
    pub(super) async fn object(
        &self,
        named: ReferencedObject<'_>,
        deadline: Instant,
    ) -> Result<Cluster, LiveReadError> {
        let ReferencedObject { kind, namespace, name } = named;
        let key = ReadKey::named(kind, namespace, name);
        let read = self.read(key.clone(), Lane::UnknownObject, deadline).await?;
        if read.is_empty() {
            self.queue.remember_absent(key);
        }
        Ok(read)
    }

    async fn read(&self, key: ReadKey, lane: Lane, deadline: Instant) -> Result<Cluster, LiveReadError> {
        let api = self.api.clone();
        let read = |key: ReadKey| async move {
            let found = match (key.kind, &key.name) {
                (Kind::Namespace, _) => get(&api, key.kind, None, &key.namespace).await,
                (kind, Some(name)) => get(&api, kind, Some(&key.namespace), name).await,
                (kind, None) if key.freshness == Freshness::Cached => {
                    cached(&api, kind, &key.namespace).await
                }
                (kind, None) => list(&api, kind, &key.namespace).await,
            };
            let mut cluster = Cluster::default();
            found?.into_iter().for_each(|item| cluster.insert_read(item));
            Ok(cluster)
        };
        let span = trace_span!(target: SPANS, "live read", kind = key.kind.name());
        self.queue.read(key, lane, deadline, read).instrument(span).await
    }
}

async fn get(
    api: &Api,
    kind: Kind,
    namespace: Option<&str>,
    name: &str,
) -> Result<Vec<ObjectRead>, LiveReadError> {
    let found = api.get(kind, namespace, name).await.map_err(failure)?;
    Ok(found.into_iter().collect())
}

async fn cached(api: &Api, kind: Kind, namespace: &str) -> Result<Vec<ObjectRead>, LiveReadError> {
    let items = api.list_cached(kind, namespace).await.map_err(failure)?.items;
    if items.len() > PAGES * PAGE as usize { Err(LiveReadError::TooMany) } else { Ok(items) }
}

async fn list(api: &Api, kind: Kind, namespace: &str) -> Result<Vec<ObjectRead>, LiveReadError> {
    let (mut items, mut bytes, mut next) = (Vec::new(), 0, None);
    for _ in 0..PAGES {
        let page = api.list_within_limits(kind, namespace, PAGE, next.as_deref()).await.map_err(failure)?;
        bytes += page.bytes;
        if bytes > LARGEST {
            return Err(LiveReadError::TooLarge);
        }
        items.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok(items);
        }
    }
    Err(LiveReadError::TooMany)
}

impl LiveReadRequest {
    /// Whether the verdict rests on what is read of this kind.
    pub fn rests_on(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind) || (kind == Kind::StatefulSet && self.set.is_some())
    }

    /// The one set where only that is wanted, else all of the kind.
    fn key(&self, kind: Kind) -> ReadKey {
        let one = kind == Kind::StatefulSet && !self.kinds.contains(&kind);
        match self.set.as_deref().filter(|_| one) {
            Some(name) => ReadKey::named(kind, &self.namespace, name),
            None => {
                ReadKey { kind, namespace: self.namespace.clone(), name: None, freshness: self.freshness }
            }
        }
    }
}

impl Fresh {
    fn take(&mut self, kind: Kind, found: Result<Cluster, LiveReadError>, wanted: &LiveReadRequest) {
        let namespace = &wanted.namespace;
        match (found, &wanted.set) {
            (Ok(found), _) if wanted.kinds.contains(&kind) => {
                self.cluster.replace_in_namespace(kind, namespace, &found);
            }
            (Ok(found), Some(set)) if kind == Kind::StatefulSet => {
                self.cluster.remove(kind, namespace, set);
                self.cluster.add(&found);
            }
            (Ok(found), _) => self.cluster.add(&found),
            (Err(failure), _) => {
                self.cluster.set_complete(kind, false);
                self.failed.push((kind, failure));
            }
        }
    }
}

fn failure(error: ApiError) -> LiveReadError {
    match error {
        ApiError::Silent(_) => LiveReadError::Timeout,
        ApiError::TooLarge(_) => LiveReadError::TooLarge,
        other => LiveReadError::Error(other.to_string()),
    }
}
