//! Stateward: an admission guard for stateful applications on Kubernetes.

pub mod admission;
pub mod change;
pub mod cluster;
pub mod evaluate;
pub mod manifest;
pub mod model;
pub mod policy;
pub mod rules;
pub mod verdict;
