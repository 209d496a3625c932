//! The rules: one file each, and the registry of them.
//!
//! A rule is data and one function. It is given the situation of one StatefulSet and says what is wrong with it; it does not
//! choose its level, does not know the other rules, and cannot fail.

mod budgets;
mod context;
mod dialled;
mod edits;
mod governing;
mod members;
mod node_pins;
mod params;
mod spread;
mod spread_namespaces;
mod topology;
mod violation;

use crate::change::{PodRemoval, Requester, WrittenObject};
use crate::cluster::Kind;
use crate::model::Class;
use crate::verdict::RuleId;
pub(crate) use budgets::enumerate;
pub use context::{
    Changed, CountEvidence, Left, MemberCounts, RefusedExemption, Remembered, SetContext, Transition,
    Trigger, WorkloadContext,
};
pub use params::{NO_PARAMS, Param, ParamKind, Params};
pub use violation::{Companion, FieldEdit, FieldPlace, ToOperators, Violation, Violations};

/// One thing that can be wrong.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a rule is data, and each says something else of it")]
pub struct Rule {
    /// Stable name, in kebab case; also the name of its file.
    pub id: &'static str,
    /// The problem, in a few words.
    pub title: &'static str,
    /// The classes it is about; empty means all.
    pub classes: &'static [Class],
    /// Whether it is only about sets of two or more replicas that are not singletons.
    pub needs_peers: bool,
    /// Whether other sets of one consensus group count as peers too.
    pub peers_in_group: bool,
    /// The kinds of change it looks at.
    pub triggers: &'static [Trigger],
    /// The other objects it reads: a denial rests on what is known of them.
    pub reads: &'static [Kind],
    /// Whether it says of another object that there is none. One that was made a moment ago may not be known yet.
    pub reports_missing: bool,
    /// Whether what it finds passes without an edit, as when a member becomes ready: an eviction that is refused may be tried again.
    pub passes_with_time: bool,
    /// The parameters a policy may give it.
    pub params: &'static [&'static Param],
    /// Its documentation, in Markdown, with the headings of [`HEADINGS`].
    pub docs: &'static str,
    /// Finds what is wrong.
    pub check: RuleCheck,
}

