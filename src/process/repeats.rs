//! Which errors are worth a line in the log: what fails is tried again and again, often by many at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the same error is not logged again.
const QUIET: Duration = Duration::from_secs(600);
/// An error that comes back so soon after it was over is the same still.
const OVER: Duration = Duration::from_secs(60);
/// The largest number of errors that are remembered at a time.
const MAX_ERRORS: usize = 64;

/// Lets an error pass when it is new, and again after ten minutes. What is logged goes through [`warn_if_new`].
#[derive(Debug, Default)]
pub(crate) struct RepeatedErrors(Mutex<HashMap<String, Passed>>);

#[derive(Debug)]
struct Passed {
    at: Instant,
    held_back: u32,
}

impl RepeatedErrors {
    /// Whether to log this error: `None` to hold it back, else how often it was held back since it was logged last.
    pub(crate) fn pass(&self, error: &str) -> Option<u32> {
        let mut errors = self.lock();
        if let Some(passed) = errors.get_mut(error) {
            if passed.at.elapsed() < QUIET {
                passed.held_back = passed.held_back.saturating_add(1);
                return None;
            }
            let held_back = passed.held_back;
            *passed = Passed { at: Instant::now(), held_back: 0 };
            return Some(held_back);
        }
        if errors.len() >= MAX_ERRORS {
            errors.clear();
        }
        errors.insert(error.to_owned(), Passed { at: Instant::now(), held_back: 0 });
        Some(0)
    }

    /// Nothing fails at present: an error that comes later is new.
    pub(crate) fn over(&self) {
        self.lock().retain(|_, passed| passed.at.elapsed() < OVER);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Passed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs an error as a warning where it is new to these [`RepeatedErrors`], with how often it was held back since, else at debug. It is the
/// same error where `$key` is the same. Each field ends with a comma.
macro_rules! warn_if_new {
    ($repeats:expr, $key:expr, { $($fields:tt)* }, $($text:tt)+) => {
        match $repeats.pass($key) {
            Some(again) => tracing::warn!(
                $($fields)*
                again = (again > 0).then_some(again),
                "{} (the same: debug for 10 minutes)",
                format_args!($($text)+)
            ),
            None => tracing::debug!($($fields)* $($text)+),
        }
    };
}
pub(crate) use warn_if_new;

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_error_passes_once_in_a_while_and_when_it_was_over() {
        let repeats = RepeatedErrors::default();
        assert_eq!([repeats.pass("a"), repeats.pass("a"), repeats.pass("b")], [Some(0), None, Some(0)]);
        advance(QUIET / 2).await;
        assert_eq!(repeats.pass("a"), None);
        advance(QUIET / 2).await;
        assert_eq!([repeats.pass("a"), repeats.pass("a")], [Some(2), None]);
        repeats.over();
        assert_eq!(repeats.pass("a"), None, "it comes and goes");
        advance(OVER).await;
        repeats.over();
        assert_eq!(repeats.pass("a"), Some(0));
    }
}
