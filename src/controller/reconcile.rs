//! One round over the Services of one set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::ControllerConfig;
use super::api::{Server, WriteError};
use super::memory::RoundMemories;
use super::metrics::ControllerMetrics;
use crate::api_server::jittered;
use crate::cluster::Cluster;
use crate::events::Events;
use crate::model::Object;
use crate::per_pod::owned::Owned;
use crate::per_pod::plan::{Plan, Seen, ServiceAction, ServiceStep, plan};
use crate::per_pod::problem::{Blockers, Problem, condition_text};
use crate::per_pod::service::PerPodService;
use crate::per_pod::set::PerPodSet;
use crate::per_pod::template::{POLICY_UNKNOWN, Template};
use crate::policy::Policies;

/// After so many Services that come to nothing, the others are not tried: most likely it is the same with them all.
const ENOUGH: usize = 3;

/// After so many rounds that fail, one after the other, people are told.
const LASTING: u32 = 3;

/// What all rounds of one term of leadership share.
pub(super) struct Context {
    pub(super) server: Server,
    pub(super) owned: Arc<Mutex<Owned>>,
    pub(super) synced: watch::Receiver<bool>,
    pub(super) cluster: Arc<ArcSwap<Cluster>>,
    pub(super) policies: Arc<ArcSwap<Policies>>,
    pub(super) events: Option<Events>,
    pub(super) metrics: ControllerMetrics,
    pub(super) config: ControllerConfig,
    pub(super) memories: RoundMemories,
}

/// When the next round is due, should nothing happen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// When something happens.
    News,
    /// After this time.
    After(Duration),
}

/// What a round has come to.
#[derive(Default)]
struct Round {
    blockers: Blockers,
    /// What was written.
    writes: usize,
    /// Whether something is left for the next round, which is to come at once.
    is_partial: bool,
    /// Whether something has to go by itself first.
    waits: bool,
    failure: Option<WriteError>,
}

impl Round {
    /// Notes what has become of a step, and whether it was in vain.
    fn failed(&mut self, name: &str, failure: WriteError, metrics: &ControllerMetrics) -> usize {
        match failure {
            WriteError::Refused(reason) => {
                metrics.service("refused");
                self.blockers.refused.push((name.to_owned(), reason));
            }
            // It is looked at once more when the watch has told what changed.
            WriteError::Stale => {
                self.waits = true;
                return 0;
            }
            failure => {
                metrics.service("failed");
                self.failure = Some(failure);
            }
        }
        1
    }
}

impl Context {
    /// Brings the Services of a set nearer to what it asks for.
    pub(super) async fn round(&self, set: &PerPodSet) -> Next {
        let mut synced = self.synced.clone();
        // Before everything that is ours has been listed, all of it would have to be asked for one by one.
        if synced.wait_for(|synced| *synced).await.is_err() {
            return Next::News;
        }
        let (cluster, policies) = (self.cluster.load_full(), self.policies.load_full());
        let namespace = cluster.namespace(&set.metadata.namespace);
        // The garbage collector sees to what is left of it.
        if set.metadata.deleting || namespace.is_some_and(|namespace| namespace.metadata.deleting) {
            self.memories.forget(set);
            return Next::News;
        }
        let template = match Template::of(set, &cluster, &policies) {
            Ok(template) => template,
            Err(problem) => return self.pause(set, problem).await,
        };
        let round = self.apply_plan(set, template.as_ref()).await;
        self.conclude(set, round).await
    }

    /// Leaves everything as it is, and says why.
    async fn pause(&self, set: &PerPodSet, problem: Problem) -> Next {
        self.metrics.round("held");
        if problem.id == POLICY_UNKNOWN {
            self.tell(set, &problem);
            return self.retry();
        }
        self.report(set, &[problem]).await
    }

    async fn apply_plan(&self, set: &PerPodSet, template: Option<&Template>) -> Round {
        let Plan { steps, blockers, waits } = self.plan(set, template);
        let mut round = Round { blockers, waits, ..Round::default() };
        let (deletions, others): (Vec<&ServiceStep>, Vec<_>) =
            steps.iter().partition(|step| step.action == ServiceAction::Delete);
        // Where the one is of no use, the other may be: what is deleted leaves room in a quota, and among the node ports.
        for steps in [deletions, others] {
            let mut vain = 0;
            for step in steps {
                let is_over = round.failure == Some(WriteError::NotLeading);
                if round.writes >= self.config.writes_a_round || vain >= ENOUGH || is_over {
                    round.is_partial = true;
                    break;
                }
                if let Err(failure) = self.take(set, template, step, &mut round).await {
                    vain += round.failed(&step.name, failure, &self.metrics);
                }
            }
        }
        round
    }

    fn plan(&self, set: &PerPodSet, template: Option<&Template>) -> Plan {
        let owned = self.owned();
        let nothing = Seen::new();
        plan(set, template, owned.of(&set.metadata.namespace, &set.metadata.name).unwrap_or(&nothing))
    }

    async fn take(
        &self,
        set: &PerPodSet,
        template: Option<&Template>,
        step: &ServiceStep,
        round: &mut Round,
    ) -> Result<(), WriteError> {
        let seen = self.seen(set, &step.name);
        match (step.action, template, seen) {
            (ServiceAction::Create, Some(template), _) => self.create(set, template, &step.name, round).await,
            (ServiceAction::Update | ServiceAction::Adopt, Some(template), Some(seen)) => {
                self.change(step.action, template, &seen, round).await
            }
            (ServiceAction::Delete, _, Some(seen)) => {
                self.server.delete(&seen).await?;
                self.done("deleted", round);
                Ok(())
            }
            // It has gone meanwhile, or come.
            _ => Ok(()),
        }
    }

