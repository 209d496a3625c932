//! The rules: one file each, and the registry of them.
//!
//! A rule is data and one function. It is given the situation of one StatefulSet and says what is wrong with it; it does not
//! choose its level, does not know the other rules, and cannot fail.

mod governing;
mod situation;
mod spread;
#[cfg(test)]
mod testing;
mod violation;

use crate::cluster::Kind;
use crate::model::Class;
use crate::policy::Params;
pub use situation::{Situation, Transition, Trigger};
pub use violation::{Place, Violation, Violations};

/// One thing that can be wrong.
#[derive(Debug)]
pub struct Rule {
    /// Stable name, in kebab case; also the name of its file.
    pub id: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// The classes it is about; empty means all.
    pub classes: &'static [Class],
    /// Whether it is only about sets of two or more replicas.
    pub needs_peers: bool,
    /// The kinds of change it looks at.
    pub triggers: &'static [Trigger],
    /// The other objects it reads: a denial rests on what is known of them.
    pub reads: &'static [Kind],
    /// The parameters a policy may give it.
    pub params: &'static [&'static str],
    /// Its documentation, in Markdown, with the headings of [`HEADINGS`].
    pub docs: &'static str,
    /// Finds what is wrong.
    pub check: Check,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// How things will be.
    State(fn(&Situation<'_>, &Params, &mut Violations)),
    /// The step from how they are to how they will be.
    Step(fn(&Transition<'_>, &Params, &mut Violations)),
}

/// The headings of every rule's documentation, in order.
pub const HEADINGS: [&str; 5] = ["What it checks", "Why", "How to fix", "Fails", "Passes"];

/// Defines the `RULE` of a file; its documentation comment is the rule's documentation.
macro_rules! rule {
    (
        $(#[doc = $doc:literal])*
        $id:literal: $title:literal,
        $(classes: [$($class:ident),*],)?
        $(needs_peers: $needs_peers:literal,)?
        triggers: [$($trigger:ident),*],
        $(reads: [$($kind:ident),*],)?
        $(params: [$($param:literal),*],)?
        check: $check:ident($function:ident) $(,)?
    ) => {
        $(#[doc = $doc])*
        pub(super) const RULE: crate::rules::Rule = crate::rules::Rule {
            id: $id,
            title: $title,
            classes: &[$($(crate::model::Class::$class),*)?],
            needs_peers: false $(|| $needs_peers)?,
            triggers: &[$(crate::rules::Trigger::$trigger),*],
            reads: &[$($(crate::cluster::Kind::$kind),*)?],
            params: &[$($($param),*)?],
            docs: concat!($($doc, "\n"),*),
            check: crate::rules::Check::$check($function),
        };
    };
}

/// Declares the rules' modules and lists them in [`ALL`].
macro_rules! registry {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every rule, in the order of the documentation.
        pub static ALL: &[Rule] = &[$($module::RULE),*];
    };
}

registry! {
    service_name_missing,
    service_not_found,
    service_not_headless,
    service_selector_mismatch,
    service_hides_unready,
    quorum_even,
    spread_missing,
    spread_preferred_only,
    spread_selector_mismatch,
    name_too_long,
    grace_period_zero,
}

/// The rule of this id.
pub fn find(id: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.id == id)
}

impl Rule {
    /// Whether it is about this situation at all.
    pub(crate) fn applies_to(&self, situation: &Situation<'_>) -> bool {
        (self.classes.is_empty() || self.classes.contains(&situation.class.class))
            && (!self.needs_peers || situation.replicas > 1)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}
