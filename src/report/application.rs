//! The data that a picture of an application shows.

use std::sync::Arc;

use crate::model::quorum::{majority, tolerated};
use crate::model::{ClaimRetention, Class, Classified, ObjectRef};
use crate::verdict::{Level, RuleId};

/// A StatefulSet as a picture shows it.
#[derive(Debug)]
pub struct Application {
    pub object: ObjectRef,
    pub context: Option<Arc<str>>,
    pub class: Classified,
    pub replicas: i32,
    /// The members of its consensus group, over all sets of it; `None` where it is none or where they are not known.
    pub members: Option<i32>,
    /// The sets of that group by name, its own first.
    pub sets: Vec<Box<str>>,
    /// How many pods of these sets are ready; `None` where no controller has said so of each set, as in manifests.
    pub ready: Option<i32>,
    pub budgets: Vec<Budget>,
    /// How many pods a rolling update takes down at once; `None` where they are only replaced by hand.
    pub rollout: Option<i32>,
    pub spread: Spread,
    /// The replica counts around the present one, by distance: first those above, up to the first that nothing is said of, then
    /// those below.
    pub steps: Vec<ScaleStep>,
    pub services: Vec<ServiceLink>,
    pub claims: Claims,
}

/// A PodDisruptionBudget about the pods of an application.
#[derive(Debug)]
pub struct Budget {
    pub name: Box<str>,
    /// `maxUnavailable: 1`
    pub limit: String,
    /// How many pods may be evicted while all are healthy.
    pub allows: i32,
    /// How many pods may be evicted now, by the ready pods that the controllers count; `None` where they have not said.
    pub allows_now: Option<i32>,
}

/// The nodes on which the scheduler may put the pods.
#[derive(Debug, Default)]
pub struct Spread {
    /// Topology keys of which no two pods may share a value.
    pub required: Vec<Box<str>>,
    /// Topology keys over which the scheduler spreads if it can.
    pub preferred: Vec<Box<str>>,
}

/// The findings about another replica count that the present one does not have.
#[derive(Debug, serde::Serialize)]
pub struct ScaleStep {
    pub replicas: i32,
    /// The gravest level of the rules; off where there are none.
    pub level: Level,
    pub rules: Vec<RuleId>,
}

/// A Service that gives the pods names, or should, or one that selects them.
#[derive(Debug, serde::Serialize)]
pub struct ServiceLink {
    pub name: Box<str>,
    /// Whether `spec.serviceName` names it.
    pub governs: bool,
    pub state: SetServiceState,
}

/// The properties of a Service that a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SetServiceState {
    Headless,
    /// It has an address of its own, and so gives the pods no names.
    OneAddress,
    /// It does not select the pods.
    SelectsOthers,
    Missing,
    Unknown,
}

/// The claims that the pods get.
#[derive(Debug, Default)]
pub struct Claims {
    /// The names of the claim templates.
    pub templates: Vec<Box<str>>,
    pub when_deleted: ClaimRetention,
    pub when_scaled: ClaimRetention,
}

/// How many members may be away for a reason.
#[derive(Debug)]
pub struct Allowance {
    pub title: &'static str,
    pub note: String,
    pub down: i32,
    /// Whether it takes the majority, or nothing can go at all.
    pub is_bad: bool,
}

impl Application {
    /// How many members there are, of the consensus group or of a set that is none.
    pub fn count(&self) -> i32 {
        self.members.unwrap_or(self.replicas).max(0)
    }

    /// How many members must stay up; `None` for what needs no majority.
    pub fn needed(&self) -> Option<i32> {
        (self.class.class == Class::Quorum && self.count() > 0).then(|| majority(self.count()))
    }

    pub fn membership(&self) -> Allowance {
        let members = self.count();
        let title = if members == self.replicas { "Members" } else { "Members over several sets" };
        let note = match self.needed() {
            Some(needed) => format!("{needed} of {members} must stay up, {} may fail", tolerated(members)),
            None => format!("{members} replica{}", if members == 1 { "" } else { "s" }),
        };
        Allowance { title, note, down: 0, is_bad: false }
    }

