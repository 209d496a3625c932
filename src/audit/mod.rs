//! The audit of manifests and of live clusters: the same judgement as the webhook's.

use jiff::Timestamp;

use crate::change::{Action, Change, Edit};
use crate::cluster::inventory::Inventory;
use crate::cluster::{Cluster, Listing};
use crate::evaluate::evaluate;
use crate::model::StatefulSet;
use crate::mutate::mutated;
use crate::policy::Policies;
use crate::report::Report;
use crate::verdict::Verdict;

/// Judges everything in the inventory at the time `now`, sets as they will be once a policy's additions are on them.
pub fn audit(inventory: &Inventory, policies: &Policies, now: Timestamp) -> Report {
    let mut neighbourhoods = inventory.neighbourhoods();
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
    let change = Change { action, has_all_objects: true, ..Change::default() };
    evaluate(&change, cluster, policies, now)
}
