//! The list of the objects that an audit of manifests evaluates, with the old object that each is compared with.

use std::sync::Arc;

use super::contexts::AuditContext;
use super::deletions::unknown_deletions;
use super::manifests::ManifestAudit;
use super::transition::{OldState, Steps};
use super::views::Views;
use crate::cluster::inventory::Found;
use crate::manifest::Note;
use crate::report::ContextSummary;

/// The old state that the manifests are compared with, and the steps from it.
pub(super) struct Comparison<'a> {
    pub old: &'a OldState<'a>,
    pub views: Views<'a>,
    pub steps: Steps,
}

/// One object to evaluate in a context.
pub(super) struct EvaluationJob<'a> {
    pub context: usize,
    pub context_name: Arc<str>,
    /// The old context that is compared with.
    pub old_context: Option<usize>,
    pub before: Option<Found<'a>>,
    /// `None` where the object is gone.
    pub now: Option<Found<'a>>,
}

impl<'a> ManifestAudit<'a> {
    /// Adds the objects to judge in a context.
    pub(super) fn plan(
        &self,
        number: usize,
        context: &AuditContext,
        jobs: &mut Vec<EvaluationJob<'a>>,
    ) -> Option<ContextSummary> {
        let name: Arc<str> = (&*context.name).into();
        let mut stateful_sets = 0;
        let same = self.comparison.and_then(|with| with.steps.contexts.get(&number).copied());
        let mut add = |old_context, before, now| {
            let context_name = Arc::clone(&name);
            jobs.push(EvaluationJob { context: number, context_name, old_context, before, now });
        };
        for item in &context.judged {
            let Some(found) = self.inventory.item(*item) else { continue };
            stateful_sets += usize::from(found.set().is_some());
            let before = self.comparison.and_then(|with| Some((with, with.steps.before(number, *item)?)));
            let old_context = before.map(|(_, before)| before.context).or(same);
            add(old_context, before.and_then(|(with, before)| with.old.found(before)), Some(found));
        }
        if let Some(with) = self.comparison {
            let missing = self.missing(with, number);
            for gone in missing.filter(|missing| self.knows_kind(number, context, missing)) {
                add(same, Some(gone), None);
            }
        }
        (!context.judged.is_empty()).then_some(ContextSummary { name, stateful_sets })
    }

    /// The old objects that are not seen from a context any more.
    fn missing(&self, with: &'a Comparison<'a>, number: usize) -> impl Iterator<Item = Found<'a>> {
        let gone = with.steps.gone(with.old, number).filter_map(|gone| with.old.found(gone));
        gone.filter(move |gone| !self.views.has(number, &gone.name()))
    }

    /// Whether all objects of its kind are known: none may be in a text that could not be read.
    fn knows_kind(&self, number: usize, context: &AuditContext, found: &Found<'_>) -> bool {
        let kind = found.object().kind();
        let notes = self.inventory.notes_of(context.unit..context.unit.saturating_add(1));
        self.views.cluster(number).is_complete(kind) && !notes.iter().any(|note| note.may_hold(kind.name()))
    }

    /// Notes about the old objects of a context of which it is not known whether they are deleted.
    pub(super) fn unknown_deletions(&self, number: usize, context: &AuditContext) -> Vec<Note> {
        let missing = self.comparison.into_iter().flat_map(|with| self.missing(with, number));
        let unknown = missing.filter(|missing| !self.knows_kind(number, context, missing));
        unknown_deletions(unknown, self.inventory, context.unit)
    }
}