    /// The number of pods that a drain may take while all members are healthy.
    pub fn drain(&self) -> Allowance {
        let (title, members) = ("Node drain", self.count());
        let own = self.replicas.clamp(0, members);
        let (down, note) = match &self.budgets[..] {
            [] => (own, format!("no budget: all {own} at once")),
            [budget] => {
                (budget.allows.clamp(0, members), format!("{} at once by {}", budget.allows, budget.limit))
            }
            several => (0, format!("{} budgets overlap: every eviction fails", several.len())),
        };
        let is_stuck = self.budgets.len() > 1 || (down == 0 && members > 0);
        Allowance { title, note, down, is_bad: is_stuck || self.loses_majority(down) }
    }

    /// The number of pods that a drain may take now, where the number of ready pods is known.
    pub fn drain_now(&self) -> Option<i32> {
        let ready = self.ready?;
        match &self.budgets[..] {
            [] => Some(ready),
            [budget] => budget.allows_now,
            _ => Some(0),
        }
    }

    pub fn rolling_update(&self) -> Allowance {
        let title = "Rollout";
        let Some(limit) = self.rollout else {
            return Allowance { title, note: "pods are replaced by hand".to_owned(), down: 0, is_bad: false };
        };
        let down = limit.clamp(0, self.replicas.clamp(0, self.count()));
        let is_bad = down > 1 && self.loses_majority(down);
        Allowance { title, note: format!("{down} at once"), down, is_bad }
    }

    fn loses_majority(&self, down: i32) -> bool {
        let members = self.count();
        self.needed().is_some_and(|needed| members - down < needed && members > 1)
    }

    /// The nodes on which the scheduler may put the pods, in words.
    pub fn spread_note(&self) -> String {
        let list = |keys: &[Box<str>]| keys.iter().map(|key| &**key).collect::<Vec<_>>().join(", ");
        match (&self.spread.required[..], &self.spread.preferred[..]) {
            ([], []) => "may all be on one node".to_owned(),
            ([], preferred) => format!("spread if possible over {}", list(preferred)),
            (required, _) => format!("spread over {}", list(required)),
        }
    }

    /// The text beside the picture.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let ready = self.ready_note().map(|note| ("Now", note));
        let scale = Some(("Scale", self.scale_note())).filter(|(_, note)| !note.is_empty());
        let always = [("Service", self.service_note()), ("Claims", self.claims_note())];
        ready.into_iter().chain(scale).chain(always).collect()
    }

    /// How many members are ready, and what that leaves, where it is known.
    pub fn ready_note(&self) -> Option<String> {
        let (ready, members) = (self.ready?, self.count());
        let left = match self.needed() {
            Some(needed) if ready < needed => ": there is no majority".to_owned(),
            Some(needed) if ready == needed => ": one more away ends the majority".to_owned(),
            Some(needed) => format!(": {} more may be away", ready - needed),
            None => String::new(),
        };
        Some(format!("{ready} of {members} ready{left}"))
    }

    /// The next replica counts up and down that nothing is said of, and those before them: `up: 5 next; not 4 (denied: quorum-even)`.
    pub fn scale_note(&self) -> String {
        let (up, down): (Vec<&ScaleStep>, Vec<&ScaleStep>) =
            self.steps.iter().partition(|step| step.replicas > self.replicas);
        let sides = [("up", up), ("down", down)].into_iter().filter(|(_, steps)| !steps.is_empty());
        let notes = sides.map(|(direction, steps)| format!("{direction}: {}", side_note(&steps)));
        notes.collect::<Vec<_>>().join(". ")
    }

    /// Which Service gives the pods their names, and which others select them.
    pub fn service_note(&self) -> String {
        if self.services.is_empty() {
            return "none gives the pods names".to_owned();
        }
        let notes: Vec<String> =
            self.services.iter().map(|service| service.note(&self.object.name)).collect();
        notes.join("; ")
    }

    /// Whether the claims are kept or deleted.
    pub fn claims_note(&self) -> String {
        if self.claims.templates.is_empty() {
            return "none: pods keep no data of their own".to_owned();
        }
        let becomes = |retention| match retention {
            ClaimRetention::Delete => "deleted",
            ClaimRetention::Retain => "kept",
        };
        let Claims { templates, when_deleted, when_scaled } = &self.claims;
        format!(
            "{} for each pod; {} when it shrinks, {} when it is deleted",
            templates.iter().map(|name| &**name).collect::<Vec<_>>().join(", "),
            becomes(*when_scaled),
            becomes(*when_deleted)
        )
    }
}

