//! The guard behind the shell: what is known, what applies, and the clock.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use jiff::Timestamp;

use super::guard::{Decision, Facts, Finding, Guard, Refusal, RefusedLine, Reply};
use crate::admission::{self, Reviewed};
use crate::cluster::Cluster;
use crate::policy::{Level, Policies};
use crate::verdict::Verdict;

/// Answers reviews from a snapshot that others may replace at any time.
#[derive(Debug)]
pub struct Judge {
    /// What else exists.
    pub cluster: Arc<ArcSwap<Cluster>>,
    /// What applies.
    pub policies: Arc<ArcSwap<Policies>>,
}

impl Guard for Judge {
    fn validate(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let (cluster, policies) = (self.cluster.load(), self.policies.load());
        let reviewed = admission::review(body, &cluster, &policies, Timestamp::now())
            .map_err(|invalid| Refusal::new(StatusCode::BAD_REQUEST, invalid.to_string()))?;
        Ok(Reply { facts: facts(&reviewed), body: reviewed.body })
    }
}

fn facts(Reviewed { request, verdict, .. }: &Reviewed) -> Facts {
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

fn decision(verdict: &Verdict) -> Decision {
    if verdict.is_denied() {
        Decision::Denied
    } else if verdict.at(Level::Warn).next().is_some() {
        Decision::Warned
    } else {
        Decision::Allowed
    }
}

fn refused(request: &admission::Request, verdict: &Verdict) -> RefusedLine {
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
