//! Logs, to stderr.

use std::io::{self, IsTerminal, stderr};

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
    let layer = fmt::layer().with_writer(|| OneLine(stderr())).with_ansi(stderr().is_terminal());
    match format {
        Format::Text => base.with(layer).try_init()?,
        Format::Json => base.with(layer.json().flatten_event(true).with_ansi(false)).try_init()?,
    }
    Ok(())
}

/// Writes each event as one line, whatever was written into its message: each call of `write` is one event.
struct OneLine<W>(W);

impl<W: io::Write> io::Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        if !line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let mut shown = Vec::with_capacity(event.len() + 16);
        for byte in line {
            match byte {
                b'\n' => shown.extend_from_slice(b"\\n"),
                b'\r' => shown.extend_from_slice(b"\\r"),
                _ => shown.push(*byte),
            }
        }
        shown.push(b'\n');
        self.0.write_all(&shown)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Format, LoggingError, OneLine, init};

    #[test]
    fn an_event_is_one_line() {
        let mut log = OneLine(Vec::new());
        log.write_all(b"INFO plain\n").unwrap();
        log.write_all(b"INFO name\r\n2026 ERROR forged\n").unwrap();
        assert_eq!(log.0, b"INFO plain\nINFO name\\r\\n2026 ERROR forged\n");
    }

    #[test]
    fn a_wrong_filter_is_named() {
        let error = init(Format::Text, "stateward=loud").unwrap_err();
        assert!(
            matches!(&error, LoggingError::Filter { filter, .. } if filter == "stateward=loud"),
            "{error}"
        );
    }
}
