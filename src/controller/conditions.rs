//! Reports of the controller: Events, conditions, log lines.

use super::api::WriteError;
use super::reconcile::ReconcileContext;
use super::round::Next;
use crate::model::{Kind, Object};
use crate::per_pod::problem::{
    BLOCKED, ConditionText, ForeignService, Problem, condition_text, foreign_message,
};
use crate::per_pod::set::PerPodSet;

/// At most this many foreign Services get an Event each in one round. The Events are limited, too.
const MOST_TOLD: usize = 20;

impl ReconcileContext {
    /// Tells people what stands in the way, or that nothing does any more.
    pub(super) async fn report(&self, set: &PerPodSet, problems: &[Problem]) -> Next {
        for problem in problems {
            self.queue_event(set, problem);
        }
        let wanted = condition_text(problems);
        self.memories.log(set, wanted.as_ref());
        let mut next = if problems.is_empty() { Next::News } else { self.retry() };
        if wanted.as_ref() != set.status.condition_text.as_deref() {
            let rest = self.memories.condition_rests(set, wanted.as_ref());
            if rest.is_zero() {
                self.write_condition(set, wanted.as_ref()).await;
            } else {
                next = next.or_after(rest);
            }
        }
        if problems.is_empty() {
            self.memories.forget(set);
        }
        next
    }

    async fn write_condition(&self, set: &PerPodSet, wanted: Option<&ConditionText>) {
        match self.server.write_condition(set, wanted).await {
            // The set is gone or another one by now.
            Err(WriteError::Stale | WriteError::NotLeading) => return,
            Ok(()) => {}
            // Count it as written: there is no use in trying again at once.
            Err(failure) => tracing::warn!(
                namespace = &*set.metadata.namespace,
                set = &*set.metadata.name,
                "the condition of a set could not be written: {failure}"
            ),
        }
        self.memories.remember_condition(set, wanted, self.config.reassert);
    }

    /// Says that the Services keep what no policy gives them any more; in the log once.
    pub(super) fn tell_kept(&self, set: &PerPodSet, kept: Option<&Problem>) {
        if let Some(problem) = kept {
            self.queue_event(set, problem);
        }
        self.memories.log_kept(set, kept);
    }

    /// Tells of each Service that stands in the way, on itself: its owner may not know of the set.
    pub(super) fn tell_foreign(&self, set: &PerPodSet, foreign: &[ForeignService]) {
        let Some(events) = &self.events else { return };
        for service in foreign.iter().take(MOST_TOLD) {
            let object = Kind::Service.reference(&set.metadata.namespace, &service.name);
            let message = foreign_message(&set.metadata.name, &service.name);
            events.queue_blocked(object, &service.uid, set.reference(), BLOCKED, &message);
        }
    }

    pub(super) fn queue_event(&self, set: &PerPodSet, problem: &Problem) {
        if let Some(events) = &self.events {
            events.queue_undone(set.reference(), &set.metadata.uid, problem.id, &problem.message);
        }
    }
}
