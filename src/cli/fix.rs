//! `stateward audit --fix` and `--diff`: the edits of findings, made in files or shown.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::sources;
use crate::fix::{FixedFile, Fixes, LeftAlone, Reason, unified};

#[derive(Debug, clap::Args)]
#[group(id = "edits", multiple = true)]
pub(super) struct FixArgs {
    /// Make the edits that are safe in the files, and report what is left
    #[arg(long, conflicts_with = "cluster", group = "asked")]
    fix: bool,
    /// Show what --fix would change as a unified diff, in place of the report, and change nothing
    #[arg(long, conflicts_with_all = ["cluster", "fix"], group = "asked")]
    diff: bool,
    /// With --fix or --diff: make also the edits that a person should look at first
    #[arg(long, requires = "asked")]
    unsafe_fixes: bool,
}

impl FixArgs {
    /// Whether edits are to be made or shown.
    pub(super) fn is_asked(&self) -> bool {
        self.fix || self.diff
    }

    /// Whether the edits are shown in place of the report.
    pub(super) fn shows_diff(&self) -> bool {
        self.diff
    }

    /// Whether edits that a person should look at first are made too.
    pub(super) fn with_unsafe(&self) -> bool {
        self.unsafe_fixes
    }

    /// Writes the files or the diff, and says what is left alone. Returns the new files.
    pub(super) fn finish(&self, fixes: &Fixes) -> anyhow::Result<Vec<PathBuf>> {
        if self.diff {
            let mut out = io::stdout().lock();
            for file in &fixes.files {
                write!(out, "{}", unified(file))?;
            }
        } else {
            for file in &fixes.files {
                write_file(file).with_context(|| format!("cannot edit {}", file.name))?;
            }
        }
        let verb = if self.diff { "would be fixed" } else { "fixed" };
        let mut err = io::stderr().lock();
        writeln!(err, "stateward: {} findings {verb} in {} files", fixes.fixed, fixes.files.len())?;
        for left in &fixes.left {
            writeln!(err, "stateward: not fixed: {} at {}: {}", left.rule, left.object, why(left))?;
        }
        let new = fixes.files.iter().filter(|file| file.before.is_none());
        Ok(new.map(|file| PathBuf::from(&file.name)).collect())
    }
}

fn why(left: &LeftAlone) -> String {
    match &left.reason {
        Reason::Unsafe => "a person should look at the edit first (--unsafe-fixes makes it)".to_owned(),
        Reason::Conflict(rule) => format!("{rule} wants something else of the same field"),
        Reason::NotEditable(why) => why.clone(),
    }
}

/// Replaces a file as a whole, so that it is never half written.
fn write_file(file: &FixedFile) -> anyhow::Result<()> {
    let Some(before) = &file.before else {
        let mut new = File::options().write(true).create_new(true).open(&file.name)?;
        return Ok(new.write_all(file.after.as_bytes())?);
    };
    if file.name == sources::STDIN {
        bail!("standard input cannot be edited, --diff shows what would change");
    }
    // A link stays one.
    let path = fs::canonicalize(&file.name)?;
    let text = fs::read_to_string(&path)?;
    let mark = text.strip_prefix('\u{feff}').map_or("", |_| "\u{feff}");
    if text.strip_prefix('\u{feff}').unwrap_or(&text) != &**before {
        bail!("it has changed since it was read");
    }
    let beside = temporary(&path);
    let written = File::options().write(true).create_new(true).open(&beside).and_then(|mut new| {
        new.set_permissions(fs::metadata(&path)?.permissions())?;
        new.write_all(mark.as_bytes())?;
        new.write_all(file.after.as_bytes())?;
        fs::rename(&beside, &path)
    });
    if written.is_err() {
        // What is left of it helps no one; the first error says what went wrong.
        drop(fs::remove_file(&beside));
    }
    Ok(written?)
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".stateward-new");
    path.with_file_name(name)
}
