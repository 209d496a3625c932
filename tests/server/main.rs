//! Tests of the processes: the webhook server and its clients, against a small API server in this process.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::print_stderr,
    clippy::print_stdout,
    unreachable_pub,
    reason = "helpers beside the tests unwrap, and say what they skip"
)]

#[path = "../support/case.rs"]
mod case;
#[path = "../support/mod.rs"]
mod support;

mod audit_baseline;
mod audit_cli;
mod audit_hostile;
mod audit_notes;
mod audit_steps;
mod certificates;
mod certs_cli;
mod chaos;
mod cli;
mod cluster_audit;
mod companions;
mod confirm;
mod confirmed_fixtures;
mod events;
mod evictions;
mod lease;
mod memory;
mod metacontroller;
mod outages;
mod per_pod;
mod policy_files;
mod policy_objects;
mod reports;
mod repository;
mod traces;
mod watch;
mod webhook_drain;
mod webhook_http;
mod webhook_limits;
mod webhook_tls;
