//! The live reads before a denial, and the conclusions from them. Pure.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::live_read_error::LiveReadError;
use super::live_reads::{Fresh, Freshness, LiveReadRequest};
use crate::change::{Action, Change, WorkloadScale};
use crate::cluster::{Cluster, ClusterView, Kind, PendingChange};
use crate::model::{Autoscaler, Workload};
use crate::policy::{Check, Policies};
use crate::rules::{self, Rule};
use crate::verdict::{Finding, Level, RuleId, Verdict};

/// The outcome of a denial that could not be confirmed because this replica had too many others to confirm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenOverloaded {
    /// It is a warning, as where the API server does not answer.
    #[default]
    Warn,
    /// It stays a denial, on what the snapshot says.
    Deny,
}

/// The objects that must be read before this verdict may be given; `None` where it refuses nothing, or for nothing but the change itself,
/// and calls nothing missing.
pub(super) fn doubt(change: &Change, verdict: &Verdict, policies: &Policies) -> Option<LiveReadRequest> {
    let (namespace, set) = subject(&change.action)?;
    let in_doubt = || in_doubt(change, verdict, policies);
    if in_doubt().all(|grounds| grounds.needs(&change.action).is_empty()) {
        return None;
    }
    let mut kinds: BTreeSet<Kind> = in_doubt().flat_map(|grounds| grounds.reads()).collect();
    if !shows_set(&change.action) && set.is_none() {
        kinds.insert(Kind::StatefulSet);
    }
    let freshness = if verdict.is_denied() { Freshness::Latest } else { Freshness::Cached };
    let (namespace, set, kinds) = (namespace.into(), set.map(Into::into), kinds.into_iter().collect());
    Some(LiveReadRequest { namespace, set, kinds, freshness })
}

/// The rules and checks whose findings are not given without a second look: those that refuse, and those that call something
/// missing. On a dry run it may well be, and is only warned of.
fn in_doubt<'a>(
    change: &'a Change,
    verdict: &'a Verdict,
    policies: &'a Policies,
) -> impl Iterator<Item = Grounds<'a>> {
    let grounds = |finding: &'a Finding| Grounds::of(&finding.rule, policies);
    let missing = verdict
        .at(Level::Warn)
        .filter(|_| !change.dry_run)
        .filter_map(grounds)
        .filter(Grounds::reports_missing);
    verdict.at(Level::Deny).filter_map(grounds).chain(missing)
}

/// Whether all that was in doubt was found again in what was read.
pub(super) fn is_confirmed(change: &Change, snapshot: &Verdict, live: &Verdict, policies: &Policies) -> bool {
    in_doubt(change, snapshot, policies).all(|grounds| live.contains_rule(&grounds.id()))
}

/// The objects to read once the snapshot has turned out to be behind, because it may lack others too. `None` where that is read.
pub(super) fn wider(wanted: &LiveReadRequest, cluster: &Cluster) -> Option<LiveReadRequest> {
    let kinds = Kind::watched().filter(|kind| *kind != Kind::Namespace && !kind.is_policy());
    let kinds = kinds.filter(|kind| wanted.kinds.contains(kind) || cluster.is_complete(*kind)).collect();
    let wider = LiveReadRequest { kinds, ..wanted.clone() };
    (wider != *wanted).then_some(wider)
}

/// An object that a change names without showing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReferencedObject<'a> {
    pub(super) kind: Kind,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// Claims of one Deployment that are read.
const MOST_CLAIMS: usize = 8;

/// The objects that the change names and the snapshot does not have: a set that was created a moment ago; of Deployments, which
/// are not watched, those that are scaled, and the claims that two of their pods would write to.
pub(super) fn unknown_objects<'a>(change: &'a Change, snapshot: &'a Cluster) -> Vec<ReferencedObject<'a>> {
    if change.requester.is_cleanup_controller() {
        return Vec::new();
    }
    let view = ClusterView::new(snapshot, PendingChange::Nothing);
    match &change.action {
        Action::Workload(edit) => {
            edit.after().map_or_else(Vec::new, |new| unknown_claims(new, new.replicas(), &view))
        }
        Action::WorkloadScale(WorkloadScale { kind, namespace, name, new, .. }) => {
            match view.workload(*kind, namespace, name) {
                Some(workload) => unknown_claims(workload, *new, &view),
                None => vec![ReferencedObject { kind: *kind, namespace, name }],
            }
        }
        other => {
            let Some((namespace, Some(name))) = subject(other) else { return Vec::new() };
            let is_known = view.set(namespace, name).present().is_some();
            let named = ReferencedObject { kind: Kind::StatefulSet, namespace, name };
            (!is_known).then_some(named).into_iter().collect()
        }
    }
}

fn unknown_claims<'a>(
    workload: &'a Workload,
    replicas: i32,
    view: &ClusterView<'_>,
) -> Vec<ReferencedObject<'a>> {
    if !workload.may_run_two(replicas) || workload.is_of_deployment() {
        return Vec::new();
    }
    let namespace = &*workload.metadata.namespace;
    let claims = workload.template().spec.written_claims().take(MOST_CLAIMS);
    let names = claims.map(|(_, _, source)| &*source.claim_name);
    let unknown = names.filter(|name| view.claim(namespace, name).is_none());
    unknown.map(|name| ReferencedObject { kind: Kind::Claim, namespace, name }).collect()
}

