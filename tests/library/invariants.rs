//! The architecture's invariants that can be seen in the text of the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the top: each imports only what stands below it. The pure ones begin at `show`.
const ROOMS: [&str; 33] = [
    "cli",
    "controller",
    "companions",
    "reports",
    "policy_status",
    "server",
    "guard",
    "certs",
    "lease",
    "events",
    "watch",
    "api_server",
    "process",
    "show",
    "audit",
    "fix",
    "report",
    "metacontroller",
    "per_pod",
    "crds",
    "webhook_config",
    "admission",
    "mutate",
    "evaluate",
    "policy",
    "cel",
    "rules",
    "software",
    "cluster",
    "manifest",
    "change",
    "verdict",
    "model",
];

/// The first pure room.
const FIRST_PURE: &str = "show";

/// Pure parts of rooms that are not.
const PURE_PARTS: [&str; 9] = [
    "src/guard/confirmation.rs",
    "src/events/message.rs",
    "src/events/throttle.rs",
    "src/lease/candidate.rs",
    "src/reports/document.rs",
    "src/certs/authority.rs",
    "src/certs/inspect.rs",
    "src/certs/managed",
    "src/certs/x509.rs",
];

const IMPURE: [&str; 13] = [
    "tokio",
    "axum",
    "hyper",
    "kube::",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "println!",
];

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in &entries {
            files(entry, found);
        }
    } else {
        found.push(path.to_owned());
    }
}

/// A file of `src` by its path there, with the code in it that is not a test or a comment.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().lines();
        let code = code.filter(|line| !line.trim_start().starts_with("//"));
        (name, code.collect::<Vec<_>>().join("\n"))
    };
    found.into_iter().map(read).collect()
}

fn room_of(name: &str) -> &str {
    name.split(['/', '.']).next().unwrap()
}

fn floor_of(room: &str) -> Option<usize> {
    ROOMS.iter().position(|known| *known == room)
}

/// The rooms that some code names after `crate::`.
fn imports(code: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let list = after.strip_prefix('{').map_or_else(|| vec![after], |list| first_names(list));
        found.extend(
            list.into_iter()
                .map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()),
        );
    }
    found
}

/// The items of a `{…}` list of imports, without what is nested in them.
fn first_names(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(list[start..at].trim());
                return items;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

#[test]
fn a_room_imports_only_what_stands_below_it() {
    let mut wrong = String::new();
    for (name, code) in sources() {
        let room = room_of(&name);
        if matches!(room, "lib" | "main") {
            continue;
        }
        let floor = floor_of(room).unwrap_or_else(|| panic!("{name}: the room {room} has no place"));
        for other in imports(&code).into_iter().filter(|other| *other != room) {
            if floor_of(other).is_some_and(|below| below <= floor) {
                wrong += &format!("{name} imports {other}, which stands above {room}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_picture_in_lib_rs_has_the_same_rooms_in_the_same_order() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let picture = text.split("# The rooms").nth(1).unwrap();
    let places = ROOMS.map(|room| {
        let place =
            picture.find(&format!("[`{room}`]")).or_else(|| picture.find(&format!("[`{room}`](mod@{room})")));
        place.unwrap_or_else(|| panic!("{room} is not in the picture"))
    });
    assert!(places.is_sorted(), "the rooms in lib.rs are in another order than in this test");
}

#[test]
fn pure_rooms_do_no_io_and_know_no_clock() {
    let first_pure = floor_of(FIRST_PURE).unwrap();
    let is_pure = |name: &str| {
        floor_of(room_of(name)).is_some_and(|floor| floor >= first_pure)
            || PURE_PARTS.iter().any(|part| format!("src/{name}").starts_with(part))
    };
    let pure: Vec<_> = sources().into_iter().filter(|(name, _)| is_pure(name)).collect();
    assert!(pure.len() > 90, "the list of pure rooms is out of date");
    for (name, code) in pure {
        for line in code.lines() {
            for impure in IMPURE {
                assert!(!line.contains(impure), "{name} uses {impure}: {line}");
            }
        }
    }
}

#[test]
fn rules_do_not_know_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for rule in stateward::rules::ALL {
        let module = rule.id.replace('-', "_");
        let text = fs::read_to_string(root.join(format!("src/rules/{module}.rs"))).unwrap();
        for other in stateward::rules::ALL.iter().filter(|other| other.id != rule.id) {
            let other = other.id.replace('-', "_");
            assert!(!text.contains(&format!("super::{other}::")), "{module} uses {other}");
        }
    }
}
