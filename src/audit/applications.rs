//! The facts that a picture of an application shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::change::{Action, Change};
use crate::cluster::{Cluster, ClusterView, Group, Lookup, PendingChange};
use crate::evaluate::evaluate;
use crate::model::{
    Class, Classified, DisruptionBudget, Metadata, Object, Service, StatefulSet, WhenUnsatisfiable,
};
use crate::policy::{Policies, Subject};
use crate::report::{Application, Budget, Claims, ScaleStep, ServiceLink, SetServiceState, Spread};
use crate::verdict::{Finding, Level, RuleId};

/// How many replica counts on each side of the present one are tried.
const MOST_STEPS: i32 = 4;
/// How many Services are named, and how many budgets.
const MOST_SERVICES: usize = 10;
const MOST_BUDGETS: usize = 10;

/// The policies and snapshots to judge with.
#[derive(Clone, Copy)]
pub(super) struct ApplicationInputs<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) policies: &'a Policies,
    pub(super) now: Timestamp,
}

pub(super) fn application(
    set: &StatefulSet,
    known: ApplicationInputs<'_>,
    context: Option<Arc<str>>,
) -> Application {
    let replicas = known.cluster.replicas_of(set);
    let view = ClusterView::new(known.cluster, PendingChange::Set(set, replicas));
    let class = classify(set, &view, known.policies);
    let group = view.group_of(set, replicas, |_, _| true).filter(|_| class.class == Class::Quorum);
    let alone = Group::alone(set, replicas);
    let sets = &group.as_ref().unwrap_or(&alone).sets;
    let rollout = set.rolling_update().map(|rolling| {
        let limit = rolling.max_unavailable.map_or(1, |limit| limit.of_rounded_down(replicas));
        limit.clamp(1, replicas.max(1))
    });
    Application {
        object: set.reference(),
        context,
        class,
        replicas,
        sets: sets.iter().map(|(set, _)| set.metadata.name.clone()).collect(),
        ready: ready(sets),
        members: group.as_ref().map(Group::members),
        budgets: budgets(set, &view),
        rollout,
        spread: spread(set),
        steps: steps(set, known),
        services: services(set, &view),
        claims: claims(set),
    }
}

/// How many pods of some sets are ready, where a controller has said so of each.
fn ready(sets: &[(&StatefulSet, i32)]) -> Option<i32> {
    let with_pods = || sets.iter().filter(|(_, replicas)| *replicas > 0);
    with_pods().next()?;
    with_pods().try_fold(0_i32, |sum, (set, _)| Some(sum.saturating_add(set.observed()?.1)))
}

fn budgets(set: &StatefulSet, view: &ClusterView<'_>) -> Vec<Budget> {
    let budgets = view
        .known_budgets_selecting(&set.metadata.namespace, set.spec.template.labels())
        .into_iter()
        .take(MOST_BUDGETS)
        .map(|budget| {
            let allows = budget.allowed_disruptions(view.expected_pods(budget));
            let (name, limit) = (budget.metadata.name.clone(), budget.limit());
            Budget { name, limit, allows, allows_now: allows_now(budget, view) }
        });
    budgets.collect()
}

/// The number of evictions that the disruption controller allows: healthy pods beyond those that must stay. `None` for budgets that
/// also select pods of workloads.
fn allows_now(budget: &DisruptionBudget, view: &ClusterView<'_>) -> Option<i32> {
    if !view.workloads_selected_by(budget).is_empty() {
        return None;
    }
    let healthy = ready(&view.sets_selected_by(budget))?;
    let expected = view.expected_pods(budget);
    let away = expected.saturating_sub(healthy);
    Some(budget.allowed_disruptions(expected).saturating_sub(away).max(0))
}

