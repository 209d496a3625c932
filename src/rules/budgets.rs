//! What the rules about disruption budgets share.

use super::{Place, SetContext};
use crate::model::quorum::majority;
use crate::model::{DisruptionBudget, Object, StatefulSet};

/// What may be evicted of a consensus group while all its members are healthy. More may be, where not everything is known:
/// with every further set a budget selects it allows as much or more.
#[derive(Debug, Default)]
pub(super) struct Exposure<'a> {
    /// How many members there are.
    pub members: i32,
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
        let mut exposure = Self { members: at.members()?, ..Self::default() };
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
        majority(self.members) - (self.members - self.evictable)
    }

    fn leave_unprotected(&mut self, at: &SetContext<'a>, set: &'a StatefulSet, replicas: i32) {
        if at.view.knows_budgets_selecting(at.namespace(), set.spec.template.labels()) {
            self.unprotected.push(&set.metadata.name);
            self.evict(replicas);
        }
    }

    fn evict(&mut self, members: i32) {
        self.evictable = self.evictable.saturating_add(members).min(self.members);
    }
}

/// Where a finding about budgets points: at the budget that changes, else into the set.
pub(super) fn place(at: &SetContext<'_>, in_set: &str) -> Place {
    match at.changed_budget() {
        Some(budget) => Place::of(budget.reference(), budget.limit_path()),
        None => Place::in_set(in_set),
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
