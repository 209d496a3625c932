//! One replica at a time leads, by a Lease of the API server.
//!
//! ```text
//! Elector ─ look, claim, renew ─▶ Lease          (what to do is Candidate's to say, and why two never lead)
//!    └─ until when this process leads ─▶ Leadership ─ lead(work) ─▶ the controller, the caBundle …
//! ```
//!
//! Serving reviews does not depend on it.

mod candidate;
mod leadership;

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1;
use kube::{Api, Client, api::PostParams};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    api_server::{ApiError, answered, jittered},
    process::{Remark, RepeatedErrors, Shutdown, warn_if_new},
};
use candidate::{Candidate, ElectionStep};
use leadership::LeadershipSetter;

pub use candidate::LeaseConfig;
pub use leadership::Leadership;

/// Takes part in the election as long as it runs.
pub struct Elector {
    api: Api<v1::Lease>,
    name: String,
    config: LeaseConfig,
    candidate: Candidate,
    setter: LeadershipSetter,
    /// The instant from which `now` is counted.
    start: Instant,
    leading: Gauge,
    logged: RepeatedErrors,
    remark: Remark,
}

/// Why a step came to nothing.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("cannot read lease: {0}")]
    Read(#[source] ApiError),
    #[error("cannot write lease: {0}")]
    Write(#[source] ApiError),
}

impl Elector {
    /// Creates an elector for the Lease `namespace/name`, and its [`Leadership`]. `instance` tells people which replica leads.
    pub fn new(
        client: Client,
        (namespace, name): (&str, &str),
        instance: &str,
        config: LeaseConfig,
        registry: &mut Registry,
    ) -> (Self, Leadership) {
        let leading = Gauge::<i64>::default();
        registry.register("leader", "Whether this replica leads", leading.clone());
        let (setter, leadership) = LeadershipSetter::new();
        // A container that is started again has the name of the one before.
        let me = format!("{instance}_{:016x}", RandomState::new().hash_one(instance));
        let (api, candidate) = (Api::namespaced(client, namespace), Candidate::new(me, config));
        let (name, start) = (name.to_owned(), Instant::now());
        let (logged, remark) = (RepeatedErrors::default(), Remark::default());
        (Self { api, name, config, candidate, setter, start, leading, logged, remark }, leadership)
    }

    /// Also says in this remark why there is no election.
    #[must_use]
    pub fn with_remark(self, remark: Remark) -> Self {
        Self { remark, ..self }
    }

    /// Takes part in the election until the shutdown begins, then releases the lease, so that no other replica has to wait for it to
    /// expire. Errors are retried.
    pub async fn run(mut self, shutdown: &Shutdown) {
        loop {
            self.round().await;
            tokio::select! {
                biased;
                () = shutdown.draining() => break,
                () = sleep(jittered(self.config.retry)) => {}
            }
        }
        self.resign().await;
    }

    async fn round(&mut self) {
        match self.steps().await {
            Ok(()) => {
                self.logged.over();
                self.remark.clear();
            }
            Err(error) => self.failed(&error),
        }
        self.publish_leadership();
    }

    fn failed(&mut self, error: &StepError) {
        let (StepError::Read(cause) | StepError::Write(cause)) = error;
        let key = cause.to_string();
        let effect = "without a leader caBundle, per-pod Services, reports and statuses are not updated";
        warn_if_new!(self.logged, &key, { lease = %self.name, }, "{error}; {effect}");
        self.remark.set(format!("leader: {error}; {effect}"));
    }

    /// Reads where that is needed, and does what there is to do.
    async fn steps(&mut self) -> Result<(), StepError> {
        let mut step = self.candidate.next(self.start.elapsed(), Timestamp::now());
        if step == ElectionStep::Look {
            self.look().await.map_err(StepError::Read)?;
            step = self.candidate.next(self.start.elapsed(), Timestamp::now());
        }
        let sent = self.start.elapsed();
        let answer = match step {
            ElectionStep::Look | ElectionStep::Wait => return Ok(()),
            ElectionStep::Create(mut lease) => {
                lease.metadata.name = Some(self.name.clone());
                answered(self.patience(), self.api.create(&PostParams::default(), &lease)).await
            }
            ElectionStep::Replace(lease) => self.replace(&lease).await,
        };
        self.take_effect(answer, sent).map_err(StepError::Write)
    }

    async fn look(&mut self) -> Result<(), ApiError> {
        let lease = answered(self.patience(), self.api.get_opt(&self.name)).await?;
        self.candidate.saw(lease, self.start.elapsed());
        Ok(())
    }

    async fn replace(&self, lease: &v1::Lease) -> Result<v1::Lease, ApiError> {
        answered(self.patience(), self.api.replace(&self.name, &PostParams::default(), lease)).await
    }

    /// Takes note of what became of what was sent.
    fn take_effect(&mut self, answer: Result<v1::Lease, ApiError>, sent: Duration) -> Result<(), ApiError> {
        match answer {
            Ok(lease) => self.candidate.wrote(lease, sent, self.start.elapsed()),
            // Another was first.
            Err(error) if error.is_conflict() => self.candidate.was_refused(),
            Err(error) => {
                if error.is_absence() {
                    self.candidate.was_refused();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// An answer that comes when leadership is nearly over is of no use: better to ask again before.
    fn patience(&self) -> Duration {
        self.config.lead_for / 2
    }

    fn publish_leadership(&self) {
        let until = self.candidate.leads_until().map(|until| self.start + until);
        let leads = until.is_some_and(|until| Instant::now() < until);
        if self.leading.set(leads.into()) != i64::from(leads) {
            tracing::info!(lease = %self.name, "{}", if leads { "became leader" } else { "lost leadership" });
        }
        self.setter.set(until);
    }

    async fn resign(&mut self) {
        let Some(until) = self.candidate.leads_until() else { return };
        let lease = self.candidate.resign(Timestamp::now());
        self.publish_leadership();
        // The next leader must not overlap with our work. It ends at the deadline in any case.
        let left = until.saturating_sub(self.start.elapsed());
        let Some(lease) = lease.filter(|_| !left.is_zero()) else { return };
        if timeout(left, self.setter.vacant()).await.is_err() {
            return;
        }
        match self.replace(&lease).await {
            Ok(_) => tracing::info!(lease = %self.name, "released lease"),
            Err(error) => tracing::info!(lease = %self.name, "lease not released, it will expire: {error}"),
        }
    }
}
