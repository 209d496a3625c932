//! The knowledge of one replica about the Secret, and its next action.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::steps::leaf_validity;
use super::{BTreeSet, Leaf, SecretContent};
use crate::certs::authority::{CA_LIFETIME, Identity, LEAF_LIFETIME};
use crate::certs::x509::Certificate;

/// How long certificates last, and when they are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Lifetime of a CA. Default ten years.
    pub ca: SignedDuration,
    /// Lifetime of a certificate that the CA signs; at most a quarter of the CA's. Default a year.
    pub leaf: SignedDuration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { ca: CA_LIFETIME, leaf: LEAF_LIFETIME }
    }
}

impl Lifetimes {
    /// A leaf is replaced in its last third.
    fn leaf_window(&self) -> SignedDuration {
        self.leaf / 3
    }

    /// A CA that expired that long ago is not needed any more, even if the clock is years off.
    pub(super) fn is_past(&self, ca: &Certificate, now: Timestamp) -> bool {
        now.duration_since(ca.until) > self.ca / 2
    }

    /// A CA is replaced while a whole leaf still fits in, and the time to replace that.
    fn ca_window(&self) -> SignedDuration {
        self.leaf + self.leaf_window()
    }
}

/// The next action on the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateStep {
    /// Nothing.
    Keep,
    /// Write back what is in memory: the Secret is gone or broken.
    Restore,
    /// Make a CA and a leaf: there is nothing to go on from.
    Establish,
    /// Add CAs that are in memory: another replica may still present a leaf of theirs.
    Merge,
    /// Make the next CA; it signs once the API server trusts it.
    PrepareCa,
    /// Let the next CA sign: the API server trusts it now.
    Promote,
    /// Make a leaf.
    IssueLeaf,
}

/// The knowledge of one replica. `now` is the wall clock; `at` is how long this process has run.
#[derive(Clone, Debug)]
pub struct CertificateState {
    pub(super) hosts: BTreeSet<String>,
    pub(super) lifetimes: Lifetimes,
    settle: Duration,
    held: Option<SecretContent>,
    presented: Option<Leaf>,
    /// The CAs that all webhook configurations carry, and since when that has been seen.
    carried: BTreeMap<Vec<u8>, Duration>,
    /// The CAs in webhook configurations that are not in the Secret, and since when.
    surplus: BTreeMap<Vec<u8>, Duration>,
    is_blind: bool,
}

impl CertificateState {
    /// Nothing is known. `hosts` are [normalized](crate::certs::x509::normalized); `settle` is how long an API server may take to
    /// notice what is in its webhook configurations.
    pub fn new(hosts: BTreeSet<String>, lifetimes: Lifetimes, settle: Duration) -> Self {
        Self {
            hosts,
            lifetimes,
            settle,
            held: None,
            presented: None,
            carried: BTreeMap::new(),
            surplus: BTreeMap::new(),
            is_blind: false,
        }
    }

    /// The last good content of the Secret.
    pub fn held(&self) -> Option<&SecretContent> {
        self.held.as_ref()
    }

    /// The leaf in use.
    pub fn presented(&self) -> Option<&Leaf> {
        self.presented.as_ref()
    }

    /// Takes note of what is in the Secret, unless that is broken, or lacks what is still in use.
    pub fn hold(&mut self, content: &SecretContent, now: Timestamp) {
        let is_good = content.has_all_objects() || (content.leaf.is_some() && !self.can_restore());
        if is_good && !self.lacks(content, now) {
            self.held = Some(content.clone());
        }
    }

    /// Notes that the webhook configurations could not be read.
    pub fn could_not_see(&mut self) {
        self.is_blind = true;
    }

    /// Takes note of the CAs in each entry of the webhook configurations that exist.
    pub fn saw(&mut self, entries: &[Vec<Certificate>], now: Timestamp, at: Duration) {
        let bundle = self.held.as_ref().map_or(&[] as &[_], |held| &held.bundle);
        let carried = bundle.iter().filter(|ca| entries.iter().all(|entry| entry.contains(ca)));
        let surplus =
            entries.iter().flatten().filter(|ca| !bundle.contains(ca) && !self.lifetimes.is_past(ca, now));
        let (carried, surplus) = (since(carried, &self.carried, at), since(surplus, &self.surplus, at));
        (self.carried, self.surplus, self.is_blind) = (carried, surplus, false);
    }

    /// The CAs that each entry of a webhook configuration with these entries should have. One that is not in the Secret stays for a
    /// while: another replica may know it, and add it there.
    pub fn bundle(&self, entries: &[Vec<Certificate>], at: Duration) -> Vec<Certificate> {
        let mut bundle = self.held.as_ref().map(|held| held.bundle.clone()).unwrap_or_default();
        for ca in entries.iter().flatten() {
            let is_young =
                self.surplus.get(&**ca.der()).is_some_and(|since| at.saturating_sub(*since) < self.settle);
            if is_young && !bundle.contains(ca) {
                bundle.push(ca.clone());
            }
        }
        bundle
    }

