//! `stateward doctor`

mod bundle;
mod checks;
mod coverage;
mod facts;
mod output;
mod rights;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;

use self::checks::{CheckStatus, checks};
use self::facts::{InstallationFacts, InstallationPlace};
use super::kubernetes::{self, Connection, block_on};
use super::streams::stdout;
use super::{ResultFormat, namespace};

/// Look at an installation in a cluster, and say what is wrong and what to do
///
/// Asks the API server with the rights of the kubeconfig: whether the webhooks are called and how long that takes (by dry runs, which
/// change nothing), whether caBundle, certificate, rights and policies are right, and what is not guarded and why. What may not be
/// read is unknown, not wrong.
///
/// With --bundle everything that was read goes to a file for a report of a problem, without Secrets, environments and managed fields;
/// look at it before you send it: it names your namespaces, and holds the log and the policies.
///
/// Exit codes: 0 nothing is wrong, though there may be warnings; 1 something is wrong; 2 wrong usage, or the API server cannot be asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The namespace that Stateward is installed in
    #[arg(long, short, value_name = "NS", default_value = "stateward", value_parser = namespace)]
    namespace: String,
    /// The name of its Deployment, Service and webhook configurations
    #[arg(long, value_name = "NAME", default_value = "stateward")]
    name: String,
    /// A guarded namespace, in which to try the creation of a StatefulSet that every profile refuses (a dry run)
    #[arg(long, value_name = "NS", default_value = "default", value_parser = namespace)]
    probe_namespace: String,
    /// The kubeconfig to use
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ResultFormat,
    /// Also write what was read to this file, as JSON
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let facts = block_on(self.facts())?;
        let checks = checks(&facts, Timestamp::now());
        if let Some(path) = &self.bundle {
            let bundle = bundle::bundle(&facts, &checks);
            let text = serde_json::to_string_pretty(&bundle).context("cannot write the bundle")?;
            crate::certs::write_privately(path, text.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        match self.format {
            ResultFormat::Human => output::human(&checks, &mut stdout())?,
            ResultFormat::Json => output::json(&checks, &mut stdout())?,
        }
        let is_wrong = checks.iter().any(|check| check.status == CheckStatus::Problem);
        Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    async fn facts(&self) -> anyhow::Result<InstallationFacts> {
        let (kubeconfig, context) = (self.kubeconfig.as_deref(), self.context.as_deref());
        let Connection { client, server } = kubernetes::connect(kubeconfig, context).await?;
        let place = InstallationPlace {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            probe_namespace: self.probe_namespace.clone(),
        };
        let with_logs = self.bundle.is_some();
        let facts = InstallationFacts::gather(client, place, with_logs).await;
        facts.with_context(|| format!("the API server at {server} cannot be asked"))
    }
}
