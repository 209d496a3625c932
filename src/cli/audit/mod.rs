//! `stateward audit`

mod argument;
mod baseline;
mod find;
mod options;
mod output;
mod read;
mod reduce;
mod repository;
mod revision;
mod scope;
mod settings;

use std::io::Write;
use std::mem::ManuallyDrop;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::bail;
use clap::ArgAction;
use jiff::Timestamp;

use self::argument::Argument;
use self::find::Excludes;
use self::options::{ChartValue, ExcludePattern, FailOn, MinLevel, NamespaceName};
use self::output::{Output, write_job_summary};
use self::read::PathReader;
use self::repository::repository_paths;
use self::settings::AuditSettings;
use super::fix::FixArgs;
use super::render::RenderConfig;
use super::streams::stderr;
use super::{PolicyArgs, UNUSABLE, cluster, no_rule};
use crate::audit::transition::OldState;
use crate::audit::{AuditConfig, audit_cluster, audit_step};
use crate::cluster::Cluster;
use crate::cluster::inventory::{Inventory, KeepValues};
use crate::fix::{attach, fix};
use crate::model::printable_lines;
use crate::policy::Policies;
use crate::report::Report;
use crate::report::formats::ReportFormat;

/// Judge manifests before they are applied, or a live cluster
///
/// Reads YAML and JSON files, folders and standard input (`-`). A StatefulSet is judged with the Services and budgets of its context:
/// an argument is a context; so is each kustomization or Helm chart in it, which is rendered first; and a folder whose files define
/// the same object twice is split into one context for each of them. With --cluster an API server is asked instead.
///
/// Settings come from the nearest .stateward.yaml in this folder or above; the command line overrides them. A comment
/// `# stateward:ignore NAME -- reason` exempts the line it is on, the line after it, or, at the top, the document, from the rule or
/// the kind of notes of this name.
///
/// Exit codes: 0 nothing reaches --fail-on; 1 something does; 2 wrong usage, or something could not be read or rendered, or holds no
/// object. What could be read is reported all the same.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Args {
    /// Files and folders of manifests, `-` for standard input
    #[arg(conflicts_with = "cluster", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Judge all paths as one context, whatever they define
    #[arg(long, conflicts_with = "cluster")]
    together: bool,
    /// Pass over files and folders that match, as in .gitignore, which is honoured too (repeatable)
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<ExcludePattern>,
    /// Judge the step from the manifests in OLD, one for each path: what is wrong in both is a warning, and what the step itself
    /// breaks is found
    #[arg(long, value_name = "OLD", conflicts_with = "cluster")]
    from: Vec<PathBuf>,
    /// Judge the step from the same paths at a revision of git
    #[arg(long, value_name = "REV", conflicts_with_all = ["cluster", "from"])]
    base: Option<String>,
    /// Report only what the step from --from or --base touches
    #[arg(long)]
    changed: bool,
    /// For charts: a file of values (repeatable)
    #[arg(long, value_name = "FILE")]
    values: Vec<PathBuf>,
    /// For charts: a value (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<ChartValue>,
    /// Let kustomize and helm use the network
    #[arg(long)]
    allow_network: bool,
    /// Judge what runs in a cluster: that of the kubeconfig, or the one around
    #[arg(long)]
    cluster: bool,
    /// With --cluster: the kubeconfig to use
    #[arg(long, value_name = "FILE", requires = "cluster", conflicts_with = "paths")]
    kubeconfig: Option<PathBuf>,
    /// With --cluster: the context of the kubeconfig to use
    #[arg(long, value_name = "NAME", requires = "cluster", conflicts_with = "paths")]
    context: Option<String>,
    /// With --cluster: judge every namespace, as is done without --namespace
    #[arg(long, requires = "cluster", conflicts_with_all = ["namespace", "paths"])]
    all_namespaces: bool,
    /// With --cluster: do not fail where a kind of objects may not be listed
    #[arg(long, requires = "cluster", conflicts_with = "paths")]
    allow_partial: bool,
    #[command(flatten)]
    policy: PolicyArgs,
    /// The namespace of objects that name none [default: default]; with --cluster the one to judge [default: all]
    #[arg(long, short, value_name = "NS")]
    namespace: Option<NamespaceName>,
    /// human, json, sarif, junit, github, gitlab, markdown or html; as FORMAT=FILE it goes to a file (repeatable) [default: human]
    #[arg(long, value_name = "FORMAT[=FILE]")]
    format: Vec<Output>,
    /// The lowest level that makes the audit fail: deny, warn, audit or never [default: deny]
    #[arg(long, value_name = "LEVEL")]
    fail_on: Option<FailOn>,
    /// Whether a path that holds no object makes the audit fail
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    fail_on_empty: Option<bool>,
    /// The lowest level that is reported: deny, warn or audit; not above --fail-on, and lowered to it where one of them is a setting
    #[arg(long, value_name = "LEVEL")]
    min_level: Option<MinLevel>,
    /// Report these rules only
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    only: Vec<String>,
    /// Do not report these rules
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    skip: Vec<String>,
    /// Findings in this file do not count
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what is found to the file of --baseline
    #[arg(long)]
    write_baseline: bool,
    /// Show people only what makes the audit fail
    #[arg(long, short)]
    quiet: bool,
    /// Read the settings from this file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    fixes: FixArgs,
}

