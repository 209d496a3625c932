//! Logging and tracing of `stateward serve`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::serve::instance;
use crate::process::logging;
use crate::process::traces::Traces;

/// Logs and traces.
#[derive(Debug, clap::Args)]
pub(super) struct TelemetryArgs {
    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// What is logged: a level, or directives by module such as `info,stateward::watch=debug`
    #[arg(long, visible_alias = "log-level", value_name = "FILTER", default_value = "info")]
    log: String,
    /// A file with a filter that replaces --log; it is read again when it changes, and may be missing or empty
    #[arg(long, value_name = "FILE")]
    log_filter_file: Option<PathBuf>,
    /// A collector to send traces to, by OTLP over HTTP, such as `http://collector:4318`
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

impl From<LogFormat> for logging::LogLineFormat {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

impl TelemetryArgs {
    /// Starts to log, and to trace where there is a collector. Must be called in the runtime.
    pub(super) fn start(&self) -> anyhow::Result<Option<Traces>> {
        let traces = self.otlp_endpoint.as_deref().map(|url| Traces::new(url, instance())).transpose()?;
        let filter = logging::init(self.log_format.into(), &self.log, traces.as_ref())?;
        if let Some(file) = self.log_filter_file.clone() {
            tokio::spawn(filter.follow(file));
        }
        Ok(traces)
    }
}
