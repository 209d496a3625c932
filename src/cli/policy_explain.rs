//! `stateward policy explain`

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::bail;
use jiff::Timestamp;

use super::kubernetes::ObjectArgument;
use super::state::StateArgs;
use super::streams::{stderr, styled_stdout};
use super::{PolicyArgs, ResultFormat};
use crate::audit::each_set;
use crate::cluster::Cluster;
use crate::model::{did_you_mean, printable};
use crate::policy::Explanation;
use crate::report::Report;

/// How many sets are named where the one asked for is not there.
const MOST_SETS: usize = 10;

/// Say which policy decides the level of each rule for a StatefulSet
///
/// It is read from a cluster, or with --objects from manifests. Exits with 0, or with 2 where something cannot be read or there is no
/// such StatefulSet.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The StatefulSet
    #[arg(value_name = "[NAMESPACE/]SET")]
    set: ObjectArgument,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Also the rules that are not about the class of the StatefulSet
    #[arg(long)]
    all: bool,
    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ResultFormat,
}

/// The explanations of the sets of one name, and all sets that were read, as `NAMESPACE/NAME`.
#[derive(Default)]
struct Explained {
    explanations: Vec<Explanation>,
    sets: Vec<String>,
}

impl ExplainArgs {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let (namespace, name) = self.state.place_of(&self.set)?;
        let found = if self.state.are_files() {
            self.in_files(&namespace, &name)?
        } else {
            self.in_cluster(&namespace, &name)?
        };
        let Explained { mut explanations, mut sets } = found;
        if explanations.is_empty() {
            let hint = hint(&namespace, &name, &mut sets);
            bail!("there is no StatefulSet {name} in namespace {namespace}{hint}");
        }
        for explanation in &mut explanations {
            explanation.decisions.retain(|decision| decision.applies || self.all);
        }
        self.write(&explanations)?;
        Ok(ExitCode::SUCCESS)
    }

    fn in_files(&self, namespace: &str, name: &str) -> anyhow::Result<Explained> {
        let inventory = self.state.inventory(namespace)?;
        let (policies, now) = (self.policy.load()?, Timestamp::now());
        let mut found = Explained::default();
        each_set(&inventory, &policies, |at| {
            let metadata = &at.set.metadata;
            found.sets.push(format!("{}/{}", metadata.namespace, metadata.name));
            if (&*metadata.namespace, &*metadata.name) == (namespace, name) {
                let mut explanation = Explanation::of(at.set, at.cluster, at.policies, now);
                explanation.context = Some(at.context.to_owned());
                found.explanations.push(explanation);
            }
        });
        Ok(found)
    }

    fn in_cluster(&self, namespace: &str, name: &str) -> anyhow::Result<Explained> {
        let policies = self.policy.load()?;
        let listing = self.state.listing(Some(namespace), |_: &Cluster| false)?;
        let (policies, malformed) = policies.with_objects_of(&listing.cluster);
        let mut report = Report::of_cluster(&listing);
        report.add_malformed(&malformed);
        for gap in &report.gaps {
            writeln!(stderr(), "not known: {}", printable(&gap.message))?;
        }
        let sets = listing.cluster.sets_in(namespace);
        let named = sets.iter().filter(|set| *set.metadata.name == *name);
        let now = Timestamp::now();
        Ok(Explained {
            explanations: named.map(|set| Explanation::of(set, &listing.cluster, &policies, now)).collect(),
            sets: sets.iter().map(|set| format!("{namespace}/{}", set.metadata.name)).collect(),
        })
    }

    fn write(&self, explanations: &[Explanation]) -> anyhow::Result<()> {
        let mut out = BufWriter::new(styled_stdout());
        match self.format {
            ResultFormat::Human => {
                for (number, explanation) in explanations.iter().enumerate() {
                    if number > 0 {
                        writeln!(out)?;
                    }
                    explanation.write_text(&mut out)?;
                }
            }
            ResultFormat::Json => {
                serde_json::to_writer_pretty(&mut out, explanations)?;
                writeln!(out)?;
            }
        }
        Ok(out.flush()?)
    }
}

/// The set that may be meant, and those that there are.
pub(super) fn hint(namespace: &str, name: &str, sets: &mut Vec<String>) -> String {
    sets.sort();
    sets.dedup();
    if sets.is_empty() {
        return ": no StatefulSet was found at all".to_owned();
    }
    let elsewhere = sets.iter().find(|set| set.rsplit('/').next() == Some(name));
    let beside = || sets.iter().filter_map(|set| set.strip_prefix(namespace)?.strip_prefix('/'));
    let meant = match elsewhere {
        Some(set) => format!("; did you mean {set:?}?"),
        None => did_you_mean(name, beside()),
    };
    let end = if meant.is_empty() { "." } else { "" };
    let more = if sets.len() > MOST_SETS { ", …" } else { "" };
    let sets: Vec<&str> = sets.iter().take(MOST_SETS).map(String::as_str).collect();
    format!("{meant}{end} There are: {}{more}", sets.join(", "))
}