impl Args {
    pub(super) fn run(mut self) -> anyhow::Result<ExitCode> {
        let settings = AuditSettings::load(self.config.as_deref())?;
        for note in &settings.notes {
            writeln!(stderr(), "stateward: {}", printable_lines(note))?;
        }
        self.complete(settings)?;
        if self.paths.is_empty() && !self.cluster {
            bail!("there is nothing to judge: name a file or folder, `-` for standard input, or --cluster");
        }
        if self.changed && self.from.is_empty() && self.base.is_none() {
            bail!("--changed needs --base REV or --from OLD");
        }
        if !self.from.is_empty() && self.from.len() != self.paths.len() {
            bail!("--from is wanted once for each path: {} for {}", self.from.len(), self.paths.len());
        }
        if let Some(file) = self.values.iter().find(|file| !file.exists()) {
            bail!("there is no file of values {}", file.display());
        }
        if self.base.is_some() && self.paths.iter().any(|path| path.as_os_str() == "-") {
            bail!("--base knows no earlier standard input: give the old manifests with --from OLD -");
        }
        output::refuse_one_target(&self.format)?;
        if self.write_baseline && self.baseline.is_none() {
            bail!("--write-baseline needs --baseline FILE");
        }
        let mut report = self.judge()?;
        let compared = self.reduce(&mut report)?;
        self.finish_baseline(&mut report, compared)?;
        for gap in &report.gaps {
            writeln!(stderr(), "stateward: {}", printable_lines(&gap.message))?;
        }
        if self.fixes.shows_diff() {
            // The report, which would say so, is not written.
            for note in report.not_judged() {
                let remark = format!("{}: {}", note.place(), note.message);
                writeln!(stderr(), "stateward: {}", printable_lines(&remark))?;
            }
            return Ok(self.exit_code(&report));
        }
        for output in &self.format {
            output.write(&report)?;
        }
        if self.format.iter().any(|output| output.format == ReportFormat::Github) {
            write_job_summary(&report)?;
        }
        Ok(self.exit_code(&report))
    }

    /// Refuses --only and --skip of a rule that there is not: nothing would be found by it, whatever is wrong.
    fn refuse_unknown_rules(&self, policies: &Policies) -> anyhow::Result<()> {
        for name in self.only.iter().chain(&self.skip) {
            // The cluster has policies with checks of their own.
            let may_be = self.cluster && name.contains('/');
            if !may_be && !policies.rule_names().any(|known| known == name) {
                bail!(no_rule(name, policies.rule_names()));
            }
        }
        Ok(())
    }

    fn judge(&self) -> anyhow::Result<Report> {
        let policies = self.policy.load()?;
        self.refuse_unknown_rules(&policies)?;
        let pictures = self.format.iter().any(|output| output.format == ReportFormat::Html);
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let config = AuditConfig { together: self.together, pictures, changed: self.changed, threads };
        if self.cluster {
            let (kubeconfig, context) = (self.kubeconfig.as_deref(), self.context.as_deref());
            let reads_raw_sets = |cluster: &Cluster| policies.with_objects_of(cluster).0.read_raw_sets();
            let listing = cluster::read(kubeconfig, context, self.namespace(), reads_raw_sets)?;
            return Ok(audit_cluster(&listing, &policies, config, Timestamp::now()));
        }
        let compares = !self.from.is_empty() || self.base.is_some();
        let keep = if compares || policies.read_raw_sets() { KeepValues::Yes } else { KeepValues::No };
        // The program ends when it is judged: giving millions of small objects back one by one would only take time.
        let inventory = ManuallyDrop::new(self.reading(keep)?.inventory(&arguments(&self.paths))?);
        let old = self.old()?;
        let old = old.as_ref().map(|old| OldState::of(old, self.together));
        let repository = repository_paths(self.named_paths())?;
        let judge = |inventory: &Inventory| {
            let mut report = audit_step(inventory, old.as_ref(), &policies, config, Timestamp::now());
            report.place_in(repository.clone());
            report
        };
        let mut report = judge(&inventory);
        if !self.fixes.is_asked() {
            self.attach_fixes(&inventory, &mut report);
            return Ok(report);
        }
        self.reduce(&mut report)?;
        let exists = |path: &Path| path.symlink_metadata().is_ok();
        let new = self.fixes.finish(&fix(&inventory, &report, self.fixes.with_unsafe(), exists))?;
        if self.fixes.shows_diff() {
            return Ok(report);
        }
        // A new file beside a file that was named is in no folder that was.
        let is_read = |file: &PathBuf| self.paths.iter().any(|path| path.is_dir() && file.starts_with(path));
        let new = new.into_iter().filter(|file| !is_read(file));
        let paths: Vec<PathBuf> = self.paths.iter().cloned().chain(new).collect();
        let inventory = self.reading(keep)?.inventory(&arguments(&paths))?;
        let mut report = judge(&inventory);
        self.attach_fixes(&inventory, &mut report);
        Ok(report)
    }

