//! The only way to a verdict.
//!
//! Pure and synchronous: no I/O, no clock, no locks. Webhook, audit and reports all come through here, so they cannot
//! disagree.

mod checks;
mod claims;
mod distinct;
mod evaluation;
mod facts;
mod groups;
mod judge;
mod pods;
mod removal;
mod softening;
mod workloads;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::ptr;

use jiff::Timestamp;

pub use self::claims::claims_in_question;
use self::distinct::distinct;
use self::evaluation::finding;
use self::judge::{RequestedChange, is_tightening};
pub use self::pods::pods_in_question;
use crate::change::{
    Action, Change, ObjectChange, PodDeletion, PodRemoval, RawObjects, Requester, WrittenObject,
};
use crate::cluster::{Cluster, ClusterView, PendingChange, ViewMemory};
use crate::model::{
    Autoscaler, Claim, Classified, DisruptionBudget, Metadata, Object, ObjectRef, Service, StatefulSet,
};
use crate::policy::{Applicable, Exemptness, Policies, Subject};
use crate::rules::{self, Changed, Rule, RuleCheck, Trigger, Violations};
use crate::verdict::Level;
use crate::verdict::{Exempt, Finding, Verdict};

/// Judges a change at the time `now`, given all that is known of what else exists.
pub fn evaluate(change: &Change, cluster: &Cluster, policies: &Policies, now: Timestamp) -> Verdict {
    evaluate_step(change, cluster, cluster, policies, now)
}

/// Judges a change that comes with others: beside the object that changes, `before` had other ones than `cluster` has.
pub fn evaluate_step(
    change: &Change,
    before: &Cluster,
    cluster: &Cluster,
    policies: &Policies,
    now: Timestamp,
) -> Verdict {
    if change.requester.is_cleanup_controller() {
        return Verdict::default();
    }
    let memories = Memories::default();
    let judge = Evaluator {
        before,
        cluster,
        memories: &memories,
        policies,
        now,
        dry_run: change.dry_run,
        has_all_objects: change.has_all_objects,
        requester: &change.requester,
        raw: change.raw.as_deref(),
    };
    let mut findings: Vec<Finding> = match &change.action {
        Action::StatefulSet(ObjectChange::Delete(set)) => judge.set_deletion(set, change.orphans),
        Action::StatefulSet(edit) => judge.set(edit),
        Action::Scale { namespace, name, old, new } => judge.scale(namespace, name, *old, *new),
        Action::Workload(edit) => judge.workload(edit),
        Action::WorkloadScale(scale) => judge.workload_scale(scale),
        Action::DisruptionBudget(edit) => judge.budget(edit),
        Action::Service(edit) => judge.service(edit),
        Action::Autoscaler(edit) => judge.autoscaler(edit),
        Action::PodDeletion(PodDeletion { pod, grace_period }) => {
            judge.pod(PodRemoval { pod, grace_period: *grace_period, is_eviction: false })
        }
        Action::Eviction(eviction) => judge.eviction(eviction),
        Action::ClaimDeletion(claim) => judge.claim_deletion(claim),
        Action::Manifest(written) => judge.manifest(written),
        // Only the mutations look at pods that are created.
        Action::PodCreation(_) | Action::Other => Vec::new(),
    };
    findings.sort_by_key(|finding| Reverse(finding.level));
    Verdict { findings: distinct(findings) }
}

/// Inputs that stay the same over one evaluation.
struct Evaluator<'a> {
    /// The earlier snapshot; nearly always the same one.
    before: &'a Cluster,
    cluster: &'a Cluster,
    memories: &'a Memories,
    policies: &'a Policies,
    now: Timestamp,
    dry_run: bool,
    has_all_objects: bool,
    requester: &'a Requester,
    raw: Option<&'a RawObjects>,
}

/// Results of lookups for many sets or by many rules.
#[derive(Debug, Default)]
struct Memories {
    /// Where every StatefulSet is as the cluster has it.
    unchanged: ViewMemory,
    /// The results of lookups in the earlier snapshot, where that is another one.
    earlier: ViewMemory,
    /// Where one is different: before, and after. No more than one set is judged then.
    before: ViewMemory,
    after: ViewMemory,
}

impl<'a> Evaluator<'a> {
    fn set(&self, edit: &'a ObjectChange<StatefulSet>) -> Vec<Finding> {
        let Some(new) = edit.after().filter(|new| !self.is_being_deleted(*new)) else {
            return Vec::new();
        };
        let at = |set: &'a StatefulSet, replicas: i32| (set, replicas, PendingChange::Set(set, replicas));
        let old = edit.before();
        // Where an edit changes the count, the controller follows before the autoscaler does.
        let (before, after) = match old.map(StatefulSet::replicas) {
            Some(count) if count != new.replicas() => (count, new.replicas()),
            was => {
                let after = self.cluster.replicas_of(new);
                (was.and(old).map_or(after, |old| self.before.replicas_of(old).min(after)), after)
            }
        };
        let asked = self.asked(Changed::Set, old.unwrap_or(new));
        self.judge(old.map(|old| at(old, before)), at(new, after), Trigger::Set, asked)
    }

