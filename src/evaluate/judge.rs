//! One StatefulSet under every rule.

use std::collections::BTreeMap;
use std::ptr;

use super::evaluation::{Evaluation, OperatorContext, States};
use super::groups::stronger;
use super::{Evaluator, Memories};
use super::{claims, pods};
use crate::change::ObjectChange;
use crate::cluster::{Cluster, ClusterView, Group, GroupEvidence, PendingChange, ViewMemory};
use crate::model::{Classified, DisruptionBudget, EXEMPT, Metadata, Object, Owner, StatefulSet};
use crate::policy::alters_exemption;
use crate::rules::{self, Changed, Left, Remembered, Rule, SetContext, Trigger, Violation};
use crate::verdict::{Finding, Level};

/// A set, its replica count, and what else is different then.
pub(super) type SetState<'a> = (&'a StatefulSet, i32, PendingChange<'a>);

/// A snapshot, with the memories for a StatefulSet that is different and for none.
type Time<'a> = (&'a Cluster, &'a ViewMemory, &'a ViewMemory);

/// The change and its requester.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestedChange<'a> {
    pub(super) changed: Changed<'a>,
    /// The earlier state.
    pub(super) was: Changed<'a>,
    /// The custom resource that what changes belongs to, where its operator may be asking.
    pub(super) operator: Option<&'a Owner>,
    /// Whether a budget allows fewer evictions than before.
    pub(super) is_tightening: bool,
}

/// Whether an edit of a budget lets fewer of the pods be evicted that there are now.
pub(super) fn is_tightening(edit: &ObjectChange<DisruptionBudget>, view: &ClusterView<'_>) -> bool {
    let allowed = |budget: &DisruptionBudget| budget.allowed_disruptions(view.expected_pods(budget));
    edit.before().zip(edit.after()).is_some_and(|(old, new)| allowed(new) < allowed(old))
}

