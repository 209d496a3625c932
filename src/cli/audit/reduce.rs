//! What is left of a report: the rules and levels that were asked for, and what the baseline does not have.

use std::io::Write;

use anyhow::ensure;

use super::Args;
use super::baseline::{Baseline, BaselineRest};
use super::options::{FailOn, MinLevel};
use super::scope::RunScope;
use crate::cli::streams::stderr;
use crate::report::Report;
use crate::report::text::count;

/// The baseline beside a report.
pub(super) struct ComparedBaseline {
    baseline: Baseline,
    rest: BaselineRest,
}

impl Args {
    /// Leaves out what was not asked for, and compares with the baseline.
    pub(super) fn reduce(&self, report: &mut Report) -> anyhow::Result<Option<ComparedBaseline>> {
        let FailOn(fail_on) = self.fail_on.unwrap_or_default();
        (report.fail_on, report.is_quiet) = (fail_on, self.quiet);
        let read = if self.write_baseline { Baseline::read_or_new } else { Baseline::read };
        let baseline = self.baseline.as_ref().map(|path| read(path, report)).transpose()?;
        let left_out = report.retain(|finding| {
            self.reports(finding.rule.as_str())
                && self.min_level.is_none_or(|MinLevel(level)| finding.level >= level)
        });
        let Some(baseline) = baseline else { return Ok(None) };
        report.mark_known(&baseline.fingerprints());
        let rest = baseline.rest(report, &left_out, &RunScope::of(self, report)?);
        Ok(Some(ComparedBaseline { baseline, rest }))
    }

    /// Whether findings of a rule are reported.
    pub(super) fn reports(&self, rule: &str) -> bool {
        let is_named = |rules: &[String]| rules.iter().any(|name| name == rule);
        (self.only.is_empty() || is_named(&self.only)) && !is_named(&self.skip)
    }

    /// Writes the baseline where that is asked for, and says what it holds besides the report.
    pub(super) fn finish_baseline(
        &self,
        report: &mut Report,
        compared: Option<ComparedBaseline>,
    ) -> anyhow::Result<()> {
        let Some((path, ComparedBaseline { baseline, rest })) = self.baseline.as_ref().zip(compared) else {
            return Ok(());
        };
        let name = path.display();
        let BaselineRest { kept, of_version_1, gone } = rest;
        if !self.write_baseline {
            if baseline.is_version_1() {
                writeln!(
                    stderr(),
                    "stateward: {name} is of an earlier version, which knows findings only while the paths on the command line are \
                     written as they were then: write it anew with --write-baseline"
                )?;
            } else if gone > 0 && !self.quiet {
                let verb = if gone == 1 { "is" } else { "are" };
                let findings = count(gone, "finding");
                writeln!(stderr(), "stateward: {findings} of {name} {verb} gone: write it anew")?;
            }
            return Ok(());
        }
        ensure!(
            of_version_1 == 0,
            "{name} is of an earlier version and has {} that this run does not look at: write it once with all rules and \
             paths, or remove it first",
            count(of_version_1, "finding")
        );
        if !kept.is_empty() && !self.quiet {
            let findings = count(kept.len(), "finding");
            writeln!(stderr(), "stateward: kept in {name}: {findings} that this run does not look at")?;
        }
        let written = Baseline::write(report, kept, path)?;
        report.mark_known(&written.fingerprints());
        Ok(())
    }
}
