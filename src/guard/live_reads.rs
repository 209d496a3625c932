//! Live reads of what a denial rests on.
//!
//! A watch is always a little behind. Before a change is refused for what other objects are like, those are read again: all of
//! the kinds in question in the one namespace that the change is about, at the same time and within the request's own time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::api_server::{Api, ApiError};
use crate::cluster::{Cluster, Kind, ObjectRead};

/// Requests in flight to the API server for all reviews together: a burst of denials must not become a burst of lists.
const IN_FLIGHT: usize = 16;
/// Objects in one page.
const PAGE: u32 = 500;
/// Pages of one kind in one namespace; beyond, the kind stays unknown.
const PAGES: usize = 10;

/// Asks the API server for the neighbours of one change. Clones share the limits.
#[derive(Clone)]
pub struct Reader {
    api: Api,
    slots: Arc<Semaphore>,
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The namespace the change is about.
    pub namespace: Box<str>,
    /// The StatefulSet the change names without showing it, as a scale does: it must be read even where no other set matters.
    pub set: Option<Box<str>>,
    /// The kinds that the judgement rests on.
    pub kinds: Vec<Kind>,
}

/// What was read.
#[derive(Debug)]
pub struct Fresh {
    /// Only what was read, of that one namespace. What is complete in it is so for that namespace.
    pub cluster: Cluster,
    /// The kinds that could not be read, and why.
    pub failed: Vec<(Kind, LiveReadError)>,
}

/// Why a kind could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveReadError {
    /// The request's time was over.
    #[error("the API server did not answer in time")]
    Timeout,
    /// There are more objects than are read for one review.
    #[error("there are more than {} in the namespace", PAGES * PAGE as usize)]
    TooMany,
    /// The API server refused, or could not be reached.
    #[error("{0}")]
    Error(String),
}

impl Fresh {
    /// Why this kind is not known, if it was wanted and is not.
    pub fn failure(&self, kind: Kind) -> Option<&LiveReadError> {
        self.failed.iter().find(|(failed, _)| *failed == kind).map(|(_, failure)| failure)
    }
}

impl Reader {
    /// Reads over `client`.
    pub fn new(client: kube::Client) -> Self {
        // Each read ends at its review's deadline; this only bounds those that nobody waits for.
        let api = Api { client, patience: Duration::from_secs(30) };
        Self { api, slots: Arc::new(Semaphore::new(IN_FLIGHT)) }
    }

    /// Reads what is wanted until `deadline`. The Namespace itself comes from the snapshot where it cannot be read: which policies
    /// apply depends on its labels.
    pub async fn fresh(&self, wanted: &Wanted, snapshot: &Cluster, deadline: Instant) -> Fresh {
        let kinds = Kind::watched().filter(|kind| *kind == Kind::Namespace || wanted.rests_on(*kind));
        let reads = kinds.map(async |kind| {
            let items = timeout_at(deadline, self.read(kind, wanted)).await;
            (kind, items.unwrap_or(Err(LiveReadError::Timeout)))
        });
        let read = futures::future::join_all(reads).await;
        let mut fresh = Fresh { cluster: Cluster::default(), failed: Vec::new() };
        if let Some(namespace) = snapshot.namespace(&wanted.namespace) {
            fresh.cluster.insert(namespace.clone());
        }
        for (kind, items) in read {
            fresh.take(kind, items, wanted.kinds.contains(&kind));
        }
        fresh
    }

    /// `snapshot` with a StatefulSet that is not in it yet, or as it is where there is no such set.
    pub async fn with_set(
        &self,
        snapshot: &Cluster,
        (namespace, name): (&str, &str),
        deadline: Instant,
    ) -> Result<Cluster, LiveReadError> {
        let read = timeout_at(deadline, self.get(Kind::StatefulSet, Some(namespace), name)).await;
        let mut cluster = snapshot.clone();
        for set in read.unwrap_or(Err(LiveReadError::Timeout))?.into_iter().flatten() {
            set.insert_into(&mut cluster);
        }
        Ok(cluster)
    }

    async fn read(&self, kind: Kind, wanted: &Wanted) -> Result<Vec<ObjectRead>, LiveReadError> {
        let namespace = &*wanted.namespace;
        match (kind, &wanted.set) {
            (Kind::Namespace, _) => self.get(kind, None, namespace).await,
            (Kind::StatefulSet, Some(name)) if !wanted.kinds.contains(&kind) => {
                self.get(kind, Some(namespace), name).await
            }
            _ => self.list(kind, namespace).await,
        }
    }

    async fn get(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Vec<ObjectRead>, LiveReadError> {
        let _slot = self.slots.acquire().await;
        let found = self.api.get(kind, namespace, name).await.map_err(failure)?;
        Ok(found.into_iter().collect())
    }

    async fn list(&self, kind: Kind, namespace: &str) -> Result<Vec<ObjectRead>, LiveReadError> {
        let (mut items, mut next) = (Vec::new(), None);
        for _ in 0..PAGES {
            let _slot = self.slots.acquire().await;
            let page = self.api.list(kind, Some(namespace), PAGE, next.as_deref()).await.map_err(failure)?;
            items.extend(page.items);
            next = page.next;
            if next.is_none() {
                return Ok(items);
            }
        }
        Err(LiveReadError::TooMany)
    }
}

impl Wanted {
    /// Whether the judgement rests on what is read of this kind.
    pub fn rests_on(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind) || (kind == Kind::StatefulSet && self.set.is_some())
    }
}

impl Fresh {
    fn take(&mut self, kind: Kind, items: Result<Vec<ObjectRead>, LiveReadError>, all: bool) {
        let items = match items {
            Ok(items) => items,
            Err(failure) => {
                self.failed.push((kind, failure));
                return;
            }
        };
        for item in items {
            self.cluster.insert_read(item);
        }
        self.cluster.set_complete(kind, all);
    }
}

fn failure(error: ApiError) -> LiveReadError {
    match error {
        ApiError::Silent(_) => LiveReadError::Timeout,
        other => LiveReadError::Error(other.to_string()),
    }
}
