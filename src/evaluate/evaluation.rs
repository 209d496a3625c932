//! One set, its change, and what a rule finds in it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use super::softening::SAY_GROUP;
use crate::cluster::Group;
use crate::model::{Autoscaler, Class, Classified, Kind, Object, ObjectRef, Owner, cut, printable_lines};
use crate::policy::{self, Applicable};
use crate::rules::Params;
use crate::rules::{
    Changed, Companion, FieldEdit, FieldPlace, Left, Rule, RuleCheck, SetContext, ToOperators, Transition,
    Trigger, Violation, Violations, enumerate,
};
use crate::verdict::Level;
use crate::verdict::{Edit, Finding, RuleId};

/// One set, its change, and the policies about it.
pub(super) struct Evaluation<'a> {
    /// The set as one group with those that say that they belong to it.
    pub(super) states: States<'a>,
    /// The set as one group with sets that only look like members.
    pub(super) together: Option<States<'a>>,
    /// By which class a step is judged: the stronger of the old and the new one.
    pub(super) step_class: Classified,
    pub(super) applicable: Applicable<'a>,
    pub(super) trigger: Trigger,
    pub(super) operated: OperatorContext<'a>,
    /// Whether it is created, and other objects may be created after it.
    pub(super) is_first: bool,
    /// Whether other objects may be created or deleted next.
    pub(super) may_continue: bool,
    pub(super) denies_missing_companions: bool,
}

/// A set before and after a change.
pub(super) struct States<'a> {
    pub(super) before: Option<SetContext<'a>>,
    pub(super) after: SetContext<'a>,
    /// Where it starts from no replicas: what earlier pods left.
    pub(super) left: Left,
    /// Whether the change is that of a budget, which lets fewer pods be evicted than before.
    pub(super) is_tightening: bool,
}

/// The part of an operator in a change.
pub(super) struct OperatorContext<'a> {
    /// The custom resource whose operator may be asking for a change to what it manages.
    pub(super) asks: Option<&'a Owner>,
    /// Whether a policy treats operators like all others.
    pub(super) is_enforced: bool,
}

impl States<'_> {
    fn violations(&self, rule: &Rule, params: &Params) -> Vec<Violation> {
        let mut violations = Violations::default();
        match rule.check {
            RuleCheck::State(check) | RuleCheck::StateAndWorkload(check, _) => {
                check(&self.after, params, &mut violations);
            }
            RuleCheck::Step(check) => {
                let transition =
                    Transition { before: self.before.as_ref(), after: &self.after, left: self.left };
                check(&transition, params, &mut violations);
            }
            RuleCheck::Workload(_) | RuleCheck::Text(_) | RuleCheck::PodRemoval(_) => {}
        }
        violations.into_vec()
    }
}

