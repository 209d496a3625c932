//! What the controller remembers of a set between two rounds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api_server::Backoff;
use crate::per_pod::problem::ConditionText;
use crate::per_pod::set::PerPodSet;

/// Rounds that fail one after the other are this much further apart, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Of more sets than these at a time nothing is remembered.
const MOST_REMEMBERED: usize = 10_000;

/// What is remembered of a set with blockers or failures.
#[derive(Debug, Default)]
struct RoundMemory {
    /// The text last written to its condition, and when.
    condition: Option<(ConditionText, Instant)>,
    /// The text last logged.
    logged: Option<ConditionText>,
    /// `None` where the last round did not fail.
    backoff: Option<Backoff>,
}

/// What is remembered of all sets, by the uid of the set.
#[derive(Debug, Default)]
pub(super) struct RoundMemories(Mutex<HashMap<Box<str>, RoundMemory>>);

impl RoundMemories {
    /// Whether the condition was made to say this less than `reassert` ago. The StatefulSet controller may have dropped it, and will
    /// drop it again; the watch may also be behind.
    pub(super) fn has_just_set(
        &self,
        set: &PerPodSet,
        wanted: Option<&ConditionText>,
        reassert: Duration,
    ) -> bool {
        let memories = self.lock();
        let last = memories.get(&set.metadata.uid).and_then(|memory| memory.condition.as_ref());
        last.is_some_and(|(text, at)| Some(text) == wanted && at.elapsed() < reassert)
    }

    pub(super) fn remember_condition(&self, set: &PerPodSet, wanted: Option<&ConditionText>) {
        let mut memories = self.lock();
        // Sets that are deleted are forgotten only here.
        if memories.len() >= MOST_REMEMBERED {
            memories.clear();
        }
        let memory = memories.entry(set.metadata.uid.clone()).or_default();
        memory.condition = wanted.map(|text| (text.clone(), Instant::now()));
    }

    /// Counts a failed round; how many failed in a row, and how long to wait, from about `retry` upward.
    pub(super) fn failed(&self, set: &PerPodSet, retry: Duration) -> (u32, Duration) {
        let mut memories = self.lock();
        let memory = memories.entry(set.metadata.uid.clone()).or_default();
        let backoff = memory.backoff.get_or_insert_with(|| Backoff::new(retry, LONGEST_WAIT));
        let wait = backoff.after_failure();
        (backoff.failures(), wait)
    }

    pub(super) fn recovered(&self, set: &PerPodSet) {
        if let Some(memory) = self.lock().get_mut(&set.metadata.uid) {
            memory.backoff = None;
        }
    }

    pub(super) fn forget(&self, set: &PerPodSet) {
        self.lock().remove(&set.metadata.uid);
    }

    /// Logs the blockers once as long as they stay the same: the right to write Events and conditions may be missing.
    pub(super) fn log(&self, set: &PerPodSet, wanted: Option<&ConditionText>) {
        let Some(wanted) = wanted else { return };
        let mut memories = self.lock();
        let memory = memories.entry(set.metadata.uid.clone()).or_default();
        if memory.logged.as_ref() != Some(wanted) {
            let (namespace, name) = (&*set.metadata.namespace, &*set.metadata.name);
            tracing::warn!(namespace, set = name, "{}", wanted.message);
            memory.logged = Some(wanted.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, RoundMemory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
