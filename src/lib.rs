//! Stateward: an admission guard for stateful applications on Kubernetes.

pub mod admission;
pub mod audit;
pub mod change;
pub mod cli;
pub mod cluster;
pub mod evaluate;
pub mod manifest;
pub mod model;
pub mod policy;
pub mod rules;
pub mod verdict;
