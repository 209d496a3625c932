//! The result of one round over a set.

use std::time::Duration;

use super::api::WriteError;
use super::metrics::ControllerMetrics;
use crate::per_pod::problem::Blockers;

/// When the next round is due, should nothing happen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// When something happens.
    News,
    /// After this time.
    After(Duration),
}

impl Next {
    /// The earlier of the two.
    pub(super) fn or_after(self, wait: Duration) -> Self {
        match self {
            Self::News => Self::After(wait),
            Self::After(other) => Self::After(other.min(wait)),
        }
    }
}

/// The result of a round.
#[derive(Default)]
pub(super) struct Round {
    pub(super) blockers: Blockers,
    /// The Services that were written.
    pub(super) writes: usize,
    /// Whether something is left for the next round, which is to come at once.
    pub(super) is_partial: bool,
    /// Whether something has to go by itself first.
    pub(super) waits: bool,
    /// When to look for the pods again that Services wait for.
    pub(super) pods_due: Option<Duration>,
    pub(super) failure: Option<WriteError>,
}

/// The result of a step.
#[derive(Default)]
pub(super) struct StepResult {
    pub(super) blockers: Blockers,
    pub(super) writes: usize,
    pub(super) waits: bool,
}

impl StepResult {
    pub(super) fn written() -> Self {
        Self { writes: 1, ..Self::default() }
    }
}

impl Round {
    /// Takes note of what has become of a step; whether it was in vain.
    pub(super) fn note(
        &mut self,
        name: &str,
        result: Result<StepResult, WriteError>,
        metrics: &ControllerMetrics,
    ) -> bool {
        match result {
            Ok(StepResult { blockers, writes, waits }) => {
                self.writes += writes;
                self.waits |= waits;
                self.blockers.append(blockers);
                return false;
            }
            // It is looked at once more when the watch has told what changed.
            Err(WriteError::Stale) => {
                self.waits = true;
                return false;
            }
            Err(WriteError::Refused(reason)) => {
                metrics.service("refused");
                self.blockers.refused.push((name.to_owned(), reason));
            }
            Err(failure) => {
                metrics.service("failed");
                if self.failure != Some(WriteError::NotLeading) {
                    self.failure = Some(failure);
                }
            }
        }
        true
    }
}
