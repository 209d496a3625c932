//! Tests against a real control plane, where `KUBEBUILDER_ASSETS` names the folder of its binaries.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::print_stderr,
    clippy::print_stdout,
    unreachable_pub,
    reason = "helpers beside the tests unwrap, and say what they skip"
)]

#[path = "../support/answers.rs"]
#[allow(dead_code, reason = "not every helper is needed here")]
mod answers;
#[path = "../support/control_plane.rs"]
#[allow(dead_code, reason = "not every helper is needed here")]
mod control_plane;
#[path = "../support/kube_api.rs"]
#[allow(dead_code, reason = "not every helper is needed here")]
mod kube_api;
#[path = "../support/pki.rs"]
#[allow(dead_code, reason = "not every helper is needed here")]
mod pki;
#[path = "../support/stage.rs"]
#[allow(dead_code, reason = "not every helper is needed here")]
mod stage;

mod cel;
mod certificates;
mod deployments;
mod doctor;
mod guard;
mod install;
mod kubectl;
mod members;
mod mutate;
mod per_pod;
mod policies;
mod race;
mod reports;
mod show;
mod static_webhooks;
