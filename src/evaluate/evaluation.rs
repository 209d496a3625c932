//! One set, its change, and what a rule finds in it.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::model::{Object, ObjectRef, Owner, cut, printable_lines};
use crate::policy::Applicable;
use crate::rules::{self, Params};
use crate::rules::{
    Changed, Check, FieldEdit, Place, Rule, SetContext, Transition, Trigger, Violation, Violations,
};
use crate::verdict::Level;
use crate::verdict::{Edit, Finding};

/// One set, its change, and the policies about it.
pub(super) struct Evaluation<'a> {
    pub(super) before: Option<SetContext<'a>>,
    pub(super) after: SetContext<'a>,
    pub(super) applicable: Applicable<'a>,
    pub(super) trigger: Trigger,
    /// Whether other sets of its ensemble may be still to come.
    pub(super) may_grow: bool,
}

impl Evaluation<'_> {
    pub(super) fn violations(&self, rule: &Rule, params: &Params) -> Vec<Violation> {
        let mut violations = Violations::default();
        match rule.check {
            Check::State(check) => check(&self.after, params, &mut violations),
            Check::Step(check) => {
                let transition = Transition { before: self.before.as_ref(), after: &self.after };
                check(&transition, params, &mut violations);
            }
            Check::Text(_) | Check::PodDeletion(_) => {}
        }
        violations.into_vec()
    }

    /// What a rule about states finds wrong already before the change.
    pub(super) fn known_violations(&self, rule: &Rule, params: &Params) -> Vec<Violation> {
        let mut violations = Violations::default();
        if let (Check::State(check), Some(before)) = (rule.check, &self.before)
            && rule.applies_to(before)
        {
            check(before, params, &mut violations);
        }
        violations.into_vec()
    }

    pub(super) fn finding(
        &self,
        rule: &'static Rule,
        level: Level,
        violation: Violation,
        already: bool,
    ) -> Finding {
        let mut finding = finding(rule, level, &self.after.set.reference(), violation);
        finding.class = Some(self.after.class.clone());
        if rule.counts_members() && !self.after.likely_members().is_empty() {
            finding.level = finding.level.min(Level::Warn);
            let kin = self.after.likely_members().iter().map(|(set, _)| set.metadata.name.to_string());
            let kin = rules::enumerate(kin);
            let _ = write!(
                finding.message,
                " (counted with {kin}, which runs the same image behind the same Service)"
            );
            finding.remedy +=
                "; if they are groups of their own, give each its own annotation stateward.dev/ensemble";
            finding.edits.iter_mut().for_each(|edit| edit.is_safe = false);
        }
        if rule.counts_members() && self.may_grow && finding.level == Level::Deny {
            finding.level = Level::Warn;
            finding.message.push_str(" (unless other sets of its ensemble are still to come)");
        }
        if already && finding.level == Level::Deny {
            finding.level = Level::Warn;
            finding.message.push_str(" (it was so before this change)");
        }
        if let Some(makers) = self.makers(&finding) {
            let _ = write!(finding.remedy, "; {makers}: make the edit there");
            finding.edits.iter_mut().for_each(|edit| edit.is_safe = false);
        }
        finding
    }

    /// Who has made the objects that a finding may have edited: what is edited by hand they undo.
    fn makers(&self, finding: &Finding) -> Option<String> {
        let mut objects = vec![&finding.object];
        for (object, _) in &finding.related {
            if !objects.contains(&object) {
                objects.push(object);
            }
        }
        let makers = objects.into_iter().filter_map(|object| Some((object, self.owner_of(object)?)));
        let makers = makers.map(|(ObjectRef { kind, name, .. }, owner)| {
            format!("{kind} {name} is made by {} {}", owner.kind, owner.name)
        });
        let makers: Vec<String> = makers.collect();
        (!makers.is_empty()).then(|| makers.join(", "))
    }

    /// The controller that has made an object of a finding.
    fn owner_of(&self, object: &ObjectRef) -> Option<&Owner> {
        match self.after.changed {
            Changed::Autoscaler(scaler) if scaler.reference() == *object => scaler.metadata.owner.as_deref(),
            _ => self.after.view.owner_of(object),
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
    let Violation { place, message, remedy, edits, at_most, related, .. } = violation;
    let (message, remedy) = (shown(message), shown(remedy));
    let object_of = |place: Place| (place.object.unwrap_or_else(|| subject.clone()), place.path);
    let related: Vec<(ObjectRef, String)> = related.into_iter().map(object_of).collect();
    let edits = edits.into_iter().map(|FieldEdit { place, operation, value, is_safe }| {
        let (object, path) = object_of(place);
        Edit { object, path, operation, value, is_safe }
    });
    let edits = edits.collect();
    let (object, path) = object_of(place);
    let (subject, level) = (subject.clone(), level.min(at_most));
    Finding {
        rule: rule.id(),
        level,
        subject,
        class: None,
        object,
        path,
        message,
        remedy,
        edits,
        related,
        exempt: None,
        may_be_exempted: false,
    }
}
