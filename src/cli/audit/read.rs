//! From paths to an inventory, on all cores.

use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::argument::Argument;
use super::find::{Excludes, Paths, find};
use crate::cli::render::{RenderConfig, Renderable};
use crate::cli::sources;
use crate::cli::streams::stderr;
use crate::cluster::inventory::{FileObjects, Inventory, KeepValues, Unit, UnitKind};
use crate::manifest::{Note, NoteKind, Source, SourceOrigin};

/// How many files are read between two reports of progress.
const PROGRESS: usize = 500;

/// How paths are read.
pub(super) struct PathReader<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) excludes: Excludes,
    pub(super) render: RenderConfig,
    pub(super) fail_on_empty: bool,
    pub(super) keep_values: KeepValues,
}

/// Something to read.
enum ReadTask {
    File(PathBuf, SourceOrigin),
    Render(Renderable, RenderConfig),
    Stdin,
}

impl PathReader<'_> {
    /// Reads everything under some paths, showing progress at a terminal.
    pub(super) fn inventory(&self, arguments: &[Argument]) -> anyhow::Result<Inventory> {
        let mut units: Vec<(Unit, usize, &Argument)> = Vec::new();
        let (mut tasks, mut notes) = (Vec::new(), Vec::new());
        let mut first_units = Vec::new();
        for argument in arguments {
            let Paths { files, renderables, notes: more } = self.find(argument);
            first_units.push(units.len());
            notes.extend(more.into_iter().map(|note| (units.len(), note)));
            let name = argument.name().into();
            let own = if argument.is_stdin() { vec![ReadTask::Stdin] } else { Vec::new() };
            tasks.extend(
                own.into_iter().chain(files.into_iter().map(|(path, origin)| ReadTask::File(path, origin))),
            );
            units.push((Unit { name, kind: UnitKind::Files }, tasks.len(), argument));
            for renderable in renderables {
                let (name, kind) = (renderable.name(|path| argument.name_of(path)).into(), renderable.kind());
                tasks.push(ReadTask::Render(renderable, self.render_config(argument)));
                units.push((Unit { name, kind }, tasks.len(), argument));
            }
        }
        let mut results = self.run(&tasks)?.into_iter();
        let mut inventory = Inventory::new(self.namespace);
        let (mut done, mut notes) = (0, notes.into_iter().peekable());
        let mut counts = Vec::new();
        for (number, (unit, end, argument)) in units.into_iter().enumerate() {
            let (objects, notes_before) = (inventory.objects(), inventory.notes().len());
            inventory.begin(unit);
            while let Some((_, note)) = notes.next_if(|(of, _)| *of == number) {
                inventory.add_read(named(FileObjects::unread(note), argument));
            }
            for result in results.by_ref().take(end - done) {
                inventory.add_read(named(result, argument));
            }
            done = end;
            let new = inventory.notes().iter().skip(notes_before);
            let failures = new.filter(|note| note.kind.is_failure()).count();
            counts.push(inventory.objects() - objects + failures);
        }
        if self.fail_on_empty {
            note_empty(&mut inventory, arguments, &first_units, &counts);
        }
        Ok(inventory)
    }

    /// Reads and renders, each core taking the next task, and returns the results in the order of the tasks.
    fn run(&self, tasks: &[ReadTask]) -> io::Result<Vec<FileObjects>> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get).min(tasks.len());
        let (next, watched) = (AtomicUsize::new(0), io::stderr().is_terminal());
        let results: Mutex<Vec<(usize, FileObjects)>> = Mutex::new(Vec::with_capacity(tasks.len()));
        let work = || {
            let mut own = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(task) = tasks.get(number) else { break };
                own.push((number, task.run(self)));
                if watched && number > 0 && number.is_multiple_of(PROGRESS) {
                    // Progress that cannot be shown is not needed.
                    let _ = write!(io::stderr(), "\r{number} files read");
                }
            }
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(own);
        };
        thread::scope(|scope| {
            for _ in 1..cores {
                scope.spawn(work);
            }
            work();
        });
        if watched && tasks.len() > PROGRESS {
            write!(stderr(), "\r\x1b[K")?;
        }
        let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        results.sort_by_key(|(number, _)| *number);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    fn find(&self, argument: &Argument) -> Paths {
        if argument.is_stdin() { Paths::default() } else { find(argument, &self.excludes) }
    }

    /// How what lies under an argument is rendered: an old state by its own files of values.
    fn render_config(&self, argument: &Argument) -> RenderConfig {
        let values = self.render.values.iter().map(|file| argument.as_it_was(file)).collect();
        RenderConfig { values, ..self.render.clone() }
    }
}

/// With the files under the names that the report has for them.
fn named(mut read: FileObjects, argument: &Argument) -> FileObjects {
    if argument.renames_files() {
        read.rename_files(|name| argument.name_of(name));
    }
    read
}

const NAME_THE_CHART: &str = ", only templates of a chart: name the folder of its Chart.yaml";

/// Notes the paths that hold no object: what is checked must be there.
fn note_empty(inventory: &mut Inventory, arguments: &[Argument], first_units: &[usize], counts: &[usize]) {
    let ends = first_units.iter().skip(1).copied().chain([counts.len()]);
    for ((argument, first), end) in arguments.iter().zip(first_units).zip(ends) {
        if counts[*first..end].iter().sum::<usize>() > 0 {
            continue;
        }
        let file = Source::new(argument.name(), "", SourceOrigin::Named);
        let has_templates =
            inventory.notes_of(*first..end).iter().any(|note| note.file.origin == SourceOrigin::Chart);
        let hint = if has_templates { NAME_THE_CHART } else { "" };
        let message =
            format!("no Kubernetes object is found here{hint} (--fail-on-empty=false accepts that)");
        let (kind, hides) = (NoteKind::Empty, Vec::new());
        inventory.add_note(Note { file, line: 1, column: 1, kind, message, hides });
    }
}

impl ReadTask {
    fn run(&self, reading: &PathReader<'_>) -> FileObjects {
        let source = match self {
            Self::Render(renderable, config) => return renderable.render(config, reading.keep_values),
            Self::File(path, origin) => sources::file(path, *origin),
            Self::Stdin => sources::stdin(),
        };
        match source {
            Ok((source, text)) => FileObjects::read(&source, &text, reading.keep_values),
            Err(note) => FileObjects::unread(note),
        }
    }
}
