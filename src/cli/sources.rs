//! Sources of manifests: files, folders and standard input. The only part of this module that does I/O.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::vec;

use walkdir::{DirEntry, WalkDir};

use crate::manifest::{Note, NoteKind, STDIN, Source, SourceOrigin, kinds_that_matter};
use crate::model::printable;

/// The largest file that is read.
pub const MAX_BYTES: u64 = 64 << 20;

/// Why pipes, devices and sockets are not opened.
pub(super) const NOT_REGULAR: &str = "not a regular file";

/// The sources that some paths stand for, read one by one as they are asked for.
pub struct Sources {
    paths: vec::IntoIter<PathBuf>,
    walk: Option<walkdir::IntoIter>,
}

/// Opens files, folders with all that is in them, and standard input for `-`.
///
/// In a folder only `*.yaml`, `*.yml` and `*.json` are read, in the order of their names. Symbolic links to folders are
/// left out, and so are hidden folders, with a note but for `.git`. Only regular files and standard input are opened:
/// to open a named pipe may take forever. What cannot be read comes as a [`Note`] in its place.
pub fn open(paths: &[PathBuf]) -> Sources {
    let paths = paths.to_vec();
    Sources { paths: paths.into_iter(), walk: None }
}

impl Iterator for Sources {
    type Item = Result<Arc<Source>, Note>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(walk) = &mut self.walk
                && let Some(entry) = walk.next()
            {
                match entry {
                    Ok(entry) if is_hidden_folder(&entry) => {
                        walk.skip_current_dir();
                        if entry.file_name() != ".git" {
                            return Some(Err(skipped(
                                entry.path(),
                                "a hidden folder: name it to have it read",
                            )));
                        }
                    }
                    Ok(entry) if entry.file_type().is_dir() || !has_manifest_name(entry.path()) => {}
                    Ok(entry) => match entry.path().metadata() {
                        Ok(metadata) if metadata.is_file() => {
                            return Some(source(file(entry.path(), SourceOrigin::Found)));
                        }
                        Ok(metadata) if metadata.is_dir() => {}
                        Ok(_) => return Some(Err(skipped(entry.path(), NOT_REGULAR))),
                        Err(error) => return Some(Err(skipped(entry.path(), &error.to_string()))),
                    },
                    Err(error) => {
                        let name = error.path().map(name).unwrap_or_default();
                        return Some(Err(failed(name, SourceOrigin::Found, &error.to_string())));
                    }
                }
            }
            let path = self.paths.next()?;
            if path.as_os_str() == "-" {
                return Some(source(stdin()));
            }
            if !path.is_dir() {
                return Some(source(file(&path, SourceOrigin::Named)));
            }
            self.walk = Some(WalkDir::new(&path).sort_by_file_name().into_iter());
        }
    }
}

/// Without the text, of which it has a packed copy.
fn source(read: Result<(Arc<Source>, String), Note>) -> Result<Arc<Source>, Note> {
    read.map(|(source, _)| source)
}

/// Reads standard input: what is known of it, and its text.
pub(super) fn stdin() -> Result<(Arc<Source>, String), Note> {
    load(STDIN.to_owned(), SourceOrigin::Named, io::stdin().lock(), 0)
}

/// The folder that was named may be hidden, those in it may not.
fn is_hidden_folder(entry: &DirEntry) -> bool {
    let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    entry.depth() > 0 && is_hidden && entry.file_type().is_dir()
}

/// Whether a file of a folder is read.
pub(super) fn has_manifest_name(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    extension == "yaml" || extension == "yml" || extension == "json"
}

/// Reads a file: what is known of it, and its text. Links count: that is how Kubernetes mounts the files of a `ConfigMap`.
pub(super) fn file(path: &Path, origin: SourceOrigin) -> Result<(Arc<Source>, String), Note> {
    let origin = if is_in_chart(path) { SourceOrigin::Chart } else { origin };
    let failed = |error: &str| failed(name(path), origin, error);
    // Files that are open already can be opened without waiting: standard input, and `<(command)` of a shell.
    let is_own =
        origin == SourceOrigin::Named && (path == Path::new("/dev/stdin") || path.starts_with("/dev/fd"));
    let metadata = path.metadata().map_err(|error| failed(&error.to_string()))?;
    if !metadata.is_file() && !is_own {
        return Err(failed(NOT_REGULAR));
    }
    match File::open(path) {
        Ok(file) => load(name(path), origin, file, metadata.len()),
        Err(error) => Err(failed(&error.to_string())),
    }
}

/// Whether a file lies in the `templates` folder beside a `Chart.yaml`.
fn is_in_chart(path: &Path) -> bool {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut folders = path.ancestors().skip(1);
    folders.any(|folder| folder.ends_with("templates") && folder.with_file_name("Chart.yaml").is_file())
}

/// Reads a text of about so many bytes.
fn load(
    name: String,
    origin: SourceOrigin,
    from: impl Read,
    expected: u64,
) -> Result<(Arc<Source>, String), Note> {
    // With one byte more the end is seen without more room.
    let mut bytes = Vec::with_capacity(usize::try_from(expected.min(MAX_BYTES)).unwrap_or_default() + 1);
    if let Err(error) = from.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
        return Err(failed(name, origin, &error.to_string()));
    }
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("larger than {} MiB", MAX_BYTES >> 20);
        return Err(note(name, origin, NoteKind::TooLarge, &message, kinds_that_matter().collect()));
    }
    let (text, is_utf8) = decode(bytes);
    Ok((Source::decoded(name, &text, is_utf8, origin), text))
}

/// A text as kubectl decodes it, and whether it is UTF-8: UTF-16 with a byte order mark, or else UTF-8, with U+FFFD for what is
/// none.
fn decode(bytes: Vec<u8>) -> (String, bool) {
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            bytes[2..].chunks(2).map(|pair| unit([pair[0], *pair.get(1).unwrap_or(&0)])).collect();
        (String::from_utf16_lossy(&units), false)
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest.to_vec()),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: Vec<u8>) -> (String, bool) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
    }
}

pub(super) fn failed(name: String, origin: SourceOrigin, error: &str) -> Note {
    note(name, origin, NoteKind::Unreadable, error, kinds_that_matter().collect())
}

/// Notes that a file or folder that was found is not looked into.
pub(super) fn skipped(path: &Path, reason: &str) -> Note {
    note(
        name(path),
        SourceOrigin::Found,
        NoteKind::Skipped,
        &format!("not looked into: {reason}"),
        Vec::new(),
    )
}

fn note(name: String, origin: SourceOrigin, kind: NoteKind, message: &str, hides: Vec<&'static str>) -> Note {
    let file = Source::new(name, "", origin);
    let message = printable(message).into_owned();
    Note { file, line: 1, column: 1, kind, message, hides }
}

fn name(path: &Path) -> String {
    path.strip_prefix("./").unwrap_or(path).display().to_string()
}
