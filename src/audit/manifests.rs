//! The evaluation of the objects of manifests, each in its context.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::applications::{ApplicationInputs, application};
use super::applied::applied;
use super::plan::{Comparison, EvaluationJob};
use super::views::Views;
use super::{AuditConfig, immutable, of_set, transition};
use crate::change::{Action, Change, ObjectChange, RawObjects};
use crate::cluster::Cluster;
use crate::cluster::inventory::{Found, Inventory};
use crate::evaluate::{evaluate, evaluate_step};
use crate::policy::Policies;
use crate::report::{Application, Located, Related};
use crate::verdict::Verdict;

/// An audit of manifests that is under way.
pub(super) struct ManifestAudit<'a> {
    pub inventory: &'a Inventory,
    pub comparison: Option<&'a Comparison<'a>>,
    pub policies: &'a Policies,
    /// By context, where others apply.
    pub exempting: BTreeMap<usize, Policies>,
    pub config: AuditConfig,
    pub now: Timestamp,
    pub views: &'a Views<'a>,
}

/// The result of one [`EvaluationJob`].
#[derive(Default)]
pub(super) struct JobResult {
    pub findings: Vec<Located>,
    pub applications: Vec<Application>,
}

impl<'a> ManifestAudit<'a> {
    fn policies(&self, context: usize) -> &Policies {
        self.exempting.get(&context).unwrap_or(self.policies)
    }

    /// The earlier state of a context.
    fn earlier(&self, job: &EvaluationJob<'a>) -> &'a Cluster {
        let old = self.comparison.and_then(|with| Some(with.views.cluster(job.old_context?)));
        old.unwrap_or_else(|| self.views.cluster(job.context))
    }

    pub(super) fn run(&self, job: &EvaluationJob<'a>, result: &mut JobResult) {
        match (job.before, job.now) {
            (before, Some(found)) => self.object(job, found, before, result),
            (Some(gone), None) => self.change(job, gone, result),
            (None, None) => {}
        }
    }

    /// Judges one object, as it is or as it becomes.
    fn object(
        &self,
        job: &EvaluationJob<'a>,
        found: Found<'a>,
        before: Option<Found<'a>>,
        result: &mut JobResult,
    ) {
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
        self.add(job, found, evaluate(&change, cluster, policies, self.now), result);
        let Some(set) = found.set() else {
            if found.is_workload() || (self.comparison.is_some() && !is_same) {
                self.change(job, found, result);
            }
            return;
        };
        let set = applied(set, cluster, policies);
        if self.config.pictures {
            let context = Some(Arc::clone(&job.context_name));
            let known = ApplicationInputs { cluster, policies, now: self.now };
            result.applications.push(application(&set, known, context));
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
        self.add(job, found, evaluate_step(&change, earlier, cluster, policies, self.now), result);
    }

    /// Judges what a change to `at` does to others.
    fn change(&self, job: &EvaluationJob<'a>, at: Found<'a>, result: &mut JobResult) {
        if let Some(action) = transition::change(job.before, job.now) {
            let change = Change { action, has_all_objects: true, ..Change::default() };
            let (earlier, cluster) = (self.earlier(job), self.views.cluster(job.context));
            let policies = self.policies(job.context);
            self.add(job, at, evaluate_step(&change, earlier, cluster, policies, self.now), result);
        }
    }

    /// Adds what was found about one object in a context.
    fn add(&self, job: &EvaluationJob<'a>, found: Found<'a>, verdict: Verdict, result: &mut JobResult) {
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
            result.findings.push(Located { position, related, is_rendered, context, ..Located::of(finding) });
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