impl Evaluation<'_> {
    /// Whether the rule looks at this set and this change.
    pub(super) fn is_about(&self, rule: &Rule) -> bool {
        let after = &self.states.after;
        rule.triggers.contains(&self.trigger) && rule.is_about(self.class_for(rule).class, after)
    }

    /// The class by which the rule judges. Pods that are there stay what they are while their number changes, for the rules that
    /// look at numbers.
    pub(super) fn class_for(&self, rule: &Rule) -> &Classified {
        match rule.check {
            RuleCheck::Step(_) => &self.step_class,
            _ if rule.triggers.contains(&Trigger::Scale) && self.changes_count_of_pods() => &self.step_class,
            _ => &self.states.after.class,
        }
    }

    /// Whether there are pods whose number changes.
    fn changes_count_of_pods(&self) -> bool {
        let after = self.states.after.replicas;
        self.states.before.as_ref().is_some_and(|before| before.replicas > 0 && before.replicas != after)
    }

    /// The violations of the rule. A presumed group can only soften: a violation of the set alone and of the group keeps its level,
    /// one of the set alone becomes a warning, and one of the group alone proves nothing.
    pub(super) fn violations(&self, rule: &Rule, params: &Params) -> Vec<Violation> {
        let mut alone = self.states.violations(rule, params);
        let Some(together) = self.together.as_ref().filter(|_| rule.counts_members()) else {
            self.soften_by_list(rule, &mut alone);
            return alone;
        };
        let found = together.violations(rule, params);
        let in_group: HashSet<&str> = found.iter().map(|violation| &*violation.key).collect();
        let others = together.after.group_sets().unwrap_or_default().iter().skip(1);
        let others = enumerate(others.map(|(set, _)| set.metadata.name.to_string()));
        for violation in &mut alone {
            if in_group.contains(&*violation.key) {
                // Which count is right depends on what is one group.
                violation.edits.clear();
                let _ = write!(violation.remedy, "; {SAY_GROUP} if the group includes {others}");
            } else {
                violation
                    .soften(&format!("not so if the group includes {others}, as it seems to"), SAY_GROUP);
            }
        }
        alone
    }

    /// The violations that a rule about states finds already before the change.
    pub(super) fn known_violations(&self, rule: &Rule, params: &Params) -> Vec<Violation> {
        let mut violations = Violations::default();
        if let (RuleCheck::State(check) | RuleCheck::StateAndWorkload(check, _), Some(before)) =
            (rule.check, &self.states.before)
            && rule.applies_to(before)
        {
            check(before, params, &mut violations);
        }
        violations.into_vec()
    }

    /// Whether a set that is created adopts all its pods: after `kubectl delete --cascade=orphan`, or restored from a backup.
    fn runs_already(&self) -> bool {
        let (replicas, kept) = (self.states.after.replicas, self.states.left.kept);
        self.is_first && (1..=kept).contains(&replicas)
    }

    pub(super) fn finding(
        &self,
        rule: &'static Rule,
        level: Level,
        violation: Violation,
        already: bool,
    ) -> Finding {
        let after = &self.states.after;
        let is_passing = violation.to_operators == ToOperators::Passing && after.set.operator().is_some();
        let companion = violation.companion.filter(|_| !self.denies_missing_companions);
        let is_early = companion == Some(Companion::Missing) && self.is_first;
        let is_left = companion == Some(Companion::Lost) && self.may_continue;
        let is_unwanted = violation.companion == Some(Companion::Unwanted) && self.may_continue;
        let of_group = violation.is_of_group;
        let binds_operators = violation.to_operators == ToOperators::Binding;
        let stricter = violation.only_blocks_evictions.then(|| self.why_stricter_for_now(rule)).flatten();
        let mut finding = finding(rule, level, &after.set.reference(), violation);
        finding.class = Some(self.class_for(rule).clone());
        let key = after.group.as_ref().filter(|_| of_group).and_then(Group::key);
        finding.group = key.map(Into::into);
        let makers = self.makers(&finding);
        // A rule that depends on the count is triggered by a scale.
        if rule.triggers.contains(&Trigger::Scale)
            && let Some(scaler) = after.raised_by()
        {
            finding.name_autoscaler(scaler);
        }
        if rule.counts_members() && self.may_grow() {
            finding.spare("unless other sets of its group are still to come");
        }
        if !rule.classes.is_empty() && self.class_for(rule).is_only_presumed() {
            finding.spare(
                "not refused: its class is only presumed; stateward.dev/class on the set would settle it",
            );
        }
        if already {
            finding.spare("it was so before this change");
        }
        if self.runs_already() && matches!(rule.check, RuleCheck::State(_)) {
            finding
                .spare("not refused: its pods run already, and only with the set is one replaced that fails");
        }
        if is_early {
            finding.spare("not refused on creation: it may be created next");
        }
        if is_left {
            finding.spare("not refused: the set may be deleted next");
        }
        if is_unwanted {
            finding.spare("not refused: it may be deleted next");
        }
        if let Some(why) = stricter {
            finding.spare(why);
        }
        if is_passing && !self.operated.is_enforced {
            finding.spare("its operator may only be passing through this count");
        }
        if let Some(owner) = self.operated.spared().filter(|_| !binds_operators) {
            finding.spare_operator_of(owner);
        }
        if let Some(makers) = makers {
            let _ = write!(finding.remedy, "; {makers}: make the edit there");
            finding.edits.iter_mut().for_each(|edit| edit.is_safe = false);
        }
        finding
    }

    /// Why a step may leave pods that cannot be evicted, where the next one may end that. The other order may be worse: budgets that
    /// are right after a step let too many members be evicted before it.
    fn why_stricter_for_now(&self, rule: &Rule) -> Option<&'static str> {
        let States { before, after, is_tightening, .. } = &self.states;
        let shrinks = || before.as_ref().is_some_and(|before| before.replicas > after.replicas);
        if !self.may_continue {
            None
        } else if *is_tightening {
            Some("not refused: it lets fewer pods be evicted than before")
        } else if self.class_for(rule).class == Class::Quorum && shrinks() {
            Some("not refused: to change the budget first would let too many members be evicted")
        } else {
            None
        }
    }

    /// Softens the finding of a policy's own check where a rule's would be softened.
    pub(super) fn of_check(&self, check: &policy::Check, mut finding: Finding, already: bool) -> Finding {
        let after = &self.states.after;
        let reads_class = check.reads_group() || check.reads("class");
        finding.class = Some(after.class.clone());
        if already {
            finding.spare("it was so before this change");
        }
        if reads_class && after.class.is_only_likely() {
            finding.spare("its class is only likely");
        }
        if check.reads_group() && (self.together.is_some() || self.may_grow()) {
            finding.spare("which sets form its group is not certain");
        }
        if check.reads_companions() && self.is_first && !self.denies_missing_companions {
            finding.spare("not refused on creation: what it needs may be created next");
        }
        if let Some(owner) = self.operated.spared() {
            finding.spare_operator_of(owner);
        }
        finding
    }

    /// Whether sets may belong to its group that do not exist yet or are not known.
    fn may_grow(&self) -> bool {
        let after = &self.states.after;
        let names_group = after.set.ensemble().is_some() || after.set.named_group().is_some();
        (self.is_first && names_group) || after.group.as_ref().is_some_and(|group| group.may_grow)
    }

    /// Who has made the objects that a finding may have edited: what is edited by hand they undo. Where a pod goes, nothing is edited,
    /// and never a claim.
    fn makers(&self, finding: &Finding) -> Option<String> {
        if matches!(self.states.after.changed, Changed::Pod(_)) {
            return None;
        }
        let mut objects = vec![&finding.object];
        for (object, _) in &finding.related {
            if !objects.contains(&object) {
                objects.push(object);
            }
        }
        let makers: Vec<String> = objects
            .into_iter()
            .filter(|object| object.kind != Kind::Claim.name())
            .filter_map(|object| Some((object, self.maker_of(object)?)))
            .map(|(ObjectRef { kind, name, .. }, owner)| {
                format!("{kind} {name} is made by {} {}", owner.kind, owner.name)
            })
            .collect();
        (!makers.is_empty()).then(|| makers.join(", "))
    }

    /// The controller that has made an object of a finding.
    fn maker_of(&self, object: &ObjectRef) -> Option<&Owner> {
        match self.states.after.changed {
            Changed::Autoscaler(scaler) if scaler.reference() == *object => scaler.metadata.owner.as_deref(),
            _ => self.states.after.view.maker_of(object),
        }
    }
}

