//! Logs, to stderr.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not one.
    #[error("`{filter}` is not a log filter; expected a level or directives such as `info,stateward=debug`")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logs were set up before.
    #[error("logs are set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends what passes the filter (`info`, `warn,stateward=debug` …) to stderr; in colours only on a terminal.
pub fn init(format: Format, filter: &str) -> Result<(), LoggingError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })?;
    let base = tracing_subscriber::registry().with(parsed);
    let layer = fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    match format {
        Format::Text => base.with(layer).try_init()?,
        Format::Json => base.with(layer.json().flatten_event(true).with_ansi(false)).try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Format, LoggingError, init};

    #[test]
    fn a_wrong_filter_is_named() {
        let error = init(Format::Text, "stateward=loud").unwrap_err();
        assert!(
            matches!(&error, LoggingError::Filter { filter, .. } if filter == "stateward=loud"),
            "{error}"
        );
    }
}
