//! `pdb-in-use`

use super::budgets::{Exposure, advised_limit, spec_for_group};
use super::{FieldPlace, Params, SetContext, Transition, Violations};
use crate::model::quorum::majority;
use crate::model::{DisruptionBudget, Kind, Object};
use crate::verdict::Level;

rule! {
    /// ## What it checks
    ///
    /// A budget is deleted, or changed so that it no longer selects the pods of a consensus group with running members, which is
    /// left without a budget, or with one that lets so many members be evicted that fewer than a majority stay. Where it was so
    /// before, the change is not to blame. A change of what the budget allows is `pdb-below-quorum`. A deletion is a warning in
    /// every profile, because the set may be deleted next, as `kubectl delete -f` and `helm uninstall` do; a policy with
    /// `onMissingCompanion: deny` refuses it, and so does `stateward.dev/protected: "true"` on the set.
    ///
    /// ## Why
    ///
    /// Nothing happens when the budget goes. The next node upgrade then evicts as many members as it meets, and the group loses
    /// its majority.
    ///
    /// ## How to fix
    ///
    /// Where the set is to stay, create a budget for it again. To rename a budget, change nothing else: while two select the same
    /// pods, no eviction succeeds.
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
    peers_in_group: true,
    triggers: [BudgetGone],
    reads: [StatefulSet, DisruptionBudget],
    check: Step(check),
}

fn check(step: &Transition<'_, '_>, _: &Params, out: &mut Violations) {
    let (Some(before), after) = (step.before, step.after) else { return };
    let Some(changed) = after.changed_budget() else { return };
    if still_protects_others(after, changed) {
        return;
    }
    let (Some(was), Some(is)) = (Protection::of(before), Protection::of(after)) else { return };
    if was.missing || is.lacking <= was.lacking.max(0) {
        return;
    }
    let (group, members, needed) = (after.group_name(), is.members, majority(is.members));
    let message = if is.missing {
        format!(
            "it is the only budget of {group}: all of its {members} members may then be evicted, and {needed} must stay"
        )
    } else {
        format!(
            "without it {} of the {members} members of {group} may be evicted, and {needed} must stay",
            is.evictable
        )
    };
    let is_deletion = after.view.is_deletion();
    let (how, keep) = if is_deletion { ("as well", "create") } else { ("first", "keep") };
    let budget = if after.sets_with_members().is_empty() {
        let (field, value) = advised_limit(after);
        format!("a budget with a selector for {} and {field}: {value}", after.set.selecting())
    } else {
        format!("one budget for all of them with {}", spec_for_group(after))
    };
    let remedy = format!("delete {group} {how}, or {keep} {budget}");
    let violation = out.add(FieldPlace::of(changed.reference(), changed.limit_path()), message, remedy);
    violation.weighing(is.lacking).of_group().related_to(FieldPlace::in_set("/spec/replicas"));
    if is_deletion {
        violation.lost_companion();
    }
    if !after.view.knows_all(Kind::StatefulSet, after.namespace()) {
        violation
            .message
            .push_str(" (not so if it counts pods of sets that are not known, and spared none of these)");
        violation.at_most(Level::Warn);
    }
}

/// Whether the changed budget goes on selecting another set of the group: then `pdb-below-quorum` judges it there.
fn still_protects_others(after: &SetContext<'_>, changed: &DisruptionBudget) -> bool {
    let sets = after.group_sets().unwrap_or_default();
    let is_it = |budget: &&DisruptionBudget| budget.metadata.name == changed.metadata.name;
    sets.iter().any(|(set, replicas)| *replicas > 0 && after.known_budgets_of(set).iter().any(is_it))
}

/// The effect of budgets on a consensus group.
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
