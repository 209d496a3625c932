//! The applications in `deploy/examples`: they pass the strict profile, and each broken variant shows its mistake.

use crate::case;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use stateward::audit::{AuditConfig, audit};
use stateward::cluster::inventory::{FileObjects, Inventory, KeepValues};
use stateward::manifest::{Source, SourceOrigin};
use stateward::report::formats::ReportFormat;
use stateward::verdict::Level;

fn manifests(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            manifests(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "yaml") {
            found.push(entry);
        }
    }
}

fn examples(broken: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    manifests(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples"), &mut found);
    found.retain(|file| file.components().any(|part| part.as_os_str() == "broken") == broken);
    assert!(found.len() >= 5);
    found
}

#[test]
fn the_examples_pass_strict() {
    for file in examples(false) {
        let findings = case::findings(&fs::read_to_string(&file).unwrap(), &case::strict());
        let shown: String = findings.iter().filter(|f| f.level >= Level::Warn).map(case::render).collect();
        assert!(shown.is_empty(), "{}:\n{shown}", file.display());
    }
}

/// The rules a variant says it breaks, in its first line: `# Mistake: …; expected: rule, rule (…)`.
fn expected(text: &str) -> Vec<&str> {
    let line = text.lines().next().unwrap();
    let rules = line.split("expected: ").nth(1).unwrap().split(" (").next().unwrap();
    let mut rules: Vec<&str> = rules.split(", ").collect();
    rules.sort_unstable();
    rules
}

#[test]
fn each_broken_variant_shows_its_mistake_and_no_other() {
    let mut wrong = String::new();
    for file in examples(true) {
        let text = fs::read_to_string(&file).unwrap();
        let findings = case::findings(&text, &case::strict());
        let grave = findings.iter().filter(|finding| finding.level >= Level::Warn);
        let mut found: Vec<&str> = grave.map(|finding| finding.rule.as_str()).collect();
        found.sort_unstable();
        found.dedup();
        let expected = expected(&text);
        if found != expected {
            wrong += &format!("{}: expected {expected:?}, found {found:?}\n", file.display());
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_report_is_the_same_on_all_threads_and_without_the_values_of_manifests() {
    let report = |keep, threads| {
        let mut inventory = Inventory::new(None);
        // Several times, so that there is something for each thread.
        for (number, file) in
            (0..10).flat_map(|number| examples(true).into_iter().map(move |file| (number, file)))
        {
            let name = format!("{number}/{}", file.display());
            let text = fs::read_to_string(&file).unwrap();
            let source = Source::new(name, &text, SourceOrigin::Named);
            inventory.add_read(FileObjects::read(&source, &text, keep));
        }
        let config = AuditConfig { threads, ..AuditConfig::default() };
        let report = audit(&inventory, &case::strict(), config, Timestamp::UNIX_EPOCH);
        let mut json = Vec::new();
        ReportFormat::Json.write(&report, &mut json).unwrap();
        String::from_utf8(json).unwrap()
    };
    let plain = report(KeepValues::Yes, 0);
    assert!(plain.matches("\"rule\"").count() > 100);
    assert!(report(KeepValues::No, 4) == plain);
}