    /// Whether something waits for what the webhook configurations carry.
    pub fn waits(&self) -> bool {
        let Some(held) = &self.held else { return false };
        if self.presented.is_none() {
            return true;
        }
        let other_ca = |leaf: &Leaf| self.presented.as_ref().is_some_and(|presented| presented.ca != leaf.ca);
        held.next.is_some() || held.leaf.as_ref().is_some_and(other_ca)
    }

    /// A leaf that is to be presented from now on instead of the one before.
    pub fn present(&mut self, now: Timestamp, at: Duration) -> Option<&Leaf> {
        let offered = self.held.as_ref()?.leaf.as_ref()?;
        let is_valid = |leaf: &Leaf| leaf.identity.certificate.is_valid(now);
        let is_better = match &self.presented {
            // Ready is who is trusted: others that are may be about to go for it.
            None => self.is_carried(&offered.ca),
            Some(before) if before.identity == offered.identity => false,
            Some(before) if is_valid(before) => {
                is_valid(offered) && (before.ca == offered.ca || self.is_trusted(&offered.ca, at))
            }
            // It may be our clock that is wrong: what is not trusted is of no use in either case.
            Some(before) => before.ca == offered.ca || self.is_blind || self.is_carried(&offered.ca),
        };
        if !is_better {
            return None;
        }
        self.presented = Some(offered.clone());
        self.presented.as_ref()
    }

    /// The next action on a Secret with this content; `None` where there is no Secret.
    pub fn next(&self, read: Option<&SecretContent>, now: Timestamp, at: Duration) -> CertificateStep {
        if !read.is_some_and(SecretContent::has_all_objects) && self.can_restore() {
            return CertificateStep::Restore;
        }
        let Some(content) = read else { return CertificateStep::Establish };
        if self.lacks(content, now) {
            return CertificateStep::Merge;
        }
        let Some(leaf) = &content.leaf else {
            return if content.signer.is_some() {
                CertificateStep::IssueLeaf
            } else {
                CertificateStep::Establish
            };
        };
        let lasting = |ca: &Option<Identity>| ca.clone().filter(|ca| !self.wanes(&ca.certificate, now));
        let next = lasting(&content.next);
        if next.as_ref().is_some_and(|next| self.is_trusted(&next.certificate, at)) {
            return CertificateStep::Promote;
        }
        if next.is_none() && lasting(&content.signer).is_none() {
            return CertificateStep::PrepareCa;
        }
        match &content.signer {
            Some(signer) if self.is_due(&leaf.identity.certificate, &signer.certificate, now) => {
                CertificateStep::IssueLeaf
            }
            _ => CertificateStep::Keep,
        }
    }

    /// Whether the leaf is to be replaced by another of this CA.
    fn is_due(&self, leaf: &Certificate, ca: &Certificate, now: Timestamp) -> bool {
        let is_for_us = self.hosts.is_subset(&leaf.names);
        // Next to the end of its CA a new one would end no later.
        let would_last =
            leaf_validity(ca, Some(leaf), self.lifetimes, now).is_ok_and(|new| new.until > leaf.until);
        let is_early = now < leaf.from && ca.from <= now;
        !is_for_us
            || is_early
            || (would_last && leaf.until.duration_since(now) < self.lifetimes.leaf_window())
    }

    /// Whether it is time for another CA. One that is not valid yet was made by a clock that was wrong.
    fn wanes(&self, ca: &Certificate, now: Timestamp) -> bool {
        now < ca.from || ca.until.duration_since(now) < self.lifetimes.ca_window()
    }

    /// Whether CAs are missing there that another replica may need.
    fn lacks(&self, content: &SecretContent, now: Timestamp) -> bool {
        let held = self.held.iter().flat_map(|held| &held.bundle);
        held.filter(|ca| !self.lifetimes.is_past(ca, now)).any(|ca| !content.bundle.contains(ca))
    }

    fn can_restore(&self) -> bool {
        self.held.as_ref().is_some_and(SecretContent::has_all_objects)
    }

    fn is_carried(&self, ca: &Certificate) -> bool {
        self.carried.contains_key(&**ca.der())
    }

    fn is_trusted(&self, ca: &Certificate, at: Duration) -> bool {
        self.carried.get(&**ca.der()).is_some_and(|since| at.saturating_sub(*since) >= self.settle)
    }
}

/// Since when each has been seen.
fn since<'a>(
    seen: impl Iterator<Item = &'a Certificate>,
    before: &BTreeMap<Vec<u8>, Duration>,
    at: Duration,
) -> BTreeMap<Vec<u8>, Duration> {
    seen.map(|ca| (ca.der().to_vec(), before.get(&**ca.der()).copied().unwrap_or(at))).collect()
}
