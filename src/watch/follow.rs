//! One kind, listed and then watched for ever.

use std::convert::Infallible;
use std::ops::ControlFlow;

use tokio::sync::mpsc::{Sender, error::SendError};
use tokio::time::{sleep, timeout};

use super::outages::Outages;
use super::{Gauges, WatchConfig, WatchEvent};
use crate::api_server::{Api, ApiError, Backoff, WatchedChange};
use crate::cluster::Kind;

/// The client, the kind and the settings of one watch.
pub(super) struct Follower {
    pub(super) kind: Kind,
    pub(super) api: Api,
    pub(super) config: WatchConfig,
    pub(super) gauges: Gauges,
    pub(super) outages: Outages,
    pub(super) events: Sender<(Kind, WatchEvent)>,
}

/// The waits after errors and after refusals.
struct Waits {
    failures: Backoff,
    refusals: Backoff,
}

impl Waits {
    fn reset(&mut self) {
        self.failures.reset();
        self.refusals.reset();
    }
}

/// The writer is gone.
pub(super) type Gone = SendError<(Kind, WatchEvent)>;

impl Follower {
    /// Never ends unless the writer does.
    pub(super) async fn run(self) -> Result<Infallible, Gone> {
        let mut waits = Waits { failures: self.config.failures(), refusals: self.config.refusals() };
        loop {
            let Some(mut version) = self.list(&mut waits).await? else { continue };
            if version.is_empty() {
                // The custom resource is not served; it may be one day.
                sleep(waits.refusals.after_failure()).await;
                continue;
            }
            while self.watch(&mut version, &mut waits).await?.is_continue() {}
        }
    }

    /// Lists all objects; the version to go on from, unless it failed.
    async fn list(&self, waits: &mut Waits) -> Result<Option<String>, Gone> {
        self.tell(WatchEvent::Listing).await?;
        let mut next = None;
        loop {
            let page = match self.api.list(self.kind, None, self.config.page, next.as_deref()).await {
                Ok(page) => page,
                Err(error) => {
                    self.failed("list", &error, waits).await?;
                    return Ok(None);
                }
            };
            self.gauges.heard(self.kind);
            self.outages.over(self.kind);
            for item in page.items {
                self.tell(WatchEvent::Listed(item)).await?;
            }
            next = page.next;
            if next.is_none() {
                self.tell(WatchEvent::Complete).await?;
                return Ok(Some(page.version));
            }
        }
    }

    /// Watches once; `Break` where only a new list can help.
    async fn watch(&self, version: &mut String, waits: &mut Waits) -> Result<ControlFlow<()>, Gone> {
        match self.follow(version, waits).await? {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.is_expired() => {
                tracing::info!(kind = self.kind.name(), "the watch is too far behind: listing again");
                // Not at once, or a server that expires everything would be asked for lists without end.
                sleep(waits.failures.after_failure()).await;
                Ok(ControlFlow::Break(()))
            }
            Err(error) => {
                self.failed("watch", &error, waits).await?;
                let lost =
                    error.is_refusal() || matches!(error, ApiError::Malformed(_) | ApiError::TooLarge(_));
                Ok(if lost { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            }
        }
    }

    async fn follow(&self, version: &mut String, waits: &mut Waits) -> Result<Result<(), ApiError>, Gone> {
        let mut watch = match self.api.watch(self.kind, version, self.config.watch.as_secs()).await {
            Ok(watch) => watch,
            Err(error) => return Ok(Err(error)),
        };
        self.outages.over(self.kind);
        let longest = self.config.watch + self.config.silence;
        let mut said_something = false;
        loop {
            let happened = match timeout(longest, watch.next()).await {
                Ok(Ok(Some(happened))) => happened,
                // A watch that ends at once, again and again, must not become a busy loop.
                Ok(Ok(None)) if !said_something => {
                    sleep(waits.failures.after_failure()).await;
                    return Ok(Ok(()));
                }
                Ok(Ok(None)) => return Ok(Ok(())),
                Ok(Err(error)) => return Ok(Err(error)),
                Err(_) => return Ok(Err(ApiError::Silent(longest))),
            };
            said_something = true;
            waits.reset();
            self.gauges.heard(self.kind);
            self.pass_on(happened, version).await?;
        }
    }

    async fn pass_on(&self, happened: WatchedChange, version: &mut String) -> Result<(), Gone> {
        let now_at = match happened {
            WatchedChange::Changed(item, now_at) => {
                self.tell(WatchEvent::Changed(item)).await?;
                now_at
            }
            WatchedChange::Deleted { namespace, name, version } => {
                self.tell(WatchEvent::Deleted { namespace, name }).await?;
                version
            }
            WatchedChange::Bookmark(now_at) => now_at,
        };
        if !now_at.is_empty() {
            *version = now_at.into();
        }
        Ok(())
    }

    /// Says so and waits.
    async fn failed(&self, what: &'static str, error: &ApiError, waits: &mut Waits) -> Result<(), Gone> {
        if error.is_refusal() {
            self.tell(WatchEvent::Refused(format!("cannot {what}: {error}"))).await?;
            sleep(waits.refusals.after_failure()).await;
        } else {
            let wait = waits.failures.after_failure();
            self.outages.failed(self.kind, what, error, wait);
            sleep(wait).await;
        }
        Ok(())
    }

    async fn tell(&self, event: WatchEvent) -> Result<(), Gone> {
        self.events.send((self.kind, event)).await
    }
}
