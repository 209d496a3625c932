//! `stateward crds`

use std::io::Write;
use std::process::ExitCode;

use super::streams::stdout;
use crate::crds;

/// Print the CustomResourceDefinitions of StatefulSetPolicy and StatefulSetExemption
///
/// Prints YAML, for kubectl apply -f -. An installation has them already; after an upgrade with Helm, which does not change them, this
/// brings them up to date.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "as every command has it")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        stdout().write_all(crds::yaml()?.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}