/// The check function of a rule.
#[derive(Clone, Copy, Debug)]
pub enum RuleCheck {
    /// How things will be.
    State(fn(&SetContext<'_>, &Params, &mut Violations)),
    /// The step from how they are to how they will be.
    Step(fn(&Transition<'_, '_>, &Params, &mut Violations)),
    /// How a Deployment or a ReplicaSet will be.
    Workload(fn(&WorkloadContext<'_>, &Params, &mut Violations)),
    /// How things will be, of a StatefulSet and of those.
    StateAndWorkload(
        fn(&SetContext<'_>, &Params, &mut Violations),
        fn(&WorkloadContext<'_>, &Params, &mut Violations),
    ),
    /// How a manifest is written.
    Text(fn(&WrittenObject, &mut Violations)),
    /// How a Pod is removed, and by whom.
    PodRemoval(fn(&PodRemoval<'_>, &Requester, &mut Violations)),
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
        $(peers_in_group: $peers_in_group:literal,)?
        triggers: [$($trigger:ident),*],
        $(reads: [$($kind:ident),*],)?
        $(reports_missing: $reports_missing:literal,)?
        $(passes_with_time: $passes_with_time:literal,)?
        $(params: [$($param:ident),*],)?
        check: $check:ident($($function:ident),+) $(,)?
    ) => {
        $(#[doc = $doc])*
        pub(super) const RULE: crate::rules::Rule = crate::rules::Rule {
            id: $id,
            title: $title,
            classes: &[$($(crate::model::Class::$class),*)?],
            needs_peers: false $(|| $needs_peers)?,
            peers_in_group: false $(|| $peers_in_group)?,
            triggers: &[$(crate::rules::Trigger::$trigger),*],
            reads: &[$($(crate::cluster::Kind::$kind),*)?],
            reports_missing: false $(|| $reports_missing)?,
            passes_with_time: false $(|| $passes_with_time)?,
            params: &[$($(&$param),*)?],
            docs: concat!($($doc, "\n"),*),
            check: crate::rules::RuleCheck::$check($($function),+),
        };
    };
}

mod annotation_ignored;
mod claim_in_use;
mod claim_not_mounted;
mod claims_deleted_on_scale;
mod claims_deleted_with_set;
mod deployment_claim_rolling;
mod deployment_claim_shared;
mod deployment_holds_database;
mod deprecated_api;
mod duplicate_key;
mod grace_period_zero;
mod immutable_field;
mod immutable_on_upgrade;
mod name_too_long;
mod partition_holds_all;
mod pdb_below_quorum;
mod pdb_blocks_drain;
mod pdb_counts_others;
mod pdb_in_use;
mod pdb_missing;
mod pdb_overlap;
mod pod_force_deleted;
mod protected;
mod protection_lost;
mod quorum_autoscaled;
mod quorum_claims_left;
mod quorum_even;
mod quorum_members_replaced;
mod quorum_no_spare;
mod quorum_scale_loses_majority;
mod quorum_scale_step;
mod quorum_scaled_to_zero;
mod quorum_step_unfinished;
mod quorum_too_large;
mod quorum_too_small;
mod readiness_missing;
mod restart_deadlock;
mod rollout_below_quorum;
mod selector_overlap;
mod service_hides_unready;
mod service_in_use;
mod service_name_missing;
mod service_not_found;
mod service_not_headless;
mod service_per_pod_label_unset;
mod service_per_pod_ports_invalid;
mod service_per_pod_removed;
mod service_selector_mismatch;
mod shared_claim;
mod singleton_scaled;
mod spread_missing;
mod spread_preferred_only;
mod spread_selector_mismatch;
mod volatile_data;

/// Every rule, in the order of the documentation.
pub static ALL: &[Rule] = &[
    service_name_missing::RULE,
    service_not_found::RULE,
    service_not_headless::RULE,
    service_selector_mismatch::RULE,
    service_hides_unready::RULE,
    service_in_use::RULE,
    quorum_even::RULE,
    quorum_too_small::RULE,
    quorum_too_large::RULE,
    quorum_scale_loses_majority::RULE,
    quorum_scale_step::RULE,
    quorum_step_unfinished::RULE,
    quorum_claims_left::RULE,
    quorum_members_replaced::RULE,
    quorum_no_spare::RULE,
    quorum_scaled_to_zero::RULE,
    quorum_autoscaled::RULE,
    singleton_scaled::RULE,
    pod_force_deleted::RULE,
    spread_missing::RULE,
    spread_preferred_only::RULE,
    spread_selector_mismatch::RULE,
    pdb_missing::RULE,
    pdb_below_quorum::RULE,
    pdb_blocks_drain::RULE,
    pdb_overlap::RULE,
    pdb_counts_others::RULE,
    pdb_in_use::RULE,
    service_per_pod_ports_invalid::RULE,
    service_per_pod_label_unset::RULE,
    service_per_pod_removed::RULE,
    name_too_long::RULE,
    shared_claim::RULE,
    deployment_claim_shared::RULE,
    deployment_claim_rolling::RULE,
    deployment_holds_database::RULE,
    volatile_data::RULE,
    claim_not_mounted::RULE,
    claims_deleted_on_scale::RULE,
    claim_in_use::RULE,
    claims_deleted_with_set::RULE,
    protected::RULE,
    protection_lost::RULE,
    selector_overlap::RULE,
    readiness_missing::RULE,
    restart_deadlock::RULE,
    grace_period_zero::RULE,
    rollout_below_quorum::RULE,
    partition_holds_all::RULE,
    immutable_field::RULE,
    immutable_on_upgrade::RULE,
    deprecated_api::RULE,
    annotation_ignored::RULE,
    duplicate_key::RULE,
];

/// The shipped rule of this id.
pub fn find(id: &RuleId) -> Option<&'static Rule> {
    named(id.as_str())
}

/// The shipped rule of this name.
pub fn named(name: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.id == name)
}

/// A rule's documentation without the space that the comments it is written in put before each line.
pub fn markdown(rule: &Rule) -> String {
    rule.docs
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n")
}

impl Rule {
    /// The id as findings carry it.
    pub fn id(&self) -> RuleId {
        RuleId::shipped(self.id)
    }

    /// Whether it looks at this set at all. A singleton of several replicas is to have one, not what several need.
    pub(crate) fn applies_to(&self, context: &SetContext<'_>) -> bool {
        self.is_about(context.class.class, context)
    }

    /// Whether it looks at a Deployment or a ReplicaSet of this class.
    pub(crate) fn looks_at_workload(&self, class: Class, trigger: Trigger) -> bool {
        self.triggers.contains(&trigger) && self.is_for_class(class)
    }

    /// Whether it is about objects of this class.
    pub(crate) fn is_for_class(&self, class: Class) -> bool {
        self.classes.is_empty() || self.classes.contains(&class)
    }

    /// Whether the rule is about a set, by another class than it has at this moment.
    pub(crate) fn is_about(&self, class: Class, context: &SetContext<'_>) -> bool {
        self.is_for_class(class)
            && (!self.needs_peers
                || (context.replicas > 1 && class != Class::Singleton)
                || (self.peers_in_group && context.has_peers_in_group()))
    }
}

impl Rule {
    /// Whether it counts the members of a consensus group, which may be spread over several sets.
    pub(crate) fn counts_members(&self) -> bool {
        self.classes == [Class::Quorum] && self.reads.contains(&Kind::StatefulSet)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

#[cfg(test)]
mod testing;
