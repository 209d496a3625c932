//! Limits and waits of the watches.

use std::time::Duration;

use crate::api_server::Backoff;

/// Limits and waits of watches and live reads.
#[derive(Clone, Copy, Debug)]
pub struct WatchConfig {
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
    /// The longest wait after refusals: a right has to be granted first, unless the API server has only just started and has not read
    /// its roles yet. Default 30 s.
    pub refused: Duration,
}

impl Default for WatchConfig {
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

impl WatchConfig {
    /// The wait after errors.
    pub(super) fn failures(&self) -> Backoff {
        Backoff::new(self.retry_least, self.retry_most)
    }

    /// The wait after refusals.
    pub(super) fn refusals(&self) -> Backoff {
        Backoff::new(self.retry_least, self.refused)
    }
}
