//! How patient the watches are.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Limits and waits of watches and live reads.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Objects in one page of a list. Default 250: each kind's page is in memory while it is read.
    pub page: u32,
    /// How long an answer may take, to its last byte; for a watch, to its first. Default 60 s.
    pub patience: Duration,
    /// How long one watch lasts. Default 290 s; the API server ends it then and it is resumed.
    pub watch: Duration,
    /// How much longer nothing may come of it: then the connection is dead, whatever the kernel says. Default 30 s.
    pub silence: Duration,
    /// The first wait after an error; each further one is twice as long. Default 500 ms.
    pub retry_least: Duration,
    /// The longest. Default 30 s.
    pub retry_most: Duration,
    /// The longest wait after refusals: somebody has to grant a right first, unless the server has only just started and does not
    /// know yet who has it. Default 30 s.
    pub refused: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            page: 250,
            patience: Duration::from_secs(60),
            watch: Duration::from_secs(290),
            silence: Duration::from_secs(30),
            retry_least: Duration::from_millis(500),
            retry_most: Duration::from_secs(30),
            refused: Duration::from_secs(30),
        }
    }
}

/// Waits that grow while things fail.
pub(super) struct Backoff {
    pace: Pace,
    failures: u32,
    refusals: u32,
}

impl Backoff {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, failures: 0, refusals: 0 }
    }

    pub(super) fn worked(&mut self) {
        (self.failures, self.refusals) = (0, 0);
    }

    /// How long to wait now.
    pub(super) fn after_failure(&mut self) -> Duration {
        doubled(self.pace.retry_least, &mut self.failures, self.pace.retry_most)
    }

    /// The same after a refusal.
    pub(super) fn after_refusal(&mut self) -> Duration {
        doubled(self.pace.retry_least, &mut self.refusals, self.pace.refused)
    }
}

/// A wait that is twice as long each time, up to `most`.
fn doubled(least: Duration, times: &mut u32, most: Duration) -> Duration {
    let longest = least.saturating_mul(1 << (*times).min(16)).min(most);
    *times = times.saturating_add(1);
    jittered(longest)
}

/// Between half and all of it, so that replicas that lost the same server do not come back as one.
pub(crate) fn jittered(longest: Duration) -> Duration {
    let thousandths = RandomState::new().hash_one(()) % 501;
    longest.mul_f64(f64::from(u32::try_from(thousandths).unwrap_or_default()) / 1000.0 + 0.499)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::new(Pace::default());
        let near = |wait: Duration, longest: f64| {
            wait.as_secs_f64() <= longest && wait.as_secs_f64() >= longest * 0.49
        };
        for longest in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let wait = backoff.after_failure();
            assert!(near(wait, longest), "{wait:?} for {longest}");
        }
        backoff.worked();
        assert!(near(backoff.after_failure(), 0.5));
    }
}
