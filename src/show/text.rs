//! For people at a terminal. The writer may strip the colours.

use std::io;

use super::application::{Glance, SharedFate};
use super::drain::{BudgetOnNode, DrainOutcome, DrainPlan, GroupOnNode, NodeDrain};
use super::placement::PodPlace;
use crate::model::{printable, printable_lines};
use crate::report::{Allowance, Located};
use crate::verdict::Level;

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// How many pods are listed.
const MOST_PODS: usize = 50;

pub(super) fn application(glance: &Glance<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let at = glance.application;
    writeln!(out, "{BOLD}{}{PLAIN}", printable(&at.object.to_string()))?;
    if let Some(context) = at.context.as_deref() {
        line(out, "from", context, "")?;
    }
    line(out, "class", &format!("{} ({})", at.class.class, at.class.because), "")?;
    allowance(out, "members", &at.membership(), None)?;
    if let Some(note) = at.ready_note() {
        let has_majority = at.ready.zip(at.needed()).is_none_or(|(ready, needed)| ready >= needed);
        line(out, "now", &note, if has_majority { GREEN } else { RED })?;
    }
    pods(glance, out)?;
    line(out, "placing", &at.spread_note(), "")?;
    let now = at.drain_now().filter(|now| *now != at.drain().down);
    allowance(out, "drain", &at.drain(), now.map(|now| format!("now {now}")))?;
    allowance(out, "rollout", &at.rolling_update(), None)?;
    line(out, "scale", &at.scale_note(), "")?;
    line(out, "service", &at.service_note(), "")?;
    line(out, "claims", &at.claims_note(), "")?;
    findings(glance, out)
}

fn line(out: &mut dyn io::Write, title: &str, text: &str, colour: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let end = if colour.is_empty() { "" } else { PLAIN };
    writeln!(out, "  {title:9} {colour}{}{end}", printable(text))
}

fn allowance(
    out: &mut dyn io::Write,
    title: &str,
    allowance: &Allowance,
    now: Option<String>,
) -> io::Result<()> {
    let now = now.map_or_else(String::new, |now| format!("; {now}"));
    line(out, title, &format!("{}{now}", allowance.note), if allowance.is_bad { RED } else { "" })
}

fn pods(glance: &Glance<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let Some(placement) = glance.placement else { return Ok(()) };
    if let Err(error) = &placement.pods {
        return line(out, "pods", &format!("not known: {error}"), YELLOW);
    }
    let pods = glance.pods();
    let width = |text: fn(&PodPlace) -> &str| pods.iter().map(|pod| text(pod).len()).max().unwrap_or(0);
    let (names, nodes) = (width(|pod| &pod.name), width(|pod| &pod.node));
    for (number, pod) in pods.iter().take(MOST_PODS).enumerate() {
        let node = placement.node(&pod.node);
        let zone = node.filter(|node| !node.zone.is_empty()).map(|node| format!("zone {}", node.zone));
        let mut state = pod.state().to_owned();
        state.extend(node.filter(|node| node.is_cordoned).map(|_| ", node cordoned"));
        state.extend(node.filter(|node| !node.is_ready).map(|_| ", node not ready"));
        let (name, node) = (printable(&pod.name), printable(&pod.node));
        let text = format!("{name:names$}  {node:nodes$}  {}", zone.unwrap_or_default());
        let title = if number == 0 { "pods" } else { "" };
        let colour = if pod.is_up() { GREEN } else { YELLOW };
        let text = text.trim_end();
        writeln!(out, "  {title:9} {}  {colour}{state}{PLAIN}", printable(text))?;
    }
    if pods.len() > MOST_PODS {
        line(out, "", &format!("and {} more", pods.len() - MOST_PODS), "")?;
    }
    if let Err(error) = &placement.nodes {
        line(out, "nodes", &format!("not known: {error}"), YELLOW)?;
    }
    for SharedFate { kind, name, members } in glance.fatal() {
        let text = format!("{kind} {name} has {members} members: without it there is no majority");
        line(out, "", &text, RED)?;
    }
    Ok(())
}

