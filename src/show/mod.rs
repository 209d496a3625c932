//! One application at a glance, and what a drain of nodes would take.

mod application;
mod drain;
mod json;
mod order;
mod placement;
mod text;

pub use application::Glance;
pub use drain::{BudgetOnNode, DrainOutcome, DrainPlan, DrainStep, GroupOnNode, NodeDrain};
pub use placement::{BudgetStatus, NodePlace, Placement, PodPlace};
