//! The removal of a pod: of itself, and what it does to its set.

use super::Evaluator;
use super::judge::RequestedChange;
use crate::change::PodRemoval;
use crate::cluster::{ClusterView, PendingChange};
use crate::model::{Eviction, Metadata, Object, Owner, StatefulSet};
use crate::rules::{Changed, Rule, RuleCheck, Trigger, Violations};
use crate::verdict::Finding;

impl<'a> Evaluator<'a> {
    /// Judges the eviction of a pod that is known.
    pub(super) fn eviction(&self, eviction: &'a Eviction) -> Vec<Finding> {
        let (Metadata { namespace, name, .. }, options) = (&eviction.metadata, &eviction.delete_options);
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let Some(pod) = view.pod(namespace, name).present() else { return Vec::new() };
        self.pod(PodRemoval { pod, grace_period: options.grace_period_seconds, is_eviction: true })
    }

    /// Judges the removal of a pod, by the policies for the set that has made it.
    pub(super) fn pod(&self, removal: PodRemoval<'a>) -> Vec<Finding> {
        let metadata = &removal.pod.metadata;
        if self.cluster.namespace(&metadata.namespace).is_some_and(|ns| ns.metadata.deleting) {
            return Vec::new();
        }
        let view = ClusterView::new(self.cluster, PendingChange::Nothing);
        let owner = removal.pod.stateful_set();
        let set = owner.and_then(|owner| view.set(&metadata.namespace, &owner.name).present());
        let about = set.map_or(metadata, |set| &set.metadata);
        let applicable = self.policies.applicable(self.subject(about)).asked_by(self.requester, false);
        let class = set.map(|set| self.policies.classify(set, &applicable));
        let found = |rule: &Rule, violations: &mut Violations| {
            if let RuleCheck::PodRemoval(check) = rule.check {
                check(&removal, self.requester, violations);
            }
        };
        let subject = set.map_or_else(|| removal.pod.reference(), Object::reference);
        let mut findings = self.simple(&applicable, class.as_ref(), about, &subject, found);
        let operator = set
            .and_then(|set| self.operator_removing(removal, set))
            .filter(|_| !applicable.enforces_on_operators());
        for finding in &mut findings {
            finding.class.clone_from(&class);
            if let Some(owner) = operator {
                finding.spare_operator_of(owner);
            }
        }
        findings.extend(set.map_or_else(Vec::new, |set| self.member_loss(removal, set)));
        findings
    }

    /// Judges what the removal of a pod does to its set. Kubelets and the system's own controllers have no choice.
    fn member_loss(&self, removal: PodRemoval<'a>, set: &'a StatefulSet) -> Vec<Finding> {
        if set.metadata.deleting || self.requester.is_system() || self.requester.kubelet_of().is_some() {
            return Vec::new();
        }
        let state = (set, set.replicas(), PendingChange::Nothing);
        let trigger = if removal.is_eviction { Trigger::Eviction } else { Trigger::PodDeletion };
        let changed = Changed::Pod(removal);
        let operator = self.operator_removing(removal, set);
        let asked = RequestedChange { changed, was: changed, operator, is_tightening: false };
        self.judge(None, state, trigger, asked)
    }

    /// The custom resource whose operator may be removing a pod of the set. Who evicts drains a node, and tries again.
    fn operator_removing(&self, removal: PodRemoval<'_>, set: &'a StatefulSet) -> Option<&'a Owner> {
        if removal.is_eviction { None } else { self.operator_asking(&set.metadata) }
    }
}