/// The verdict on what was read, where it was; where it was not, that on the snapshot, which then refuses nothing.
pub(super) fn settle(
    change: &Change,
    [snapshot, live]: [Verdict; 2],
    policies: &Policies,
    fresh: &Fresh,
    wanted: &LiveReadRequest,
    when_overloaded: WhenOverloaded,
) -> Verdict {
    // The namespace is being deleted: never deny.
    if fresh.cluster.namespace(&wanted.namespace).is_some_and(|namespace| namespace.metadata.deleting) {
        return live;
    }
    let failure = |id: &RuleId| {
        let grounds = Grounds::of(id, policies)?;
        let needs = grounds.needs(&change.action);
        let failed = |kind: &Kind| Some(SnapshotReason::Failed(*kind, fresh.failure(*kind)?.clone()));
        if let Some(failed) = needs.iter().find_map(failed) {
            return Some(failed);
        }
        (!needs.iter().all(|kind| is_read(*kind, &grounds, wanted))).then_some(SnapshotReason::NotRead)
    };
    let kept = snapshot
        .findings
        .into_iter()
        .filter_map(|finding| Some(unconfirmed(&failure(&finding.rule)?, finding, when_overloaded)));
    let read = live.findings.into_iter().filter(|finding| failure(&finding.rule).is_none());
    let mut findings: Vec<Finding> = kept.chain(read).collect();
    findings.sort_by_key(|finding| Reverse(finding.level));
    Verdict { findings }
}

/// Whether enough of a kind was wanted for a finding: the set that is scaled is not all sets.
fn is_read(kind: Kind, grounds: &Grounds<'_>, wanted: &LiveReadRequest) -> bool {
    wanted.kinds.contains(&kind) || (wanted.rests_on(kind) && !grounds.reads().contains(&kind))
}

/// Why the snapshot is all there is.
enum SnapshotReason {
    /// Not read, because nothing was refused for it.
    NotRead,
    /// Objects of this kind could not be read.
    Failed(Kind, LiveReadError),
}

fn unconfirmed(why: &SnapshotReason, mut finding: Finding, when_overloaded: WhenOverloaded) -> Finding {
    if let SnapshotReason::Failed(_, LiveReadError::Overloaded) = why
        && when_overloaded == WhenOverloaded::Deny
    {
        return finding;
    }
    if let (SnapshotReason::Failed(kind, failure), Level::Deny) = (why, finding.level) {
        finding.level = Level::Warn;
        let (kinds, message) = (kind.facts().plural, &finding.message);
        finding.message =
            format!("(not refused, because the live read of {kinds} failed: {failure}) {message}");
    }
    finding
}

/// The namespace that the change is about, and the StatefulSet it names without showing it.
fn subject(action: &Action) -> Option<(&str, Option<&str>)> {
    fn namespace<T: crate::model::Object>(edit: &crate::change::ObjectChange<T>) -> Option<&str> {
        Some(&*edit.after().or(edit.before())?.metadata().namespace)
    }
    match action {
        Action::StatefulSet(edit) => Some((namespace(edit)?, None)),
        Action::Scale { namespace, name, .. } => Some((namespace, Some(name))),
        Action::Service(edit) => Some((namespace(edit)?, None)),
        Action::DisruptionBudget(edit) => Some((namespace(edit)?, None)),
        Action::Autoscaler(edit) => Some((namespace(edit)?, edit.after().and_then(Autoscaler::scaled_set))),
        // These rules read only the object itself: there is nothing to read again.
        Action::ClaimDeletion(claim) => Some((&claim.metadata.namespace, None)),
        Action::PodDeletion(deletion) => Some((&deletion.pod.metadata.namespace, None)),
        Action::Eviction(eviction) => Some((&eviction.metadata.namespace, None)),
        Action::PodCreation(_)
        | Action::Manifest(_)
        | Action::Other
        // The objects that these rules rest on were read for this change.
        | Action::Workload(_)
        | Action::WorkloadScale(_) => None,
    }
}

/// The rule or the check that a finding comes from.
enum Grounds<'p> {
    Rule(&'static Rule),
    Check(&'p Check),
}

impl<'p> Grounds<'p> {
    fn of(id: &RuleId, policies: &'p Policies) -> Option<Self> {
        rules::find(id).map(Grounds::Rule).or_else(|| policies.check(id).map(Grounds::Check))
    }

    fn id(&self) -> RuleId {
        match self {
            Self::Rule(rule) => rule.id(),
            Self::Check(check) => check.id.clone(),
        }
    }

    fn reports_missing(&self) -> bool {
        matches!(self, Self::Rule(rule) if rule.reports_missing)
    }

    /// The kinds that it reads. Which sets form one group can depend on the Services that select their pods.
    fn reads(&self) -> BTreeSet<Kind> {
        match self {
            Self::Rule(rule) => {
                let services = rule.reads.contains(&Kind::StatefulSet).then_some(Kind::Service);
                rule.reads.iter().copied().chain(services).collect()
            }
            Self::Check(check) => check.kinds(),
        }
    }

    /// The kinds that the finding rests on: what is read, and the StatefulSet, unless the change itself shows it.
    fn needs(&self, action: &Action) -> BTreeSet<Kind> {
        let mut needs = self.reads();
        needs.extend((!shows_set(action)).then_some(Kind::StatefulSet));
        needs
    }
}

/// Whether what a rule finds that reads no other object rests on nothing but the change. How a pod is deleted does.
fn shows_set(action: &Action) -> bool {
    matches!(action, Action::StatefulSet(_) | Action::PodDeletion(_) | Action::Eviction(_))
}
