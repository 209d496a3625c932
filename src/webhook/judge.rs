//! The guard behind the shell: what is known, what applies, and the clock.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use jiff::Timestamp;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::confirmation::{doubt, is_confirmed, settle, unknown_set, wider};
use super::events::Events;
use super::guard::{Answer, Decision, Facts, Finding, Guard, Refusal, RefusedLine, Reply};
use crate::admission::{self, Invalid, Mutated, Request};
use crate::cluster::Cluster;
use crate::cluster::confirm::{Failure, Reader};
use crate::controller::metacontroller::{Hook, Unanswered};
use crate::evaluate::evaluate;
use crate::policy::{Level, Policies};
use crate::verdict::Verdict;

/// Answers reviews from a snapshot that others may replace at any time.
pub struct Judge {
    /// What else exists.
    pub cluster: Arc<ArcSwap<Cluster>>,
    /// What applies.
    pub policies: Arc<ArcSwap<Policies>>,
    /// Who looks again before a change is refused for what the snapshot says; `None` where the snapshot is the truth.
    pub confirmer: Option<Confirmer>,
    /// Who is told of what was refused or warned of.
    pub events: Option<Events>,
}

/// Looks at the cluster itself before a change is refused for what the snapshot says. Clones are one.
#[derive(Clone)]
pub struct Confirmer {
    reader: Reader,
    outcomes: Family<OutcomeLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Guard for Judge {
    fn validate(&self, body: &[u8], deadline: Instant) -> Result<Answer, Refusal> {
        let request = admission::decode(body).map_err(|invalid| refusal(&invalid))?;
        let (cluster, policies) = (self.cluster.load(), self.policies.load());
        let verdict = evaluate(&request.change, &cluster, &policies, Timestamp::now());
        let in_doubt =
            || doubt(&request.change, &verdict).is_some() || unknown_set(&request.change, &cluster).is_some();
        let Some(confirmer) = self.confirmer.as_ref().filter(|_| in_doubt()) else {
            return Ok(Answer::Now(reply(&request, &verdict, self.events.as_ref())));
        };
        let events = self.events.clone();
        let (confirmer, cluster, policies) = (confirmer.clone(), Arc::clone(&cluster), Arc::clone(&policies));
        Ok(Answer::Later(Box::pin(async move {
            let verdict = confirmer.judge(&request, &cluster, &policies, deadline).await;
            reply(&request, &verdict, events.as_ref())
        })))
    }

    fn mutate(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let (cluster, policies) = (self.cluster.load(), self.policies.load());
        let mutated = admission::mutate_review(body, &cluster, &policies);
        let mutated = mutated.map_err(|invalid| refusal(&invalid))?;
        Ok(Reply { facts: mutation_facts(&mutated), body: mutated.body })
    }

    fn hook(&self, hook: Hook, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let answer = hook.answer(body, &self.cluster.load(), &self.policies.load());
        answer.map_err(|unanswered| match unanswered {
            Unanswered::Wrong(message) => Refusal::new(StatusCode::BAD_REQUEST, message),
            Unanswered::NotYet(message) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message),
        })
    }
}

fn refusal(invalid: &Invalid) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, invalid.to_string())
}

impl Confirmer {
    /// Reads over `client`, and registers what comes of it.
    pub fn new(client: kube::Client, registry: &mut Registry) -> Self {
        let outcomes = Family::<OutcomeLabels, Counter>::default();
        for outcome in ["confirmed", "refuted", "failed", "timeout", "learned"] {
            drop(outcomes.get_or_create(&OutcomeLabels { outcome }));
        }
        let help = "Live reads before a change was refused, by what came of them";
        registry.register("live_reads", help, outcomes.clone());
        Self { reader: Reader::new(client), outcomes }
    }

