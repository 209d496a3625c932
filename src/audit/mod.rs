//! The audit of manifests and of live clusters: the same judgement as the webhook's.

mod human;
mod json;
mod report;

use std::fmt;
use std::io;
use std::str::FromStr;

use jiff::Timestamp;

use crate::change::{Action, Change, Edit};
use crate::cluster::Cluster;
use crate::cluster::files::Inventory;
use crate::cluster::live::Listing;
use crate::evaluate::evaluate;
use crate::model::StatefulSet;
use crate::mutate::mutated;
use crate::policy::{Level, Policies};
use crate::verdict::Verdict;
pub use report::{Gap, GapKind, Located, Report};

/// Judges everything in the inventory at the time `now`, sets as they will be once a policy's additions are on them.
pub fn audit(inventory: &Inventory, policies: &Policies, now: Timestamp) -> Report {
    let neighbourhoods = inventory.neighbourhoods();
    let mut report = Report::new(inventory);
    for written in inventory.written() {
        let change = Change { action: Action::Manifest(written.how()), ..Change::default() };
        let verdict = evaluate(&change, neighbourhoods.all(), policies, now);
        report.add(inventory, written.manifest, verdict);
    }
    for (set, manifest) in inventory.sets() {
        let cluster = neighbourhoods.of(&manifest.file);
        let set = mutated(set, &cluster, policies);
        report.add(inventory, manifest, judge(&set, &cluster, policies, now));
    }
    report.sort();
    report
}

/// Judges every StatefulSet of a live cluster at the time `now`.
pub fn audit_cluster(listing: &Listing, policies: &Policies, now: Timestamp) -> Report {
    let mut report = Report::of_cluster(listing);
    for set in listing.cluster.sets() {
        report.add_live(judge(set, &listing.cluster, policies, now));
    }
    report
}

/// Judges a set as if it were to be created as it is.
fn judge(set: &StatefulSet, cluster: &Cluster, policies: &Policies, now: Timestamp) -> Verdict {
    let action = Action::StatefulSet(Edit::Create(set.clone()));
    let change = Change { action, is_whole: true, ..Change::default() };
    evaluate(&change, cluster, policies, now)
}

/// A way to write a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, with the lines in question.
    Human,
    /// For programs; its names are fixed.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(format!("there is no format {name:?}; there are human and json")),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Human => "human",
            Self::Json => "json",
        })
    }
}

impl Format {
    /// Writes a report. The human one has colours, which the writer may strip.
    pub fn write(self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        match self {
            Self::Human => human::write(report, out),
            Self::Json => json::write(report, out),
        }
    }
}

/// The level from which on findings make an audit fail; `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailOn(pub Option<Level>);

impl FromStr for FailOn {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "deny" => Ok(Self(Some(Level::Deny))),
            "warn" => Ok(Self(Some(Level::Warn))),
            "audit" => Ok(Self(Some(Level::Audit))),
            "never" => Ok(Self(None)),
            _ => Err("one of deny, warn, audit, never".to_owned()),
        }
    }
}