fn findings(glance: &Glance<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (counted, exempt): (Vec<&Located>, Vec<&Located>) =
        glance.findings.iter().partition(|located| located.counts());
    if counted.is_empty() {
        line(out, "findings", "none", GREEN)?;
    }
    for (number, located) in counted.into_iter().enumerate() {
        let finding = &located.finding;
        let title = if number == 0 { "findings" } else { "" };
        let colour = match finding.level {
            Level::Deny => RED,
            Level::Warn => YELLOW,
            Level::Audit | Level::Off => "",
        };
        let (level, rule) = (finding.level.name(), printable(finding.rule.as_str()));
        writeln!(out, "  {title:9} {colour}{level} {rule}{PLAIN}: {}", printable_lines(&finding.message))?;
        writeln!(out, "  {:9}   Fix: {}", "", printable_lines(&finding.remedy))?;
    }
    for (number, located) in exempt.into_iter().enumerate() {
        let Some(exempt) = &located.finding.exempt else { continue };
        let title = if number == 0 { "exempt" } else { "" };
        let until = exempt.expires_at.map_or_else(String::new, |end| format!(", until {end}"));
        let text = format!("{} by {}: {}{until}", located.finding.rule, exempt.by, exempt.reason);
        line(out, title, &text, "")?;
    }
    Ok(())
}

pub(super) fn drain(plan: &DrainPlan, out: &mut dyn io::Write) -> io::Result<()> {
    for node in &plan.nodes {
        node_drain(node, out)?;
    }
    for gap in &plan.unknown {
        line(out, "not known", gap, YELLOW)?;
    }
    if plan.nodes.len() < 2 {
        return Ok(());
    }
    writeln!(out, "{BOLD}Order{PLAIN}")?;
    for (number, step) in (1_usize..).zip(&plan.order) {
        let names = step.nodes.join(", ");
        let text = if step.nodes.len() > 1 { format!("{names} (together)") } else { names };
        let wait = if step.once_all_ready { ", once all pods are ready" } else { "" };
        line(out, &number.to_string(), &format!("{text}{wait}"), "")?;
    }
    if !plan.refused.is_empty() {
        line(out, "not", &plan.refused.join(", "), RED)?;
    }
    Ok(())
}

fn node_drain(node: &NodeDrain, out: &mut dyn io::Write) -> io::Result<()> {
    let (colour, verdict) = match node.outcome() {
        DrainOutcome::Free => (GREEN, "can be drained"),
        DrainOutcome::Slow => (YELLOW, "can be drained, with waits"),
        DrainOutcome::Blocked => (RED, "cannot be drained now: a budget lets nothing go"),
        DrainOutcome::Unsafe => (RED, "must not be drained now: a majority would be lost"),
    };
    writeln!(out, "{BOLD}Node {}{PLAIN} {colour}{verdict}{PLAIN}", printable(&node.name))?;
    for group in &node.groups {
        line(out, "group", &group_note(group), if group.loses_majority { RED } else { "" })?;
    }
    for budget in &node.budgets {
        let colour = if budget.allowed == Some(0) { RED } else { "" };
        line(out, "budget", &budget_note(budget), colour)?;
    }
    if node.groups.is_empty() && node.budgets.is_empty() {
        line(out, "", "no pods of StatefulSets, and none that a budget is about", "")?;
    }
    Ok(())
}

fn group_note(group: &GroupOnNode) -> String {
    let GroupOnNode { name, pods, here, ready, .. } = group;
    let stand =
        ready.map_or_else(|| "how many are ready is not known".to_owned(), |r| format!("{r} are ready"));
    let Some(needed) = group.needed else {
        let all = ready.is_some_and(|ready| ready > 0 && *here >= ready);
        let end = if all { ": none is left meanwhile" } else { "" };
        return format!("{name}: {} of {} pods here{end}", pods.len(), group.members);
    };
    let end = match (group.loses_majority, ready) {
        (true, Some(ready)) if *ready < needed => ": there is no majority now".to_owned(),
        (true, _) => ": its majority would be lost".to_owned(),
        (false, Some(ready)) => format!(": {} stay", ready.saturating_sub(group.taken)),
        (false, None) => String::new(),
    };
    format!("{name}: {} of {} members here, {stand}, {needed} must stay up{end}", pods.len(), group.members)
}

fn budget_note(budget: &BudgetOnNode) -> String {
    let BudgetOnNode { name, pods, allowed, .. } = budget;
    let plural = if *pods == 1 { "" } else { "s" };
    match *allowed {
        None => format!("{name}: what it allows is not known, {pods} pod{plural} here"),
        Some(0) => format!(
            "{name} lets nothing go now, {pods} pod{plural} here: the drain waits without end unless more get ready"
        ),
        Some(allowed) if allowed < *pods => {
            format!(
                "{name} lets {allowed} go at a time, {pods} pods here: the drain waits until those are ready elsewhere"
            )
        }
        Some(allowed) => format!("{name} lets {allowed} go, {pods} pod{plural} here"),
    }
}