/// The longest message and the longest remedy, in bytes: both quote what users have written.
const LONGEST_TEXT: usize = 2048;

fn shown(text: String) -> String {
    let text = cut(text, LONGEST_TEXT);
    match printable_lines(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(printable) => cut(printable, LONGEST_TEXT),
    }
}

pub(super) fn finding(
    rule: &'static Rule,
    level: Level,
    subject: &ObjectRef,
    violation: Violation,
) -> Finding {
    finding_of(rule.id(), level, subject, violation)
}

/// Makes a finding of a policy's own check.
pub(super) fn finding_of(rule: RuleId, level: Level, subject: &ObjectRef, violation: Violation) -> Finding {
    let Violation { place, message, remedy, edits, at_most, related, companion, .. } = violation;
    let (message, remedy) = (shown(message), shown(remedy));
    let object_of = |place: FieldPlace| (place.object.unwrap_or_else(|| subject.clone()), place.path);
    let related: Vec<(ObjectRef, String)> = related.into_iter().map(object_of).collect();
    let edits = edits
        .into_iter()
        .map(|FieldEdit { place, operation, value, is_safe }| {
            let (object, path) = object_of(place);
            Edit { object, path, operation, value, is_safe }
        })
        .collect();
    let (object, path) = object_of(place);
    let (subject, level) = (subject.clone(), level.min(at_most));
    Finding {
        rule,
        level,
        subject,
        class: None,
        object,
        path,
        message,
        remedy,
        edits,
        related,
        group: None,
        exempt: None,
        may_be_exempted: false,
        misses_companion: companion == Some(Companion::Missing),
    }
}

impl<'a> OperatorContext<'a> {
    /// The custom resource for whose operator a denial becomes a warning.
    fn spared(&self) -> Option<&'a Owner> {
        self.asks.filter(|_| !self.is_enforced)
    }
}

impl Finding {
    /// Makes a denial a warning, and says why.
    pub(super) fn spare(&mut self, why: &str) {
        if self.level == Level::Deny {
            self.level = Level::Warn;
            let _ = write!(self.message, " ({why})");
        }
    }

    /// Makes a denial a warning for a service account that may be the one of an operator.
    pub(super) fn spare_operator_of(&mut self, owner: &Owner) {
        let Owner { kind, name, .. } = owner;
        self.spare(&format!(
            "not refused: a service account asks for it, which may be that of the operator of {kind} {name}"
        ));
    }

    /// Says that the replica count is the minimum of an autoscaler and not the one in the set.
    fn name_autoscaler(&mut self, scaler: &Autoscaler) {
        let reference = scaler.reference();
        if self.related.iter().any(|(object, _)| *object == reference) {
            return;
        }
        let (least, unless) = (scaler.min_replicas(), scaler.unless_idle());
        let _ = write!(
            self.message,
            " ({} {} keeps at least {least} replicas{unless})",
            reference.kind, reference.name
        );
        self.related.push((reference, scaler.min_path().to_owned()));
    }
}
