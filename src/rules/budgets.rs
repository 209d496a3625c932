//! Shared parts of the rules about disruption budgets.

use super::edits::{max_unavailable, members};
use super::members::edit_to;
use super::{FieldEdit, FieldPlace, SetContext};
use crate::model::quorum::{majority, tolerated};
use crate::model::{DisruptionBudget, LabelSelector, Labels, Object, StatefulSet};

/// The number of members of a consensus group that may be evicted while all are healthy. More may be, where not everything is known:
/// with every further set a budget selects it allows as much or more.
#[derive(Debug, Default)]
pub(super) struct Exposure<'a> {
    /// How many members there are, with those that are listed and do not run.
    pub members: i32,
    /// How many of them do not run.
    pub absent: i32,
    /// How many of them may be evicted.
    pub evictable: i32,
    /// The budgets about them.
    pub budgets: Vec<&'a DisruptionBudget>,
    /// The sets of the group that no budget is about.
    pub unprotected: Vec<&'a str>,
}

impl<'a> Exposure<'a> {
    /// `None` where the members are not known, or two budgets claim some: those cannot be evicted at all.
    pub(super) fn of(at: &SetContext<'a>) -> Option<Self> {
        let (members, voters) = (at.members()?, at.voters()?);
        let mut exposure =
            Self { members: voters, absent: voters.saturating_sub(members), ..Self::default() };
        let mut covered: Vec<(&DisruptionBudget, i32)> = Vec::new();
        for (set, replicas) in at.group_sets()?.iter().copied().filter(|(_, replicas)| *replicas > 0) {
            match *at.known_budgets_of(set) {
                [] => exposure.leave_unprotected(at, set, replicas),
                [budget] => match covered.iter_mut().find(|(known, _)| std::ptr::eq(*known, budget)) {
                    Some((_, members)) => *members = members.saturating_add(replicas),
                    None => covered.push((budget, replicas)),
                },
                _ => return None,
            }
        }
        for (budget, members) in covered {
            let allowed = budget.allowed_disruptions(at.view.expected_pods(budget));
            exposure.evict(allowed.min(members));
            exposure.budgets.push(budget);
        }
        Some(exposure)
    }

    /// How many members too few a majority would then have.
    pub(super) fn lacking(&self) -> i32 {
        majority(self.members) - (self.members - self.absent - self.evictable)
    }

    fn leave_unprotected(&mut self, at: &SetContext<'a>, set: &'a StatefulSet, replicas: i32) {
        if at.view.knows_budgets_selecting(at.namespace(), set.spec.template.labels()) {
            self.unprotected.push(&set.metadata.name);
            self.evict(replicas);
        }
    }

    fn evict(&mut self, members: i32) {
        self.evictable = self.evictable.saturating_add(members).min(self.members - self.absent);
    }
}

/// Where a finding about budgets points: at the budget that changes, else into the set.
pub(super) fn place(at: &SetContext<'_>, in_set: &str) -> FieldPlace {
    match at.changed_budget() {
        Some(budget) => FieldPlace::of(budget.reference(), budget.limit_path()),
        None => FieldPlace::in_set(in_set),
    }
}

/// `PodDisruptionBudget zk (minAvailable: 2)`.
pub(super) fn describe(budget: &DisruptionBudget) -> String {
    format!("PodDisruptionBudget {} ({})", budget.metadata.name, budget.limit())
}

/// The limit that is right for the set, whatever its replica count: one pod at a time. Where each member has a set of its own, the
/// disruption controller expects only as many pods as exist, so that `maxUnavailable` lets another go for each that is missing.
pub(super) fn advised_limit(at: &SetContext<'_>) -> (&'static str, i32) {
    match at.members().filter(|_| at.has_one_set_a_member()) {
        Some(members) => ("minAvailable", majority(members)),
        None => ("maxUnavailable", 1),
    }
}

/// The edit that gives a budget the limit that is right for the set.
pub(super) fn set_limit(at: &SetContext<'_>, budget: &DisruptionBudget) -> String {
    let (name, (field, value)) = (&budget.metadata.name, advised_limit(at));
    let (given, other) = match field {
        "minAvailable" => (budget.spec.min_available, ("maxUnavailable", budget.spec.max_unavailable)),
        _ => (budget.spec.max_unavailable, ("minAvailable", budget.spec.min_available)),
    };
    match (given, other) {
        (None, (field_before, Some(_))) => {
            format!("set spec.{field}: {value} in PodDisruptionBudget {name} in place of spec.{field_before}")
        }
        _ => format!("set spec.{field} of PodDisruptionBudget {name} to {value}"),
    }
}