    /// Adds the edits as places in files, where a format shows them.
    fn attach_fixes(&self, inventory: &Inventory, report: &mut Report) {
        if self.format.iter().any(|output| output.format == ReportFormat::Sarif) {
            attach(inventory, report);
        }
    }

    /// The manifests to compare with.
    fn old(&self) -> anyhow::Result<Option<Inventory>> {
        let reading = self.reading(KeepValues::Yes)?;
        let refuse_unread = |old: Inventory, in_repository: &dyn Fn(&str) -> String| match old
            .notes()
            .iter()
            .find(|note| note.kind.is_failure())
        {
            Some(note) => bail!(
                "the old manifests cannot be compared with: {}: {}",
                note.place(),
                in_repository(&note.message)
            ),
            None => Ok(Some(old)),
        };
        if let Some(revision) = &self.base {
            let checkout = revision::check_out(revision)?;
            // A new path does not exist in the old revision.
            let reading = PathReader { fail_on_empty: false, ..reading };
            let old = reading.inventory(&checkout.arguments(&self.paths)?)?;
            return refuse_unread(old, &|message| checkout.in_repository(message));
        }
        if self.from.is_empty() {
            return Ok(None);
        }
        let pairs = self.from.iter().zip(&self.paths);
        let arguments: Vec<_> = pairs.map(|(old, new)| Argument::old(old.clone(), new.clone())).collect();
        refuse_unread(reading.inventory(&arguments)?, &str::to_owned)
    }

    /// The paths of the command line and of the settings.
    fn named_paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter().chain(&self.from)
    }

    fn namespace(&self) -> Option<&str> {
        self.namespace.as_ref().map(|NamespaceName(name)| name.as_str())
    }

    fn reading(&self, keep_values: KeepValues) -> anyhow::Result<PathReader<'_>> {
        let set = self.set.iter().map(|ChartValue(value)| value.clone()).collect();
        let (values, network) = (self.values.clone(), self.allow_network);
        Ok(PathReader {
            namespace: self.namespace(),
            excludes: Excludes::of(&self.exclude)?,
            render: RenderConfig { values, set, network },
            fail_on_empty: self.fail_on_empty.unwrap_or(true),
            keep_values,
        })
    }

    fn exit_code(&self, report: &Report) -> ExitCode {
        if report.is_incomplete() || report.is_partial() && !self.allow_partial {
            ExitCode::from(UNUSABLE)
        } else if report.fail_on.is_some_and(|level| report.reaches(level)) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn arguments(paths: &[PathBuf]) -> Vec<Argument> {
    paths.iter().cloned().map(Argument::new).collect()
}

/// Reads all manifests under some paths as one inventory. That something in them cannot be read is an error.
pub(super) fn read_all_objects(paths: &[PathBuf], namespace: Option<&str>) -> anyhow::Result<Inventory> {
    let inventory = read_objects(paths, namespace)?;
    match inventory.notes().iter().find(|note| note.kind.is_failure()) {
        Some(note) => bail!("cannot read {}: {}", note.place(), note.message),
        None => Ok(inventory),
    }
}

/// Reads all manifests under some paths as one inventory, as far as they can be read.
pub(super) fn read_objects(paths: &[PathBuf], namespace: Option<&str>) -> anyhow::Result<Inventory> {
    let render = RenderConfig::default();
    let excludes = Excludes::of(&[])?;
    let keep_values = KeepValues::No;
    PathReader { namespace, excludes, render, fail_on_empty: false, keep_values }.inventory(&arguments(paths))
}
