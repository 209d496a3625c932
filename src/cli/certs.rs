//! `stateward certs`

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;

use super::UNUSABLE;
use super::certificate::host;
use super::kubernetes::{self, Connection, ObjectArgument, block_on};
use super::streams::{stderr, stdout};
use crate::certs::authority::{CA_LIFETIME, Identity, LOCAL_HOSTS, SERVICE_HOSTS, Validity};
use crate::certs::inspect::CertificateInventory;
use crate::certs::manager;
use crate::certs::{write_atomically, write_privately};

/// Issue certificates by hand, and look at those there are
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Issue(IssueArgs),
    Inspect(Inspect),
}

/// Make a CA and a certificate signed by it, as files
///
/// They are called ca.crt, ca.key, tls.crt and tls.key, as the data of the Secret that `stateward serve` keeps in a cluster:
/// `kubectl create secret generic stateward-tls --from-file=DIR` makes it go on from them.
#[derive(Debug, clap::Args)]
struct IssueArgs {
    /// The folder they go to
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// One more name or address in the certificate than localhost and stateward.stateward.svc (repeatable)
    #[arg(long, value_name = "HOST", value_parser = host)]
    host: Vec<String>,
    /// How long the certificate is valid; the CA is for ten years
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

/// Show certificates: whose, for which names, until when, and whether keys and CAs fit
///
/// Exits with 0 where all is well, 1 where something is not, 2 where there is nothing to look at.
#[derive(Debug, clap::Args)]
struct Inspect {
    /// Files of certificates and keys that are to be used together, PEM
    #[arg(value_name = "FILE", required_unless_present = "secret", conflicts_with = "secret")]
    files: Vec<PathBuf>,
    /// A Secret of a cluster instead
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    secret: Option<ObjectArgument>,
    /// With --secret: the context of the kubeconfig to use
    #[arg(long, value_name = "NAME", requires = "secret", conflicts_with = "files")]
    context: Option<String>,
}

/// A file or a Secret's key, and what it holds.
type CertificatePart = (String, Result<Vec<u8>, String>);

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Issue(issue) => issue.run(),
            Command::Inspect(inspect) => inspect.run(),
        }
    }
}

impl IssueArgs {
    fn run(self) -> anyhow::Result<ExitCode> {
        let paths = ["ca.crt", "tls.crt", "ca.key", "tls.key"].map(|name| self.dir.join(name));
        if let Some(there) = paths.iter().find(|path| !self.force && path.exists()) {
            bail!("{} is there already (--force replaces it)", there.display());
        }
        let now = Timestamp::now();
        let ca = Identity::authority(Validity::lasting(CA_LIFETIME, now)?)?;
        let lifetime = SignedDuration::from_hours(24 * i64::from(self.days));
        let hosts = LOCAL_HOSTS.iter().chain(&SERVICE_HOSTS).map(ToString::to_string).chain(self.host);
        let mut validity = Validity::lasting(lifetime, now)?;
        validity.until = validity.until.min(ca.certificate.until);
        let leaf = ca.issue(hosts, validity)?;
        let [ca_path, leaf_path, ca_key, leaf_key] = &paths;
        // A certificate is written last: who waits for it finds its key.
        for (path, key) in [(ca_key, &ca.key), (leaf_key, &leaf.key)] {
            write_privately(path, key.pem().as_bytes()).with_context(|| cannot_write(path))?;
        }
        for (path, certificate) in [(ca_path, &ca.certificate), (leaf_path, &leaf.certificate)] {
            write_atomically(path, certificate.pem().as_bytes()).with_context(|| cannot_write(path))?;
        }
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let until = validity.until.strftime("%Y-%m-%dT%H:%M:%SZ");
        writeln!(stdout(), "wrote {}; the certificate is valid until {until}", names.join(", "))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

impl Inspect {
    fn run(self) -> anyhow::Result<ExitCode> {
        let mut inventory = CertificateInventory::default();
        let mut is_readable = true;
        for (origin, pem) in self.parts()? {
            let added = pem.and_then(|pem| inventory.add(&origin, &pem));
            if let Err(error) = added {
                is_readable = false;
                writeln!(stderr(), "stateward: {error}")?;
            }
        }
        let inspection = inventory.inspect(Timestamp::now());
        let mut out = stdout();
        write!(out, "{}", inspection.text)?;
        for finding in &inspection.findings {
            writeln!(out, "wrong: {finding}")?;
        }
        Ok(match (is_readable && !inventory.is_empty(), inspection.findings.is_empty()) {
            (false, _) => ExitCode::from(UNUSABLE),
            (true, false) => ExitCode::FAILURE,
            (true, true) => ExitCode::SUCCESS,
        })
    }

    /// What is to be looked at, and what it is called.
    fn parts(&self) -> anyhow::Result<Vec<CertificatePart>> {
        let Some(secret) = &self.secret else {
            let read = |path: &PathBuf| {
                let origin = path.display().to_string();
                let pem = fs::read(path).map_err(|error| format!("cannot read {origin}: {error}"));
                (origin, pem)
            };
            return Ok(self.files.iter().map(read).collect());
        };
        let secret = block_on(fetch(secret, self.context.as_deref()))?;
        Ok(secret.data.unwrap_or_default().into_iter().map(|(name, part)| (name, Ok(part.0))).collect())
    }
}

async fn fetch(secret: &ObjectArgument, context: Option<&str>) -> anyhow::Result<Secret> {
    let Connection { client, server } = kubernetes::connect(None, context).await?;
    let (namespace, name) = secret.for_client(&client);
    let found = manager::fetch(&client, (&namespace, &name), manager::PATIENCE)
        .await
        .with_context(|| format!("cannot read the Secret {namespace}/{name} at {server}"))?;
    found.with_context(|| format!("there is no Secret {namespace}/{name} at {server}"))
}
