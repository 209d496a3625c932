//! One Deployment or ReplicaSet under every rule that looks at such.

use std::fmt::Write as _;

use super::Evaluator;
use super::evaluation::finding;
use super::judge::EarlierViolations;
use crate::change::{ObjectChange, WorkloadScale};
use crate::cluster::{ClusterView, PendingChange};
use crate::model::{Object, Workload};
use crate::policy::{Applicable, alters_exemption};
use crate::rules::{self, Params, Rule, RuleCheck, Trigger, Violation, Violations, WorkloadContext};
use crate::verdict::{Finding, Level};

/// A workload and its replica count.
type WorkloadState<'a> = (&'a Workload, i32);

impl<'a> Evaluator<'a> {
    pub(super) fn workload(&self, edit: &'a ObjectChange<Workload>) -> Vec<Finding> {
        let Some(new) = edit.after() else { return Vec::new() };
        let at = |workload: &'a Workload| (workload, workload.replicas());
        self.judge_workload(edit.before().map(at), at(new), Trigger::Workload)
    }

    pub(super) fn workload_scale(&self, scale: &WorkloadScale) -> Vec<Finding> {
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let found = view.workload(scale.kind, &scale.namespace, &scale.name);
        found.map_or_else(Vec::new, |workload| {
            self.judge_workload(Some((workload, scale.old)), (workload, scale.new), Trigger::WorkloadScale)
        })
    }

    fn judge_workload(
        &self,
        before: Option<WorkloadState<'a>>,
        after: WorkloadState<'a>,
        trigger: Trigger,
    ) -> Vec<Finding> {
        if self.is_being_deleted(after.0) || after.0.is_of_deployment() {
            return Vec::new();
        }
        let metadata = &after.0.metadata;
        let sets_exemption = alters_exemption(before.map(|(before, _)| &before.metadata), metadata);
        let applicable =
            self.policies.applicable(self.subject(metadata)).asked_by(self.requester, sets_exemption);
        let context = |(workload, replicas): WorkloadState<'a>| WorkloadContext {
            workload,
            replicas,
            class: self.policies.classify_workload(workload, &applicable),
            view: ClusterView::new(self.cluster, PendingChange::Nothing),
        };
        let judged = WorkloadStep { before: before.map(context), after: context(after), trigger };
        let rules = rules::ALL.iter().enumerate();
        rules.flat_map(|(index, rule)| self.apply_to_workload(index, rule, &judged, &applicable)).collect()
    }

    fn apply_to_workload(
        &self,
        index: usize,
        rule: &'static Rule,
        step: &WorkloadStep<'_>,
        applicable: &Applicable<'_>,
    ) -> Vec<Finding> {
        let class = &step.after.class;
        let ruling = applicable.ruling(index, class.class, class.is_only_likely());
        if ruling.level == Level::Off {
            return Vec::new();
        }
        let violations = step.violations(rule, &step.after, ruling.params);
        if violations.is_empty() {
            return Vec::new();
        }
        let known = step.before.as_ref().map(|before| step.violations(rule, before, ruling.params));
        let known = EarlierViolations::of(known.as_deref().unwrap_or_default());
        let workload = step.after.workload;
        let exempt = applicable.exemption(rule.id, &workload.metadata, self.now);
        let may_be_exempted = applicable.honours_annotations();
        // The object as it is says who manages it: a request could add an owner.
        let known_state = step.before.as_ref().unwrap_or(&step.after).workload;
        let operator =
            self.operator_asking(&known_state.metadata).filter(|_| !applicable.enforces_on_operators());
        let findings = violations.into_iter().map(|violation| {
            let already = known.covers(&violation);
            let mut finding = finding(rule, ruling.level, &workload.reference(), violation);
            finding.class = Some(class.clone());
            finding.note_undecided(ruling.undecided);
            finding.exempt_as(exempt.clone());
            finding.may_be_exempted = may_be_exempted;
            if already {
                finding.spare("it was so before this change");
            }
            if let Some(owner) = operator {
                finding.spare_operator_of(owner);
            }
            finding.name_maker(workload);
            finding
        });
        findings.collect()
    }
}

/// A workload before and after a change.
struct WorkloadStep<'a> {
    before: Option<WorkloadContext<'a>>,
    after: WorkloadContext<'a>,
    trigger: Trigger,
}

impl WorkloadStep<'_> {
    fn violations(&self, rule: &Rule, at: &WorkloadContext<'_>, params: &Params) -> Vec<Violation> {
        let mut violations = Violations::default();
        if let RuleCheck::Workload(check) | RuleCheck::StateAndWorkload(_, check) = rule.check
            && rule.looks_at_workload(at.class.class, self.trigger)
        {
            check(at, params, &mut violations);
        }
        violations.into_vec()
    }
}

impl Finding {
    /// Says which object has made the workload: what is edited by hand is undone.
    fn name_maker(&mut self, workload: &Workload) {
        let Some(owner) = workload.metadata.owner.as_deref() else { return };
        let (kind, name) = (workload.kind.name(), &workload.metadata.name);
        let _ = write!(
            self.remedy,
            "; {kind} {name} is made by {} {}: make the edit there",
            owner.kind, owner.name
        );
        self.edits.iter_mut().for_each(|edit| edit.is_safe = false);
    }
}
