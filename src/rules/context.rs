//! The input of a rule.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::budgets::enumerate;
use super::spread::{self, SpreadTerm};
use crate::change::PodRemoval;
use crate::cluster::{ClusterView, Group, GroupEvidence, Lookup};
use crate::model::{
    AbsentVoters, Autoscaler, Claim, Classified, DisruptionBudget, Kind, Metadata, Service, StatefulSet,
    Workload,
};

/// The kinds of change that a rule can look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A StatefulSet is created or edited, or found in a manifest.
    Set,
    /// A StatefulSet is deleted.
    SetDeletion,
    /// A claim that one of its claim templates made is deleted.
    ClaimDeletion,
    /// Its replica count is changed through the `scale` subresource.
    Scale,
    /// A PodDisruptionBudget that selects its pods, or did, changes.
    Budget,
    /// A PodDisruptionBudget that selected its pods does so no longer, or is gone.
    BudgetGone,
    /// Its governing Service changes.
    Service,
    /// A HorizontalPodAutoscaler that scales it changes.
    Autoscaler,
    /// A Deployment or a ReplicaSet is created or edited, or found in a manifest.
    Workload,
    /// The replica count of one is changed through the `scale` subresource.
    WorkloadScale,
    /// A Pod is deleted.
    PodDeletion,
    /// A Pod is evicted.
    Eviction,
    /// A manifest is read from a file.
    Manifest,
}

/// One StatefulSet at one moment, with all that is known around it.
#[derive(Clone, Debug)]
pub struct SetContext<'a> {
    /// The set. On a scale request its own count is the old one; read [`Self::replicas`].
    pub set: &'a StatefulSet,
    /// The replica count at this moment.
    pub replicas: i32,
    pub class: Classified,
    /// Everything else at this moment.
    pub view: ClusterView<'a>,
    /// The changed object, where that is not the set itself.
    pub changed: Changed<'a>,
    /// Whether nothing of this will persist: then what comes with the set cannot be seen yet.
    pub dry_run: bool,
    /// The consensus group that the set is in; `None` where that is unknown.
    pub group: Option<Group<'a>>,
    /// Whether the change sets exempting annotations that count.
    pub honours_annotations: bool,
    /// The checks of policies that these annotations name; there may be others that do not exist.
    pub exempted_checks: Vec<&'a str>,
    /// Exempting annotations that are set with the change and do not count.
    pub refused_exemption: Option<RefusedExemption<'a>>,
    /// Lookups that other rules have made.
    pub remembered: Remembered<'a>,
}

/// Exempting annotations that the requesting user may not set, by a policy.
#[derive(Clone, Copy, Debug)]
pub struct RefusedExemption<'a> {
    pub user: &'a str,
    pub policy: &'a str,
}

/// Lookups of several rules about one set, each made when the first rule needs it.
#[derive(Clone, Debug, Default)]
pub struct Remembered<'a> {
    budgets: OnceCell<Vec<&'a DisruptionBudget>>,
    spread: OnceCell<Option<Vec<SpreadTerm<'a>>>>,
    absent_voters: OnceCell<Option<AbsentVoters>>,
}

/// One Deployment, or one ReplicaSet that no Deployment has made, at one moment.
#[derive(Clone, Debug)]
pub struct WorkloadContext<'a> {
    /// On a scale request its own count is the old one; read [`Self::replicas`].
    pub workload: &'a Workload,
    /// The replica count at this moment.
    pub replicas: i32,
    pub class: Classified,
    pub view: ClusterView<'a>,
}

impl<'a> WorkloadContext<'a> {
    /// The claim of this name in its namespace, where it is known.
    pub fn claim(&self, name: &str) -> Option<&'a Claim> {
        self.view.claim(&self.workload.metadata.namespace, name)
    }

    /// The known autoscalers that scale it.
    pub fn autoscalers(&self) -> Vec<&'a Autoscaler> {
        let Metadata { namespace, name, .. } = &self.workload.metadata;
        self.view.autoscalers_of(namespace, self.workload.kind, name)
    }

    /// The name in messages: `Deployment web`.
    pub fn called(&self) -> String {
        format!("{} {}", self.workload.kind.name(), self.workload.metadata.name)
    }
}

