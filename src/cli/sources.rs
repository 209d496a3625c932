//! Where manifests come from: files, folders and standard input. The only part of this module that does I/O.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::vec;

use walkdir::{DirEntry, FilterEntry, WalkDir};

use crate::manifest::{Note, NoteKind, Origin, Source, hidden, kinds_that_matter};

/// The largest file that is read.
pub const MAX_BYTES: u64 = 64 << 20;

/// The name of what comes through standard input.
pub const STDIN: &str = "<stdin>";

/// The sources that some paths stand for, read one by one as they are asked for.
pub struct Sources {
    paths: vec::IntoIter<PathBuf>,
    walk: Option<Walk>,
}

type Walk = FilterEntry<walkdir::IntoIter, fn(&DirEntry) -> bool>;

/// Opens files, folders with all that is in them, and standard input for `-`.
///
/// Of a folder only `*.yaml`, `*.yml` and `*.json` are read, in the order of their names; hidden folders and symbolic
/// links to folders are left out. What cannot be read comes as a [`Note`] in its place.
pub fn open(paths: &[PathBuf]) -> Sources {
    let paths = paths.to_vec();
    Sources { paths: paths.into_iter(), walk: None }
}

impl Iterator for Sources {
    type Item = Result<Arc<Source>, Note>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(entry) = self.walk.as_mut().and_then(Iterator::next) {
                match entry {
                    Ok(entry) if is_manifest_file(&entry) => return Some(file(entry.path(), Origin::Found)),
                    Ok(_) => {}
                    Err(error) => {
                        let name = error.path().map(name).unwrap_or_default();
                        return Some(Err(failed(name, Origin::Found, &error.to_string())));
                    }
                }
            }
            let path = self.paths.next()?;
            if path.as_os_str() == "-" {
                return Some(load(STDIN.to_owned(), Origin::Named, io::stdin().lock()));
            }
            if !path.is_dir() {
                return Some(file(&path, Origin::Named));
            }
            let walk = WalkDir::new(&path).sort_by_file_name().into_iter();
            self.walk = Some(walk.filter_entry(is_visible));
        }
    }
}

/// The folder that was named may be hidden, those in it may not.
fn is_visible(entry: &DirEntry) -> bool {
    let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    entry.depth() == 0 || !(is_hidden && entry.file_type().is_dir())
}

/// Links to files count: that is how Kubernetes mounts the files of a `ConfigMap`.
fn is_manifest_file(entry: &DirEntry) -> bool {
    let extension = entry.path().extension().unwrap_or_default().to_ascii_lowercase();
    (extension == "yaml" || extension == "yml" || extension == "json")
        && (entry.file_type().is_file() || entry.path_is_symlink() && entry.path().is_file())
}

fn file(path: &Path, origin: Origin) -> Result<Arc<Source>, Note> {
    let origin = if is_in_chart(path) { Origin::Chart } else { origin };
    match File::open(path) {
        Ok(file) => load(name(path), origin, file),
        Err(error) => Err(failed(name(path), origin, &error.to_string())),
    }
}

/// Whether a file lies in the `templates` folder beside a `Chart.yaml`.
fn is_in_chart(path: &Path) -> bool {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut folders = path.ancestors().skip(1);
    folders.any(|folder| folder.ends_with("templates") && folder.with_file_name("Chart.yaml").is_file())
}

fn load(name: String, origin: Origin, from: impl Read) -> Result<Arc<Source>, Note> {
    let mut bytes = Vec::new();
    if let Err(error) = from.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
        return Err(failed(name, origin, &error.to_string()));
    }
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("larger than {} MiB", MAX_BYTES >> 20);
        return Err(note(name, origin, NoteKind::TooLarge, message, kinds_that_matter().collect()));
    }
    match String::from_utf8(bytes) {
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
            Ok(Arc::new(Source { name, text, origin }))
        }
        Err(error) => Err(not_utf8(name, origin, error.as_bytes(), error.utf8_error().valid_up_to())),
    }
}

fn not_utf8(name: String, origin: Origin, bytes: &[u8], valid: usize) -> Note {
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX - 1) + 1;
    let hides = hidden(&String::from_utf8_lossy(bytes));
    let mut note = note(name, origin, NoteKind::Unreadable, "not UTF-8 text".to_owned(), hides);
    note.line = count(before.matches('\n').count());
    note.column = count(before.rsplit('\n').next().unwrap_or_default().chars().count());
    note
}

fn failed(name: String, origin: Origin, error: &str) -> Note {
    note(
        name,
        origin,
        NoteKind::Unreadable,
        format!("cannot be read: {error}"),
        kinds_that_matter().collect(),
    )
}

fn note(name: String, origin: Origin, kind: NoteKind, message: String, hides: Vec<&'static str>) -> Note {
    let file = Arc::new(Source { name, text: String::new(), origin });
    Note { file, line: 1, column: 1, kind, message, hides }
}

fn name(path: &Path) -> String {
    path.strip_prefix("./").unwrap_or(path).display().to_string()
}
