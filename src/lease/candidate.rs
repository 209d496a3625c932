//! A candidate's knowledge of the lease, and its next action. Pure: time is given.
//!
//! There are two kinds of time. `now` is how long this process has run, by a clock that only goes forward; everything is
//! decided by it. `wall` is only written down, for people: what other candidates write there is never compared with anything.
//!
//! Why two never lead at the same time, as long as their clocks run about equally fast:
//!
//! - a record is replaced only as the one that was read (compare and swap), so each term of leadership follows from the one before;
//! - a leader leads for [`LeaseConfig::lead_for`] from when it *sent* the renewal that was confirmed last;
//! - another takes the lease only when it has seen the same record for [`LeaseConfig::lasts`], which is longer, and it cannot have
//!   seen it before it was sent.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};

/// How long what lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// How long a record must have been the same before another may take the lease; whole seconds are written down.
    /// Default 15 s.
    pub lasts: Duration,
    /// How long a leader leads after it sent its last successful renewal; less than `lasts`. Default 10 s.
    pub lead_for: Duration,
    /// How often a leader renews, and others look. Default 2 s.
    pub retry: Duration,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        let [lasts, lead_for, retry] = [15, 10, 2].map(Duration::from_secs);
        Self { lasts, lead_for, retry }
    }
}

/// The next action.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ElectionStep {
    /// Read the lease.
    Look,
    /// Create it.
    Create(Lease),
    /// Replace it, as long as it is the one that was read.
    Replace(Lease),
    /// Nothing, for a while.
    Wait,
}

/// One replica in the election.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    me: String,
    config: LeaseConfig,
    /// The lease as it was last seen, and since when it has been seen so.
    seen: Option<(Lease, Duration)>,
    /// Whether that is worth acting on: it was just read, or written by us.
    is_fresh: bool,
    leads_until: Option<Duration>,
}

impl Candidate {
    /// `me` must be unique, also among earlier processes that may still run.
    pub(super) fn new(me: String, config: LeaseConfig) -> Self {
        Self { me, config, seen: None, is_fresh: false, leads_until: None }
    }

    /// Until when this one leads.
    pub(super) fn leads_until(&self) -> Option<Duration> {
        self.leads_until
    }

    /// Notes what the lease is like; `None` where there is none.
    pub(super) fn saw(&mut self, lease: Option<Lease>, now: Duration) {
        self.is_fresh = true;
        self.seen = lease.map(|lease| {
            let since = self.seen.as_ref().filter(|(seen, _)| version(seen) == version(&lease));
            let since = since.map_or(now, |(_, since)| *since);
            (lease, since)
        });
    }

    /// The next action; to read the lease where nothing fresh is known.
    pub(super) fn next(&mut self, now: Duration, wall: Timestamp) -> ElectionStep {
        if !std::mem::take(&mut self.is_fresh) {
            return ElectionStep::Look;
        }
        match &self.seen {
            None => ElectionStep::Create(self.claimed(Lease::default(), wall)),
            Some((lease, since)) if self.may_have(lease, *since, now) => {
                ElectionStep::Replace(self.claimed(lease.clone(), wall))
            }
            Some(_) => ElectionStep::Wait,
        }
    }

    /// Records that the write that this candidate sent at `sent` is in force.
    pub(super) fn wrote(&mut self, lease: Lease, sent: Duration, now: Duration) {
        self.saw(Some(lease), now);
        self.leads_until = Some(sent + self.config.lead_for);
    }

    /// Records that this candidate's write was refused because the lease had changed.
    pub(super) fn was_refused(&mut self) {
        self.leads_until = None;
    }

    /// Leads no longer. The lease to write, for others to know, where it is still ours for all that is known.
    pub(super) fn resign(&mut self, wall: Timestamp) -> Option<Lease> {
        self.leads_until.take()?;
        let (mut lease, _) = self.seen.take()?;
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.renew_time = Some(after(spec.renew_time.as_ref(), wall));
        Some(lease)
    }

    fn may_have(&self, lease: &Lease, since: Duration, now: Duration) -> bool {
        let holder = holder(lease);
        holder.is_empty() || holder == self.me || now.saturating_sub(since) >= self.lasts(lease)
    }

    /// The holder's own promise, where it is longer than ours: it may be set up otherwise.
    fn lasts(&self, lease: &Lease) -> Duration {
        let written = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.lease_duration_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs);
        written.unwrap_or_default().max(self.config.lasts)
    }

    fn claimed(&self, mut lease: Lease, wall: Timestamp) -> Lease {
        let is_new = holder(&lease) != self.me;
        let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
        if is_new {
            let before = spec.holder_identity.replace(self.me.clone());
            spec.acquire_time = Some(MicroTime(wall));
            spec.lease_transitions = Some(match before {
                None => 0,
                Some(_) => spec.lease_transitions.unwrap_or_default().saturating_add(1),
            });
        }
        spec.renew_time = Some(after(spec.renew_time.as_ref(), wall));
        let seconds = self.config.lasts.as_secs() + u64::from(self.config.lasts.subsec_nanos() > 0);
        spec.lease_duration_seconds = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        lease
    }
}

/// `wall`, or a microsecond later: a renewal that changes nothing gets no new version, and no other candidate would see it.
fn after(before: Option<&MicroTime>, wall: Timestamp) -> MicroTime {
    let is_same = before.is_some_and(|before| before.0.as_microsecond() == wall.as_microsecond());
    let later = wall.checked_add(SignedDuration::from_micros(1)).unwrap_or(wall);
    MicroTime(if is_same { later } else { wall })
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

fn version(lease: &Lease) -> (Option<&str>, Option<&str>) {
    (lease.metadata.uid.as_deref(), lease.metadata.resource_version.as_deref())
}

#[cfg(test)]
mod tests;