impl<'a> Evaluator<'a> {
    /// The object as it is says who manages it: a request could add an owner.
    pub(super) fn asked(&self, changed: Changed<'a>, known: &'a impl Object) -> RequestedChange<'a> {
        let operator = self.operator_asking(known.metadata());
        RequestedChange { changed, was: changed, operator, is_tightening: false }
    }

    /// The custom resource that an object belongs to, where its operator may be asking.
    pub(super) fn operator_asking(&self, known: &'a Metadata) -> Option<&'a Owner> {
        if known.owner.is_none() || !self.requester.may_be_operator() {
            return None;
        }
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        view.last_owner(known).filter(|owner| owner.is_custom_resource())
    }

    /// Judges one set.
    pub(super) fn judge(
        &self,
        before: Option<SetState<'a>>,
        after: SetState<'a>,
        trigger: Trigger,
        asked: RequestedChange<'a>,
    ) -> Vec<Finding> {
        let metadata = &after.0.metadata;
        let is_edit = trigger == Trigger::Set && matches!(asked.changed, Changed::Set);
        let sets_exemption =
            is_edit && alters_exemption(before.as_ref().map(|(before, ..)| &before.metadata), metadata);
        let applicable =
            self.policies.applicable(self.subject(metadata)).asked_by(self.requester, sets_exemption);
        let class = self.policies.classify(after.0, &applicable);
        let before = before.map(|state| {
            let same = std::ptr::eq(state.0, after.0);
            (state, if same { class.clone() } else { self.policies.classify(state.0, &applicable) })
        });
        let step_class = before.as_ref().map_or(&class, |(_, before)| stronger(&class, before)).clone();
        let after = (after, class);
        let mut states =
            self.states(before.as_ref(), &after, asked, |view, set| self.group(view, set, &step_class));
        states.after.refused_exemption = applicable.refused_exemption();
        states.after.honours_annotations = sets_exemption && applicable.honours_annotations();
        if states.after.honours_annotations {
            states.after.exempted_checks = self.exempted_checks(metadata);
        }
        let after_alone = (states.after.set, states.after.replicas);
        let may_be_more =
            states.is_alone() && self.presumed_group(&states.after.view, after_alone, &step_class).is_some();
        let together = may_be_more.then(|| {
            self.states(before.as_ref(), &after, asked, |view, set| {
                self.presumed_group(view, set, &step_class)
            })
        });
        self.run(&Evaluation {
            together,
            step_class,
            operated: OperatorContext {
                asks: asked.operator,
                is_enforced: applicable.enforces_on_operators(),
            },
            is_first: trigger == Trigger::Set && before.is_none() && !self.has_all_objects,
            may_continue: !self.has_all_objects,
            denies_missing_companions: applicable.denies_missing_companions(),
            states,
            applicable,
            trigger,
        })
    }

    /// The checks of the policies that the exempting annotation names.
    fn exempted_checks(&self, metadata: &'a Metadata) -> Vec<&'a str> {
        let ids = metadata.annotations.get(EXEMPT).unwrap_or_default().split(',').map(str::trim);
        ids.filter(|id| id.contains('/') && self.policies.rule_names().any(|name| name == *id)).collect()
    }

    fn states(
        &self,
        before: Option<&(SetState<'a>, Classified)>,
        after: &(SetState<'a>, Classified),
        asked: RequestedChange<'a>,
        group: impl Fn(&ClusterView<'a>, (&'a StatefulSet, i32)) -> Option<Group<'a>>,
    ) -> States<'a> {
        let context = |((set, replicas, pending), class): &(SetState<'a>, Classified),
                       changed,
                       (cluster, own, unchanged): Time<'a>| {
            let memory = if pending.changes_set() { own } else { unchanged };
            let view = ClusterView::new(cluster, *pending).remembering(memory);
            SetContext {
                set,
                replicas: *replicas,
                class: class.clone(),
                group: group(&view, (set, *replicas)),
                view,
                changed,
                dry_run: self.dry_run,
                honours_annotations: false,
                exempted_checks: Vec::new(),
                refused_exemption: None,
                remembered: Remembered::default(),
            }
        };
        let Memories { unchanged, earlier, before: old, after: new } = self.memories;
        let earlier = if ptr::eq(self.before, self.cluster) { unchanged } else { earlier };
        let before = before.map(|before| context(before, asked.was, (self.before, old, earlier)));
        let after = context(after, asked.changed, (self.cluster, new, unchanged));
        let starts = before.as_ref().is_none_or(|before| before.replicas == 0) && !self.has_all_objects;
        let left = if starts {
            Left { claims: claims::left(&after), ..pods::adopted(&after) }
        } else {
            Left::default()
        };
        States { before, after, left, is_tightening: asked.is_tightening }
    }

    fn run(&self, evaluation: &Evaluation<'a>) -> Vec<Finding> {
        let rules = rules::ALL.iter().enumerate().filter(|(_, rule)| evaluation.is_about(rule));
        let of_rules = rules.flat_map(|(index, rule)| self.apply(index, rule, evaluation));
        of_rules.chain(self.checks(evaluation)).collect()
    }

    fn apply(&self, index: usize, rule: &'static Rule, evaluation: &Evaluation<'a>) -> Vec<Finding> {
        let ruling = evaluation.applicable.ruling_for(index, Some(evaluation.class_for(rule)));
        if ruling.level == Level::Off {
            return Vec::new();
        }
        let violations = evaluation.violations(rule, ruling.params);
        if violations.is_empty() {
            return Vec::new();
        }
        let metadata = &evaluation.states.after.set.metadata;
        let exempt = evaluation.applicable.exemption(rule.id, metadata, self.now);
        let ratchets = ruling.level == Level::Deny;
        let known = if ratchets { evaluation.known_violations(rule, ruling.params) } else { Vec::new() };
        let known = EarlierViolations::of(&known);
        let may_be_exempted = evaluation.applicable.honours_annotations();
        let findings = violations.into_iter().map(|violation| {
            let already = known.covers(&violation);
            let mut finding = evaluation.finding(rule, ruling.level, violation, already);
            finding.note_undecided(ruling.undecided);
            finding.exempt_as(exempt.clone());
            finding.may_be_exempted = may_be_exempted;
            finding
        });
        findings.collect()
    }
}

/// The violations before a change: for each key, how bad it was.
pub(super) struct EarlierViolations<'v>(BTreeMap<&'v str, i32>);

impl<'v> EarlierViolations<'v> {
    pub(super) fn of(violations: &'v [Violation]) -> Self {
        let mut worst = BTreeMap::new();
        for violation in violations {
            let weight = worst.entry(&*violation.key).or_insert(violation.weight);
            *weight = violation.weight.max(*weight);
        }
        Self(worst)
    }

    /// Whether this one was there before, and no better.
    pub(super) fn covers(&self, violation: &Violation) -> bool {
        self.0.get(&*violation.key).is_some_and(|weight| violation.weight <= *weight)
    }
}

impl States<'_> {
    /// Whether nothing says that the set is in a group with others.
    pub(super) fn is_alone(&self) -> bool {
        self.after.group.as_ref().is_some_and(|group| group.evidence == GroupEvidence::Alone)
    }
}
