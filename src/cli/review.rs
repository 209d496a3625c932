//! `stateward review`

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;

use super::PolicyArgs;
use crate::admission;
use crate::cluster::Cluster;
use crate::model::printable;

/// Answer one AdmissionReview, as the webhook would
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The review, `-` for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Answer as the mutating webhook would, with a patch, instead of the validating one
    #[arg(long)]
    mutate: bool,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Manifests of what else exists (repeatable); without any, nothing is known of other objects
    #[arg(long, value_name = "PATH")]
    objects: Vec<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let policies = self.policy.load()?;
        let cluster = cluster(&self.objects)?;
        let body = self.read()?;
        let answer = if self.mutate {
            admission::mutate_review(&body, &cluster, &policies)?.body
        } else {
            admission::review(&body, &cluster, &policies, Timestamp::now())?.body
        };
        let mut out = io::stdout().lock();
        out.write_all(&answer)?;
        writeln!(out)?;
        Ok(ExitCode::SUCCESS)
    }

    fn read(&self) -> anyhow::Result<Vec<u8>> {
        if self.file.as_os_str() == "-" {
            let mut body = Vec::new();
            io::stdin().read_to_end(&mut body).context("cannot read standard input")?;
            return Ok(body);
        }
        fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))
    }
}

/// What manifests say of what else exists.
pub(super) fn cluster(paths: &[PathBuf]) -> anyhow::Result<Cluster> {
    if paths.is_empty() {
        return Ok(Cluster::default());
    }
    let inventory = super::audit::read_objects(paths, None)?;
    for note in inventory.notes() {
        tracing::warn!(file = &*printable(&note.file.name), line = note.line, "{}", note.message);
    }
    Ok(inventory.cluster())
}