    fn set_deletion(&self, set: &'a StatefulSet, orphans: bool) -> Vec<Finding> {
        if self.is_being_deleted(set) {
            return Vec::new();
        }
        let state = (set, set.replicas(), PendingChange::Nothing);
        let changed = if orphans { Changed::SetAlone } else { Changed::Set };
        self.judge(None, state, Trigger::SetDeletion, self.asked(changed, set))
    }

    /// Judges the sets that the claim was made for.
    fn claim_deletion(&self, claim: &'a Claim) -> Vec<Finding> {
        if self.is_being_deleted(claim) {
            return Vec::new();
        }
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let sets = view
            .sets_with_claim(&claim.metadata.namespace, &claim.metadata.name)
            .into_iter()
            .filter(|(set, _)| !set.metadata.deleting);
        let judged = sets.flat_map(|(set, ordinal)| {
            let state = (set, set.replicas(), PendingChange::Nothing);
            let mut asked = self.asked(Changed::Claim(claim, ordinal), claim);
            // A claim mostly has no owner: who makes the set has it made.
            asked.operator = asked.operator.or_else(|| self.operator_asking(&set.metadata));
            self.judge(None, state, Trigger::ClaimDeletion, asked)
        });
        judged.collect()
    }

    fn scale(&self, namespace: &str, name: &str, old: i32, new: i32) -> Vec<Finding> {
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let Some(set) = view.set(namespace, name).present().filter(|set| !self.is_being_deleted(*set)) else {
            return Vec::new();
        };
        let at = |replicas: i32| (set, replicas, PendingChange::Set(set, replicas));
        self.judge(Some(at(old)), at(new), Trigger::Scale, self.asked(Changed::Set, set))
    }

    /// Judges each set that the budget is or was about.
    fn budget(&self, edit: &'a ObjectChange<DisruptionBudget>) -> Vec<Finding> {
        let Some(subject) = edit.after().or(edit.before()).filter(|subject| !self.is_being_deleted(*subject))
        else {
            return Vec::new();
        };
        let (namespace, name) = (&*subject.metadata.namespace, &*subject.metadata.name);
        let before = PendingChange::Budget(namespace, name, edit.before());
        let after = PendingChange::Budget(namespace, name, edit.after());
        let view = ClusterView::new(self.cluster, after);
        let selected =
            |budget: Option<&DisruptionBudget>| budget.map_or_else(Vec::new, |b| view.sets_covered_by(b));
        let now = selected(edit.after());
        let still: HashSet<*const StatefulSet> = now.iter().map(|(set, _)| ptr::from_ref(*set)).collect();
        let gone = selected(edit.before())
            .into_iter()
            .filter(|(set, _)| !still.contains(&ptr::from_ref(*set)))
            .map(|set| (set, Trigger::BudgetGone))
            .collect::<Vec<_>>();
        let sets = now
            .iter()
            .map(|set| (*set, Trigger::Budget))
            .chain(gone)
            .filter(|((set, _), _)| !set.metadata.deleting);
        let asked = RequestedChange {
            is_tightening: is_tightening(edit, &view),
            ..self.asked(Changed::Budget(subject), edit.before().unwrap_or(subject))
        };
        let judged = sets.flat_map(|((set, replicas), trigger)| {
            let was = self.earlier(set, replicas).map(|(set, replicas)| (set, replicas, before));
            self.judge(was, (set, replicas, after), trigger, asked)
        });
        judged.collect()
    }

    /// A set as it was before all that changes.
    fn earlier(&self, set: &'a StatefulSet, replicas: i32) -> Option<(&'a StatefulSet, i32)> {
        if ptr::eq(self.before, self.cluster) {
            return Some((set, replicas));
        }
        let view = ClusterView::new(self.before, PendingChange::Nothing);
        let set = view.set(&set.metadata.namespace, &set.metadata.name).present()?;
        Some((set, self.before.replicas_of(set)))
    }

