//! Stateward: an admission guard for stateful applications on Kubernetes.

pub mod admission;
pub mod audit;
pub mod certs;
pub mod change;
pub mod cli;
pub mod cluster;
pub mod evaluate;
pub mod logging;
pub mod manifest;
pub mod model;
pub mod policy;
pub mod rules;
pub mod verdict;
pub mod webhook;
