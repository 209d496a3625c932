//! The audit of a live cluster.

use jiff::Timestamp;

use super::applications::{ApplicationInputs, application};
use super::repeated::remove_repeated;
use super::{AuditConfig, of_set};
use crate::change::{Action, Change, ObjectChange, RawObjects};
use crate::cluster::{Cluster, Listing};
use crate::evaluate::evaluate;
use crate::model::{StatefulSet, Workload};
use crate::policy::Policies;
use crate::report::{Located, Report};
use crate::verdict::Verdict;

/// Judges every StatefulSet, Deployment and ReplicaSet of a live cluster at the time `now`, by its policies and exemptions too.
pub fn audit_cluster(listing: &Listing, policies: &Policies, config: AuditConfig, now: Timestamp) -> Report {
    let mut report = Report::of_cluster(listing);
    let (policies, malformed) = &policies.with_objects_of(&listing.cluster);
    report.add_malformed(malformed);
    for set in listing.cluster.sets() {
        let raw = listing.raw_set(set).map(|raw| Box::new(RawObjects::new(None, raw.clone())));
        report.add_live(judge(ObjectChange::Create(set.clone()), raw, &listing.cluster, policies, now));
        if config.pictures {
            let known = ApplicationInputs { cluster: &listing.cluster, policies, now };
            report.applications.push(application(set, known, None));
        }
    }
    for workload in listing.cluster.deployments_and_replica_sets() {
        report.add_live(judge_workload(workload, &listing.cluster, policies, now));
    }
    remove_repeated(&mut report.findings);
    report.finish();
    report
}

/// Judges one namespace of a live cluster as [`audit_cluster`] does: rules look no further than the namespace.
/// Edits are left out, which are most of the bytes of a finding.
pub fn audit_namespace(
    namespace: &str,
    cluster: &Cluster,
    policies: &Policies,
    now: Timestamp,
) -> Vec<Located> {
    let mut report = Report::default();
    let sets = cluster
        .sets_in(namespace)
        .into_iter()
        .map(|set| judge(ObjectChange::Create(set.clone()), None, cluster, policies, now));
    let workloads = cluster
        .deployments_and_replica_sets_in(namespace)
        .into_iter()
        .map(|workload| judge_workload(workload, cluster, policies, now));
    for mut verdict in sets.chain(workloads) {
        for finding in &mut verdict.findings {
            finding.edits = Vec::new();
        }
        report.add_live(verdict);
    }
    remove_repeated(&mut report.findings);
    report.findings
}

fn judge(
    edit: ObjectChange<StatefulSet>,
    raw: Option<Box<RawObjects>>,
    cluster: &Cluster,
    policies: &Policies,
    now: Timestamp,
) -> Verdict {
    evaluate(&of_set(edit, raw), cluster, policies, now)
}

fn judge_workload(workload: &Workload, cluster: &Cluster, policies: &Policies, now: Timestamp) -> Verdict {
    let action = Action::Workload(ObjectChange::Create(workload.clone()));
    let change = Change { action, has_all_objects: true, ..Change::default() };
    evaluate(&change, cluster, policies, now)
}
