//! The rate at which anything is read or written.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Lets one pass after the other, in the order in which they come, at a rate.
#[derive(Debug)]
pub struct RateLimiter {
    every: Duration,
    /// How far ahead of the rate one may be after a quiet time.
    slack: Duration,
    /// When the next would pass if none had been ahead.
    due: Mutex<Instant>,
}

impl RateLimiter {
    /// So many a second, and so many at once after a quiet time; 1 at least.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let every = Duration::from_secs(1) / per_second.max(1);
        let slack = every * (burst.max(1) - 1);
        Self { every, slack, due: Mutex::new(Instant::now()) }
    }

    /// Waits for one's turn.
    pub async fn pass(&self) {
        sleep_until(self.turn(Instant::now())).await;
    }

    fn turn(&self, now: Instant) -> Instant {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = due.checked_sub(self.slack).map_or(now, |turn| turn.max(now));
        *due = (*due).max(now) + self.every;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let rate_limiter = RateLimiter::new(20, 5);
        let now = Instant::now();
        let wait = |now: Instant| (rate_limiter.turn(now) - now).as_millis();
        assert_eq!([(); 8].map(|()| wait(now)), [0, 0, 0, 0, 0, 50, 100, 150]);
        let later = now + Duration::from_secs(60);
        assert_eq!([(); 6].map(|()| wait(later)), [0, 0, 0, 0, 0, 50]);
    }
}