    /// Judges each set that the Service governs.
    fn service(&self, edit: &'a ObjectChange<Service>) -> Vec<Finding> {
        let Some(subject) = edit.after().or(edit.before()).filter(|subject| !self.is_being_deleted(*subject))
        else {
            return Vec::new();
        };
        let (namespace, name) = (&*subject.metadata.namespace, &*subject.metadata.name);
        let before = PendingChange::Service(namespace, name, edit.before());
        let after = PendingChange::Service(namespace, name, edit.after());
        let sets = ClusterView::new(self.cluster, after).sets_governed_by(namespace, name).into_iter();
        let asked = self.asked(Changed::Service(subject), edit.before().unwrap_or(subject));
        let judged = sets.filter(|(set, _)| !set.metadata.deleting).flat_map(|(set, replicas)| {
            let was = self.earlier(set, replicas).map(|(set, replicas)| (set, replicas, before));
            self.judge(was, (set, replicas, after), Trigger::Service, asked)
        });
        judged.collect()
    }

    /// Judges the set that the autoscaler scales.
    fn autoscaler(&self, edit: &'a ObjectChange<Autoscaler>) -> Vec<Finding> {
        let Some(new) = edit.after().filter(|new| !self.is_being_deleted(*new)) else {
            return Vec::new();
        };
        let target = |scaler: &'a Autoscaler| scaler.scaled_set();
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let set = target(new).and_then(|name| view.set(&new.metadata.namespace, name).present());
        let Some(set) = set.filter(|set| !set.metadata.deleting) else { return Vec::new() };
        let state = (set, set.replicas(), PendingChange::Nothing);
        let was = edit.before().filter(|old| target(old) == target(new));
        let before = was.and_then(|_| self.earlier(set, set.replicas()));
        let before = before.map(|(set, replicas)| (set, replicas, PendingChange::Nothing));
        let known = edit.before().unwrap_or(new);
        let asked = RequestedChange {
            was: Changed::Autoscaler(known),
            ..self.asked(Changed::Autoscaler(new), known)
        };
        self.judge(before, state, Trigger::Autoscaler, asked)
    }

    /// Whether the object or its namespace is being deleted: nothing may hold that up.
    fn is_being_deleted(&self, object: &impl Object) -> bool {
        let metadata = object.metadata();
        metadata.deleting
            || self.cluster.namespace(&metadata.namespace).is_some_and(|ns| ns.metadata.deleting)
    }

    /// Judges how an object is written.
    fn manifest(&self, written: &'a WrittenObject) -> Vec<Finding> {
        let applicable = self.policies.applicable(self.subject(&written.metadata));
        self.simple(&applicable, None, &written.metadata, &written.object, |rule, violations| {
            if let RuleCheck::Text(check) = rule.check {
                check(written, violations);
            }
        })
    }

    /// Runs the rules that need no situation.
    fn simple(
        &self,
        applicable: &Applicable<'_>,
        class: Option<&Classified>,
        metadata: &Metadata,
        subject: &ObjectRef,
        find: impl Fn(&Rule, &mut Violations),
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (index, rule) in rules::ALL.iter().enumerate() {
            // Nearly always nothing: what it counts for is only asked where something is found.
            let mut violations = Violations::default();
            find(rule, &mut violations);
            let violations = violations.into_vec();
            if violations.is_empty() {
                continue;
            }
            let ruling = applicable.ruling_for(index, class);
            if ruling.level == Level::Off {
                continue;
            }
            let exemption = applicable.exemption(rule.id, metadata, self.now);
            let may_be_exempted = applicable.honours_annotations();
            findings.extend(violations.into_iter().map(|violation| {
                let mut finding = finding(rule, ruling.level, subject, violation);
                finding.note_undecided(ruling.undecided);
                finding.exempt_as(exemption.clone());
                finding.may_be_exempted = may_be_exempted;
                finding
            }));
        }
        findings
    }

    fn subject(&self, metadata: &'a Metadata) -> Subject<'a> {
        let namespace = self.cluster.namespace(&metadata.namespace);
        Subject { metadata, namespace_labels: namespace.map(|namespace| &namespace.metadata.labels) }
    }
}

impl Finding {
    /// Says which policy would make a denial of it milder, if it applied.
    fn note_undecided(&mut self, policy: Option<&str>) {
        if let Some(policy) = policy {
            self.soften(&format!("policy {policy} may be about"));
        }
    }

    fn exempt_as(&mut self, exemptness: Exemptness<'_>) {
        match exemptness {
            Exemptness::No => {}
            Exemptness::Yes(exempt) => self.exempt = Some(exempt),
            Exemptness::Ended(Exempt { by, expires_at, .. }) => {
                let end = expires_at.unwrap_or_default();
                let _ = write!(self.message, " (an exemption by {by} ended on {end})");
            }
            Exemptness::Undecided(policy) => {
                self.soften(&format!("policy {policy} decides on an exemption from it and may be about"));
            }
        }
    }

    fn soften(&mut self, why: &str) {
        self.level = self.level.min(Level::Warn);
        let namespace = &self.subject.namespace;
        let _ = write!(self.message, " ({why} namespace {namespace}, whose labels are not known)");
    }
}
