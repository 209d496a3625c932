//! Reports a finding once that occurs in several places.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::manifest::Note;
use crate::model::ObjectRef;
use crate::report::Located;
use crate::verdict::{Finding, RuleId};

/// Context, rule, namespace and consensus group.
type GroupInContext = (Option<Arc<str>>, RuleId, Box<str>, Box<str>);

/// Objects that alternatives share are judged in each of them; a finding that occurs in all is reported once.
pub(super) fn remove_repeated(findings: &mut Vec<Located>) {
    findings.sort_by_key(|located| Reverse((located.counts(), located.finding.level)));
    let mut groups: HashSet<GroupInContext> = HashSet::new();
    let mut seen = HashSet::new();
    findings.retain(|located| {
        let finding = &located.finding;
        let place = located
            .position
            .as_ref()
            .map(|position| (Arc::as_ptr(&position.file), position.span.line, position.span.column));
        let key = (
            place,
            finding.rule.clone(),
            finding.object.clone(),
            finding.path.clone(),
            finding.message.clone(),
        );
        let context = located.context.clone();
        let is_first_of_group = finding.group_identity().is_none_or(|(rule, namespace, group)| {
            groups.insert((context, rule.clone(), Box::from(namespace), Box::from(group)))
        });
        seen.insert(key) && is_first_of_group
    });
}

/// Where an object and a set change in one step, what is wrong with both is found at each of them: it is said once.
pub(super) fn remove_told_twice(findings: &mut Vec<Located>) {
    let mut told: HashMap<_, ObjectRef> = HashMap::new();
    findings.retain(|located| {
        let Finding { rule, subject, object, message, .. } = &located.finding;
        let fault = (located.context.clone(), rule.clone(), subject.clone(), message.clone());
        let first = told.entry(fault).or_insert_with(|| object.clone());
        first == object || (first != subject && object != subject)
    });
}

/// Reports a finding once that several renderings have from one file.
pub(super) fn remove_repeated_notes(notes: &mut Vec<Note>) {
    let mut seen = HashSet::new();
    notes.retain(|note| {
        let Note { file, line, column, kind, message, .. } = note;
        seen.insert((file.name.clone(), *line, *column, *kind, message.clone()))
    });
}
