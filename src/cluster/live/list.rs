//! Everything, once: what an audit judges.

use tokio::time::sleep;

use super::api::{Api, Item, Unreadable};
use super::error::ApiError;
use super::pace::{Backoff, Pace};
use crate::cluster::{Cluster, Kind};

/// How often a kind is tried before it stays unknown.
const ATTEMPTS: usize = 3;

/// What there is, and what could not be found out.
#[derive(Debug, Default)]
pub struct Listing {
    /// What could be read; where one namespace was asked for, its kinds are complete for that one.
    pub cluster: Cluster,
    /// The kinds of which nothing is known, and why.
    pub failed: Vec<(Kind, ApiError)>,
    /// The objects that exist but cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// Lists every kind in pages, in one namespace or in all, and tells `progress` how many objects there are so far. One page is
/// in memory at a time, and of its objects only what the rules read is kept. It is an error only where the StatefulSets
/// themselves cannot be listed.
pub async fn list(
    client: kube::Client,
    namespace: Option<&str>,
    pace: Pace,
    mut progress: impl FnMut(Kind, usize),
) -> Result<Listing, ApiError> {
    let api = Api { client, patience: pace.patience };
    let mut listing = Listing::default();
    for kind in Kind::ALL {
        match with_patience(&api, kind, namespace, pace, &mut progress).await {
            Ok(part) => listing.take(kind, part),
            Err(error) if kind == Kind::StatefulSet => return Err(error),
            Err(error) => listing.failed.push((kind, error)),
        }
    }
    Ok(listing)
}

/// The objects of one kind.
#[derive(Default)]
struct Part {
    cluster: Cluster,
    unreadable: Vec<Unreadable>,
}

async fn with_patience(
    api: &Api,
    kind: Kind,
    namespace: Option<&str>,
    pace: Pace,
    progress: &mut impl FnMut(Kind, usize),
) -> Result<Part, ApiError> {
    let mut backoff = Backoff::new(pace);
    for _ in 1..ATTEMPTS {
        match once(api, kind, namespace, pace, progress).await {
            Err(error) if error.may_pass() => sleep(backoff.after_failure()).await,
            done => return done,
        }
    }
    once(api, kind, namespace, pace, progress).await
}

async fn once(
    api: &Api,
    kind: Kind,
    namespace: Option<&str>,
    pace: Pace,
    progress: &mut impl FnMut(Kind, usize),
) -> Result<Part, ApiError> {
    let mut part = Part::default();
    if let (Kind::Namespace, Some(name)) = (kind, namespace) {
        if let Some(item) = api.get(kind, None, name).await? {
            part.take(item);
        }
        return Ok(part);
    }
    let mut next = None;
    loop {
        let answer = api.list(kind, namespace, pace.page, next.as_deref()).await?;
        for item in answer.items {
            part.take(item);
        }
        progress(kind, part.cluster.count(kind));
        next = answer.next;
        if next.is_none() {
            return Ok(part);
        }
    }
}

impl Part {
    fn take(&mut self, item: Item) {
        match item {
            Ok(object) => object.insert_into(&mut self.cluster),
            Err(unreadable) => {
                let Unreadable { kind, namespace, name, .. } = &unreadable;
                self.cluster.set_unreadable(*kind, namespace, name);
                self.unreadable.push(unreadable);
            }
        }
    }
}

impl Listing {
    fn take(&mut self, kind: Kind, part: Part) {
        self.cluster.replace(kind, part.cluster);
        self.cluster.set_complete(kind, true);
        self.unreadable.extend(part.unreadable);
    }
}
