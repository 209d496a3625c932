//! One round over the Services of one set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;

use super::ControllerConfig;
use super::api::{ControllerApi, WriteError};
use super::memory::RoundMemories;
use super::metrics::ControllerMetrics;
use super::pods::{AgedPods, PodLists};
use super::round::{Next, Round, StepResult};
use crate::api_server::jittered;
use crate::cluster::Cluster;
use crate::events::Events;
use crate::per_pod::owned::Owned;
use crate::per_pod::plan::{Plan, Seen, ServiceAction, ServiceStep, plan};
use crate::per_pod::pods::{PodsSeen, UnselectedPod};
use crate::per_pod::problem::{Blockers, Problem};
use crate::per_pod::service::{PerPodService, Standing};
use crate::per_pod::set::PerPodSet;
use crate::per_pod::settings::POLICY_UNKNOWN;
use crate::per_pod::template::Template;
use crate::policy::Policies;
use crate::process::{RepeatedErrors, warn_if_new};

/// After so many Services that come to nothing, the others are not tried: most likely it is the same with them all.
const ENOUGH: usize = 3;

/// After so many rounds that fail, one after the other, people are told.
const LASTING: u32 = 3;

/// State that all rounds of one term of leadership share.
pub(super) struct ReconcileContext {
    pub(super) server: ControllerApi,
    pub(super) owned: Arc<Mutex<Owned>>,
    pub(super) synced: watch::Receiver<bool>,
    pub(super) cluster: Arc<ArcSwap<Cluster>>,
    pub(super) policies: Arc<ArcSwap<Policies>>,
    pub(super) events: Option<Events>,
    pub(super) metrics: ControllerMetrics,
    pub(super) config: ControllerConfig,
    pub(super) memories: RoundMemories,
    pub(super) pods: PodLists,
    /// The failures of rounds.
    pub(super) logged: RepeatedErrors,
}

impl ReconcileContext {
    /// Brings the Services of a set nearer to what it asks for.
    pub(super) async fn round(&self, set: &PerPodSet) -> Next {
        let mut synced = self.synced.clone();
        // Before everything that is ours has been listed, all of it would have to be asked for one by one.
        if synced.wait_for(|synced| *synced).await.is_err() {
            return Next::News;
        }
        let cluster = self.cluster.load_full();
        let namespace = cluster.namespace(&set.metadata.namespace);
        // The garbage collector sees to what is left of it.
        if set.metadata.deleting || namespace.is_some_and(|namespace| namespace.metadata.deleting) {
            self.memories.forget(set);
            return Next::News;
        }
        let template = match self.template(set) {
            Ok(template) => template,
            Err(problem) => return self.pause(set, problem).await,
        };
        self.tell_kept(set, template.as_ref().and_then(Template::kept));
        let round = self.apply_plan(set, template.as_ref()).await;
        self.conclude(set, round).await
    }

    fn template(&self, set: &PerPodSet) -> Result<Option<Template>, Problem> {
        let owned = self.owned();
        let made = owned.of(&set.metadata.namespace, &set.metadata.name).into_iter().flat_map(Seen::values);
        let made = made.filter(|made| matches!(made.standing(set), Standing::Ours | Standing::Orphaned));
        Template::of(set, &self.cluster.load(), &self.policies.load(), made)
    }

    /// Leaves everything as it is, and says why.
    async fn pause(&self, set: &PerPodSet, problem: Problem) -> Next {
        self.metrics.round("held");
        if problem.id == POLICY_UNKNOWN {
            self.queue_event(set, &problem);
            return self.retry();
        }
        self.report(set, &[problem]).await
    }

    async fn apply_plan(&self, set: &PerPodSet, template: Option<&Template>) -> Round {
        let mut round = Round::default();
        let Plan { steps, blockers, waits, pods_to_label, .. } =
            self.plan_with_pods(set, template, &mut round).await;
        (round.blockers, round.waits) = (blockers, waits);
        let (deletions, others): (Vec<&ServiceStep>, Vec<_>) =
            steps.iter().partition(|step| step.action == ServiceAction::Delete);
        // Creations are tried even when deletions fail. Deletions come first: they free quota and node ports.
        for steps in [deletions, others] {
            self.run_steps(set, template, &steps, &mut round).await;
        }
        if let Some(template) = template {
            self.label_pods(set, template, &pods_to_label, &mut round).await;
        }
        round
    }

