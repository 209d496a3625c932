//! The rules over their fixtures and over the examples in their documentation.
//!
//! `tests/rules/RULE/fail-*.yaml` must find the rule under the strict profile, `pass-*.yaml` must not; what is found is a
//! snapshot. `support/case.rs` says how a fixture is written.

use crate::case;
use std::fs;
use std::path::{Path, PathBuf};

use stateward::rules;
use stateward::rules::Check;
use stateward::rules::HEADINGS;
use stateward::rules::Rule;

fn fixtures(rule: &Rule) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(rule.id);
    let entries = fs::read_dir(&folder).unwrap_or_else(|_| panic!("{} has no fixtures", rule.id));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[test]
fn fixtures_find_what_their_name_says() {
    let policies = case::strict();
    let mut wrong = String::new();
    for rule in rules::ALL {
        let files = fixtures(rule);
        for expected in ["pass-", "fail-"] {
            let named = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with(expected);
            assert!(files.iter().any(named), "{} has no {expected} fixture", rule.id);
        }
        for file in files {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let findings = case::findings(&fs::read_to_string(&file).unwrap(), &policies);
            let shown: String = findings.iter().map(case::render).collect();
            if case::has(&findings, rule.id) != name.starts_with("fail-") {
                wrong += &format!("{}/{name}:\n{shown}\n", rule.id);
            }
            insta::with_settings!({ snapshot_path => format!("../rules/{}", rule.id), prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(name, shown);
            });
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The examples under a heading of the documentation.
fn example<'a>(docs: &'a str, heading: &str) -> &'a str {
    let section = docs.split("\n## ").find_map(|section| section.strip_prefix(heading)).unwrap();
    section.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

#[test]
fn the_examples_in_the_documentation_are_true() {
    let policies = case::strict();
    for rule in rules::ALL {
        let docs = format!("\n{}", rules::markdown(rule));
        for (heading, expected) in [("Fails", true), ("Passes", false)] {
            let findings = case::findings(example(&docs, heading), &policies);
            let shown: String = findings.iter().map(case::render).collect();
            assert_eq!(case::has(&findings, rule.id), expected, "{heading} of {}:\n{shown}", rule.id);
        }
    }
}

#[test]
fn every_rule_is_documented_under_the_same_headings() {
    for rule in rules::ALL {
        let docs = rules::markdown(rule);
        let headings: Vec<&str> = docs.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{}", rule.id);
    }
}

#[test]
fn ids_are_unique_and_name_their_files() {
    for (index, rule) in rules::ALL.iter().enumerate() {
        assert!(rules::ALL[..index].iter().all(|other| other.id != rule.id), "{} twice", rule.id);
        let file = format!("src/rules/{}.rs", rule.id.replace('-', "_"));
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file).exists(), "{file}");
    }
}

#[test]
fn every_rule_has_a_level_in_both_profiles() {
    for profile in ["baseline", "strict"] {
        let text = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("policies/{profile}.yaml")),
        );
        let text = text.unwrap();
        for rule in rules::ALL {
            assert!(text.contains(&format!("{{rule: {},", rule.id)), "{} in {profile}", rule.id);
        }
    }
}

#[test]
fn a_rule_that_reads_neighbours_says_so() {
    for rule in rules::ALL {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/rules/{}.rs", rule.id.replace('-', "_")));
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let reads =
            [".world", ".budgets()", ".members()", ".ensemble()"].iter().any(|call| code.contains(call));
        if !matches!(rule.check, Check::Text(_)) {
            assert!(!reads || !rule.reads.is_empty(), "{} reads other objects without saying which", rule.id);
        }
    }
}
