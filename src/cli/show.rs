//! `stateward show`

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::bail;
use jiff::Timestamp;

use super::kubernetes::ObjectArgument;
use super::policy_explain::hint;
use super::state::StateArgs;
use super::streams::styled_stdout;
use super::{PolicyArgs, ResultFormat, placement};
use crate::audit::{AuditConfig, audit as audit_files, audit_cluster};
use crate::cluster::{Cluster, Listing};
use crate::model::printable;
use crate::report::Report;
use crate::show::{BudgetStatus, DrainPlan, Glance, Placement};

/// Show an application at a glance, or what a drain of nodes would take
///
/// Of a StatefulSet: its class, its members and where they are, what a drain, a rollout and a scale may take, its Services, claims
/// and exemptions, and what is found. It is read from a cluster, or with --objects from manifests.
///
/// With --node: which groups would lose their majority, which budgets hold the drain up, and in which order several nodes can go.
///
/// Pods and nodes are read with the caller's rights; where those are missing, that part says so. Exit codes: 0, whatever is
/// found; 2 wrong usage, or something could not be read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The StatefulSet
    #[arg(value_name = "[NAMESPACE/]SET", required_unless_present = "node")]
    set: Option<ObjectArgument>,
    /// A node that is to be drained (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["set", "objects"])]
    node: Vec<String>,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ResultFormat,
}

const PICTURES: AuditConfig = AuditConfig { together: false, pictures: true, changed: false, threads: 0 };

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match &self.set {
            Some(set) if self.state.are_files() => self.set_of_files(set)?,
            Some(set) => self.live_set(set)?,
            None => self.nodes()?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn set_of_files(&self, set: &ObjectArgument) -> anyhow::Result<()> {
        let (namespace, name) = self.state.place_of(set)?;
        let inventory = self.state.inventory(&namespace)?;
        let report = audit_files(&inventory, &self.policy.load()?, PICTURES, Timestamp::now());
        self.write_set(&report, &namespace, &name, None)
    }

    fn live_set(&self, set: &ObjectArgument) -> anyhow::Result<()> {
        let (namespace, name) = self.state.place_of(set)?;
        let (report, _) = self.judged(Some(&namespace))?;
        let sets: BTreeSet<(Box<str>, Box<str>)> = report
            .applications
            .iter()
            .filter(|at| *at.object.namespace == *namespace && *at.object.name == *name)
            .flat_map(|at| at.sets.iter().map(|set| (at.object.namespace.clone(), set.clone())))
            .collect();
        let placement = self.state.on_cluster(async |client| Ok(placement::of_sets(&client, &sets).await))?;
        self.write_set(&report, &namespace, &name, Some(&placement))
    }

    fn nodes(&self) -> anyhow::Result<()> {
        let (report, listing) = self.judged(None)?;
        let read = async |client: kube::Client| {
            let placement = placement::of_nodes(&client, &self.node).await?;
            Ok((placement, placement::budget_statuses(&client).await))
        };
        let (placement, statuses): (Placement, Vec<BudgetStatus>) = self.state.on_cluster(read)?;
        let mut plan = DrainPlan::of(&self.node, &report, &listing.cluster, &placement, &statuses);
        plan.unknown.extend(report.gaps.iter().map(|gap| gap.message.clone()));
        let mut out = BufWriter::new(styled_stdout());
        match self.format {
            ResultFormat::Human => plan.write_text(&mut out)?,
            ResultFormat::Json => plan.write_json(&mut out)?,
        }
        Ok(out.flush()?)
    }

    /// Lists a namespace or all, and judges what is there.
    fn judged(&self, namespace: Option<&str>) -> anyhow::Result<(Report, Listing)> {
        let policies = self.policy.load()?;
        let reads_raw_sets = |cluster: &Cluster| policies.with_objects_of(cluster).0.read_raw_sets();
        let listing = self.state.listing(namespace, reads_raw_sets)?;
        let report = audit_cluster(&listing, &policies, PICTURES, Timestamp::now());
        Ok((report, listing))
    }

    fn write_set(
        &self,
        report: &Report,
        namespace: &str,
        name: &str,
        placement: Option<&Placement>,
    ) -> anyhow::Result<()> {
        let glances = Glance::of(report, namespace, name, placement);
        if glances.is_empty() {
            let others = report.applications.iter();
            let named = others.map(|at| format!("{}/{}", at.object.namespace, at.object.name));
            let hint = hint(namespace, name, &mut named.collect());
            bail!("there is no StatefulSet {name} in namespace {namespace}{hint}");
        }
        let mut out = BufWriter::new(styled_stdout());
        match self.format {
            ResultFormat::Human => {
                for glance in &glances {
                    glance.write_text(&mut out)?;
                }
                for gap in &report.gaps {
                    writeln!(out, "  {:9} {}", "not known", printable(&gap.message))?;
                }
            }
            ResultFormat::Json => Glance::write_json(&glances, &mut out)?,
        }
        Ok(out.flush()?)
    }
}
