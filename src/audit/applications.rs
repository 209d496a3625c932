//! The facts that a picture of an application shows.

use std::sync::Arc;

use crate::cluster::{Cluster, ClusterView, Group, PendingChange};
use crate::model::{Class, Classified, Object, StatefulSet, WhenUnsatisfiable};
use crate::policy::{Policies, Subject};
use crate::report::{Application, Budget, Spread};

pub(super) fn application(
    set: &StatefulSet,
    cluster: &Cluster,
    policies: &Policies,
    context: Option<Arc<str>>,
) -> Application {
    let view = ClusterView::new(cluster, PendingChange::Set(set, set.replicas()));
    let namespace = &set.metadata.namespace;
    let class = classify(set, &view, policies);
    let group = view.group_of(set, set.replicas(), |_, _| true).filter(|_| class.class == Class::Quorum);
    let budgets = view.known_budgets_selecting(namespace, set.spec.template.labels());
    let budgets = budgets.into_iter().map(|budget| Budget {
        name: budget.metadata.name.clone(),
        limit: budget.limit(),
        allows: budget.allowed_disruptions(view.expected_pods(budget)),
    });
    let rollout = set.rolling_update().map(|rolling| {
        let limit = rolling.max_unavailable.map_or(1, |limit| limit.of_rounded_down(set.replicas()));
        limit.clamp(1, set.replicas().max(1))
    });
    Application {
        object: set.reference(),
        context,
        class,
        replicas: set.replicas(),
        members: group.as_ref().map(Group::members),
        budgets: budgets.collect(),
        rollout,
        spread: spread(set),
    }
}

fn classify(set: &StatefulSet, view: &ClusterView<'_>, policies: &Policies) -> Classified {
    let namespace_labels = view.namespace_labels(&set.metadata.namespace);
    policies.classify(set, &policies.applicable(Subject { metadata: &set.metadata, namespace_labels }))
}

fn spread(set: &StatefulSet) -> Spread {
    let spec = &set.spec.template.spec;
    let labels = set.spec.template.labels();
    let anti = &spec.affinity.pod_anti_affinity;
    let mut spread = Spread::default();
    let selects =
        |selector: &Option<crate::model::LabelSelector>| selector.as_ref().is_some_and(|s| s.matches(labels));
    for term in anti.required.iter().filter(|term| selects(&term.label_selector)) {
        spread.required.push(term.topology_key.clone());
    }
    for term in anti.preferred.iter().map(|term| &term.pod_affinity_term) {
        if selects(&term.label_selector) {
            spread.preferred.push(term.topology_key.clone());
        }
    }
    for constraint in spec.topology_spread_constraints.iter().filter(|c| selects(&c.label_selector)) {
        let hard = constraint.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule;
        let keys = if hard { &mut spread.required } else { &mut spread.preferred };
        keys.push(constraint.topology_key.clone());
    }
    spread
}
