//! The repositories around the paths of an audit.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::report::paths::{RepositoryPaths, clean};

/// Finds the repositories around the current folder and around files and folders that are named on the command line.
pub(super) fn repository_paths<'a>(
    named: impl Iterator<Item = &'a PathBuf>,
) -> anyhow::Result<RepositoryPaths> {
    let current = std::env::current_dir().context("cannot tell the current folder")?;
    // Links to files are files of the repository; only the way to a file is resolved.
    let folder = |path: &PathBuf| {
        let path = clean(&current.join(path));
        if path.is_dir() { Some(path) } else { path.parent().map(Path::to_owned) }
    };
    let folders: Vec<PathBuf> = named.filter_map(folder).collect();
    let links = folders.iter().filter_map(|folder| last_link(folder)).collect();
    Ok(RepositoryPaths::new(current, &folders, links, |path| path.symlink_metadata().is_ok()))
}

/// The last link on the way to a folder, and the folder that it leads to.
fn last_link(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let resolved = folder.canonicalize().ok().filter(|resolved| resolved != folder)?;
    let parent = folder.parent()?;
    let is_below =
        parent.canonicalize().is_ok_and(|above| Some(above) == resolved.parent().map(Path::to_owned));
    if is_below && folder.file_name() == resolved.file_name() {
        return last_link(parent);
    }
    Some((folder.to_owned(), resolved))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_last_link_leads_to_all_that_is_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        fs::create_dir_all(real.join("a/b/c")).unwrap();
        symlink(real.join("a"), real.join("link")).unwrap();
        assert_eq!(last_link(&real.join("link/b/c")), Some((real.join("link"), real.join("a"))));
        assert_eq!(last_link(&real.join("a/b")), None);
        symlink(real.join("a/b"), real.join("a/again")).unwrap();
        let again = (real.join("link/again"), real.join("a/b"));
        assert_eq!(last_link(&real.join("link/again/c")), Some(again));
    }
}
