//! Finds the files of manifests, kustomizations and charts in the paths of an audit.

use std::collections::HashSet;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, WalkBuilder};

use super::argument::Argument;
use super::options::ExcludePattern;
use crate::cli::render::Renderable;
use crate::cli::render::kustomize::{NAMES, References, references};
use crate::cli::sources;
use crate::manifest::{Note, SourceOrigin};
use crate::report::paths::clean;

/// The files, kustomizations and charts of one argument.
#[derive(Debug, Default)]
pub(super) struct Paths {
    pub(super) files: Vec<(PathBuf, SourceOrigin)>,
    pub(super) renderables: Vec<Renderable>,
    pub(super) notes: Vec<Note>,
}

/// The paths that are skipped, by the folder that patterns are relative to.
#[derive(Clone, Debug)]
pub(super) struct Excludes(Vec<Gitignore>);

impl Excludes {
    pub(super) fn of(patterns: &[ExcludePattern]) -> anyhow::Result<Self> {
        let of_folder = |patterns: &[ExcludePattern]| {
            let folder = patterns.first().map(|pattern| here(&pattern.folder)).unwrap_or_default();
            let mut builder = GitignoreBuilder::new(folder);
            for ExcludePattern { pattern, .. } in patterns {
                builder.add_line(None, pattern)?;
            }
            builder.build().context("cannot use --exclude")
        };
        let by_folder = patterns.chunk_by(|one, other| one.folder == other.folder);
        Ok(Self(by_folder.map(of_folder).collect::<anyhow::Result<_>>()?))
    }

    /// Whether a path is excluded. As in git, what matches last decides.
    pub(super) fn is_excluded(&self, path: &Path, is_folder: bool) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let path = here(path);
        let mut matches = self.0.iter().rev().map(|patterns| patterns.matched(&path, is_folder));
        matches.find(|found| !found.is_none()).is_some_and(|found| found.is_ignore())
    }
}

/// The absolute path.
fn here(path: &Path) -> PathBuf {
    clean(&env::current_dir().unwrap_or_default().join(path))
}

/// Finds what lies under an argument. Hidden folders, links to folders, what `.gitignore` leaves out and what is excluded are passed
/// over; in an old state what is excluded by its old path, or by its new one.
pub(super) fn find(argument: &Argument, excludes: &Excludes) -> Paths {
    let path = argument.path.as_path();
    if !path.is_dir() {
        let file = clean(path);
        if is_kustomization(&file) {
            return Paths { renderables: vec![Renderable::Kustomization(file)], ..Paths::default() };
        }
        return Paths { files: vec![(path.to_owned(), SourceOrigin::Named)], ..Paths::default() };
    }
    let (excludes, of) = (excludes.clone(), argument.clone());
    let is_excluded = move |path: &Path, is_folder| {
        excludes.is_excluded(path, is_folder)
            || of.new_path(path).is_some_and(|path| excludes.is_excluded(&path, is_folder))
    };
    let hidden: Arc<Mutex<Vec<PathBuf>>> = Arc::default();
    let passed_over = Arc::clone(&hidden);
    let walk = WalkBuilder::new(path)
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .require_git(false)
        .sort_by_file_name(std::ffi::OsStr::cmp)
        .filter_entry(move |entry| is_wanted(entry, &is_excluded, &passed_over))
        .build();
    let (mut found, mut files) = (Paths::default(), Vec::new());
    for entry in walk {
        match entry {
            Ok(entry) if entry.path().is_file() => files.push(clean(entry.path())),
            Ok(entry) if is_manifest(entry.path()) && !entry.path().is_dir() => {
                found.notes.push(sources::skipped(entry.path(), sources::NOT_REGULAR));
            }
            Ok(_) => {}
            Err(error) => found.notes.push(sources::failed(
                path.display().to_string(),
                SourceOrigin::Found,
                &error.to_string(),
            )),
        }
    }
    for folder in hidden.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        found.notes.push(sources::skipped(folder, "a hidden folder: name it to have it read"));
    }
    sort_out(files, &mut found);
    found
}

fn is_wanted(
    entry: &DirEntry,
    is_excluded: &impl Fn(&Path, bool) -> bool,
    hidden: &Mutex<Vec<PathBuf>>,
) -> bool {
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    if entry.depth() == 0 {
        return true;
    }
    let name = entry.file_name();
    let is_hidden = is_folder && name.as_encoded_bytes().starts_with(b".");
    let is_excluded = is_excluded(entry.path(), is_folder);
    if is_hidden && !is_excluded && name != ".git" {
        hidden.lock().unwrap_or_else(PoisonError::into_inner).push(entry.path().to_owned());
    }
    !is_hidden && !is_excluded
}

fn is_kustomization(file: &Path) -> bool {
    file.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known))
}

/// Tells charts and kustomizations, with what belongs to them, from plain manifests.
fn sort_out(files: Vec<PathBuf>, found: &mut Paths) {
    let charts: HashSet<PathBuf> = files
        .iter()
        .filter(|file| file.file_name().is_some_and(|name| name == "Chart.yaml") && is_chart(file))
        .filter_map(|file| file.parent().map(Path::to_owned))
        .collect();
    let in_chart = |path: &Path| path.ancestors().skip(1).any(|folder| charts.contains(folder));
    let (kustomizations, plain): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().filter(|file| !in_chart(file)).partition(|file| is_kustomization(file));
    let references: Vec<References> = kustomizations.iter().map(|file| references(file)).collect();
    let used: HashSet<&Path> =
        references.iter().flat_map(|of| of.files.iter().chain(&of.folders)).map(PathBuf::as_path).collect();
    for (file, references) in kustomizations.iter().zip(&references) {
        let is_used = file.parent().is_some_and(|folder| used.contains(folder));
        if !is_used && !references.is_component {
            found.renderables.push(Renderable::Kustomization(file.clone()));
        }
    }
    let mut roots: Vec<&PathBuf> = charts.iter().filter(|folder| !in_chart(folder)).collect();
    roots.sort();
    for folder in roots {
        if !is_library(&folder.join("Chart.yaml")) {
            // To helm an empty path is the name of a repository.
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            found.renderables.push(Renderable::Chart(folder.to_owned()));
        }
    }
    let plain = plain.into_iter().filter(|file| is_manifest(file) && !used.contains(file.as_path()));
    found.files = plain.map(|file| (file, SourceOrigin::Found)).collect();
}

fn is_manifest(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    extension == "yaml" || extension == "yml" || extension == "json"
}

fn is_chart(file: &Path) -> bool {
    has_line(file, |line| line.starts_with("name:")) && has_line(file, |line| line.starts_with("version:"))
}

/// A library has nothing to render; the charts that use it have.
fn is_library(file: &Path) -> bool {
    has_line(file, |line| line.strip_prefix("type:").is_some_and(|kind| kind.trim() == "library"))
}

fn has_line(file: &Path, is_it: impl Fn(&str) -> bool) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(is_it))
}