/// The findings about the replica counts around the present one, judged like a scale request.
fn steps(set: &StatefulSet, known: ApplicationInputs<'_>) -> Vec<ScaleStep> {
    let present = known.cluster.replicas_of(set);
    let findings = |replicas| {
        let Metadata { namespace, name, .. } = &set.metadata;
        let action =
            Action::Scale { namespace: namespace.clone(), name: name.clone(), old: present, new: replicas };
        let change = Change { action, has_all_objects: true, ..Change::default() };
        let findings = evaluate(&change, known.cluster, known.policies, known.now).findings;
        findings.into_iter().filter(|finding| finding.counts() && finding.level >= Level::Warn)
    };
    let already: BTreeSet<RuleId> = findings(present).map(|finding| finding.rule).collect();
    let step = |replicas| {
        // A finding that is denied now was only a warning before, or is about the step itself.
        let new: Vec<Finding> = findings(replicas)
            .filter(|finding| finding.level == Level::Deny || !already.contains(&finding.rule))
            .collect();
        let level = new.iter().map(|finding| finding.level).max().unwrap_or(Level::Off);
        let mut rules: Vec<RuleId> = Vec::new();
        // Warnings are not the reason of the denial.
        for finding in new.into_iter().filter(|finding| finding.level == level) {
            if !rules.contains(&finding.rule) {
                rules.push(finding.rule);
            }
        }
        ScaleStep { replicas, level, rules }
    };
    let up = (1..=MOST_STEPS).filter_map(|more| present.checked_add(more));
    let down = (1..=MOST_STEPS).map(|fewer| present.saturating_sub(fewer)).filter(|replicas| *replicas >= 0);
    let mut steps = until_safe(up.map(step));
    steps.extend(until_safe(down.map(step)));
    steps
}

fn until_safe(steps: impl Iterator<Item = ScaleStep>) -> Vec<ScaleStep> {
    let mut tried = Vec::new();
    for step in steps {
        let is_safe = step.level == Level::Off;
        tried.push(step);
        if is_safe {
            break;
        }
    }
    tried
}

fn services(set: &StatefulSet, view: &ClusterView<'_>) -> Vec<ServiceLink> {
    let (namespace, labels) = (&*set.metadata.namespace, set.spec.template.labels());
    let governing = Some(&*set.spec.service_name).filter(|name| !name.is_empty());
    let mut links: Vec<ServiceLink> = Vec::new();
    links.extend(governing.map(|name| ServiceLink {
        name: name.into(),
        governs: true,
        state: match view.service(namespace, name) {
            Lookup::Present(service) if !service.is_headless() => SetServiceState::OneAddress,
            Lookup::Present(service) if !service.spec.selector.is_empty() && !service.selects(labels) => {
                SetServiceState::SelectsOthers
            }
            Lookup::Present(_) => SetServiceState::Headless,
            Lookup::Absent => SetServiceState::Missing,
            Lookup::Unknown => SetServiceState::Unknown,
        },
    }));
    let mut others: Vec<&Service> = view.services_selecting(namespace, labels);
    others.retain(|service| governing != Some(&*service.metadata.name));
    others.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
    others.dedup_by(|one, other| one.metadata.name == other.metadata.name);
    links.extend(others.into_iter().take(MOST_SERVICES).map(|service| ServiceLink {
        name: service.metadata.name.clone(),
        governs: false,
        state: if service.is_headless() { SetServiceState::Headless } else { SetServiceState::OneAddress },
    }));
    links
}

fn claims(set: &StatefulSet) -> Claims {
    let retention = set.spec.persistent_volume_claim_retention_policy;
    Claims {
        templates: set.spec.volume_claim_templates.iter().map(|claim| claim.metadata.name.clone()).collect(),
        when_deleted: retention.when_deleted,
        when_scaled: retention.when_scaled,
    }
}

fn classify(set: &StatefulSet, view: &ClusterView<'_>, policies: &Policies) -> Classified {
    let namespace_labels = view.namespace_labels(&set.metadata.namespace);
    policies.classify(set, &policies.applicable(Subject { metadata: &set.metadata, namespace_labels }))
}

fn spread(set: &StatefulSet) -> Spread {
    let spec = &set.spec.template.spec;
    let labels = set.spec.template.labels();
    let anti = &spec.affinity.pod_anti_affinity;
    let mut spread = Spread::default();
    let selects =
        |selector: &Option<crate::model::LabelSelector>| selector.as_ref().is_some_and(|s| s.matches(labels));
    for term in anti.required.iter().filter(|term| selects(&term.label_selector)) {
        spread.required.push(term.topology_key.clone());
    }
    for term in anti.preferred.iter().map(|term| &term.pod_affinity_term) {
        if selects(&term.label_selector) {
            spread.preferred.push(term.topology_key.clone());
        }
    }
    for constraint in spec.topology_spread_constraints.iter().filter(|c| selects(&c.label_selector)) {
        let hard = constraint.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule;
        let keys = if hard { &mut spread.required } else { &mut spread.preferred };
        keys.push(constraint.topology_key.clone());
    }
    spread
}
