//! The effect of a drain of nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::placement::{BudgetStatus, Placement, PodPlace};
use super::{json, order, text};
use crate::cluster::{Cluster, ClusterView, PendingChange};
use crate::report::{Application, Report};

/// Some nodes, and in which order they can go.
#[derive(Debug, Default, serde::Serialize)]
pub struct DrainPlan {
    pub nodes: Vec<NodeDrain>,
    pub order: Vec<DrainStep>,
    /// Nodes that must not or cannot go, whatever the order.
    pub refused: Vec<String>,
    /// The kinds that the user may not read.
    pub unknown: Vec<String>,
}

/// Nodes that can go together.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainStep {
    pub nodes: Vec<String>,
    /// Whether all pods must be ready first, as after another step.
    pub once_all_ready: bool,
}

/// The pods that a drain of one node takes.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct NodeDrain {
    pub name: String,
    pub groups: Vec<GroupOnNode>,
    pub budgets: Vec<BudgetOnNode>,
}

/// The pods of a StatefulSet, or of a consensus group of several, that are on a node.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupOnNode {
    /// `StatefulSet data/zk`; of several sets, the first by name.
    pub name: String,
    pub pods: Vec<String>,
    pub members: i32,
    /// How many must stay up; `None` where it needs no majority.
    pub needed: Option<i32>,
    /// How many members are ready, here and elsewhere.
    pub ready: Option<i32>,
    /// How many of the pods here are ready.
    pub here: i32,
    /// How many of them go at once: no more than budgets allow.
    pub taken: i32,
    /// The result while all members are ready.
    pub taken_when_healthy: i32,
    pub loses_majority: bool,
    /// The budgets about its pods, as `NAMESPACE/NAME`.
    pub budgets: Vec<String>,
}

/// A budget about pods on a node.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetOnNode {
    /// `NAMESPACE/NAME`
    pub name: String,
    /// How many ready pods on the node it is about.
    pub pods: i32,
    /// How many may be evicted now; `None` where that is not known.
    pub allowed: Option<i32>,
    /// How many may be evicted while all are healthy.
    pub allowed_when_healthy: Option<i32>,
}

/// The outcome of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DrainOutcome {
    /// Nothing holds it up.
    Free,
    /// A budget lets go one pod after the other.
    Slow,
    /// A budget lets nothing go.
    Blocked,
    /// A consensus group would lose its majority, or has none.
    Unsafe,
}

impl NodeDrain {
    pub fn outcome(&self) -> DrainOutcome {
        let is_held = |budget: &BudgetOnNode| budget.allowed.is_some_and(|allowed| allowed < budget.pods);
        if self.groups.iter().any(|group| group.loses_majority) {
            DrainOutcome::Unsafe
        } else if self.budgets.iter().any(|budget| is_held(budget) && budget.allowed == Some(0)) {
            DrainOutcome::Blocked
        } else if self.budgets.iter().any(is_held) {
            DrainOutcome::Slow
        } else {
            DrainOutcome::Free
        }
    }
}

impl DrainPlan {
    /// The pods that a drain of these nodes takes. `report` has every application; `placement` the pods on the nodes.
    pub fn of(
        nodes: &[String],
        report: &Report,
        cluster: &Cluster,
        placement: &Placement,
        statuses: &[BudgetStatus],
    ) -> Self {
        let surroundings = Surroundings::of(report, cluster, statuses);
        let pods = placement.pods.as_deref().unwrap_or_default();
        let on_node = |node: &String| {
            let here: Vec<&PodPlace> = pods.iter().filter(|pod| *pod.node == **node).collect();
            surroundings.drain(node, &here)
        };
        let nodes: Vec<NodeDrain> = nodes.iter().map(on_node).collect();
        let (order, refused) = order::order(&nodes);
        let unknown = placement.pods.as_ref().err().map(|error| format!("pods: {error}"));
        Self { nodes, order, refused, unknown: unknown.into_iter().collect() }
    }

    pub fn write_text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        text::drain(self, out)
    }

    pub fn write_json(&self, out: &mut dyn io::Write) -> io::Result<()> {
        json::drain(self, out)
    }
}

/// All that is known beside the pods of a node.
struct Surroundings<'a> {
    view: ClusterView<'a>,
    /// Applications by namespace and name.
    applications: BTreeMap<(&'a str, &'a str), &'a Application>,
    statuses: BTreeMap<(&'a str, &'a str), &'a BudgetStatus>,
}

