//! Which pod is on which node, as read from an API server.

use crate::model::Labels;

/// A pod that runs or is to run.
#[derive(Clone, Debug, Default)]
pub struct PodPlace {
    pub namespace: Box<str>,
    pub name: Box<str>,
    /// The StatefulSet that has made it.
    pub set: Option<Box<str>>,
    /// Empty until it is scheduled.
    pub node: Box<str>,
    pub labels: Labels,
    pub is_ready: bool,
    pub is_deleting: bool,
}

/// A node.
#[derive(Clone, Debug, Default)]
pub struct NodePlace {
    pub name: Box<str>,
    /// Its label `topology.kubernetes.io/zone`; empty without one.
    pub zone: Box<str>,
    pub is_cordoned: bool,
    pub is_ready: bool,
}

/// The status of a budget, as the disruption controller writes it.
#[derive(Clone, Debug, Default)]
pub struct BudgetStatus {
    pub namespace: Box<str>,
    pub name: Box<str>,
    /// How many pods may be evicted now.
    pub allowed: i32,
    /// How many might be evicted if all expected pods were healthy.
    pub allowed_when_healthy: i32,
}

/// Pods and their nodes; where the user may not read one of the two, why.
#[derive(Clone, Debug)]
pub struct Placement {
    pub pods: Result<Vec<PodPlace>, String>,
    pub nodes: Result<Vec<NodePlace>, String>,
}

impl Placement {
    pub(super) fn node(&self, name: &str) -> Option<&NodePlace> {
        self.nodes.as_ref().ok()?.iter().find(|node| *node.name == *name)
    }
}
