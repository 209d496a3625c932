//! The destinations of reports.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};

use crate::cli::streams::styled_stdout;
use crate::report::Report;
use crate::report::formats::ReportFormat;
use crate::report::paths::clean;

/// A format, and the file it goes to if not to standard output.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) format: ReportFormat,
    file: Option<PathBuf>,
}

impl Default for Output {
    fn default() -> Self {
        Self { format: ReportFormat::Human, file: None }
    }
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = match text.split_once('=') {
            Some((format, "")) => return Err(format!("no file is named after `{format}=`")),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        Ok(Self { format: format.parse()?, file })
    }
}

impl Output {
    pub(super) fn write(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.file {
            return self.write_file(report, path).with_context(|| format!("cannot write {}", path.display()));
        }
        let mut out = BufWriter::new(styled_stdout());
        self.format.write(report, &mut out)?;
        Ok(out.flush()?)
    }

    fn target(&self) -> Option<PathBuf> {
        self.file.as_deref().map(clean)
    }

    fn write_file(&self, report: &Report, path: &Path) -> anyhow::Result<()> {
        let mut out = BufWriter::new(anstream::StripStream::new(File::create(path)?));
        self.format.write(report, &mut out)?;
        Ok(out.flush()?)
    }
}

/// Refuses two reports on one target: the second would replace the first, or make both unreadable.
pub(super) fn refuse_one_target(outputs: &[Output]) -> anyhow::Result<()> {
    for (number, output) in outputs.iter().enumerate() {
        if outputs.iter().take(number).any(|other| other.target() == output.target()) {
            let target =
                output.file.as_ref().map_or("standard output".into(), |file| file.display().to_string());
            bail!("two reports would be written to {target}: give one of them a file, as --format json=FILE");
        }
    }
    Ok(())
}

/// Adds the report to the summary of a GitHub job, where there is one.
pub(super) fn write_job_summary(report: &Report) -> anyhow::Result<()> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let failed = || format!("cannot write the job summary {}", Path::new(&path).display());
    let mut file = OpenOptions::new().append(true).create(true).open(&path).with_context(failed)?;
    ReportFormat::Markdown.write(report, &mut file).with_context(failed)
}
