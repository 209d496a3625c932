//! What a run looks at, of all that its baseline may hold.

use std::path::Path;

use super::Args;
use super::argument::Argument;
use super::baseline::BaselineFinding;
use super::find::Excludes;
use crate::manifest::STDIN;
use crate::report::Report;
use crate::report::paths::RepositoryPaths;

/// The rules and the paths of a run.
pub(super) struct RunScope<'a> {
    args: &'a Args,
    paths: &'a RepositoryPaths,
    excludes: Excludes,
    /// The arguments within the repository.
    arguments: Vec<String>,
    /// Whether everything that was named could be read and is reported.
    is_complete: bool,
}

impl<'a> RunScope<'a> {
    pub(super) fn of(args: &'a Args, report: &'a Report) -> anyhow::Result<Self> {
        let paths = &report.paths;
        let named = args.named_paths().map(|path| Argument::new(path.clone()).name());
        let arguments = named.map(|name| paths.within(&name).into_owned());
        Ok(Self {
            args,
            paths,
            excludes: Excludes::of(&args.exclude)?,
            arguments: arguments.collect(),
            is_complete: !report.is_incomplete() && !report.is_partial() && !args.changed,
        })
    }

    /// Whether the run would have found this, if it were still there.
    pub(super) fn covers(&self, finding: &BaselineFinding) -> bool {
        let is_there = if self.args.cluster {
            finding.file.is_empty() && self.args.namespace().is_none_or(|name| name == finding.namespace)
        } else {
            let mut origins = finding.origins();
            !finding.file.is_empty()
                && origins.all(|origin| self.reads(origin, finding.rendered_from.is_some()))
        };
        self.is_complete && self.args.reports(&finding.rule) && is_there
    }

    /// Whether a file, or a folder that is rendered, is read for one of the arguments.
    fn reads(&self, origin: &str, is_folder: bool) -> bool {
        let place = Path::new(origin);
        let is_excluded =
            |path: &Path| self.excludes.is_excluded(&self.paths.absolute(path), is_folder || path != place);
        self.arguments.iter().any(|argument| {
            let is_below = match argument.as_str() {
                "." => place.is_relative() && !place.starts_with("..") && place != Path::new(STDIN),
                argument => place.starts_with(argument),
            };
            let is_above = |path: &&Path| path.as_os_str().is_empty() || *path == Path::new(argument);
            // As in a walk: the argument itself is read in any case.
            is_below && !place.ancestors().take_while(|path| !is_above(path)).any(is_excluded)
        })
    }
}
