//! The audit of manifests and of live clusters: the same judgement as the webhook's.

mod applications;
mod applied;
pub mod contexts;
mod deletions;
mod immutable;
mod repeated;
mod threads;
pub mod transition;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use self::applications::{ApplicationInputs, application};
use self::applied::applied;
use self::contexts::{AuditContext, Contexts};
use self::deletions::unknown_deletions;
use self::repeated::{remove_repeated, remove_repeated_notes, remove_told_twice};
use self::threads::in_order;
use self::transition::{OldState, Steps};
use self::views::Views;
use crate::change::{Action, Change, ObjectChange, RawObjects};
use crate::cluster::inventory::{Found, Inventory};
use crate::cluster::{Cluster, ClusterObject, Kind, Listing};
use crate::evaluate::{evaluate, evaluate_step};
use crate::manifest::{Note, NoteKind};
use crate::model::{StatefulSet, Workload};
use crate::policy::{NamespaceExemption, Policies};
use crate::report::{Application, ContextSummary, Located, Related, Report, suppress};
use crate::verdict::Verdict;

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
    let past = old.map(|old| Past {
        old,
        views: Views::of(old.inventory, &old.contexts),
        steps: Steps::between(old, inventory, &contexts),
    });
    let audit = Audit { inventory, past: past.as_ref(), policies, exempting, config, now, views: &views };
    let mut report = Report::default();
    let mut jobs = Vec::new();
    for (number, context) in contexts.list.iter().enumerate() {
        report.contexts.extend(audit.plan(number, context, &mut jobs));
        report.notes.extend(audit.unknown_deletions(number, context));
    }
    let judged = in_order(&jobs, config.threads, |job, found| audit.judge(job, found));
    for Judged { findings, applications } in judged {
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

/// An audit of manifests that is under way.
struct Audit<'a> {
    inventory: &'a Inventory,
    past: Option<&'a Past<'a>>,
    policies: &'a Policies,
    /// By context, where others apply.
    exempting: BTreeMap<usize, Policies>,
    config: AuditConfig,
    now: Timestamp,
    views: &'a Views<'a>,
}

/// The old state, and what became of it.
struct Past<'a> {
    old: &'a OldState<'a>,
    views: Views<'a>,
    steps: Steps,
}

/// One object to judge in a context.
struct Job<'a> {
    context: usize,
    context_name: Arc<str>,
    /// The old context that is compared with.
    old_context: Option<usize>,
    before: Option<Found<'a>>,
    /// `None` where the object is gone.
    now: Option<Found<'a>>,
}

/// The findings.
#[derive(Default)]
struct Judged {
    findings: Vec<Located>,
    applications: Vec<Application>,
}

impl<'a> Audit<'a> {
    fn policies(&self, context: usize) -> &Policies {
        self.exempting.get(&context).unwrap_or(self.policies)
    }

    /// Adds the objects to judge in a context.
    fn plan(&self, number: usize, context: &AuditContext, jobs: &mut Vec<Job<'a>>) -> Option<ContextSummary> {
        let name: Arc<str> = (&*context.name).into();
        let mut stateful_sets = 0;
        let same = self.past.and_then(|past| past.steps.contexts.get(&number).copied());
        let mut add = |old_context, before, now| {
            let context_name = Arc::clone(&name);
            jobs.push(Job { context: number, context_name, old_context, before, now });
        };
        for item in &context.judged {
            let Some(found) = self.inventory.item(*item) else { continue };
            stateful_sets += usize::from(found.set().is_some());
            let before = self.past.and_then(|past| Some((past, past.steps.before(number, *item)?)));
            let old_context = before.map(|(_, before)| before.context).or(same);
            add(old_context, before.and_then(|(past, before)| past.old.found(before)), Some(found));
        }
        if let Some(past) = self.past {
            for gone in self.missing(past, number).filter(|missing| self.knows_kind(number, context, missing))
            {
                add(same, Some(gone), None);
            }
        }
        (!context.judged.is_empty()).then_some(ContextSummary { name, stateful_sets })
    }

