//! `stateward audit --fix` and `--diff`: the edits of findings, made in files or shown.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::streams::{stderr, stdout};
use crate::fix::{FixedFile, Fixes, LeftAlone, Reason, unified};
use crate::manifest::STDIN;
use crate::report::text::count;

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

    /// Writes the files or the diff, and says what is left alone. Returns the new files. Nothing is written, and no diff is shown,
    /// where one of the files cannot be edited.
    pub(super) fn finish(&self, fixes: &Fixes) -> anyhow::Result<Vec<PathBuf>> {
        let cannot_edit = |file: &FixedFile| format!("cannot edit {}", file.name);
        let targets: Vec<(&FixedFile, FixTarget)> = fixes
            .files
            .iter()
            .map(|file| Ok((file, FixTarget::of(file, self.diff).with_context(|| cannot_edit(file))?)))
            .collect::<anyhow::Result<_>>()?;
        if self.diff {
            let mut out = stdout();
            for file in &fixes.files {
                write!(out, "{}", unified(file))?;
            }
        } else {
            for (file, target) in targets {
                target.write(file).with_context(|| cannot_edit(file))?;
            }
        }
        let verb = if self.diff { "would be fixed" } else { "fixed" };
        let (findings, changed) = (count(fixes.fixed, "finding"), count(fixes.files.len(), "file"));
        let mut err = stderr();
        writeln!(err, "stateward: {findings} {verb} in {changed}")?;
        for left in &fixes.left {
            writeln!(err, "stateward: not fixed: {} at {}: {}", left.rule, left.object, why(left))?;
        }
        let new = fixes.files.iter().filter(|file| file.before.is_none());
        Ok(new.map(|file| PathBuf::from(&file.name)).collect())
    }
}

/// The destination of a changed text.
enum FixTarget {
    New(PathBuf),
    /// Standard input, of which only a diff is shown.
    Stdin,
    Existing {
        /// Without links: a link stays one.
        path: PathBuf,
        /// The byte order mark of the file, or nothing.
        mark: &'static str,
    },
}

fn why(left: &LeftAlone) -> String {
    match &left.reason {
        Reason::Unsafe => "a person should look at the edit first (--unsafe-fixes makes it)".to_owned(),
        Reason::Conflict(rule) => format!("{rule} wants something else of the same field"),
        Reason::NotEditable(why) => why.clone(),
    }
}

impl FixTarget {
    /// Looks whether a file can be edited as it is now.
    fn of(file: &FixedFile, is_diff: bool) -> anyhow::Result<Self> {
        let path = PathBuf::from(&file.name);
        let Some(before) = &file.before else {
            ensure!(path.symlink_metadata().is_err(), "it is to be made, and there is one already");
            return Ok(Self::New(path));
        };
        if file.name == STDIN {
            ensure!(is_diff, "standard input cannot be edited, --diff shows what would change");
            return Ok(Self::Stdin);
        }
        let path = fs::canonicalize(path)?;
        let text = fs::read_to_string(&path)?;
        let (mark, text) = text.strip_prefix('\u{feff}').map_or(("", &*text), |text| ("\u{feff}", text));
        ensure!(text == &**before, "it has changed since it was read");
        Ok(Self::Existing { path, mark })
    }

    /// Replaces a file as a whole, so that it is never half written.
    fn write(&self, file: &FixedFile) -> anyhow::Result<()> {
        let (path, mark) = match self {
            Self::Stdin => return Ok(()),
            Self::New(path) => {
                let mut new = File::options().write(true).create_new(true).open(path)?;
                return Ok(new.write_all(file.after.as_bytes())?);
            }
            Self::Existing { path, mark } => (path, mark),
        };
        let beside = temporary(path);
        let written = File::options().write(true).create_new(true).open(&beside).and_then(|mut new| {
            new.set_permissions(fs::metadata(path)?.permissions())?;
            new.write_all(mark.as_bytes())?;
            new.write_all(file.after.as_bytes())?;
            fs::rename(&beside, path)
        });
        if written.is_err() {
            // A partly written file is of no use; the first error is the one to report.
            drop(fs::remove_file(&beside));
        }
        Ok(written?)
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".stateward-new");
    path.with_file_name(name)
}
