//! Everything, once: what an audit judges.

use tokio::time::sleep;

use super::WatchConfig;
use crate::api_server::{Api, ApiError};
use crate::cluster::{Cluster, Kind, Listing, ObjectRead, Unreadable};

/// How often a kind is tried before it stays unknown.
const ATTEMPTS: usize = 3;

/// Lists every kind in pages, in one namespace or in all, and tells `progress` how many objects there are so far. One page is
/// in memory at a time, and of its objects only what the rules read is kept. It is an error only where the StatefulSets
/// themselves cannot be listed.
pub async fn list(
    client: kube::Client,
    namespace: Option<&str>,
    config: WatchConfig,
    progress: impl FnMut(Kind, usize),
) -> Result<Listing, ApiError> {
    let api = Api::new(client, config.patience);
    let mut lister = Lister { api, namespace, config, progress };
    let mut listing = Listing::default();
    for kind in Kind::listed() {
        match lister.with_patience(kind).await {
            Ok(part) => add(&mut listing, kind, part),
            Err(error) if kind == Kind::StatefulSet => return Err(error),
            Err(error) => listing.failed.push((kind, error.to_string())),
        }
    }
    Ok(listing)
}

/// The StatefulSets with all of their fields, which checks of policies read.
pub async fn list_raw_sets(
    client: kube::Client,
    namespace: Option<&str>,
    config: WatchConfig,
) -> Result<Vec<serde_json::Value>, ApiError> {
    let api = Api::new(client, config.patience);
    let (mut sets, mut next) = (Vec::new(), None);
    loop {
        let page = api.list_raw(Kind::StatefulSet, namespace, config.page, next.as_deref()).await?;
        sets.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok(sets);
        }
    }
}

/// The objects of one kind.
#[derive(Default)]
struct KindListing {
    cluster: Cluster,
    unreadable: Vec<Unreadable>,
}

/// Lists kinds of one namespace, or of all.
struct Lister<'a, P> {
    api: Api,
    namespace: Option<&'a str>,
    config: WatchConfig,
    progress: P,
}

impl<P: FnMut(Kind, usize)> Lister<'_, P> {
    async fn with_patience(&mut self, kind: Kind) -> Result<KindListing, ApiError> {
        let mut backoff = self.config.failures();
        for _ in 1..ATTEMPTS {
            match self.once(kind).await {
                Err(error) if error.may_pass() => sleep(backoff.after_failure()).await,
                done => return done,
            }
        }
        self.once(kind).await
    }

    async fn once(&mut self, kind: Kind) -> Result<KindListing, ApiError> {
        let mut part = KindListing::default();
        if let (Kind::Namespace, Some(name)) = (kind, self.namespace) {
            if let Some(item) = self.api.get(kind, None, name).await? {
                part.take(item);
            }
            return Ok(part);
        }
        let mut next = None;
        loop {
            let answer = self.api.list(kind, self.namespace, self.config.page, next.as_deref()).await?;
            for item in answer.items {
                part.take(item);
            }
            (self.progress)(kind, part.cluster.count(kind));
            next = answer.next;
            if next.is_none() {
                return Ok(part);
            }
        }
    }
}

impl KindListing {
    fn take(&mut self, read: ObjectRead) {
        self.unreadable.extend(read.as_ref().err().cloned());
        self.cluster.insert_read(read);
    }
}

fn add(listing: &mut Listing, kind: Kind, part: KindListing) {
    listing.cluster.replace(kind, part.cluster);
    listing.cluster.set_complete(kind, true);
    listing.unreadable.extend(part.unreadable);
}