impl<'a> Surroundings<'a> {
    fn of(report: &'a Report, cluster: &'a Cluster, statuses: &'a [BudgetStatus]) -> Self {
        let applications =
            report.applications.iter().map(|at| ((&*at.object.namespace, &*at.object.name), at));
        let statuses = statuses.iter().map(|status| ((&*status.namespace, &*status.name), status));
        Self {
            view: ClusterView::new(cluster, PendingChange::Nothing),
            applications: applications.collect(),
            statuses: statuses.collect(),
        }
    }

    fn drain(&self, node: &str, pods: &[&PodPlace]) -> NodeDrain {
        let pods: Vec<CoveredPod<'_>> =
            pods.iter().map(|pod| CoveredPod { pod, budgets: self.budgets_about(pod) }).collect();
        let budgets = self.budgets(&pods);
        let mut groups: BTreeMap<(&str, &str), Vec<&CoveredPod<'_>>> = BTreeMap::new();
        for covered in &pods {
            let (namespace, set) = (&*covered.pod.namespace, covered.pod.set.as_deref());
            if let Some(application) = set.and_then(|set| self.applications.get(&(namespace, set))) {
                let first = application.sets.iter().min().map_or(&*application.object.name, |name| &**name);
                groups.entry((namespace, first)).or_default().push(covered);
            }
        }
        let groups = groups.into_iter().filter_map(|(first, pods)| {
            let application = self.applications.get(&first)?;
            Some(group(application, &pods, &budgets))
        });
        NodeDrain { name: node.to_owned(), groups: groups.collect(), budgets }
    }

    /// The budgets about a pod, as `NAMESPACE/NAME`.
    fn budgets_about(&self, pod: &PodPlace) -> Vec<String> {
        let budgets = self.view.known_budgets(&pod.namespace).into_iter();
        let selecting = budgets.filter(|budget| budget.selects(&pod.labels));
        selecting.map(|budget| format!("{}/{}", pod.namespace, budget.metadata.name)).collect()
    }

    fn budgets(&self, pods: &[CoveredPod<'_>]) -> Vec<BudgetOnNode> {
        let mut found: BTreeMap<&str, i32> = BTreeMap::new();
        for name in pods.iter().filter(|covered| covered.pod.is_up()).flat_map(|covered| &covered.budgets) {
            *found.entry(name).or_default() += 1;
        }
        let on_node = found.into_iter().map(|(name, pods)| {
            let status = name.split_once('/').and_then(|named| self.statuses.get(&named));
            BudgetOnNode {
                name: name.to_owned(),
                pods,
                allowed: status.map(|status| status.allowed),
                allowed_when_healthy: status.map(|status| status.allowed_when_healthy),
            }
        });
        on_node.collect()
    }
}

/// A pod and the budgets about it.
struct CoveredPod<'a> {
    pod: &'a PodPlace,
    budgets: Vec<String>,
}

fn group(at: &Application, pods: &[&CoveredPod<'_>], budgets: &[BudgetOnNode]) -> GroupOnNode {
    let up = || pods.iter().filter(|covered| covered.pod.is_up());
    let here = count(up().count());
    let taken = taken_at_once(up().copied(), budgets, |budget| budget.allowed);
    let taken_when_healthy =
        taken_at_once(pods.iter().copied(), budgets, |budget| budget.allowed_when_healthy);
    let needed = at.needed();
    let loses_majority = needed
        .zip(at.ready)
        .is_some_and(|(needed, ready)| at.count() > 1 && taken > 0 && ready.saturating_sub(taken) < needed);
    let names: BTreeSet<&String> = pods.iter().flat_map(|covered| &covered.budgets).collect();
    GroupOnNode {
        name: at.object.to_string(),
        pods: pods.iter().map(|covered| covered.pod.name.to_string()).collect(),
        members: at.count(),
        needed,
        ready: at.ready,
        here,
        taken,
        taken_when_healthy,
        loses_majority,
        budgets: names.into_iter().cloned().collect(),
    }
}

/// How many of some pods go at once: of those that a budget is about, no more than it allows.
fn taken_at_once<'a>(
    pods: impl Iterator<Item = &'a CoveredPod<'a>>,
    budgets: &[BudgetOnNode],
    allowed: impl Fn(&BudgetOnNode) -> Option<i32>,
) -> i32 {
    let mut by_budget: BTreeMap<Option<&str>, i32> = BTreeMap::new();
    for covered in pods {
        *by_budget.entry(covered.budgets.first().map(|name| &**name)).or_default() += 1;
    }
    let limit = |name: &str| budgets.iter().find(|budget| budget.name == name).and_then(&allowed);
    let taken = by_budget.into_iter().map(|(budget, pods)| budget.and_then(limit).unwrap_or(pods).min(pods));
    taken.fold(0, i32::saturating_add)
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
