//! The audit of manifests and of live clusters, with the same rules as the webhook's.

mod applications;
mod applied;
pub mod contexts;
mod deletions;
mod immutable;
mod live;
mod manifests;
mod plan;
mod repeated;
mod threads;
pub mod transition;
mod views;

use std::collections::BTreeMap;

use jiff::Timestamp;

use self::applied::applied;
use self::contexts::Contexts;
pub use self::live::{audit_cluster, audit_namespace};
use self::manifests::{JobResult, ManifestAudit};
use self::plan::Comparison;
use self::repeated::{remove_repeated, remove_repeated_notes, remove_told_twice};
use self::threads::in_order;
use self::transition::{OldState, Steps};
use self::views::Views;
use crate::change::{Action, Change, ObjectChange, RawObjects};
use crate::cluster::inventory::Inventory;
use crate::cluster::{Cluster, ClusterObject, Kind};
use crate::manifest::{Note, NoteKind};
use crate::model::StatefulSet;
use crate::policy::{NamespaceExemption, Policies};
use crate::report::{Report, suppress};

/// The options of an audit.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditConfig {
    /// Judge all objects as one context.
    pub together: bool,
    /// Collect what the pictures of an HTML report show.
    pub pictures: bool,
    /// With an old state: report only what the step to the new one touches.
    pub changed: bool,
    /// On how many threads objects are judged; 0 is one.
    pub threads: usize,
}

/// Judges everything in the inventory at the time `now`, sets as they will be once a policy's additions are on them.
pub fn audit(inventory: &Inventory, policies: &Policies, config: AuditConfig, now: Timestamp) -> Report {
    audit_step(inventory, None, policies, config, now)
}

/// Judges the step from an old state of manifests to that in the inventory: what was wrong before and is no worse is a warning.
pub fn audit_step(
    inventory: &Inventory,
    old: Option<&OldState<'_>>,
    policies: &Policies,
    config: AuditConfig,
    now: Timestamp,
) -> Report {
    let contexts = Contexts::of(inventory, config.together);
    let views = Views::of(inventory, &contexts);
    let exempting = exempting(&views, contexts.list.len(), policies);
    let comparison = old.map(|old| Comparison {
        old,
        views: Views::of(old.inventory, &old.contexts),
        steps: Steps::between(old, inventory, &contexts),
    });
    let audit = ManifestAudit {
        inventory,
        comparison: comparison.as_ref(),
        policies,
        exempting,
        config,
        now,
        views: &views,
    };
    let mut report = Report::default();
    let mut jobs = Vec::new();
    for (number, context) in contexts.list.iter().enumerate() {
        report.contexts.extend(audit.plan(number, context, &mut jobs));
        report.notes.extend(audit.unknown_deletions(number, context));
    }
    let results = in_order(&jobs, config.threads, |job, result| audit.run(job, result));
    for JobResult { findings, applications } in results {
        report.findings.extend(findings);
        report.applications.extend(applications);
    }
    report.objects = inventory.objects();
    report.stateful_sets = (0..inventory.len())
        .filter(|item| inventory.item(*item).is_some_and(|found| found.set().is_some()))
        .count();
    report.notes.extend(inventory.notes().iter().chain(&contexts.notes).cloned());
    report.notes.extend(malformed_exemptions(inventory));
    remove_repeated(&mut report.findings);
    if old.is_some() {
        remove_told_twice(&mut report.findings);
    }
    remove_repeated_notes(&mut report.notes);
    suppress::apply(&mut report, inventory);
    report.finish();
    report
}

/// A StatefulSet of some manifests with a policy's additions on it, in its context.
#[derive(Clone, Copy)]
pub struct SetOfFiles<'a> {
    pub context: &'a str,
    pub set: &'a StatefulSet,
    pub cluster: &'a Cluster,
    pub policies: &'a Policies,
}

/// Visits each StatefulSet of the inventory as [`audit`] judges it.
pub fn each_set(inventory: &Inventory, policies: &Policies, mut visit: impl FnMut(SetOfFiles<'_>)) {
    let contexts = Contexts::of(inventory, false);
    let views = Views::of(inventory, &contexts);
    let exempting = exempting(&views, contexts.list.len(), policies);
    for (number, context) in contexts.list.iter().enumerate() {
        let (cluster, policies) = (views.cluster(number), exempting.get(&number).unwrap_or(policies));
        let found = context.judged.iter().filter_map(|item| inventory.item(*item));
        for set in found.filter_map(|found| found.set()) {
            let set = &applied(set, cluster, policies);
            visit(SetOfFiles { context: &context.name, set, cluster, policies });
        }
    }
}

/// The policies of the contexts that define exemptions, with these.
fn exempting(views: &Views<'_>, contexts: usize, policies: &Policies) -> BTreeMap<usize, Policies> {
    let defining = (0..contexts).filter(|number| views.cluster(*number).count(Kind::Exemption) > 0);
    defining.map(|number| (number, policies.with_exemptions_of(views.cluster(number)))).collect()
}

/// Errors in the exemptions among the manifests.
fn malformed_exemptions(inventory: &Inventory) -> impl Iterator<Item = Note> {
    (0..inventory.len()).filter_map(|item| {
        let found = inventory.item(item)?;
        let ClusterObject::Exemption(document) = found.object() else { return None };
        let error = NamespaceExemption::from_json(&document.to_json()).err()?;
        let place = found.manifest.position(&error.pointer);
        Some(Note {
            file: place.file,
            line: place.span.line,
            column: place.span.column,
            kind: NoteKind::Unreadable,
            message: format!("StatefulSetExemption {}: {}", document.metadata.name, error.message),
            hides: Vec::new(),
        })
    })
}

/// The creation or update of a StatefulSet, judged beside all objects of its manifests or cluster.
fn of_set(edit: ObjectChange<StatefulSet>, raw: Option<Box<RawObjects>>) -> Change {
    Change { action: Action::StatefulSet(edit), raw, has_all_objects: true, ..Change::default() }
}
