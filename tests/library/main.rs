//! Tests of the library: rules, policies, manifests, captures. No sockets, no processes.

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

mod bounds;
mod captures;
mod cel;
mod checks;
mod contexts;
mod edits;
mod examples;
mod fixes;
mod formats;
mod invariants;
mod manifest_hostile;
mod manifest_kubectl;
mod manifest_properties;
mod manifest_reading;
mod manifest_refused_fields;
mod manifest_sources;
mod mutation;
mod namespaces;
mod owners;
mod per_pod_plan;
mod policies;
mod policy_status;
mod properties;
mod rules;
mod show;
mod software;
mod variables;
