//! Stateward: an admission guard for stateful applications on Kubernetes.

pub mod certs;
pub mod logging;
pub mod webhook;
