//! The command line.

mod access;
mod audit;
mod certificate;
mod certs;
mod cluster;
mod completions;
mod crds;
mod doctor;
mod explain;
mod fix;
mod kubeconfig;
mod kubernetes;
mod man;
mod placement;
mod policies;
mod policy;
mod policy_explain;
mod policy_files;
mod policy_keeper;
mod policy_test;
mod render;
mod review;
mod serve;
mod show;
pub mod sources;
mod state;
mod streams;
mod telemetry;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::api_server::chain;
use crate::model::{did_you_mean, is_dns_label};
use crate::policy::{Policies, Profile};

/// An admission guard for stateful applications on Kubernetes.
///
/// Judges StatefulSets together with their Services and PodDisruptionBudgets: as a webhook in the cluster, and over
/// manifests in CI.
#[derive(Debug, Parser)]
#[command(name = "stateward", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Audit(Box<audit::Args>),
    Show(Box<show::Args>),
    Review(review::Args),
    Explain(explain::Args),
    Policy(policy::Args),
    Certs(certs::Args),
    Crds(crds::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// A shipped set of levels.
#[derive(Clone, Copy, Debug, Default, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProfileName {
    /// Denies only what is certainly broken
    #[default]
    Baseline,
    /// Denies whatever can be proven
    Strict,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ResultFormat {
    /// For people
    #[default]
    Human,
    /// For programs
    Json,
}

/// Options of every command that judges.
#[derive(Debug, clap::Args)]
struct PolicyArgs {
    /// Policies: a file or folder of StatefulSetPolicy and StatefulSetExemption documents (repeatable)
    #[arg(long, value_name = "PATH")]
    policies: Vec<PathBuf>,
    /// The levels of rules that no policy names [default: baseline]
    #[arg(long, value_enum)]
    profile: Option<ProfileName>,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Baseline => Self::Baseline,
            ProfileName::Strict => Self::Strict,
        }
    }
}

impl PolicyArgs {
    /// The policies that are to apply; all that is wrong with them is one error.
    fn load(&self) -> anyhow::Result<Policies> {
        let loaded = policies::load(&self.policies, Timestamp::now()).or_error()?;
        let profile = self.profile.unwrap_or_default().into();
        Policies::with_exemptions(profile, loaded.policies, loaded.exemptions)
    }
}

/// A namespace, as the command line names it.
fn namespace(text: &str) -> Result<String, String> {
    if is_dns_label(text) {
        return Ok(text.to_owned());
    }
    Err("not a namespace: its name has small letters, digits and `-`, at most 63".to_owned())
}

/// The error message for a rule that does not exist.
fn no_rule<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let meant = did_you_mean(name, known);
    let hint = if meant.is_empty() { "; `stateward explain` lists them" } else { &meant };
    format!("there is no rule {name:?}{hint}")
}

/// The exit code of wrong usage and unreadable input.
const UNUSABLE: u8 = 2;

impl Cli {
    /// Does what the command line says. An error is for the person who typed it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => args.run(),
            Command::Audit(args) => args.run(),
            Command::Show(args) => args.run(),
            Command::Review(args) => args.run(),
            Command::Explain(args) => args.run(),
            Command::Policy(args) => args.run(),
            Command::Certs(args) => args.run(),
            Command::Crds(args) => args.run(),
            Command::Doctor(args) => args.run(),
            Command::Completions(args) => args.run(),
            Command::Man(args) => args.run(),
        }
    }
}

/// An error with what caused it, for the person who typed the command.
pub fn explained(error: &anyhow::Error) -> String {
    chain(error.as_ref())
}
