//! The StatefulSets that form one consensus group.

use super::table::IndexKey;
use super::view::{ClusterView, MOST_OF_A_GROUP};
use crate::model::{Kind, Owner, StatefulSet};

/// StatefulSets that form one consensus group, and what says so.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The judged set first, each with its replica count.
    pub sets: Vec<(&'a StatefulSet, i32)>,
    pub evidence: GroupEvidence<'a>,
    /// Whether sets may belong to it that are not known.
    pub may_grow: bool,
}

/// Why sets are one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupEvidence<'a> {
    /// The set is a group of its own.
    Alone,
    /// The annotation `stateward.dev/ensemble`.
    Ensemble(&'a str),
    /// One custom resource owns them, and they run the same software.
    Owner(&'a Owner),
    /// They name the same replica set, within one release.
    ReplicaSet(&'a str),
    /// The initial cluster of one lists the pods of all, and they are of one release or list each other.
    InitialCluster,
    /// They seem to be, which proves nothing: [`ClusterView::sets_naming`], [`ClusterView::sets_of_cluster`], [`ClusterView::sets_like`].
    Presumed,
}

type GroupSets<'a> = Vec<(&'a StatefulSet, i32)>;
/// The sets that some evidence names; `None` where they are too many for one group.
type Named<'a> = (GroupEvidence<'a>, Option<GroupSets<'a>>);

impl<'a> Group<'a> {
    /// A set by itself.
    pub fn alone(set: &'a StatefulSet, replicas: i32) -> Self {
        Self { sets: vec![(set, replicas)], evidence: GroupEvidence::Alone, may_grow: false }
    }

    /// How many members it has.
    pub fn members(&self) -> i32 {
        self.sets.iter().map(|(_, replicas)| *replicas).fold(0, i32::saturating_add)
    }

    /// The name of its first set by name, which tells it from other groups of the namespace; `None` for one set alone and for
    /// sets of which nothing says that they belong together.
    pub fn key(&self) -> Option<&'a str> {
        let declared = !matches!(self.evidence, GroupEvidence::Alone | GroupEvidence::Presumed);
        let names = self.sets.iter().map(|(set, _)| &*set.metadata.name);
        names.min().filter(|_| declared && self.sets.len() > 1)
    }
}