/// The remedy that lets a group of two survive an eviction, with budgets that are right for it then.
pub(super) fn grow_to_three(at: &SetContext<'_>, budgets: &[&DisruptionBudget]) -> String {
    let grow = third_member(at);
    match budgets {
        [budget] if selects_group(at, budget) && suits_three(at, budget) => grow,
        [budget] if selects_group(at, budget) => format!("{grow}, and {}", set_limit(at, budget)),
        _ => format!("{grow}, and {}", one_for_group(at)),
    }
}

/// The remedy as data, where one set is the whole group: without a limit that stays, the edit that the small group itself asks for.
pub(super) fn edits_to_three(at: &SetContext<'_>, budget: &DisruptionBudget) -> Vec<FieldEdit> {
    let Some(grow) = members(at, 3).filter(|_| selects_group(at, budget)) else { return Vec::new() };
    let limit = if suits_three(at, budget) { Vec::new() } else { max_unavailable(budget, 1) };
    std::iter::once(grow).chain(limit.into_iter().map(FieldEdit::unsafe_to_apply)).collect()
}

/// Whether a budget is right once a group of two has a third member.
fn suits_three(at: &SetContext<'_>, budget: &DisruptionBudget) -> bool {
    let expected = at.view.expected_pods(budget).saturating_add(1);
    (1..=tolerated(3)).contains(&budget.allowed_disruptions(expected))
}

pub(super) fn third_member(at: &SetContext<'_>) -> String {
    format!("{}, since of two neither can be spared", edit_to(at, 3))
}

/// Whether a budget is about the pods of every set of the group that has members.
pub(super) fn selects_group(at: &SetContext<'_>, budget: &DisruptionBudget) -> bool {
    let mut sets = at.group_sets().unwrap_or_default().iter().filter(|(_, replicas)| *replicas > 0);
    sets.all(|(set, _)| budget.selects(set.spec.template.labels()))
}

/// The edit that gives all sets of a group one budget.
pub(super) fn one_for_group(at: &SetContext<'_>) -> String {
    let sets = at.group_sets().unwrap_or_default().iter();
    let names = enumerate(sets.map(|(set, _)| set.metadata.name.to_string()));
    let (field, value) = advised_limit(at);
    format!("let one PodDisruptionBudget with {field}: {value} select the pods of {names}")
}

/// The spec of a new budget for all sets of a group: `a selector for app=zk and minAvailable: 2`.
pub(super) fn spec_for_group(at: &SetContext<'_>) -> String {
    let (field, value) = advised_limit(at);
    let common = common_labels(&at.sets_with_members());
    let selector = LabelSelector { match_labels: common, ..LabelSelector::default() };
    if selector.is_empty() || selects_others(at, &selector) {
        return format!(
            "a selector for a label that all of their pods have and no others do, and {field}: {value}"
        );
    }
    format!("a selector for {} and {field}: {value}", selector.match_labels)
}

/// The labels that the pods of all sets have, without those of a version.
fn common_labels(sets: &[&StatefulSet]) -> Labels {
    let Some((first, others)) = sets.split_first() else { return Labels::default() };
    let labels = first.spec.template.labels().without_versions();
    let is_common =
        |key: &str, value: &str| others.iter().all(|set| set.spec.template.labels().get(key) == Some(value));
    labels.iter().filter(|(key, value)| is_common(key, value)).collect()
}

/// Whether a selector is known to select pods of sets that are not of the group.
fn selects_others(at: &SetContext<'_>, selector: &LabelSelector) -> bool {
    let group = at.group_sets().unwrap_or_default();
    let is_of_group =
        |other: &StatefulSet| group.iter().any(|(set, _)| set.metadata.name == other.metadata.name);
    let mut selected = at.view.sets_matching(at.namespace(), selector).into_iter();
    selected.any(|(other, _)| !is_of_group(other))
}

/// Names that are told; the others are counted.
const MOST_NAMES: usize = 10;

/// `a`, `a and b`, `a, b and c`; of many, `a, b, c and 37 more`.
pub(crate) fn enumerate(mut names: impl Iterator<Item = String>) -> String {
    let mut told: Vec<_> = names.by_ref().take(MOST_NAMES).collect();
    let more = names.count();
    told.extend((more > 0).then(|| format!("{more} more")));
    match &told[..] {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => told.concat(),
    }
}
