//! Certificates: issuing them, keeping them, and putting them where others read them.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::sign::CertifiedKey;
use tokio::sync::watch;

pub mod authority;
pub mod inspect;
pub mod managed;
pub mod manager;
pub mod x509;

/// Writes a file so that a reader sees all of it or what was there before; makes its folder where there is none.
pub fn write_atomically(path: &Path, contents: &[u8]) -> io::Result<()> {
    write(path, contents, 0o666)
}

/// Writes like [`write_atomically`], readable by this user only.
pub fn write_privately(path: &Path, contents: &[u8]) -> io::Result<()> {
    write(path, contents, 0o600)
}

fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = draft_beside(path)?;
    // A file left by an earlier process with our process number, as is common in containers, may have another mode.
    let _ = fs::remove_file(&draft);
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft);
    written.and_then(|mut file| file.write_all(contents)).and_then(|()| fs::rename(&draft, path)).inspect_err(
        |_| {
            let _ = fs::remove_file(&draft);
        },
    )
}

fn draft_beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("this names no file"))?;
    let mut draft = std::ffi::OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}.tmp", std::process::id()));
    Ok(path.with_file_name(draft))
}

/// The certificate to present, when there is one.
#[derive(Clone)]
pub struct Provided(pub watch::Receiver<Option<Arc<CertifiedKey>>>);

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provided")
    }
}

#[cfg(test)]
mod tests {
    use super::write_atomically;

    #[test]
    fn replaces_the_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/ca.crt");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_private_is_so_from_the_beginning_and_stays_so() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.key");
        for contents in ["one", "two"] {
            super::write_privately(&path, contents.as_bytes()).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_path_without_a_name_is_an_error() {
        assert!(write_atomically(std::path::Path::new("/"), b"").is_err());
    }
}
