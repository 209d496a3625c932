//! What is remembered from one round over a set to the next.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::problem::Said;
use super::reconcile::Context;
use super::set::Set;
use crate::cluster::live::jittered;

/// Rounds that fail one after the other are this much further apart, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Of more sets than these at a time nothing is remembered.
const MOST_REMEMBERED: usize = 10_000;

/// What is remembered of a set that is not as it should be.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What its condition was last made to say, and when.
    said: Option<(Said, Instant)>,
    /// What the log last said.
    logged: Option<Said>,
    /// The rounds that have failed, one after the other.
    failures: u32,
}

impl Context {
    /// Whether that is what the condition was made to say a moment ago. The StatefulSet controller may have dropped it, and will
    /// drop it again; what the watch says may also be older.
    pub(super) fn has_just_said(&self, set: &Set, wanted: Option<&Said>) -> bool {
        let memory = self.memory();
        let last = memory.get(&set.metadata.uid).and_then(|memory| memory.said.as_ref());
        last.is_some_and(|(said, at)| Some(said) == wanted && at.elapsed() < self.manners.reassert)
    }

    pub(super) fn remember(&self, set: &Set, wanted: Option<&Said>) {
        let mut memory = self.memory();
        // Sets that are deleted are forgotten only here.
        if memory.len() >= MOST_REMEMBERED {
            memory.clear();
        }
        let memory = memory.entry(set.metadata.uid.clone()).or_default();
        memory.said = wanted.map(|said| (said.clone(), Instant::now()));
    }

    /// How many rounds have failed with this one, and how long to wait now.
    pub(super) fn failed(&self, set: &Set) -> (u32, Duration) {
        let mut memory = self.memory();
        let memory = memory.entry(set.metadata.uid.clone()).or_default();
        memory.failures = memory.failures.saturating_add(1);
        let longest = self.manners.retry.saturating_mul(1 << (memory.failures - 1).min(16)).min(LONGEST_WAIT);
        (memory.failures, jittered(longest))
    }

    pub(super) fn recovered(&self, set: &Set) {
        if let Some(memory) = self.memory().get_mut(&set.metadata.uid) {
            memory.failures = 0;
        }
    }

    /// Logs what stands in the way, once as long as it stays the same: Events and conditions may be what nobody may write.
    pub(super) fn log(&self, set: &Set, wanted: Option<&Said>) {
        let Some(wanted) = wanted else { return };
        let mut memory = self.memory();
        let memory = memory.entry(set.metadata.uid.clone()).or_default();
        if memory.logged.as_ref() != Some(wanted) {
            let (namespace, name) = (&*set.metadata.namespace, &*set.metadata.name);
            tracing::warn!(namespace, set = name, "{}", wanted.message);
            memory.logged = Some(wanted.clone());
        }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, HashMap<Box<str>, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
