//! In which order several nodes can go.

use std::collections::BTreeMap;

use super::drain::{DrainOutcome, DrainStep, NodeDrain};

/// Nodes that go together, and what they take of each group and each budget.
#[derive(Default)]
struct Wave<'a> {
    nodes: Vec<&'a NodeDrain>,
    /// Whether it has to wait until all pods are ready.
    is_later: bool,
}

/// Puts each node into the first wave in which it takes no majority and no budget holds it up; the others wait until all pods are
/// ready again. Nodes that cost nothing go first. The second list has those that cannot go at all.
pub(super) fn order(nodes: &[NodeDrain]) -> (Vec<DrainStep>, Vec<String>) {
    let mut queue: Vec<&NodeDrain> = nodes.iter().collect();
    queue.sort_by_key(|node| node.outcome());
    let mut waves: Vec<Wave<'_>> = Vec::new();
    let mut refused = Vec::new();
    for node in queue {
        if let Some(wave) = waves.iter_mut().find(|wave| wave.admits(node)) {
            wave.nodes.push(node);
            continue;
        }
        let mut wave = Wave { nodes: Vec::new(), is_later: !waves.is_empty() };
        // A node that must not go now may go once all are ready.
        wave.is_later |= node.outcome() > DrainOutcome::Slow;
        wave.nodes.push(node);
        if wave.keeps_majorities() && wave.moves() {
            waves.push(wave);
        } else {
            refused.push(node.name.clone());
        }
    }
    let step = |wave: Wave<'_>| DrainStep {
        nodes: wave.nodes.iter().map(|node| node.name.clone()).collect(),
        once_all_ready: wave.is_later,
    };
    (waves.into_iter().map(step).collect(), refused)
}

impl<'a> Wave<'a> {
    /// Whether this node can go with the others, none of which a budget holds up.
    fn admits(&self, node: &'a NodeDrain) -> bool {
        let nodes = self.nodes.iter().copied().chain([node]).collect();
        let with = Self { nodes, is_later: self.is_later };
        with.keeps_majorities() && with.flows()
    }

    /// Whether every group keeps its majority.
    fn keeps_majorities(&self) -> bool {
        let mut taken: BTreeMap<&str, i32> = BTreeMap::new();
        self.nodes.iter().flat_map(|node| &node.groups).all(|group| {
            let (Some(needed), Some(ready)) = (group.needed.filter(|_| group.members > 1), group.ready)
            else {
                return true;
            };
            let (up, more) =
                if self.is_later { (group.members, group.taken_when_healthy) } else { (ready, group.taken) };
            let taken = taken.entry(&group.name).or_default();
            *taken = taken.saturating_add(more);
            more == 0 || up.saturating_sub(*taken) >= needed
        })
    }

    /// Whether no budget holds any of them up.
    fn flows(&self) -> bool {
        self.budgets().values().all(|(pods, allowed)| allowed.is_none_or(|allowed| allowed >= *pods))
    }

    /// Whether each budget lets at least one pod go at a time.
    fn moves(&self) -> bool {
        self.budgets().values().all(|(_, allowed)| allowed.is_none_or(|allowed| allowed > 0))
    }

    /// For each budget the pods on the nodes, and how many of them may go at a time.
    fn budgets(&self) -> BTreeMap<&str, (i32, Option<i32>)> {
        let mut budgets: BTreeMap<&str, (i32, Option<i32>)> = BTreeMap::new();
        for budget in self.nodes.iter().flat_map(|node| &node.budgets) {
            let allowed = if self.is_later { budget.allowed_when_healthy } else { budget.allowed };
            let (pods, _) = budgets.entry(&budget.name).or_insert((0, allowed));
            *pods = pods.saturating_add(budget.pods);
        }
        budgets
    }
}

#[cfg(test)]
mod tests {
    use super::super::drain::{BudgetOnNode, GroupOnNode};
    use super::*;

    /// A node with so many of the three ready members of a group.
    fn node(name: &str, here: i32, budget: Option<(i32, i32)>) -> NodeDrain {
        node_of(name, here, 3, budget)
    }

    fn node_of(name: &str, here: i32, ready: i32, budget: Option<(i32, i32)>) -> NodeDrain {
        let pods = (0..here).map(|number| format!("zk-{name}-{number}")).collect();
        let taken = budget.map_or(here, |(allowed, _)| allowed.min(here));
        let taken_when_healthy = budget.map_or(here, |(_, healthy)| healthy.min(here));
        let budgets: Vec<_> = budget.map(|_| "data/zk".to_owned()).into_iter().collect();
        let group = GroupOnNode {
            name: "StatefulSet data/zk".to_owned(),
            pods,
            members: 3,
            needed: Some(2),
            ready: Some(ready),
            here,
            taken,
            taken_when_healthy,
            loses_majority: taken > 0 && ready - taken < 2,
            budgets,
        };
        let budget = budget.map(|(allowed, healthy)| BudgetOnNode {
            name: "data/zk".to_owned(),
            pods: here,
            allowed: Some(allowed),
            allowed_when_healthy: Some(healthy),
        });
        NodeDrain { name: name.to_owned(), groups: vec![group], budgets: budget.into_iter().collect() }
    }

    fn says(nodes: &[NodeDrain]) -> String {
        let (steps, refused) = order(nodes);
        let steps = steps
            .iter()
            .map(|step| {
                format!("{}{}", step.nodes.join("+"), if step.once_all_ready { " later" } else { "" })
            })
            .collect::<Vec<_>>()
            .join(", ");
        if refused.is_empty() { steps } else { format!("{steps}, not {}", refused.join("+")) }
    }

    #[test]
    fn each_step_keeps_every_majority() {
        let empty = NodeDrain { name: "idle".to_owned(), ..NodeDrain::default() };
        assert_eq!(says(&[node("a", 1, None), node("b", 1, None), empty]), "a+idle, b later");
        assert_eq!(says(&[node("a", 2, None), node("b", 1, None)]), "b, not a");
        assert_eq!(says(&[node("a", 2, Some((1, 1))), node("b", 1, Some((1, 1)))]), "b, a later");
    }

    #[test]
    fn a_node_that_cannot_go_now_waits_until_all_are_ready() {
        assert_eq!(says(&[node_of("a", 1, 2, None)]), "a later");
        assert_eq!(says(&[node_of("a", 1, 2, Some((0, 1)))]), "a later");
        assert_eq!(says(&[node("a", 1, Some((0, 0)))]), ", not a", "its budget never lets anything go");
    }
}
