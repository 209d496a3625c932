//! `stateward explain`

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::bail;

use super::no_rule;
use super::streams::stdout;
use crate::rules::{self, Rule};

/// Say what a rule checks, why, and how to fix what it finds
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rule; without it, all are listed
    rule: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut out = stdout();
        match self.rule {
            None => list(&mut out)?,
            Some(id) => {
                let Some(rule) = rules::named(&id) else {
                    bail!(no_rule(&id, rules::ALL.iter().map(|rule| rule.id)));
                };
                explain(&mut out, rule)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(out: &mut impl Write) -> io::Result<()> {
    let width = rules::ALL.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    for rule in rules::ALL {
        writeln!(out, "{:width$}  {}", rule.id, rule.title)?;
    }
    writeln!(out, "\n`stateward explain RULE` says what a rule checks, why, and how to fix what it finds.")
}

fn explain(out: &mut impl Write, rule: &Rule) -> io::Result<()> {
    writeln!(out, "# {}: {}\n\n{}", rule.id, rule.title, rules::markdown(rule))
}
