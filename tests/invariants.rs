//! The architecture's invariants that can be seen in the text of the program.

#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "a test may fail at once")]

use std::fs;
use std::path::{Path, PathBuf};

const PURE: &[&str] = &[
    "src/model",
    "src/change.rs",
    "src/cluster",
    "src/rules",
    "src/policy",
    "src/evaluate.rs",
    "src/verdict.rs",
    "src/admission",
    "src/manifest",
    "src/mutate",
    "src/registration",
    "src/webhook/events",
    "src/lease/candidate.rs",
    "src/certs/authority.rs",
    "src/certs/inspect.rs",
    "src/certs/managed.rs",
    "src/certs/managed",
    "src/certs/x509.rs",
    "src/controller/adoption.rs",
    "src/controller/metacontroller.rs",
    "src/controller/owned.rs",
    "src/controller/plan.rs",
    "src/controller/problem.rs",
    "src/controller/service.rs",
    "src/controller/set.rs",
    "src/controller/template.rs",
];

/// The parts of those that are shells.
const SHELLS: [&str; 3] = ["src/cluster/live", "src/cluster/confirm", "src/manifest/sources.rs"];

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

#[test]
fn pure_modules_do_no_io_and_know_no_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for path in PURE {
        files(&root.join(path), &mut sources);
    }
    assert!(sources.len() > 30, "the list of pure modules is out of date");
    for source in sources {
        let name = source.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        if SHELLS.iter().any(|shell| name.starts_with(shell)) {
            continue;
        }
        let text = fs::read_to_string(&source).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
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
