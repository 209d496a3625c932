//! `stateward man`

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Command, CommandFactory};

use super::streams::stdout;

/// Print the manual, one page a command, in roff
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "all commands are run alike")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut command = super::Cli::command();
        command.build();
        let mut out = stdout();
        write(&command, &mut out)?;
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            write(command, &mut out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write(command: &Command, out: &mut impl Write) -> io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(out)
}
