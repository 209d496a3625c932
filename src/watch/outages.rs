//! Log lines about kinds that cannot be read: one line for all that fail with the same error.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api_server::ApiError;
use crate::cluster::Kind;
use crate::process::{RepeatedErrors, warn_if_new};

/// The kinds that cannot be read at present. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Outages(Arc<Mutex<Failing>>);

#[derive(Debug, Default)]
struct Failing {
    kinds: BTreeSet<Kind>,
    logged: RepeatedErrors,
}

impl Outages {
    /// Logs an error that is not said yet, of whichever kind.
    pub(super) fn failed(&self, kind: Kind, what: &str, error: &ApiError, wait: Duration) {
        let mut failing = self.lock();
        failing.kinds.insert(kind);
        let (name, kinds) = (kind.name(), failing.kinds.len());
        let key = error.to_string();
        warn_if_new!(failing.logged, &key, { kind = name, kinds, ?wait, }, "cannot {what}, trying again: {error}");
    }

    /// The kind can be read.
    pub(super) fn over(&self, kind: Kind) {
        let mut failing = self.lock();
        if failing.kinds.remove(&kind) && failing.kinds.is_empty() {
            failing.logged.over();
            tracing::info!("the API server answers again, about every kind");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Failing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
