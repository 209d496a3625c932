//! `stateward audit`

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context;
use jiff::Timestamp;

use super::fix::FixArgs;
use super::{PolicyArgs, UNUSABLE, cluster, sources};
use crate::audit::{audit, audit_cluster};
use crate::cluster::inventory::Inventory;
use crate::fix::fix;
use crate::model::printable_lines;
use crate::policy::Policies;
use crate::report::formats::Format;
use crate::report::{FailOn, Report};

/// Judge manifests before they are applied, or a live cluster
///
/// Reads YAML and JSON files, folders and standard input (`-`), all together: a StatefulSet is judged with the Services and
/// budgets beside it. With --cluster it asks an API server instead. Exits with 0 where nothing reaches --fail-on, 1 where something does, 2 where the input cannot be used.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files and folders of manifests, `-` for standard input
    #[arg(required_unless_present = "cluster", conflicts_with = "cluster", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Judge what runs in a cluster: that of the kubeconfig, or the one around
    #[arg(long)]
    cluster: bool,
    /// With --cluster: the context of the kubeconfig to use
    #[arg(long, value_name = "NAME", requires = "cluster")]
    context: Option<String>,
    /// With --cluster: judge every namespace, as is done without --namespace
    #[arg(long, requires = "cluster", conflicts_with = "namespace")]
    all_namespaces: bool,
    #[command(flatten)]
    policy: PolicyArgs,
    /// The namespace of objects that name none [default: default]; with --cluster the one to judge [default: all]
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,
    /// human or json; as FORMAT=FILE it goes to a file (repeatable)
    #[arg(long, value_name = "FORMAT[=FILE]", default_value = "human")]
    format: Vec<Output>,
    /// The lowest level that makes the audit fail: deny, warn, audit or never
    #[arg(long, value_name = "LEVEL", default_value = "deny")]
    fail_on: FailOn,
    #[command(flatten)]
    fixes: FixArgs,
}

/// A format, and the file it goes to if not to standard output.
#[derive(Clone, Debug)]
struct Output {
    format: Format,
    file: Option<PathBuf>,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = match text.split_once('=') {
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        Ok(Self { format: format.parse()?, file })
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let policies = self.policy.load()?;
        let namespace = self.namespace.as_deref();
        let report = if self.cluster {
            audit_cluster(&cluster::read(self.context.as_deref(), namespace)?, &policies, Timestamp::now())
        } else {
            self.audit_files(&policies)?
        };
        for gap in &report.gaps {
            writeln!(io::stderr(), "stateward: {}", printable_lines(&gap.message))?;
        }
        if !self.fixes.shows_diff() {
            for output in &self.format {
                output.write(&report)?;
            }
        }
        Ok(self.verdict(&report))
    }

    /// Judges files. Where they are to be fixed, what is left afterwards.
    fn audit_files(&self, policies: &Policies) -> anyhow::Result<Report> {
        let namespace = self.namespace.as_deref();
        let inventory = read(&self.paths, namespace)?;
        let report = audit(&inventory, policies, Timestamp::now());
        if !self.fixes.is_asked() {
            return Ok(report);
        }
        let new = self.fixes.finish(&fix(&inventory, &report, self.fixes.with_unsafe()))?;
        if self.fixes.shows_diff() {
            return Ok(report);
        }
        // A new file beside a file that was named is not in any folder that was.
        let is_read = |file: &PathBuf| self.paths.iter().any(|path| path.is_dir() && file.starts_with(path));
        let new = new.into_iter().filter(|file| !is_read(file));
        let paths: Vec<PathBuf> = self.paths.iter().cloned().chain(new).collect();
        Ok(audit(&read(&paths, namespace)?, policies, Timestamp::now()))
    }

    fn verdict(&self, report: &Report) -> ExitCode {
        let FailOn(threshold) = self.fail_on;
        if report.is_incomplete() {
            ExitCode::from(UNUSABLE)
        } else if threshold.is_some_and(|level| report.reaches(level)) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// Reads everything under some paths, showing progress to a person who waits for it.
pub(super) fn read(paths: &[PathBuf], namespace: Option<&str>) -> anyhow::Result<Inventory> {
    let mut inventory = Inventory::new(namespace);
    let watched = io::stderr().is_terminal();
    let mut files = 0_usize;
    for source in sources::open(paths) {
        match source {
            Ok(source) => inventory.add(&source),
            Err(note) => inventory.notes.push(note),
        }
        files += 1;
        if watched && files.is_multiple_of(500) {
            write!(io::stderr(), "\r{files} files read")?;
        }
    }
    if watched && files >= 500 {
        write!(io::stderr(), "\r\x1b[K")?;
    }
    Ok(inventory)
}

impl Output {
    fn write(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.file {
            return self.write_file(report, path).with_context(|| format!("cannot write {}", path.display()));
        }
        let mut out = BufWriter::new(anstream::stdout().lock());
        self.format.write(report, &mut out)?;
        Ok(out.flush()?)
    }

    fn write_file(&self, report: &Report, path: &Path) -> anyhow::Result<()> {
        let mut out = BufWriter::new(anstream::StripStream::new(File::create(path)?));
        self.format.write(report, &mut out)?;
        Ok(out.flush()?)
    }
}