    /// The old objects that are not seen from a context any more.
    fn missing(&self, past: &'a Past<'a>, number: usize) -> impl Iterator<Item = Found<'a>> {
        let gone = past.steps.gone(past.old, number).filter_map(|gone| past.old.found(gone));
        gone.filter(move |gone| !self.views.has(number, &gone.name()))
    }

    /// Whether all objects of its kind are known: none may be in a text that could not be read.
    fn knows_kind(&self, number: usize, context: &AuditContext, found: &Found<'_>) -> bool {
        let kind = found.object().kind();
        let notes = self.inventory.notes_of(context.unit..context.unit.saturating_add(1));
        self.views.cluster(number).is_complete(kind) && !notes.iter().any(|note| note.may_hold(kind.name()))
    }

    /// Notes about the old objects of a context of which it is not known whether they are deleted.
    fn unknown_deletions(&self, number: usize, context: &AuditContext) -> Vec<Note> {
        let missing = self.past.into_iter().flat_map(|past| self.missing(past, number));
        let unknown = missing.filter(|missing| !self.knows_kind(number, context, missing));
        unknown_deletions(unknown, self.inventory, context.unit)
    }

    /// The earlier state of a context.
    fn earlier(&self, job: &Job<'a>) -> &'a Cluster {
        let past = self.past.and_then(|past| Some(past.views.cluster(job.old_context?)));
        past.unwrap_or_else(|| self.views.cluster(job.context))
    }

    fn judge(&self, job: &Job<'a>, judged: &mut Judged) {
        match (job.before, job.now) {
            (before, Some(found)) => self.object(job, found, before, judged),
            (Some(gone), None) => self.change(job, gone, judged),
            (None, None) => {}
        }
    }

    /// Judges one object, as it is or as it becomes.
    fn object(&self, job: &Job<'a>, found: Found<'a>, before: Option<Found<'a>>, judged: &mut Judged) {
        let is_same = before
            .is_some_and(|old| old.manifest.values.is_some() && old.manifest.values == found.manifest.values);
        if is_same && self.config.changed {
            return;
        }
        let (cluster, policies) = (self.views.cluster(job.context), self.policies(job.context));
        let earlier = self.earlier(job);
        let mut written = found.how();
        if let Some(old) = before {
            written.immutable_changes = immutable::immutable_changes(old, found);
        }
        let change = Change { action: Action::Manifest(written), ..Change::default() };
        self.add(job, found, evaluate(&change, cluster, policies, self.now), judged);
        let Some(set) = found.set() else {
            if found.is_workload() || (self.past.is_some() && !is_same) {
                self.change(job, found, judged);
            }
            return;
        };
        let set = applied(set, cluster, policies);
        if self.config.pictures {
            let context = Some(Arc::clone(&job.context_name));
            let known = ApplicationInputs { cluster, policies, now: self.now };
            judged.applications.push(application(&set, known, context));
        }
        let old_set = before.and_then(|old| Some((old, old.set()?)));
        let raw = policies.read_raw_sets().then(|| {
            let old = old_set.as_ref().and_then(|(old, _)| raw_object(*old));
            Some(Box::new(RawObjects::new(old, raw_object(found)?)))
        });
        let edit = match old_set {
            Some((_, old)) => ObjectChange::Update { old: applied(old, earlier, policies), new: set },
            None => ObjectChange::Create(set),
        };
        let change = of_set(edit, raw.flatten());
        self.add(job, found, evaluate_step(&change, earlier, cluster, policies, self.now), judged);
    }

    /// Judges what a change to `at` does to others.
    fn change(&self, job: &Job<'a>, at: Found<'a>, judged: &mut Judged) {
        if let Some(action) = transition::change(job.before, job.now) {
            let change = Change { action, has_all_objects: true, ..Change::default() };
            let (earlier, cluster) = (self.earlier(job), self.views.cluster(job.context));
            let policies = self.policies(job.context);
            self.add(job, at, evaluate_step(&change, earlier, cluster, policies, self.now), judged);
        }
    }

    /// Adds what was found about one object in a context.
    fn add(&self, job: &Job<'a>, found: Found<'a>, verdict: Verdict, judged: &mut Judged) {
        for finding in verdict.findings {
            let is_own = finding.object == found.how().object;
            let elsewhere = |object, path: &str| self.views.locate(job.context, object, path);
            let position = if is_own && self.views.has(job.context, &found.name()) {
                found.manifest.position(&finding.path)
            } else {
                // An object that is gone has no place any more; the one that misses it has.
                elsewhere(&finding.object, &finding.path)
                    .or_else(|| elsewhere(&finding.subject, ""))
                    .unwrap_or_else(|| found.manifest.position(&finding.path))
            };
            let related = finding
                .related
                .iter()
                .filter_map(|(object, path)| {
                    let position = Some(self.views.locate(job.context, object, path)?);
                    Some(Related { object: object.clone(), path: path.clone(), position })
                })
                .collect();
            let (position, context) = (Some(position), Some(Arc::clone(&job.context_name)));
            let is_rendered = found.manifest.is_rendered;
            judged.findings.push(Located { position, related, is_rendered, context, ..Located::of(finding) });
        }
    }
}

/// A manifest as it is applied, into the namespace that it is judged in, where its values were kept.
fn raw_object(found: Found<'_>) -> Option<Value> {
    let mut raw = found.manifest.values.as_deref()?.clone();
    if let Some(metadata) = raw.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| found.object().metadata().namespace.to_string().into());
    }
    Some(raw)
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

fn of_set(edit: ObjectChange<StatefulSet>, raw: Option<Box<RawObjects>>) -> Change {
    Change { action: Action::StatefulSet(edit), raw, has_all_objects: true, ..Change::default() }
}

fn judge_workload(workload: &Workload, cluster: &Cluster, policies: &Policies, now: Timestamp) -> Verdict {
    let action = Action::Workload(ObjectChange::Create(workload.clone()));
    let change = Change { action, has_all_objects: true, ..Change::default() };
    evaluate(&change, cluster, policies, now)
}