    /// Makes a Service, unless one of its name turns out to be there.
    async fn create(
        &self,
        set: &PerPodSet,
        template: &Template,
        name: &str,
        round: &mut Round,
    ) -> Result<(), WriteError> {
        let namespace = &*set.metadata.namespace;
        if let Some(live) = self.server.get(namespace, name).await? {
            return self.handle_existing(set, template, &live, round).await;
        }
        self.server.create(&template.manifest(name, namespace, None)).await?;
        self.done("created", round);
        Ok(())
    }

    /// Deals with a Service that was not known to be there.
    async fn handle_existing(
        &self,
        set: &PerPodSet,
        template: &Template,
        live: &PerPodService,
        round: &mut Round,
    ) -> Result<(), WriteError> {
        let mut existing = Plan { blockers: std::mem::take(&mut round.blockers), ..Plan::default() };
        let foreign = existing.blockers.foreign.len();
        existing.add(set, template, live.metadata.name.to_string(), Some(live));
        if existing.blockers.foreign.len() > foreign {
            self.metrics.service("foreign");
        }
        round.blockers = existing.blockers;
        round.waits |= existing.waits;
        for step in existing.steps {
            self.change(step.action, template, live, round).await?;
        }
        Ok(())
    }

    async fn change(
        &self,
        action: ServiceAction,
        template: &Template,
        seen: &PerPodService,
        round: &mut Round,
    ) -> Result<(), WriteError> {
        let metadata = &seen.metadata;
        if action == ServiceAction::Adopt {
            self.server.take_over(seen).await?;
        }
        self.server.update(&template.manifest(&metadata.name, &metadata.namespace, Some(seen))).await?;
        self.done(if action == ServiceAction::Adopt { "adopted" } else { "updated" }, round);
        Ok(())
    }

    fn done(&self, what: &'static str, round: &mut Round) {
        self.metrics.service(what);
        round.writes += 1;
    }

    /// Says how the round went, and when the next one is due.
    async fn conclude(&self, set: &PerPodSet, round: Round) -> Next {
        let (namespace, name) = (&*set.metadata.namespace, &*set.metadata.name);
        if round.writes > 0 {
            tracing::info!(
                namespace,
                set = name,
                services = round.writes,
                "per-pod Services brought up to date"
            );
        }
        match round.failure {
            None => self.memories.recovered(set),
            Some(WriteError::NotLeading) => return Next::News,
            Some(failure) => return self.retry_later(set, &round.blockers, &failure).await,
        }
        let problems = round.blockers.problems();
        let is_stuck = round.blockers.refused.len() >= ENOUGH;
        if round.is_partial && !is_stuck {
            self.metrics.round("changed");
            return Next::After(Duration::ZERO);
        }
        self.metrics.round(match (problems.is_empty(), round.writes + usize::from(round.waits)) {
            (false, _) => "blocked",
            (true, 0) => "settled",
            (true, _) => "changed",
        });
        let next = self.report(set, &problems).await;
        if problems.is_empty() && round.waits { self.retry() } else { next }
    }

    /// Waits out what may pass by itself; where it does not, people are told.
    async fn retry_later(&self, set: &PerPodSet, blockers: &Blockers, failure: &WriteError) -> Next {
        self.metrics.round("failed");
        let (failures, wait) = self.memories.failed(set, self.config.retry);
        let (namespace, name) = (&*set.metadata.namespace, &*set.metadata.name);
        tracing::warn!(namespace, set = name, ?wait, "per-pod Services: {failure}");
        if failures >= LASTING {
            let message =
                format!("per-pod Services cannot be brought up to date, which is tried again: {failure}");
            let lasting = Problem { id: "service-per-pod-failing", message };
            let problems: Vec<Problem> = blockers.problems().into_iter().chain([lasting]).collect();
            self.report(set, &problems).await;
        }
        Next::After(wait)
    }

    /// Tells people what stands in the way, or that nothing does any more.
    async fn report(&self, set: &PerPodSet, problems: &[Problem]) -> Next {
        for problem in problems {
            self.tell(set, problem);
        }
        let wanted = condition_text(problems);
        self.memories.log(set, wanted.as_ref());
        if wanted.as_ref() != set.status.said.as_deref()
            && !self.memories.has_just_set(set, wanted.as_ref(), self.config.reassert)
        {
            match self.server.say(set, wanted.as_ref()).await {
                Ok(()) => self.memories.remember_condition(set, wanted.as_ref()),
                // The set is gone or another one by now.
                Err(WriteError::Stale | WriteError::NotLeading) => {}
                Err(failure) => {
                    // As if it had been: there is no use in trying again at once.
                    self.memories.remember_condition(set, wanted.as_ref());
                    tracing::warn!(
                        namespace = &*set.metadata.namespace,
                        set = &*set.metadata.name,
                        "the condition of a set could not be written: {failure}"
                    );
                }
            }
        }
        if problems.is_empty() {
            self.memories.forget(set);
            return Next::News;
        }
        self.retry()
    }

    fn retry(&self) -> Next {
        Next::After(jittered(self.config.retry))
    }

    fn tell(&self, set: &PerPodSet, problem: &Problem) {
        if let Some(events) = &self.events {
            events.tell_undone(set.reference(), &set.metadata.uid, problem.id, &problem.message);
        }
    }

    fn seen(&self, set: &PerPodSet, name: &str) -> Option<PerPodService> {
        let owned = self.owned();
        owned.of(&set.metadata.namespace, &set.metadata.name).and_then(|seen| seen.get(name)).cloned()
    }

    fn owned(&self) -> MutexGuard<'_, Owned> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
