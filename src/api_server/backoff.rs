//! Exponential waits with jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A wait that doubles with each failure.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is about `least`, none is longer than `most`.
    pub fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, failures: 0 }
    }

    /// Begins again with the shortest wait.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure; how long to wait before the next try.
    pub fn after_failure(&mut self) -> Duration {
        let longest = self.least.saturating_mul(1 << self.failures.min(16)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        jittered(longest)
    }

    /// How many failures there were since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// Between half and all of `longest`, so that replicas that lost the same server do not come back at the same moment.
pub fn jittered(longest: Duration) -> Duration {
    let thousandths = RandomState::new().hash_one(()) % 501;
    longest.mul_f64(f64::from(u32::try_from(thousandths).unwrap_or_default()) / 1000.0 + 0.499)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let near = |wait: Duration, longest: f64| {
            wait.as_secs_f64() <= longest && wait.as_secs_f64() >= longest * 0.49
        };
        for longest in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let wait = backoff.after_failure();
            assert!(near(wait, longest), "{wait:?} for {longest}");
        }
        backoff.reset();
        assert!(near(backoff.after_failure(), 0.5));
    }
}
