//! `stateward review`

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use jiff::Timestamp;

use super::PolicyArgs;
use super::audit::read_all_objects;
use super::sources::MAX_BYTES;
use super::streams::stdout;
use crate::admission;
use crate::cluster::Cluster;
use crate::manifest::STDIN;

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
        let cluster = if self.objects.is_empty() {
            Cluster::default()
        } else {
            read_all_objects(&self.objects, None)?.cluster()
        };
        let body = self.read()?;
        let answer = if self.mutate {
            admission::mutate_review(&body, &cluster, &policies).map(|reviewed| reviewed.body)
        } else {
            admission::review(&body, &cluster, &policies, Timestamp::now()).map(|reviewed| reviewed.body)
        };
        let answer = answer.with_context(|| self.shown())?;
        let mut out = stdout();
        out.write_all(&answer)?;
        writeln!(out)?;
        Ok(ExitCode::SUCCESS)
    }

    fn shown(&self) -> String {
        if self.file.as_os_str() == "-" { STDIN.to_owned() } else { self.file.display().to_string() }
    }

    fn read(&self) -> anyhow::Result<Vec<u8>> {
        let cannot_read = || format!("cannot read {}", self.shown());
        let mut body = Vec::new();
        let read = if self.file.as_os_str() == "-" {
            io::stdin().take(MAX_BYTES + 1).read_to_end(&mut body)
        } else {
            File::open(&self.file).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut body))
        };
        read.with_context(cannot_read)?;
        ensure!(body.len() as u64 <= MAX_BYTES, "{}: larger than {} MiB", cannot_read(), MAX_BYTES >> 20);
        Ok(body)
    }
}
