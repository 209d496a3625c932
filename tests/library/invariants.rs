//! The architecture's invariants that can be seen in the text of the program.

use std::collections::{BTreeMap, BTreeSet};
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

/// The code of a file before its tests. They have to stand at the end: what followed them would never be looked at.
pub fn without_tests<'a>(name: &str, text: &'a str) -> &'a str {
    let Some((code, tests)) = text.split_once("#[cfg(test)]\n") else { return text };
    let mut rest = tests.lines().skip_while(|line| line.starts_with("#["));
    let module = rest.next().unwrap_or_default();
    let is_module = module.starts_with("mod ") && module.ends_with([';', '{']);
    // The lines of a module that is written here are indented, but for those of a text, up to its closing brace.
    let after = if module.ends_with('{') { rest.skip_while(|line| *line != "}").nth(1) } else { rest.next() };
    assert!(is_module && after.is_none(), "{name}: code after its tests");
    code
}

/// A file of `src` by its path there, with the code in it that is not a test or a comment.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = without_tests(&name, &text).lines();
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

/// The modules that some code names right after a path: rooms after `crate::`, and what stands beside a module after `super::`.
fn imports<'a>(code: &'a str, path: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    for after in code.split(path).skip(1) {
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
        for other in imports(&code, "crate::").into_iter().filter(|other| *other != room) {
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
    for room in &ROOMS[first_pure..] {
        assert!(pure.iter().any(|(name, _)| room_of(name) == *room), "{room} has no file");
    }
    for part in PURE_PARTS {
        assert!(pure.iter().any(|(name, _)| format!("src/{name}").starts_with(part)), "{part} is no file");
    }
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
    let modules: BTreeSet<String> =
        stateward::rules::ALL.iter().map(|rule| rule.id.replace('-', "_")).collect();
    let code: BTreeMap<String, String> = sources().into_iter().collect();
    for module in &modules {
        let code = &code[&format!("rules/{module}.rs")];
        for path in ["super::", "crate::rules::"] {
            let other = imports(code, path).into_iter().find(|name| modules.contains(*name));
            assert_eq!(other, None, "{module} uses another rule");
        }
        assert!(!code.contains("rules::{self") && !code.contains("use super::*"), "{module} uses all rules");
    }
}

/// Names that clap gives a meaning: each command has its own `Args` and `Command`, and they are only seen in its module.
const SHARED_NAMES: [&str; 2] = ["Args", "Command"];

/// The types that a line of code defines outside of functions and `impl` blocks.
fn defined_type(line: &str) -> Option<&str> {
    let item = line.strip_prefix("pub(").map_or(line, |rest| rest.split_once(") ").unwrap_or_default().1);
    let item = item.strip_prefix("pub ").unwrap_or(item);
    let name = ["struct ", "enum ", "trait ", "type ", "union "]
        .into_iter()
        .find_map(|word| item.strip_prefix(word))?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[test]
fn a_type_has_a_name_that_no_other_type_has() {
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, code) in sources().into_iter().filter(|(name, _)| !is_test(name)) {
        for found in code.lines().filter_map(defined_type) {
            defined.entry(found.to_owned()).or_default().push(name.clone());
        }
    }
    assert!(defined.len() > 500, "{} types found", defined.len());
    defined.retain(|name, files| files.len() > 1 && !SHARED_NAMES.contains(&name.as_str()));
    assert!(defined.is_empty(), "a text search finds more than one of these: {defined:#?}");
}

/// Whether a file holds tests only, by its path in `src`.
fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

#[test]
fn definitions_are_found_however_visible_they_are() {
    let lines = [
        "pub(in crate::cel) struct A<'a> {",
        "pub enum B {",
        "type C = A;",
        "    struct D;",
        "pub fn e() {}",
    ];
    assert_eq!(lines.map(defined_type), [Some("A"), Some("B"), Some("C"), None, None]);
}

#[test]
fn imports_are_found_however_they_are_written() {
    let code = "use crate::rules::{a, b::{C, d}};\nuse super::{e, f::G};\nlet x = super::h::I;";
    assert_eq!(imports(code, "crate::rules::").into_iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(imports(code, "super::").into_iter().collect::<Vec<_>>(), ["e", "f", "h"]);
}

#[test]
#[should_panic(expected = "code after its tests")]
fn code_after_tests_is_seen() {
    without_tests("a.rs", "#[cfg(test)]\nmod testing;\nuse crate::cli;\n");
}
