//! What a picture of an application shows.

use std::sync::Arc;

use crate::model::{Classified, ObjectRef};

/// A StatefulSet as a picture shows it.
#[derive(Debug)]
pub struct Application {
    pub object: ObjectRef,
    pub context: Option<Arc<str>>,
    pub class: Classified,
    pub replicas: i32,
    /// The members of its consensus group, over all sets of it; `None` where it is none or where they are not known.
    pub members: Option<i32>,
    pub budgets: Vec<Budget>,
    /// How many pods a rolling update takes down at once; `None` where they are only replaced by hand.
    pub rollout: Option<i32>,
    pub spread: Spread,
}

/// A PodDisruptionBudget about the pods of an application.
#[derive(Debug)]
pub struct Budget {
    pub name: Box<str>,
    /// `maxUnavailable: 1`
    pub limit: String,
    /// How many pods may be evicted while all are healthy.
    pub allows: i32,
}

/// Where the scheduler may put the pods.
#[derive(Debug, Default)]
pub struct Spread {
    /// Topology keys of which no two pods may share a value.
    pub required: Vec<Box<str>>,
    /// Topology keys over which the scheduler spreads if it can.
    pub preferred: Vec<Box<str>>,
}
