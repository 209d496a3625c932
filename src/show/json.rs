//! For programs.

use std::io;

use serde::Serialize;

use super::application::Glance;
use super::drain::{DrainOutcome, DrainPlan, DrainStep, NodeDrain};
use crate::model::ClaimRetention;
use crate::report::{ScaleStep, ServiceLink};
use crate::verdict::{Exempt, Level};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonApplication<'a> {
    object: &'a crate::model::ObjectRef,
    context: Option<&'a str>,
    class: ClassOf,
    replicas: i32,
    members: i32,
    majority: Option<i32>,
    sets: &'a [Box<str>],
    ready: Option<i32>,
    pods: Option<Vec<JsonPod<'a>>>,
    /// Nodes and zones without which there is no majority.
    fatal: Vec<JsonFate<'a>>,
    unknown: Vec<String>,
    drain: Allowed,
    rollout: Allowed,
    steps: &'a [ScaleStep],
    services: &'a [ServiceLink],
    claims: JsonClaims<'a>,
    findings: Vec<JsonShowFinding<'a>>,
}

#[derive(Serialize)]
struct ClassOf {
    name: String,
    because: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonPod<'a> {
    name: &'a str,
    set: Option<&'a str>,
    ready: bool,
    state: &'a str,
    node: Option<&'a str>,
    zone: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonFate<'a> {
    kind: &'a str,
    name: &'a str,
    members: i32,
}

#[derive(Serialize)]
struct Allowed {
    /// How many at once while all are healthy.
    pods: i32,
    now: Option<i32>,
    note: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonClaims<'a> {
    templates: &'a [Box<str>],
    when_scaled: ClaimRetention,
    when_deleted: ClaimRetention,
}

#[derive(Serialize)]
struct JsonShowFinding<'a> {
    rule: &'a str,
    level: Level,
    object: &'a crate::model::ObjectRef,
    path: &'a str,
    message: &'a str,
    remedy: &'a str,
    exempt: Option<&'a Exempt>,
}

#[derive(Serialize)]
struct Applications<'a> {
    applications: Vec<JsonApplication<'a>>,
}

pub(super) fn applications(glances: &[Glance<'_>], out: &mut dyn io::Write) -> io::Result<()> {
    let applications = glances.iter().map(application).collect();
    serde_json::to_writer_pretty(&mut *out, &Applications { applications })?;
    writeln!(out)
}

fn application<'a>(glance: &'a Glance<'_>) -> JsonApplication<'a> {
    let at = glance.application;
    let (drain, rollout) = (at.drain(), at.rolling_update());
    let placement = glance.placement;
    let failures = placement
        .into_iter()
        .flat_map(|placement| {
            [("pods", placement.pods.as_ref().err()), ("nodes", placement.nodes.as_ref().err())]
        })
        .filter_map(|(what, error)| Some(format!("{what}: {}", error?)));
    JsonApplication {
        object: &at.object,
        context: at.context.as_deref(),
        class: ClassOf { name: at.class.class.to_string(), because: at.class.because.to_string() },
        replicas: at.replicas,
        members: at.count(),
        majority: at.needed(),
        sets: &at.sets,
        ready: at.ready,
        pods: placement.filter(|placement| placement.pods.is_ok()).map(|_| pods(glance)),
        fatal: glance
            .fatal()
            .into_iter()
            .map(|fate| JsonFate { kind: fate.kind, name: fate.name, members: fate.members })
            .collect(),
        unknown: failures.collect(),
        drain: Allowed { pods: drain.down, now: at.drain_now(), note: drain.note },
        rollout: Allowed { pods: rollout.down, now: None, note: rollout.note },
        steps: &at.steps,
        services: &at.services,
        claims: JsonClaims {
            templates: &at.claims.templates,
            when_scaled: at.claims.when_scaled,
            when_deleted: at.claims.when_deleted,
        },
        findings: findings(glance),
    }
}

fn pods<'a>(glance: &'a Glance<'_>) -> Vec<JsonPod<'a>> {
    let pods = glance.pods().into_iter().map(|pod| {
        let node = glance.placement.and_then(|placement| placement.node(&pod.node));
        JsonPod {
            name: &pod.name,
            set: pod.set.as_deref(),
            ready: pod.is_up(),
            state: pod.state(),
            node: Some(&*pod.node).filter(|node| !node.is_empty()),
            zone: node.map(|node| &*node.zone).filter(|zone| !zone.is_empty()),
        }
    });
    pods.collect()
}

fn findings<'a>(glance: &'a Glance<'_>) -> Vec<JsonShowFinding<'a>> {
    let findings = glance.findings.iter().map(|located| {
        let finding = &located.finding;
        JsonShowFinding {
            rule: finding.rule.as_str(),
            level: finding.level,
            object: &finding.object,
            path: &finding.path,
            message: &finding.message,
            remedy: &finding.remedy,
            exempt: finding.exempt.as_ref(),
        }
    });
    findings.collect()
}

#[derive(Serialize)]
struct JsonPlan<'a> {
    nodes: Vec<JsonNode<'a>>,
    order: &'a [DrainStep],
    refused: &'a [String],
    unknown: &'a [String],
}

#[derive(Serialize)]
struct JsonNode<'a> {
    outcome: DrainOutcome,
    #[serde(flatten)]
    drain: &'a NodeDrain,
}

pub(super) fn drain(plan: &DrainPlan, out: &mut dyn io::Write) -> io::Result<()> {
    let nodes = plan.nodes.iter().map(|drain| JsonNode { outcome: drain.outcome(), drain });
    let DrainPlan { order, refused, unknown, .. } = plan;
    let plan = JsonPlan { nodes: nodes.collect(), order, refused, unknown };
    serde_json::to_writer_pretty(&mut *out, &plan)?;
    writeln!(out)
}