    async fn judge(
        &self,
        request: &Request,
        snapshot: &Cluster,
        policies: &Policies,
        deadline: Instant,
    ) -> Verdict {
        let change = &request.change;
        let learned = match unknown_set(change, snapshot) {
            Some(set) => Some(self.learned(self.reader.with_set(snapshot, set, deadline).await)),
            None => None,
        };
        let snapshot = learned.as_ref().and_then(Option::as_ref).unwrap_or(snapshot);
        let verdict = evaluate(change, snapshot, policies, Timestamp::now());
        let Some(mut wanted) = doubt(change, &verdict) else { return verdict };
        let mut fresh = self.reader.fresh(&wanted, snapshot, deadline).await;
        let mut live = evaluate(change, &fresh.cluster, policies, Timestamp::now());
        let is_behind = fresh.failed.is_empty() && !is_confirmed(change, &verdict, &live);
        if let Some(all) = wider(&wanted, snapshot).filter(|_| is_behind) {
            wanted = all;
            fresh = self.reader.fresh(&wanted, snapshot, deadline).await;
            live = evaluate(change, &fresh.cluster, policies, Timestamp::now());
        }
        let verdict = settle(change, verdict, live, &fresh, &wanted);
        self.count(match fresh.failed.iter().find(|(kind, _)| wanted.rests_on(*kind)) {
            Some((kind, failure)) => {
                tracing::warn!(kind = kind.name(), "what the watches say could not be confirmed: {failure}");
                if *failure == Failure::Timeout { "timeout" } else { "failed" }
            }
            None if is_behind => "refuted",
            None => "confirmed",
        });
        verdict
    }

    fn learned(&self, read: Result<Cluster, Failure>) -> Option<Cluster> {
        self.count(match &read {
            Ok(_) => "learned",
            Err(Failure::Timeout) => "timeout",
            Err(failure) => {
                tracing::warn!("a StatefulSet that is not known yet could not be read: {failure}");
                "failed"
            }
        });
        read.ok()
    }

    fn count(&self, outcome: &'static str) {
        self.outcomes.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}

fn reply(request: &Request, verdict: &Verdict, events: Option<&Events>) -> Reply {
    if let Some(events) = events {
        events.tell(request, verdict);
    }
    Reply { body: admission::encode(request, verdict), facts: facts(request, verdict) }
}

fn facts(request: &Request, verdict: &Verdict) -> Facts {
    let findings = verdict.findings.iter().filter(|finding| finding.counts());
    let findings = findings.map(|f| Finding { rule: Cow::Borrowed(f.rule.id), level: f.level.name() });
    let decision = decision(verdict);
    Facts {
        operation: request.operation,
        resource: request.resource,
        decision,
        findings: findings.collect(),
        refused: (decision == Decision::Denied).then(|| refused(request, verdict)),
    }
}

fn mutation_facts(Mutated { request, mutation, .. }: &Mutated) -> Facts {
    let decision = if !mutation.additions.is_empty() {
        Decision::Mutated
    } else if mutation.warnings.is_empty() {
        Decision::Allowed
    } else {
        Decision::Warned
    };
    let (operation, resource) = (request.operation, request.resource);
    Facts { operation, resource, decision, findings: Vec::new(), refused: None }
}

fn decision(verdict: &Verdict) -> Decision {
    if verdict.is_denied() {
        Decision::Denied
    } else if verdict.at(Level::Warn).next().is_some() {
        Decision::Warned
    } else {
        Decision::Allowed
    }
}

fn refused(request: &Request, verdict: &Verdict) -> RefusedLine {
    let denied = || verdict.at(Level::Deny);
    RefusedLine {
        uid: request.uid.clone(),
        user: request.change.requester.username.to_string(),
        kind: request.kind.clone(),
        namespace: request.namespace.clone(),
        name: request.name.clone(),
        dry_run: request.change.dry_run,
        rules: denied().map(|finding| Cow::Borrowed(finding.rule.id)).collect(),
        message: denied().map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; "),
    }
}
