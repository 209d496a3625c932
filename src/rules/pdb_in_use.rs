//! `pdb-in-use`

use super::budgets::Exposure;
use super::{Params, Place, SetContext, Transition, Violations};
use crate::model::Object;
use crate::model::quorum::majority;

rule! {
    /// ## What it checks
    ///
    /// A budget is deleted or changed so that a consensus group with running members is left without a budget, or with one that
    /// lets so many members be evicted that fewer than a majority stay. Where it was so before, the change is not to blame.
    ///
    /// ## Why
    ///
    /// Nothing happens when the budget goes. The next node upgrade then evicts as many members as it meets, and the group loses
    /// its majority.
    ///
    /// ## How to fix
    ///
    /// Delete the StatefulSet before its budget, and to rename a budget, change nothing else: while two select the same pods,
    /// no eviction succeeds.
    ///
    /// ## Fails
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: PodDisruptionBudget, name: zk}
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: zk}
    /// spec: {maxUnavailable: 1, selector: {matchLabels: {app: zk}}}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    /// ```
    ///
    /// ## Passes
    ///
    /// ```yaml
    /// case:
    ///   delete: {kind: PodDisruptionBudget, name: kafka}
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: kafka}
    /// spec: {maxUnavailable: 1, selector: {matchLabels: {app: kafka}}}
    /// ---
    /// apiVersion: apps/v1
    /// kind: StatefulSet
    /// metadata: {name: zk}
    /// spec:
    ///   replicas: 3
    ///   serviceName: zk
    ///   selector: {matchLabels: {app: zk}}
    ///   template:
    ///     metadata: {labels: {app: zk}}
    ///     spec: {containers: [{name: zk, image: "zookeeper:3.9"}]}
    /// ```
    "pdb-in-use": "a consensus group loses its disruption budget",
    classes: [Quorum],
    needs_peers: true,
    triggers: [Budget, BudgetGone],
    reads: [StatefulSet, DisruptionBudget],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let (Some(before), after) = (step.before, step.after) else { return };
    let Some(changed) = after.changed_budget() else { return };
    let (Some(was), Some(is)) = (Protection::of(before), Protection::of(after)) else { return };
    if was.missing || is.lacking <= was.lacking.max(0) {
        return;
    }
    let (set, members, needed) = (after.name(), is.members, majority(is.members));
    let message = if is.missing {
        format!(
            "it is the only budget of StatefulSet {set}: all of its {members} members may then be evicted, and {needed} must stay"
        )
    } else {
        format!(
            "with it {} of the {members} members of StatefulSet {set} may be evicted, and {needed} must stay",
            is.evictable
        )
    };
    let remedy = if is.missing {
        format!(
            "delete StatefulSet {set} first, or keep a budget with maxUnavailable: 1 for {}",
            after.set.selecting()
        )
    } else {
        format!("leave it at maxUnavailable: {}", (members - needed).max(1))
    };
    out.add(Place::of(changed.reference(), changed.limit_path()), message, remedy)
        .weighing(is.lacking)
        .related_to(Place::in_set("/spec/replicas"));
}

/// What budgets do for a consensus group.
struct Protection {
    members: i32,
    evictable: i32,
    /// How many members fewer than a majority may be left.
    lacking: i32,
    /// Whether no budget is about it.
    missing: bool,
}

impl Protection {
    fn of(at: &SetContext<'_>) -> Option<Self> {
        let missing = at.budgets().present()?.is_empty();
        let exposure = Exposure::of(at)?;
        let (members, evictable) = (exposure.members, exposure.evictable);
        Some(Self { members, evictable, lacking: exposure.lacking(), missing })
    }
}
