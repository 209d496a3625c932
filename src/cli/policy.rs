//! `stateward policy`

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;

use super::UNUSABLE;
use super::policies::{self, Loaded};
use super::streams::stdout;
use crate::report::text::count;

/// Work on policies
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(CheckArgs),
    Test(super::policy_test::TestArgs),
    Explain(Box<super::policy_explain::ExplainArgs>),
}

/// Say what is wrong with policies, and what in them has no effect
///
/// Exits with 0 where every policy can be used, with 1 where one cannot, and with 2 where a file cannot be read or a
/// folder has no policy.
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Files and folders with StatefulSetPolicy and StatefulSetExemption documents, `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// From what on to exit with 1
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    fail_on: PolicyFailOn,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PolicyFailOn {
    /// A policy that cannot be used
    #[default]
    Error,
    /// Also a part of one that has no effect
    Warning,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Check(check) => check.run(),
            Command::Test(test) => test.run(),
            Command::Explain(explain) => explain.run(),
        }
    }
}

impl CheckArgs {
    fn run(self) -> anyhow::Result<ExitCode> {
        let loaded = policies::load(&self.files, Timestamp::now());
        let mut out = stdout();
        for error in &loaded.errors {
            writeln!(out, "{}: error: {}", error.place, error.message)?;
        }
        for warning in &loaded.warnings {
            writeln!(out, "{}: warning: {}", warning.place, warning.message)?;
        }
        let doubles = doubles(&loaded);
        for name in &doubles {
            writeln!(out, "warning: several policies are named {name}; in a cluster only one can be")?;
        }
        let mut usable = count(loaded.policies.len(), "policy");
        if !loaded.exemptions.is_empty() {
            usable = format!("{usable} and {}", count(loaded.exemptions.len(), "exemption"));
        }
        let errors = loaded.errors.len();
        let warnings = loaded.warnings.len() + doubles.len();
        writeln!(out, "{} can be used, {}, {}", usable, count(errors, "error"), count(warnings, "warning"))?;
        Ok(self.verdict(&loaded, warnings))
    }

    fn verdict(&self, loaded: &Loaded, warnings: usize) -> ExitCode {
        let is_warned_of = self.fail_on == PolicyFailOn::Warning && warnings > 0;
        if loaded.errors.iter().any(|error| error.is_unreadable) {
            ExitCode::from(UNUSABLE)
        } else if !loaded.errors.is_empty() || is_warned_of {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// The names that several policies have.
fn doubles(loaded: &Loaded) -> BTreeSet<&str> {
    let mut seen = BTreeSet::new();
    loaded.policies.iter().map(|policy| policy.name()).filter(|name| !seen.insert(*name)).collect()
}
