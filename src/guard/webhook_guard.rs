//! The guard behind the shell: what is known, what applies, and the clock.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::trace_span;

use super::confirmation::{doubt, unknown_objects};
use super::reservations::{Reservations, Reserved};
use super::{
    Confirmer, CountedFinding, Decision, DenialLog, Guard, GuardAnswer, HttpError, Reply, ReviewFacts,
};
use crate::admission::{self, Invalid, Mutated, Request};
use crate::change::Change;
use crate::cluster::Cluster;
use crate::evaluate::{claims_in_question, evaluate, pods_in_question};
use crate::events::Events;
use crate::metacontroller::{Hook, Unanswered};
use crate::policy::Policies;
use crate::process::traces::SPANS;
use crate::verdict::{Finding, Level, Verdict};

/// Answers reviews from a snapshot that others may replace at any time.
pub struct WebhookGuard {
    /// The objects that exist in the cluster.
    pub cluster: Arc<ArcSwap<Cluster>>,
    /// The policies in force.
    pub policies: Arc<ArcSwap<Policies>>,
    /// Who looks again before a change is refused for what the snapshot says; `None` where the snapshot is the truth.
    pub confirmer: Option<Confirmer>,
    /// Changes that were allowed a moment ago.
    pub reservations: Arc<Reservations>,
    /// Who is told of what was refused or warned of.
    pub events: Option<Events>,
    /// Namespaces that are not guarded: the API server does not ask about them, so whatever does is told nothing.
    pub excluded: Vec<String>,
}

impl Guard for WebhookGuard {
    fn validate(&self, body: &[u8], deadline: Instant) -> Result<GuardAnswer, HttpError> {
        let (cluster, policies) = (self.cluster.load(), self.policies.load());
        let decoded =
            trace_span!(target: SPANS, "decode").in_scope(|| admission::decode_for(body, &policies));
        let request = decoded.map_err(|invalid| refusal(&invalid))?;
        if self.excludes(&request) {
            return Ok(GuardAnswer::Now(reply(&request, &Verdict::default(), None)));
        }
        let mut reserved = self.reservations.for_change(&request.change);
        loop {
            let known = reserved.over(&cluster);
            let mut verdict = judge(&request.change, &known, &policies);
            let in_doubt = || {
                doubt(&request.change, &verdict, &policies).is_some()
                    || !unknown_objects(&request.change, &cluster).is_empty()
                    || !claims_in_question(&request.change, &cluster, &policies).is_empty()
                    || !pods_in_question(&request.change, &cluster, &policies).is_empty()
            };
            if let Some(confirmer) = self.confirmer.as_ref().filter(|_| in_doubt()) {
                return Ok(self.confirmed(request, confirmer, &cluster, &policies, deadline));
            }
            explain(&mut verdict, &request.change, &reserved, &cluster, &policies);
            match self.reservations.reserve(&request.change, &verdict, reserved) {
                None => return Ok(GuardAnswer::Now(reply(&request, &verdict, self.events.as_ref()))),
                Some(newer) => reserved = newer,
            }
        }
    }

    fn mutate(&self, body: &[u8]) -> Result<Reply, HttpError> {
        let (cluster, policies) = (self.cluster.load(), self.policies.load());
        let mutated = trace_span!(target: SPANS, "mutate")
            .in_scope(|| admission::mutate_review(body, &cluster, &policies))
            .map_err(|invalid| refusal(&invalid))?;
        Ok(Reply { facts: mutation_facts(&mutated), body: mutated.body })
    }

    fn hook(&self, hook: Hook, body: &[u8]) -> Result<Vec<u8>, HttpError> {
        let answer = hook.answer(body, &self.cluster.load(), &self.policies.load());
        answer.map_err(|unanswered| match unanswered {
            Unanswered::Wrong(message) => HttpError::new(StatusCode::BAD_REQUEST, message),
            Unanswered::NotYet(message) => HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message),
        })
    }
}

impl WebhookGuard {
    /// The answer once the cluster was looked at.
    fn confirmed(
        &self,
        request: Request,
        confirmer: &Confirmer,
        cluster: &Arc<Cluster>,
        policies: &Arc<Policies>,
        deadline: Instant,
    ) -> GuardAnswer {
        let (events, reservations) = (self.events.clone(), Arc::clone(&self.reservations));
        let (confirmer, cluster, policies) = (confirmer.clone(), Arc::clone(cluster), Arc::clone(policies));
        GuardAnswer::Later(Box::pin(async move {
            let mut reserved = reservations.for_change(&request.change);
            loop {
                let mut verdict = confirmer.judge(&request, &cluster, &policies, &reserved, deadline).await;
                explain(&mut verdict, &request.change, &reserved, &cluster, &policies);
                match reservations.reserve(&request.change, &verdict, reserved) {
                    None => return reply(&request, &verdict, events.as_ref()),
                    Some(newer) => reserved = newer,
                }
            }
        }))
    }

    fn excludes(&self, request: &Request) -> bool {
        self.excluded.contains(&request.namespace)
    }
}

/// Says so where a denial rests on what was allowed a moment ago.
fn explain(
    verdict: &mut Verdict,
    change: &Change,
    reserved: &Reserved,
    cluster: &Cluster,
    policies: &Policies,
) {
    let rests_on_them = || !judge(change, cluster, policies).is_denied();
    if verdict.is_denied() && !reserved.is_empty() && rests_on_them() {
        reserved.explain(verdict);
    }
}

/// The verdict on a change, now.
pub(super) fn judge(change: &Change, cluster: &Cluster, policies: &Policies) -> Verdict {
    trace_span!(target: SPANS, "judge").in_scope(|| evaluate(change, cluster, policies, Timestamp::now()))
}

fn refusal(invalid: &Invalid) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, invalid.to_string())
}

fn reply(request: &Request, verdict: &Verdict, events: Option<&Events>) -> Reply {
    if let Some(events) = events {
        events.queue_verdict(request, verdict);
    }
    let body = trace_span!(target: SPANS, "encode").in_scope(|| admission::encode(request, verdict));
    Reply { body, facts: facts(request, verdict) }
}

fn facts(request: &Request, verdict: &Verdict) -> ReviewFacts {
    let level = |finding: &Finding| if finding.counts() { finding.level.name() } else { "exempt" };
    let findings = verdict.findings.iter().map(|f| CountedFinding { rule: f.rule.label(), level: level(f) });
    let decision = decision(verdict);
    ReviewFacts {
        operation: request.operation,
        resource: request.resource,
        decision,
        findings: findings.collect(),
        refused: (decision == Decision::Denied).then(|| refused(request, verdict)),
    }
}

fn mutation_facts(Mutated { request, mutation, .. }: &Mutated) -> ReviewFacts {
    let decision = if !mutation.additions.is_empty() {
        Decision::Mutated
    } else if mutation.warnings.is_empty() {
        Decision::Allowed
    } else {
        Decision::Warned
    };
    let (operation, resource) = (request.operation, request.resource);
    ReviewFacts { operation, resource, decision, findings: Vec::new(), refused: None }
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

fn refused(request: &Request, verdict: &Verdict) -> DenialLog {
    let denied = || verdict.at(Level::Deny);
    DenialLog {
        uid: request.uid.clone(),
        user: request.change.requester.username.to_string(),
        kind: request.kind.clone(),
        namespace: request.namespace.clone(),
        name: request.name.clone(),
        dry_run: request.change.dry_run,
        rules: denied().map(|finding| finding.rule.label()).collect(),
        message: denied().map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; "),
    }
}
