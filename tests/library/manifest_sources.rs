//! Which files are read, and what becomes of those that cannot be.

use std::fs;
use std::path::{Path, PathBuf};

use stateward::cli::sources;
use stateward::manifest::kinds_that_matter;

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn open(paths: &[PathBuf], root: &Path) -> Vec<String> {
    let relative = |name: &str| {
        Path::new(name).strip_prefix(root).map_or(name.to_owned(), |path| path.display().to_string())
    };
    sources::open(paths)
        .map(|source| match source {
            Ok(source) => format!("{} {:?}", relative(&source.name), source.origin),
            Err(note) => {
                format!("{} {:?} {} {}", relative(&note.file.name), note.kind, note.line, note.hides.len())
            }
        })
        .collect()
}

#[test]
fn folders_are_walked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["b.yaml", "a/c.YML", "a/d.json", "a/.git/e.yaml", ".hidden.yaml", "readme.md", "Chart.yaml"]
    {
        write(root, name, "\u{feff}a: b\n");
    }
    write(root, "templates/sub/f.yaml", "a: b\n");
    write(root, "z.yaml", b"kind: Service\nab\xff\n");
    std::os::unix::fs::symlink(root, root.join("a/loop")).unwrap();
    std::os::unix::fs::symlink(root.join("readme.md"), root.join("link.yaml")).unwrap();
    std::os::unix::fs::symlink(root.join("nothing"), root.join("dangling.yaml")).unwrap();
    assert_eq!(
        open(&[root.to_owned()], root),
        [
            ".hidden.yaml Found",
            "Chart.yaml Found",
            "a/c.YML Found",
            "a/d.json Found",
            "b.yaml Found",
            "dangling.yaml Skipped 1 0",
            "link.yaml Found",
            "templates/sub/f.yaml Chart",
            "z.yaml Found",
        ]
    );
    let named =
        [root.join("readme.md"), root.join("templates/sub/f.yaml"), root.join("a/.git"), root.join("absent")];
    let absent = format!("absent Unreadable 1 {}", kinds_that_matter().count());
    assert_eq!(
        open(&named, root),
        ["readme.md Named", "templates/sub/f.yaml Chart", "a/.git/e.yaml Found", absent.as_str()]
    );
    let opened = sources::open(&[root.join("b.yaml")]).next().unwrap().unwrap();
    assert_eq!(opened.text(), "a: b\n");
}

#[test]
fn texts_are_decoded_as_kubectl_decodes_them() {
    let utf16 = |bytes: fn(u16) -> [u8; 2]| "\u{feff}é😀".encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    for (bytes, text) in [
        (utf16(u16::to_le_bytes), "é😀"),
        (utf16(u16::to_be_bytes), "é😀"),
        (b"\xff\xfea\0b".to_vec(), "ab"),
        (b"\xef\xbb\xbfa\xe9".to_vec(), "a\u{fffd}"),
        (b"caf\xe9: x".to_vec(), "caf\u{fffd}: x"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.yaml", &bytes);
        let opened = sources::open(&[folder.path().join("a.yaml")]).next().unwrap().unwrap();
        assert_eq!(opened.text(), text, "{bytes:?}");
    }
}

#[test]
fn only_regular_files_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, ".cache/a.yaml", "a: b\n");
    write(root, ".git/b.yaml", "a: b\n");
    std::os::unix::fs::symlink("/dev/null", root.join("null.yaml")).unwrap();
    assert_eq!(open(&[root.to_owned()], root), [".cache Skipped 1 0", "null.yaml Skipped 1 0"]);
    let all = kinds_that_matter().count();
    let null = PathBuf::from("/dev/null");
    assert_eq!(open(&[null], root), [format!("/dev/null Unreadable 1 {all}")]);
}

#[test]
fn huge_files_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.yaml");
    fs::File::create(&path).unwrap().set_len(sources::MAX_BYTES + 1).unwrap();
    assert_eq!(
        open(&[path], folder.path()),
        [format!("huge.yaml TooLarge 1 {}", kinds_that_matter().count())]
    );
}
