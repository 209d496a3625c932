//! The `stateward` command.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match stateward::cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // There is nobody left to tell when this fails.
            let _ = writeln!(anstream::stderr(), "stateward: {error:#}");
            ExitCode::from(2)
        }
    }
}
