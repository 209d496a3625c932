//! The `stateward` command.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Before anything makes a TLS configuration: libraries take whatever is installed. It fails only where one is.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match stateward::cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // No output is left to report a failure to.
            let _ = writeln!(anstream::stderr(), "stateward: {}", stateward::cli::explained(&error));
            ExitCode::from(2)
        }
    }
}
