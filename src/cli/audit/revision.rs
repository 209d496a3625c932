//! The files of a repository as they were at a revision of git.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use super::argument::Argument;
use crate::report::paths::clean;

const FETCH_IT: &str = "fetch it first (a shallow clone has few), or name another";

/// A revision in a folder of its own, which goes with this value.
pub(super) struct Checkout {
    folder: TempDir,
    /// The folder that holds the repository.
    top: PathBuf,
}

/// Writes all files of a revision, touching neither the work tree nor the index.
pub(super) fn check_out(revision: &str) -> anyhow::Result<Checkout> {
    ensure!(!revision.starts_with('-'), "{revision:?} is not a revision");
    let top =
        git(&["rev-parse", "--show-toplevel"], None).context("--base compares with a revision of git")?;
    let top = PathBuf::from(top.trim());
    let commit = git(&["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")], None)
        .map_err(|_| anyhow::anyhow!("there is no revision {revision:?} in {}: {FETCH_IT}", top.display()))?;
    let folder = tempfile::tempdir().context("cannot make a folder for the revision")?;
    let index = folder.path().join(".stateward-index");
    git(&["read-tree", commit.trim()], Some(&index))?;
    let prefix = format!("--prefix={}/", folder.path().join("tree").display());
    let all =
        ["-C", &top.to_string_lossy(), "checkout-index", "--all", "--quiet", &prefix].map(str::to_owned);
    git(&all.each_ref().map(String::as_str), Some(&index))?;
    Ok(Checkout { folder, top })
}

impl Checkout {
    /// The paths in the revision; an empty folder for a path that did not exist.
    pub(super) fn arguments(&self, paths: &[PathBuf]) -> anyhow::Result<Vec<Argument>> {
        let empty = self.folder.path().join("empty");
        fs::create_dir_all(&empty).context("cannot make a folder for the revision")?;
        let here = env::current_dir()
            .and_then(|folder| folder.canonicalize())
            .context("cannot tell the current folder")?;
        let old = paths.iter().map(|path| {
            let Ok(below) = clean(&here.join(path)).strip_prefix(&self.top).map(Path::to_owned) else {
                bail!("{} is not in the repository {}", path.display(), self.top.display());
            };
            let old = self.tree().join(below);
            Ok(Argument::checked_out(if old.exists() { old } else { empty.clone() }, path.clone()))
        });
        old.collect()
    }

    /// A message about files of the revision, with their paths in the repository.
    pub(super) fn in_repository(&self, message: &str) -> String {
        message.replace(&*self.tree().to_string_lossy(), &self.top.to_string_lossy())
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }
}

fn git(arguments: &[&str], index: Option<&Path>) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.args(arguments);
    if let Some(index) = index {
        command.env("GIT_INDEX_FILE", index);
    }
    let output = command.output().context("cannot run git")?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("git {} failed: {}", arguments.first().copied().unwrap_or_default(), complaint.trim());
    }
    String::from_utf8(output.stdout).context("git prints something that is not UTF-8 text")
}
