//! Which sets are judged as one consensus group, and by which class a change is judged.

use super::Evaluator;
use crate::cluster::{ClusterView, Group, GroupEvidence};
use crate::model::{Because, Class, Classified, StatefulSet};

/// The more demanding of two classifications: a change is judged by what the set was as well as by what it will be.
pub(super) fn stronger<'c>(one: &'c Classified, other: &'c Classified) -> &'c Classified {
    let strength = |class: &Classified| (class.class != Class::Replicated, !class.is_only_likely());
    if strength(other) > strength(one) { other } else { one }
}

impl<'a> Evaluator<'a> {
    /// The consensus group of a set, as far as sets say so; `None` where it is unknown. Only a quorum is spread over several sets.
    pub(super) fn group(
        &self,
        view: &ClusterView<'a>,
        (set, replicas): (&'a StatefulSet, i32),
        class: &Classified,
    ) -> Option<Group<'a>> {
        if class.class != Class::Quorum {
            return Some(Group::alone(set, replicas));
        }
        view.group_of(set, class.voters_among(replicas), |other, evidence| match evidence {
            GroupEvidence::Owner(_) => self.runs_the_same(set, class, other),
            _ => self.may_vote(other),
        })
    }

    /// The group that a set forms with sets that look like it, where sets say nothing of a group and there are any.
    pub(super) fn presumed_group(
        &self,
        view: &ClusterView<'a>,
        (set, replicas): (&'a StatefulSet, i32),
        class: &Classified,
    ) -> Option<Group<'a>> {
        if class.class != Class::Quorum || set.ensemble().is_some() || class.each_set_is_a_group() {
            return None;
        }
        let replicas = class.voters_among(replicas);
        let with = |others: Vec<(&'a StatefulSet, i32)>, votes: &dyn Fn(&'a StatefulSet) -> bool| {
            let others = others.into_iter().filter(|(other, _)| votes(other));
            let sets: Vec<_> = std::iter::once((set, replicas)).chain(others).collect();
            (sets.len() > 1).then_some(Group { sets, evidence: GroupEvidence::Presumed, may_grow: false })
        };
        let may_vote = |other| self.may_vote(other);
        let may_be_master = |other: &'a StatefulSet| self.may_vote(other) || other.is_master_eligible();
        let named = set.replica_set_name().filter(|_| set.instance().is_none());
        // Elasticsearch is known as likely only.
        let cluster = || class.is_only_likely().then(|| set.cluster_name()).flatten();
        let of_name = named.and_then(|name| with(view.sets_naming(set, name), &may_vote));
        let of_cluster = || with(view.sets_of_cluster(set, cluster()?), &may_be_master);
        of_name.or_else(of_cluster).or_else(|| with(view.sets_like(set), &may_vote))
    }

    /// Whether a set of the same owner is of the same group. An operator may keep several groups of one software, which then name
    /// them (MongoDB's shards and configuration servers), or never has two sets in one.
    fn runs_the_same(&self, set: &StatefulSet, class: &Classified, other: &'a StatefulSet) -> bool {
        let theirs = self.classify(other);
        let same_software = match (&class.software, &theirs.software) {
            (Some(mine), Some(theirs)) => mine.name == theirs.name,
            _ => set.resembles(other),
        };
        let same_name = match (set.replica_set_name(), other.replica_set_name()) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => true,
        };
        let may_be_several = !class.each_set_is_a_group() && !theirs.each_set_is_a_group();
        theirs.class == Class::Quorum && may_be_several && same_software && same_name
    }

    /// Whether a set may have a vote: observers run the same image behind the same Service and are known to be something else.
    fn may_vote(&self, set: &'a StatefulSet) -> bool {
        let Classified { class, because, .. } = self.classify(set);
        class == Class::Quorum || matches!(because, Because::Default | Because::Undecided { .. })
    }

    pub(super) fn classify(&self, set: &'a StatefulSet) -> Classified {
        let applicable = self.policies.applicable(self.subject(&set.metadata));
        self.policies.classify(set, &applicable)
    }
}
