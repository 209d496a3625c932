//! The controller's memory of a set between two rounds.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::api_server::Backoff;
use crate::per_pod::problem::{ConditionText, Problem};
use crate::per_pod::set::PerPodSet;

/// Rounds that fail one after the other are this much further apart, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The largest number of sets that are remembered at a time.
const MOST_REMEMBERED: usize = 10_000;

/// The memory of a set with blockers or failures.
#[derive(Debug, Default)]
struct RoundMemory {
    condition: Option<WrittenCondition>,
    /// The text last logged.
    logged: Option<ConditionText>,
    /// `None` where the last round did not fail.
    backoff: Option<Backoff>,
}

/// The last text that was written to a set's condition.
#[derive(Debug)]
struct WrittenCondition {
    text: ConditionText,
    at: Instant,
    /// How long it is not written again.
    rest: Duration,
}

/// The memory of all sets, by the uid of the set.
#[derive(Debug, Default)]
pub(super) struct RoundMemories {
    rounds: Mutex<HashMap<Box<str>, RoundMemory>>,
    /// Sets for which it was logged that their Services keep earlier settings.
    kept: Mutex<HashSet<Box<str>>>,
}

impl RoundMemories {
    /// How long to leave the condition alone although the watch does not show it as `wanted`: it was made to say this a moment ago.
    /// The watch may be behind. The StatefulSet controller may also have dropped it, as it does with each change of the status.
    pub(super) fn condition_rests(&self, set: &PerPodSet, wanted: Option<&ConditionText>) -> Duration {
        let memories = self.lock();
        let last = memories
            .get(&set.metadata.uid)
            .and_then(|memory| memory.condition.as_ref())
            .filter(|written| Some(&written.text) == wanted);
        last.map_or(Duration::ZERO, |written| written.rest.saturating_sub(written.at.elapsed()))
    }

    /// Notes that the condition was written. Where the same has to be written again and again, it is left alone for longer each time,
    /// from `least` to `most`.
    pub(super) fn remember_condition(
        &self,
        set: &PerPodSet,
        wanted: Option<&ConditionText>,
        (least, most): (Duration, Duration),
    ) {
        let mut memories = self.lock();
        // Sets that are deleted are forgotten only here.
        if memories.len() >= MOST_REMEMBERED {
            memories.clear();
        }
        let memory = memories.entry(set.metadata.uid.clone()).or_default();
        let again = memory
            .condition
            .take()
            .filter(|written| Some(&written.text) == wanted)
            .filter(|written| written.at.elapsed() < 2 * most);
        let rest = again.map_or(least, |written| (2 * written.rest).min(most));
        memory.condition =
            wanted.map(|text| WrittenCondition { text: text.clone(), at: Instant::now(), rest });
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

    /// Logs that the Services keep their settings, once as long as they do.
    pub(super) fn log_kept(&self, set: &PerPodSet, kept: Option<&Problem>) {
        let mut logged = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(problem) = kept else {
            logged.remove(&set.metadata.uid);
            return;
        };
        if logged.len() >= MOST_REMEMBERED {
            logged.clear();
        }
        if logged.insert(set.metadata.uid.clone()) {
            let (namespace, name) = (&*set.metadata.namespace, &*set.metadata.name);
            tracing::warn!(namespace, set = name, "{}", problem.message);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, RoundMemory>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
