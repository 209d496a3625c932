//! The rules over their fixtures and over the examples in their documentation.
//!
//! Cases of `tests/rules/RULE.yaml` named `fail-…` must find the rule under the strict profile, those named `pass-…` must not;
//! what is found is a snapshot. `support/case.rs` says how they are written.

use crate::case;
use crate::invariants::without_tests;
use std::fs;
use std::path::Path;

use stateward::rules;
use stateward::rules::HEADINGS;
use stateward::rules::RuleCheck;

#[test]
fn every_file_of_cases_is_of_a_rule() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.is_file(), "{}: the cases of a rule are in tests/rules/RULE.yaml", path.display());
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(name == "base" || rules::ALL.iter().any(|rule| rule.id == name), "{name} is no rule");
    }
}

#[test]
fn fixtures_find_what_their_name_says() {
    let policies = case::strict();
    let mut wrong = String::new();
    for rule in rules::ALL {
        let (mut failing, mut shown) = (0, String::new());
        let fixtures = case::fixtures(rule.id);
        for fixture in &fixtures {
            let findings = case::findings(&fixture.text, &policies);
            let rendered: String = findings.iter().map(case::render).collect();
            let is_to_fail = fixture.name.starts_with("fail-");
            assert!(is_to_fail || fixture.name.starts_with("pass-"), "{}: {}", rule.id, fixture.name);
            failing += usize::from(is_to_fail);
            if case::has(&findings, rule.id) != is_to_fail {
                wrong += &format!("{}/{}:\n{rendered}\n", rule.id, fixture.name);
            }
            shown += &format!("# {}\n{rendered}", fixture.name);
        }
        assert!(failing > 0, "{} has no case that fails", rule.id);
        assert!(failing < fixtures.len(), "{} has no case that passes", rule.id);
        insta::with_settings!({ snapshot_path => "../rules", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(rule.id, shown);
        });
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
        let code = without_tests(rule.id, &text);
        let reads = [".view", ".budgets()", ".members()", ".governing_service()"];
        // Claims are in no snapshot: they are read for the review.
        let code = code.replace(".view.claim(", "");
        let reads = reads.iter().any(|call| code.contains(call));
        if !matches!(rule.check, RuleCheck::Text(_)) {
            assert!(!reads || !rule.reads.is_empty(), "{} reads other objects without saying which", rule.id);
        }
    }
}