    /// The plan, with a look at the pods where it depends on them.
    async fn plan_with_pods(&self, set: &PerPodSet, template: Option<&Template>, round: &mut Round) -> Plan {
        let without = self.plan(set, template, None);
        let is_about_pods = |template: &&Template| template.may_miss_pods() || without.kept_for_pods > 0;
        let Some(template) = template.filter(is_about_pods) else { return without };
        let ControllerConfig { pods_fresh, pods_lasting, retry, .. } = self.config;
        let oldest = if without.kept_for_pods > 0 { pods_fresh } else { pods_lasting };
        match self.pods_of(set, template, oldest).await {
            Ok(AgedPods { pods, age, is_outdated }) => {
                let plan = self.plan(set, Some(template), Some(&pods));
                // The set's status tells when a pod goes, but the list may be the one from before.
                let wait = if age.is_zero() { retry } else { pods_fresh.saturating_sub(age) };
                round.pods_due = (plan.kept_for_pods > 0 || is_outdated).then_some(wait);
                plan
            }
            Err(failure) => {
                round.failure = Some(failure);
                without
            }
        }
    }

    /// Takes steps, several at a time, until they are done, or it is the turn of other sets, or they come to nothing.
    async fn run_steps(
        &self,
        set: &PerPodSet,
        template: Option<&Template>,
        steps: &[&ServiceStep],
        round: &mut Round,
    ) {
        let (mut waiting, mut under_way) = (steps.iter(), FuturesUnordered::new());
        let (mut goes_on, mut failed_writes) = (round.writes < self.config.writes_a_round, 0);
        loop {
            while goes_on && under_way.len() < self.config.writes_at_once {
                let Some(step) = waiting.next() else { break };
                under_way.push(self.run_step_with_name(set, template, step));
            }
            let Some((name, result)) = under_way.next().await else { break };
            failed_writes += usize::from(round.note(name, result, &self.metrics));
            let is_over = round.failure == Some(WriteError::NotLeading);
            goes_on = round.writes < self.config.writes_a_round && failed_writes < ENOUGH && !is_over;
        }
        round.is_partial |= waiting.len() > 0;
    }

