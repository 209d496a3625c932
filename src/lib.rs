//! Stateward: an admission guard for stateful applications on Kubernetes.

pub mod manifest;
