//! One kind, listed and then watched for ever.

use std::convert::Infallible;
use std::ops::ControlFlow;

use tokio::sync::mpsc::{Sender, error::SendError};
use tokio::time::{sleep, timeout};

use super::api::{Api, Happened};
use super::error::ApiError;
use super::pace::{Backoff, Pace};
use super::{Event, Gauges};
use crate::cluster::Kind;

/// What it takes to follow a kind.
pub(super) struct Follower {
    pub(super) kind: Kind,
    pub(super) api: Api,
    pub(super) pace: Pace,
    pub(super) gauges: Gauges,
    pub(super) events: Sender<(Kind, Event)>,
}

/// The writer is gone.
pub(super) type Gone = SendError<(Kind, Event)>;

impl Follower {
    /// Never ends unless the writer does.
    pub(super) async fn run(self) -> Result<Infallible, Gone> {
        let mut backoff = Backoff::new(self.pace);
        loop {
            let Some(mut version) = self.list(&mut backoff).await? else { continue };
            while self.watch(&mut version, &mut backoff).await?.is_continue() {}
        }
    }

    /// Lists all objects; the version to go on from, unless it failed.
    async fn list(&self, backoff: &mut Backoff) -> Result<Option<String>, Gone> {
        self.tell(Event::Listing).await?;
        let mut next = None;
        loop {
            let page = match self.api.list(self.kind, None, self.pace.page, next.as_deref()).await {
                Ok(page) => page,
                Err(error) => {
                    self.failed("list", &error, backoff).await?;
                    return Ok(None);
                }
            };
            self.gauges.heard(self.kind);
            for item in page.items {
                self.tell(Event::Listed(item)).await?;
            }
            next = page.next;
            if next.is_none() {
                self.tell(Event::Complete).await?;
                return Ok(Some(page.version));
            }
        }
    }

    /// Watches once; `Break` where only a new list can help.
    async fn watch(&self, version: &mut String, backoff: &mut Backoff) -> Result<ControlFlow<()>, Gone> {
        match self.follow(version, backoff).await? {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.is_expired() => {
                tracing::info!(kind = self.kind.name(), "the watch is too far behind: listing again");
                // Not at once, or a server that expires everything would be asked for lists without end.
                sleep(backoff.after_failure()).await;
                Ok(ControlFlow::Break(()))
            }
            Err(error) => {
                self.failed("watch", &error, backoff).await?;
                let lost = error.is_refusal() || matches!(error, ApiError::Malformed(_));
                Ok(if lost { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            }
        }
    }

    async fn follow(
        &self,
        version: &mut String,
        backoff: &mut Backoff,
    ) -> Result<Result<(), ApiError>, Gone> {
        let mut watch = match self.api.watch(self.kind, version, self.pace.watch.as_secs()).await {
            Ok(watch) => watch,
            Err(error) => return Ok(Err(error)),
        };
        let longest = self.pace.watch + self.pace.silence;
        let mut said_something = false;
        loop {
            let happened = match timeout(longest, watch.next()).await {
                Ok(Ok(Some(happened))) => happened,
                // One that ends without a word, again and again, must not be a busy loop.
                Ok(Ok(None)) if !said_something => {
                    sleep(backoff.after_failure()).await;
                    return Ok(Ok(()));
                }
                Ok(Ok(None)) => return Ok(Ok(())),
                Ok(Err(error)) => return Ok(Err(error)),
                Err(_) => return Ok(Err(ApiError::Silent(longest))),
            };
            said_something = true;
            backoff.worked();
            self.gauges.heard(self.kind);
            self.pass_on(happened, version).await?;
        }
    }

    async fn pass_on(&self, happened: Happened, version: &mut String) -> Result<(), Gone> {
        let now_at = match happened {
            Happened::Changed(item, now_at) => {
                self.tell(Event::Changed(item)).await?;
                now_at
            }
            Happened::Deleted { namespace, name, version } => {
                self.tell(Event::Deleted { namespace, name }).await?;
                version
            }
            Happened::Bookmark(now_at) => now_at,
        };
        if !now_at.is_empty() {
            *version = now_at.into();
        }
        Ok(())
    }

    /// Says so and waits.
    async fn failed(&self, what: &'static str, error: &ApiError, backoff: &mut Backoff) -> Result<(), Gone> {
        if error.is_refusal() {
            self.tell(Event::Refused(format!("cannot {what}: {error}"))).await?;
            sleep(backoff.after_refusal()).await;
        } else {
            let wait = backoff.after_failure();
            tracing::warn!(kind = self.kind.name(), ?wait, "cannot {what}, trying again: {error}");
            sleep(wait).await;
        }
        Ok(())
    }

    async fn tell(&self, event: Event) -> Result<(), Gone> {
        self.events.send((self.kind, event)).await
    }
}