/// The first safe step, else the first that is not denied, and why not those before it.
fn side_note(steps: &[&ScaleStep]) -> String {
    let first = |level: Level| steps.iter().position(|step| step.level <= level);
    let next = first(Level::Off).map(|at| (at, format!("{} next", steps[at].replicas))).or_else(|| {
        let at = first(Level::Warn)?;
        Some((at, format!("{} with a warning ({})", steps[at].replicas, steps[at].rule_names())))
    });
    // If every step is refused, the nearest one gives the reason.
    let (before, next) = next.map_or((1, None), |(at, next)| (at, Some(next)));
    let not: Vec<String> =
        steps.iter().take(before).map(|step| format!("{} ({})", step.replicas, step.refusal())).collect();
    let not = (!not.is_empty()).then(|| format!("not {}", not.join(", ")));
    next.into_iter().chain(not).collect::<Vec<_>>().join("; ")
}

impl ScaleStep {
    fn rule_names(&self) -> String {
        self.rules.iter().map(RuleId::as_str).collect::<Vec<_>>().join(", ")
    }

    fn refusal(&self) -> String {
        let verb = if self.level == Level::Deny { "denied" } else { "warned" };
        format!("{verb}: {}", self.rule_names())
    }
}

impl ServiceLink {
    fn note(&self, set: &str) -> String {
        let name = &self.name;
        let state = match self.state {
            SetServiceState::Headless if self.governs => {
                return format!("{name} names the pods: {set}-0.{name}");
            }
            SetServiceState::Headless => return format!("{name} selects them too (headless)"),
            SetServiceState::OneAddress if !self.governs => return format!("{name} selects them"),
            SetServiceState::OneAddress => "is not headless",
            SetServiceState::SelectsOthers => "does not select the pods",
            SetServiceState::Missing => "does not exist",
            SetServiceState::Unknown => {
                return format!("{name} should name the pods; whether it exists is not known");
            }
        };
        format!("{name} should name the pods, and {state}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(replicas: i32, level: Level, rules: &[&'static str]) -> ScaleStep {
        ScaleStep { replicas, level, rules: rules.iter().map(|rule| RuleId::shipped(rule)).collect() }
    }

    #[test]
    fn the_next_step_is_the_first_that_is_safe() {
        let even = || step(4, Level::Deny, &["quorum-even"]);
        let (safe, warned) = (step(5, Level::Off, &[]), step(5, Level::Warn, &["a", "b"]));
        for (steps, note) in [
            (vec![even(), safe], "5 next; not 4 (denied: quorum-even)"),
            (vec![step(4, Level::Off, &[])], "4 next"),
            (
                vec![even(), warned, step(6, Level::Deny, &["c"])],
                "5 with a warning (a, b); not 4 (denied: quorum-even)",
            ),
            (vec![even(), step(5, Level::Deny, &["c"])], "not 4 (denied: quorum-even)"),
        ] {
            assert_eq!(side_note(&steps.iter().collect::<Vec<_>>()), note);
        }
    }
}
