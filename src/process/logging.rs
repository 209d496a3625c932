//! Logs, to stderr.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, IsTerminal, Read, stderr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::traces::Traces;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLineFormat {
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
        /// The text that was given.
        filter: String,
        /// The error in it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logs were set up before.
    #[error("logs are set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends events that pass the filter (`info`, `warn,stateward=debug` …) to stderr, in colours only on a terminal; and spans to
/// a collector.
pub fn init(format: LogLineFormat, filter: &str, traces: Option<&Traces>) -> Result<LogFilter, LoggingError> {
    let (in_force, handle) = reload::Layer::new(parsed(filter)?);
    let layer = fmt::layer().with_writer(|| OneLine(stderr())).with_ansi(stderr().is_terminal());
    let layer = match format {
        LogLineFormat::Text => layer.boxed(),
        LogLineFormat::Json => layer.json().flatten_event(true).with_ansi(false).boxed(),
    };
    let logs = tracing_subscriber::registry().with(layer.with_filter(in_force));
    logs.with(traces.map(Traces::layer)).try_init()?;
    Ok(LogFilter { handle, configured: filter.to_owned() })
}

/// The kube client logs each request that fails, without its name, beside our own line.
const QUIET: &str = "kube_client::client=off,kube_runtime::watcher=off";

/// The filter, with less of the kube client unless it names that.
fn parsed(filter: &str) -> Result<EnvFilter, LoggingError> {
    let own = match filter.trim() {
        named if named.contains("kube_") => named.to_owned(),
        // The meaning of a filter without directives.
        "" => format!("error,{QUIET}"),
        level => format!("{level},{QUIET}"),
    };
    let checked = EnvFilter::try_new(filter).and_then(|_| EnvFilter::try_new(own));
    checked.map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })
}

/// The filter in force, which a file can change at run time.
pub struct LogFilter {
    handle: reload::Handle<EnvFilter, Registry>,
    /// The filter of the command line.
    configured: String,
}

/// How often the file is read.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The longest filter in bytes.
const LONGEST_FILTER: u64 = 4096;

impl LogFilter {
    /// Applies the filter in a file whenever it changes. Without a file, or with an empty one, the filter of the command line
    /// applies; a filter that cannot be parsed changes nothing.
    pub async fn follow(self, file: PathBuf) -> Infallible {
        let mut seen = String::new();
        loop {
            let wanted = filter_in(&file);
            if wanted != seen {
                self.change(&wanted, &file);
                seen = wanted;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn change(&self, wanted: &str, file: &Path) {
        let filter = if wanted.is_empty() { &*self.configured } else { wanted };
        match parsed(filter).map(|parsed| self.handle.reload(parsed)) {
            Ok(Ok(())) => tracing::info!(filter, "log filter changed"),
            Ok(Err(error)) => tracing::warn!(filter, %error, "log filter not changed"),
            Err(error) => tracing::warn!(file = %file.display(), "log filter not changed: {error}"),
        }
    }
}

/// The filter in a file; empty where the file cannot be read.
fn filter_in(file: &Path) -> String {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(LONGEST_FILTER).read_to_string(&mut text));
    if read.is_err() {
        text.clear();
    }
    text.trim().to_owned()
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

    use super::{LogLineFormat, LoggingError, OneLine, init, parsed};

    #[test]
    fn an_event_is_one_line() {
        let mut log = OneLine(Vec::new());
        log.write_all(b"INFO plain\n").unwrap();
        log.write_all(b"INFO name\r\n2026 ERROR forged\n").unwrap();
        assert_eq!(log.0, b"INFO plain\nINFO name\\r\\n2026 ERROR forged\n");
    }

    #[test]
    fn the_kube_client_is_quiet_unless_it_is_named() {
        for (filter, is_quiet) in
            [("info", true), ("", true), ("trace,stateward=debug", true), ("info,kube_client=debug", false)]
        {
            let shown = parsed(filter).unwrap().to_string();
            assert_eq!(shown.contains("kube_client::client=off"), is_quiet, "{filter:?}: {shown}");
            assert!(!is_quiet || shown.contains("kube_runtime::watcher=off"), "{shown}");
        }
    }

    #[test]
    fn a_wrong_filter_is_named() {
        let error = init(LogLineFormat::Text, "stateward=loud", None).err().unwrap();
        assert!(
            matches!(&error, LoggingError::Filter { filter, .. } if filter == "stateward=loud"),
            "{error}"
        );
    }
}