    async fn run_step_with_name<'s>(
        &self,
        set: &PerPodSet,
        template: Option<&Template>,
        step: &'s ServiceStep,
    ) -> (&'s str, Result<StepResult, WriteError>) {
        (&step.name, self.run_step(set, template, step).await)
    }

    fn plan(&self, set: &PerPodSet, template: Option<&Template>, pods: Option<&PodsSeen>) -> Plan {
        let owned = self.owned();
        let nothing = Seen::new();
        let seen = owned.of(&set.metadata.namespace, &set.metadata.name).unwrap_or(&nothing);
        plan(set, template, seen, pods)
    }

    async fn run_step(
        &self,
        set: &PerPodSet,
        template: Option<&Template>,
        step: &ServiceStep,
    ) -> Result<StepResult, WriteError> {
        let seen = self.seen(set, &step.name);
        match (step.action, template, seen) {
            (ServiceAction::Create, Some(template), _) => self.create(set, template, &step.name).await,
            (ServiceAction::Update | ServiceAction::Adopt, Some(template), Some(seen)) => {
                self.change(step.action, template, &seen).await
            }
            (ServiceAction::Delete, _, Some(seen)) => {
                self.server.delete(&seen).await?;
                self.metrics.service("deleted");
                Ok(StepResult::written())
            }
            // It has gone meanwhile, or come.
            _ => Ok(StepResult::default()),
        }
    }

    /// Makes a Service, unless one of its name turns out to be there.
    async fn create(
        &self,
        set: &PerPodSet,
        template: &Template,
        name: &str,
    ) -> Result<StepResult, WriteError> {
        let namespace = &*set.metadata.namespace;
        if let Some(live) = self.server.get(namespace, name).await? {
            return self.handle_existing(set, template, &live).await;
        }
        self.server.create(&template.manifest(name, namespace, None)).await?;
        self.metrics.service("created");
        Ok(StepResult::written())
    }

    /// Deals with a Service that was not known to be there.
    async fn handle_existing(
        &self,
        set: &PerPodSet,
        template: &Template,
        live: &PerPodService,
    ) -> Result<StepResult, WriteError> {
        // It may have lost the label by which it would have been seen: then what is written on it is not known yet.
        let own =
            |live| Template::of(set, &self.cluster.load(), &self.policies.load(), [live]).ok().flatten();
        let written = Some(live).filter(|_| !template.has_settings()).and_then(own);
        let template = written.as_ref().unwrap_or(template);
        let mut existing = Plan::default();
        existing.add(set, template, live.metadata.name.to_string(), Some(live));
        if !existing.blockers.foreign.is_empty() {
            self.metrics.service("foreign");
        }
        let mut result =
            StepResult { blockers: existing.blockers, waits: existing.waits, ..StepResult::default() };
        for step in existing.steps {
            result.writes += self.change(step.action, template, live).await?.writes;
        }
        Ok(result)
    }

    async fn change(
        &self,
        action: ServiceAction,
        template: &Template,
        seen: &PerPodService,
    ) -> Result<StepResult, WriteError> {
        let metadata = &seen.metadata;
        if action == ServiceAction::Adopt {
            self.server.take_over(seen).await?;
        }
        if template.has_other_ports(seen) {
            self.server.replace_ports(seen, template).await?;
        }
        self.server.update(&template.manifest(&metadata.name, &metadata.namespace, Some(seen))).await?;
        self.metrics.service(if action == ServiceAction::Adopt { "adopted" } else { "updated" });
        Ok(StepResult::written())
    }

    /// Gives pods the label that their Services select by, where a policy wants that.
    async fn label_pods(
        &self,
        set: &PerPodSet,
        template: &Template,
        pods: &[UnselectedPod],
        round: &mut Round,
    ) {
        for pod in pods {
            match self.server.label_pod(&set.metadata.namespace, pod, template.label()).await {
                Ok(()) => {
                    self.metrics.labelled();
                    round.writes += 1;
                }
                // Another pod of this name.
                Err(WriteError::Stale) => round.waits = true,
                Err(WriteError::Refused(reason)) => {
                    round.blockers.add_unselected(template.label(), pod);
                    round.blockers.label_refused = Some(reason);
                }
                Err(failure) => {
                    round.failure = Some(failure);
                    break;
                }
            }
        }
        if !pods.is_empty() {
            self.pods.forget(set);
        }
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
        self.tell_foreign(set, &round.blockers.foreign);
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
        let mut next = self.report(set, &problems).await;
        if round.waits {
            next = next.or_after(jittered(self.config.retry));
        }
        round.pods_due.map_or(next, |wait| next.or_after(wait))
    }

    /// Waits out what may pass by itself; where it does not, people are told.
    async fn retry_later(&self, set: &PerPodSet, blockers: &Blockers, failure: &WriteError) -> Next {
        self.metrics.round("failed");
        let (failures, wait) = self.memories.failed(set, self.config.retry);
        let (namespace, name) = (&*set.metadata.namespace, &*set.metadata.name);
        let key = failure.to_string();
        warn_if_new!(self.logged, &key, { namespace, set = name, ?wait, }, "per-pod Services: {failure}");
        if failures >= LASTING {
            let message =
                format!("per-pod Services cannot be brought up to date, which is tried again: {failure}");
            let lasting = Problem { id: "service-per-pod-failing", message };
            let problems: Vec<Problem> = blockers.problems().into_iter().chain([lasting]).collect();
            self.report(set, &problems).await;
        }
        Next::After(wait)
    }

    pub(super) fn retry(&self) -> Next {
        Next::After(jittered(self.config.retry))
    }

    fn seen(&self, set: &PerPodSet, name: &str) -> Option<PerPodService> {
        let owned = self.owned();
        owned.of(&set.metadata.namespace, &set.metadata.name).and_then(|seen| seen.get(name)).cloned()
    }

    fn owned(&self) -> MutexGuard<'_, Owned> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