impl<'a> ClusterView<'a> {
    /// The group that `set` is in, as far as the sets say so. Of the sets that the evidence names, those are in it for which
    /// `joins` holds. `None` where that is not known: sets may be missing that name the same
    /// ensemble, or too many sets are named for one group.
    pub fn group_of(
        &self,
        set: &'a StatefulSet,
        replicas: i32,
        joins: impl Fn(&'a StatefulSet, GroupEvidence<'a>) -> bool,
    ) -> Option<Group<'a>> {
        let is_complete = self.knows_all(Kind::StatefulSet, &set.metadata.namespace);
        let found = [
            self.of_ensemble(set),
            self.of_owner(set),
            self.of_replica_set(set),
            self.of_initial_cluster(set),
        ];
        let mut group = Group::alone(set, replicas);
        for (evidence, others) in found.into_iter().flatten() {
            let is_ensemble = matches!(evidence, GroupEvidence::Ensemble(_));
            let others = others.filter(|_| is_complete || !is_ensemble)?;
            group.may_grow |= !is_complete;
            let is_other = |other: &StatefulSet| other.metadata.name != set.metadata.name;
            let others = others.into_iter().filter(|(other, _)| is_other(other) && joins(other, evidence));
            group.sets.extend(others);
            if is_ensemble || group.sets.len() > 1 {
                return Some(Group { evidence, ..group });
            }
        }
        Some(group)
    }

    fn of_ensemble(&self, set: &'a StatefulSet) -> Option<Named<'a>> {
        let ensemble = set.ensemble()?;
        let is_same = |other: &StatefulSet| other.ensemble() == Some(ensemble);
        let sets = self.sets_by_key(set, IndexKey::Ensemble(ensemble), is_same);
        Some((GroupEvidence::Ensemble(ensemble), sets))
    }

    fn of_owner(&self, set: &'a StatefulSet) -> Option<Named<'a>> {
        let owner = set.operator().filter(|_| set.ensemble().is_none())?;
        let key = IndexKey::Owner(&owner.kind, &owner.name);
        let is_same = |other: &StatefulSet| other.operator() == Some(owner) && other.ensemble().is_none();
        Some((GroupEvidence::Owner(owner), self.sets_by_key(set, key, is_same)))
    }

    fn of_replica_set(&self, set: &'a StatefulSet) -> Option<Named<'a>> {
        let (instance, name) = set.named_group().filter(|_| set.ensemble().is_none())?;
        let key = IndexKey::ReplicaSet(instance, name);
        let is_same =
            |other: &StatefulSet| other.named_group() == Some((instance, name)) && other.ensemble().is_none();
        Some((GroupEvidence::ReplicaSet(name), self.sets_by_key(set, key, is_same)))
    }

    fn of_initial_cluster(&self, set: &'a StatefulSet) -> Option<Named<'a>> {
        let listed = set.initial_members();
        let own_name = &*set.metadata.name;
        let is_listed = set.ensemble().is_none() && listed.contains(own_name) && listed.len() > 1;
        if !is_listed {
            return None;
        }
        let instance = set.instance();
        let lists_the_same = |other: &StatefulSet| {
            (instance.is_some() && other.instance() == instance) || other.initial_members().contains(own_name)
        };
        if listed.len() > MOST_OF_A_GROUP {
            return Some((GroupEvidence::InitialCluster, None));
        }
        let namespace = &*set.metadata.namespace;
        let known = listed.into_iter().filter_map(|name| self.set(namespace, name).present());
        let sets = known
            .filter(|other| other.ensemble().is_none() && lists_the_same(other))
            .map(|other| (other, self.replicas_of(other)))
            .collect();
        Some((GroupEvidence::InitialCluster, Some(sets)))
    }

    /// The sets that name the same replica set as `set` where none of them says which release it is of: names like `rs0` are
    /// everywhere.
    pub fn sets_naming(&self, set: &'a StatefulSet, replica_set: &str) -> GroupSets<'a> {
        let is_other = |other: &StatefulSet| {
            other.metadata.name != set.metadata.name
                && other.instance().is_none()
                && other.ensemble().is_none()
                && other.replica_set_name() == Some(replica_set)
                && !set.is_apart_from(other)
        };
        self.sets_by_key(set, IndexKey::ReplicaSet("", replica_set), is_other).unwrap_or_default()
    }

    /// The sets that name the same cluster as `set`, where neither lists its members: Elasticsearch has a default for the name.
    pub fn sets_of_cluster(&self, set: &'a StatefulSet, cluster: &str) -> GroupSets<'a> {
        let lists = |set: &StatefulSet| !set.initial_members().is_empty();
        let is_other = |other: &StatefulSet| {
            other.metadata.name != set.metadata.name
                && other.ensemble().is_none()
                && other.cluster_name() == Some(cluster)
                && !lists(other)
        };
        if lists(set) {
            return Vec::new();
        }
        self.sets_by_key(set, IndexKey::Cluster(cluster), is_other).unwrap_or_default()
    }

    /// The sets that seem to be of one group with `set` although nothing says so: they run the same image, and a Service selects
    /// the pods of both. Published ensembles are split like this, to give some members other storage.
    pub fn sets_like(&self, set: &'a StatefulSet) -> GroupSets<'a> {
        let mut alike: GroupSets<'a> = Vec::new();
        let services = self.services_selecting(&set.metadata.namespace, set.spec.template.labels());
        if services.len() > MOST_OF_A_GROUP {
            return alike;
        }
        for service in services {
            for (other, replicas) in self.group_behind(service) {
                let is_new = other.metadata.name != set.metadata.name
                    && alike.iter().all(|(known, _)| known.metadata.name != other.metadata.name);
                if is_new && set.resembles(other) && !set.is_apart_from(other) {
                    alike.push((other, replicas));
                }
            }
            if alike.len() > MOST_OF_A_GROUP {
                return Vec::new();
            }
        }
        alike
    }
}
