//! Arguments of an audit: what is read for each, and the paths of an old state as those of the new one that they become.

use std::path::{Path, PathBuf, absolute};

use crate::manifest::STDIN;
use crate::report::paths::{clean, relative};

/// A path to read.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub(super) path: PathBuf,
    /// In an old state: the path of the new one that is compared with it.
    new: Option<NewPath>,
}

#[derive(Clone, Debug)]
struct NewPath {
    path: PathBuf,
    /// Whether the files are reported by their new paths: those of a checkout are gone when the report is read.
    names_files: bool,
}

impl Argument {
    /// A path of the new state, or of the only one.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, new: None }
    }

    /// A path of the old state that is compared with `new`.
    pub(super) fn old(path: PathBuf, new: PathBuf) -> Self {
        Self { path, new: Some(NewPath { path: new, names_files: false }) }
    }

    /// The same in a temporary folder.
    pub(super) fn checked_out(path: PathBuf, new: PathBuf) -> Self {
        Self { path, new: Some(NewPath { path: new, names_files: true }) }
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// The argument as the report names it.
    pub(super) fn name(&self) -> String {
        let named = self.new.as_ref().filter(|new| new.names_files).map_or(&self.path, |new| &new.path);
        if named.as_os_str() == "-" { STDIN.to_owned() } else { named.display().to_string() }
    }

    /// The path in the new state of a file or folder that was found here.
    pub(super) fn new_path(&self, found: &Path) -> Option<PathBuf> {
        let below = from_to(&self.path, found)?;
        self.new.as_ref().map(|new| clean(&new.path.join(below)))
    }

    /// Whether files have other names in reports than the paths they are read from.
    pub(super) fn renames_files(&self) -> bool {
        self.new.as_ref().is_some_and(|new| new.names_files)
    }

    /// The name in reports of a file that was read from the path `file`.
    pub(super) fn name_of(&self, file: &str) -> String {
        let new_path = self.new_path(Path::new(file)).filter(|_| self.renames_files());
        new_path.map_or_else(|| file.to_owned(), |path| path.display().to_string())
    }

    /// Another file of the new state, as it is beside this argument; as it is now where the old state does not have it.
    pub(super) fn as_it_was(&self, file: &Path) -> PathBuf {
        let below = self.new.as_ref().and_then(|new| from_to(&new.path, file));
        let old = below.map(|below| clean(&self.path.join(below)));
        old.filter(|old| old.is_file()).unwrap_or_else(|| file.to_owned())
    }
}

/// The path from the folder or file `from` to `path`.
fn from_to(from: &Path, path: &Path) -> Option<PathBuf> {
    let [from, path] = [from, path].map(|path| absolute(path).map(|path| clean(&path)).ok());
    Some(relative(&path?, &from?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_checkout_have_the_names_of_the_repository() {
        for (old, new, file, name) in [
            ("/tmp/tree", ".", "/tmp/tree/m/a.yaml", "m/a.yaml"),
            ("/tmp/tree/m", "m", "/tmp/tree/m/a.yaml", "m/a.yaml"),
            ("/tmp/tree/m", "./m", "/tmp/tree/base/a.yaml", "base/a.yaml"),
            ("/tmp/tree/m", "../m", "/tmp/tree/m/a.yaml", "../m/a.yaml"),
            ("/tmp/tree/m/a.yaml", "m/a.yaml", "/tmp/tree/m/a.yaml", "m/a.yaml"),
            ("/tmp/tree/m", "/repository/m", "/tmp/tree/base/a.yaml", "/repository/base/a.yaml"),
        ] {
            let (old, new) = (PathBuf::from(old), PathBuf::from(new));
            assert_eq!(Argument::checked_out(old.clone(), new.clone()).name_of(file), name);
            let argument = Argument::old(old, new);
            assert_eq!(argument.name_of(file), file);
            assert_eq!(argument.new_path(Path::new(file)), Some(name.into()));
        }
    }

    #[test]
    fn a_file_that_the_old_state_has_not_is_taken_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for folder in ["old/env", "old/chart", "new/env", "new/chart"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        std::fs::write(path("old/env/prod.yaml"), "").unwrap();
        let argument = Argument::old(path("old/chart"), path("new/chart"));
        assert_eq!(argument.as_it_was(&path("new/env/prod.yaml")), path("old/env/prod.yaml"));
        assert_eq!(argument.as_it_was(&path("new/env/more.yaml")), path("new/env/more.yaml"));
        assert_eq!(Argument::new(path("new/chart")).as_it_was(&path("new/x")), path("new/x"));
    }
}
