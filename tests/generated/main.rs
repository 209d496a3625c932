//! Generated files are fresh, and the manifests of `deploy/` are right.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::print_stderr,
    clippy::print_stdout,
    unreachable_pub,
    reason = "helpers beside the tests unwrap, and say what they skip"
)]

#[path = "../support/manifests.rs"]
#[allow(dead_code, reason = "not every helper is needed here")]
mod manifests;

mod deploy;
mod files;