/// The object that changes.
#[derive(Clone, Copy, Debug)]
pub enum Changed<'a> {
    /// The set itself.
    Set,
    /// The set is deleted, and its pods and claims stay.
    SetAlone,
    /// A budget, as it will be; as it was where it goes.
    Budget(&'a DisruptionBudget),
    /// A Service, as it will be; as it was where it goes.
    Service(&'a Service),
    /// An autoscaler, as it will be.
    Autoscaler(&'a Autoscaler),
    /// A claim that is deleted, and the ordinal of the pod that it belongs to.
    Claim(&'a Claim, i64),
    /// A pod of the set that is to go.
    Pod(PodRemoval<'a>),
}

/// A StatefulSet before and after a change; either may be missing.
#[derive(Clone, Copy, Debug)]
pub struct Transition<'s, 'a> {
    /// The present state; `None` when the set is created.
    pub before: Option<&'s SetContext<'a>>,
    /// The new state.
    pub after: &'s SetContext<'a>,
    /// Where a set starts from no replicas: what earlier pods left.
    pub left: Left,
}

/// Pods and claims that remain of a set that was scaled to 0, or deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Pods that run on without a set, and which this one adopts.
    pub pods: i32,
    /// How many of these it keeps: the controller deletes those that have other ordinals.
    pub kept: i32,
    /// The first ordinal of these pods.
    pub first: i64,
    /// How many members, from the first on, have a claim.
    pub claims: i32,
}

/// The members of a consensus group before and after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberCounts {
    pub before: i32,
    pub after: i32,
    /// The evidence for the count before.
    pub evidence: CountEvidence,
}

/// The evidence for the former number of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountEvidence {
    /// The replica count.
    Replicas,
    /// The pods that remain of a set that was scaled to 0 or deleted.
    Pods,
    /// The claims that remain of a set that was scaled to 0 or deleted. Members that were removed before have left theirs too.
    Claims,
}

impl Transition<'_, '_> {
    /// The members of the consensus group before and after, where the set's replica count changes and they are known, or other sets
    /// of the group go with the same step. The other sets are those that form the group afterwards: to say that they do is not to
    /// grow. What was scaled to 0 has as many as are left.
    pub fn members(&self) -> Option<MemberCounts> {
        let replicas = self.before.map(|before| before.replicas);
        let after = self.after.replicas;
        let members = self.after.members()?;
        let voters = |replicas: i32| self.after.class.voters_among(replicas);
        if replicas == Some(after) {
            let before = self.others_before().saturating_add(voters(after));
            let evidence = CountEvidence::Replicas;
            return (before > members).then_some(MemberCounts { before, after: members, evidence });
        }
        let pods = self.before.and_then(|before| before.set.observed()).map_or(0, |(pods, _)| pods);
        let (before, evidence) = match replicas {
            Some(replicas) if replicas != 0 => (replicas, CountEvidence::Replicas),
            Some(_) if pods > 0 => (pods, CountEvidence::Pods),
            _ if self.left.pods > 0 => (self.left.pods, CountEvidence::Pods),
            _ if self.left.claims > 0 => (self.left.claims, CountEvidence::Claims),
            Some(_) => (0, CountEvidence::Replicas),
            None => return None,
        };
        Some(MemberCounts {
            before: self.others_before().saturating_add(voters(before)),
            after: members,
            evidence,
        })
    }

    /// The members in the other sets of the group before. They change too where a step is between two states of manifests.
    fn others_before(&self) -> i32 {
        let (sets, namespace) = (self.after.group_sets().unwrap_or_default(), self.after.namespace());
        let was = |name: &str| self.before.map_or(Lookup::Unknown, |before| before.view.set(namespace, name));
        let staying = sets.iter().skip(1).map(|(set, replicas)| match was(&set.metadata.name) {
            Lookup::Present(was) => was.replicas(),
            Lookup::Absent => 0,
            Lookup::Unknown => *replicas,
        });
        let sets_before = self.before.and_then(SetContext::group_sets).unwrap_or_default().iter().skip(1);
        let is_gone =
            |set: &StatefulSet| matches!(self.after.view.set(namespace, &set.metadata.name), Lookup::Absent);
        let gone = sets_before.filter(|(set, _)| is_gone(set)).map(|(_, replicas)| *replicas);
        staying.chain(gone).fold(0, i32::saturating_add)
    }
}

impl<'a> SetContext<'a> {
    /// The set's namespace.
    pub fn namespace(&self) -> &'a str {
        &self.set.metadata.namespace
    }

    /// The budget that changes, where that is what happens.
    pub fn changed_budget(&self) -> Option<&'a DisruptionBudget> {
        match self.changed {
            Changed::Budget(budget) => Some(budget),
            _ => None,
        }
    }

    /// The set's name.
    pub fn name(&self) -> &'a str {
        &self.set.metadata.name
    }

    /// What new objects are named after that belong to the set: not what the API server has added to `generateName`, because the
    /// set has another name when its creation is tried again.
    pub fn lasting_name(&self) -> &'a str {
        match self.set.metadata.generate_name.trim_end_matches(['-', '.']) {
            "" => self.name(),
            prefix => prefix,
        }
    }

    /// How many members the consensus group has, over all the sets that form it; `None` where that is unknown.
    pub fn members(&self) -> Option<i32> {
        self.group.as_ref().map(Group::members)
    }

    /// The voters that a list in the set names beside its pods, where no other set is in its group.
    pub(super) fn absent_voters(&self) -> Option<&AbsentVoters> {
        let is_alone = self.group_sets().is_some_and(|sets| sets.len() == 1);
        let absent = || self.set.absent_voters(self.replicas).filter(|_| is_alone && self.replicas > 0);
        self.remembered.absent_voters.get_or_init(absent).as_ref()
    }

    /// Whether the group keeps no data. Arbiters keep none, but vote for members that do.
    pub(super) fn keeps_no_data(&self) -> bool {
        let software = self.class.software.as_ref();
        software.is_some_and(|software| software.keeps_no_data) && !self.set.is_arbiter()
    }

    /// How many members the group has, with those that are listed and do not run.
    pub(super) fn voters(&self) -> Option<i32> {
        self.absent_voters().map_or_else(|| self.members(), |absent| Some(absent.voters))
    }

    /// The sets that form one consensus group with this one, itself first, each with its replica count; `None` where that is
    /// unknown.
    pub fn group_sets(&self) -> Option<&[(&'a StatefulSet, i32)]> {
        self.group.as_ref().map(|group| &*group.sets)
    }

    /// The sets of the group that have members, where there is more than one set; else none.
    pub fn sets_with_members(&self) -> Vec<&'a StatefulSet> {
        let sets: Vec<_> = self
            .group_sets()
            .unwrap_or_default()
            .iter()
            .filter(|(_, replicas)| *replicas > 0)
            .map(|(set, _)| *set)
            .collect();
        if sets.len() > 1 { sets } else { Vec::new() }
    }

    /// Whether the group is of several sets of one member each: one set a member.
    pub fn has_one_set_a_member(&self) -> bool {
        self.sets_with_members().len() > 1
            && self.group_sets().is_some_and(|sets| sets.iter().all(|(_, replicas)| *replicas <= 1))
    }

    /// Whether other sets have members of the group, and this one too. What is only presumed to be a group does not count.
    pub fn has_peers_in_group(&self) -> bool {
        let declared = self.group.as_ref().is_some_and(|group| group.key().is_some());
        declared && self.replicas > 0 && self.members().is_some_and(|members| members > self.replicas)
    }

    /// The name of the group in messages: `StatefulSet zk`, `ensemble zk`, `StatefulSets zk-a and zk-b`.
    pub fn group_name(&self) -> String {
        match self.group.as_ref().map(|group| group.evidence) {
            Some(GroupEvidence::Ensemble(name)) => format!("ensemble {name}"),
            Some(evidence) if evidence != GroupEvidence::Alone => {
                let mut names: Vec<_> = self.group_sets().unwrap_or_default().iter().collect();
                names.sort_by(|(one, _), (other, _)| one.metadata.name.cmp(&other.metadata.name));
                format!(
                    "StatefulSets {}",
                    enumerate(names.iter().map(|(set, _)| set.metadata.name.to_string()))
                )
            }
            _ => format!("StatefulSet {}", self.name()),
        }
    }

    /// The budgets about the set's pods; unknown where some may be missing.
    pub fn budgets(&self) -> Lookup<&[&'a DisruptionBudget]> {
        if self.view.knows_budgets_selecting(self.namespace(), self.set.spec.template.labels()) {
            Lookup::Present(self.known_budgets())
        } else {
            Lookup::Unknown
        }
    }

    /// The budgets that are known to be about the set's pods, by name. Half the rules ask; they are looked up once.
    pub fn known_budgets(&self) -> &[&'a DisruptionBudget] {
        let labels = self.set.spec.template.labels();
        self.remembered.budgets.get_or_init(|| self.view.known_budgets_selecting(self.namespace(), labels))
    }

    /// The known autoscalers that scale the set.
    pub fn autoscalers(&self) -> Vec<&'a Autoscaler> {
        self.view.autoscalers_of(self.namespace(), Kind::StatefulSet, self.name())
    }

    /// The autoscaler whose minimum the replica count is, where that is more than the set itself says.
    pub fn raised_by(&self) -> Option<&'a Autoscaler> {
        let is_raised = self.replicas > self.set.replicas().max(0);
        let mut scalers = if is_raised { self.autoscalers() } else { Vec::new() }.into_iter();
        // A ScaledObject comes after the HorizontalPodAutoscaler that KEDA makes of it.
        scalers.rfind(|scaler| scaler.min_replicas() == self.replicas)
    }

    /// Every term and constraint that is to keep the pods apart; `None` where there are too many to look at.
    pub(super) fn spread_terms(&self) -> Option<&[SpreadTerm<'a>]> {
        self.remembered.spread.get_or_init(|| spread::terms(self)).as_deref()
    }

    /// The count for this set or another of its group.
    pub fn known_budgets_of(&self, set: &StatefulSet) -> Cow<'_, [&'a DisruptionBudget]> {
        if std::ptr::eq(self.set, set) {
            return Cow::Borrowed(self.known_budgets());
        }
        Cow::Owned(self.view.known_budgets_selecting(self.namespace(), set.spec.template.labels()))
    }
}
