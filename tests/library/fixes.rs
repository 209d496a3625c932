//! The edits of findings made in texts: the findings are gone, nothing new is there, and the rest reads as before.

use crate::case;
use std::fs;
use std::path::{Path, PathBuf};

use stateward::audit::{AuditConfig, audit};
use stateward::cluster::inventory::Inventory;
use stateward::fix::{Fixes, Reason, attach, fix};
use stateward::manifest::{Source, SourceOrigin};
use stateward::report::{Replacement, Report};
use stateward::rules;
use stateward::verdict::{Finding, Level};

fn inventory(files: &[(String, String)]) -> Inventory {
    let mut inventory = Inventory::new(None);
    for (name, text) in files {
        inventory.add(&Source::new(name, text, SourceOrigin::Named));
    }
    inventory
}

fn report(inventory: &Inventory) -> Report {
    audit(inventory, &case::strict(), AuditConfig::default(), case::now())
}

/// What becomes of files, and their texts afterwards.
fn fixed(files: &[(String, String)], unsafe_too: bool) -> (Fixes, Vec<(String, String)>) {
    let inventory = inventory(files);
    let outcome = fix(&inventory, &report(&inventory), unsafe_too, |_| false);
    let mut after = files.to_vec();
    for file in &outcome.files {
        match after.iter_mut().find(|(name, _)| *name == file.name) {
            Some((_, text)) => text.clone_from(&file.after),
            None => after.push((file.name.clone(), file.after.clone())),
        }
    }
    (outcome, after)
}

/// The text of one file after its fixes, unsafe ones too.
fn all_fixed(text: &str) -> String {
    let (_, mut after) = fixed(&[("a.yaml".to_owned(), text.to_owned())], true);
    assert_eq!(after.len(), 1, "{after:?}");
    after.remove(0).1
}

fn is_same(one: &Finding, other: &Finding) -> bool {
    (&one.rule, &one.subject, &one.object, &one.path)
        == (&other.rule, &other.subject, &other.object, &other.path)
}

/// What is wrong with a fix of these files.
fn complaints(files: &[(String, String)], unsafe_too: bool) -> String {
    let before: Vec<Finding> =
        report(&inventory(files)).findings.into_iter().map(|located| located.finding).collect();
    let (outcome, after) = fixed(files, unsafe_too);
    let inventory = inventory(&after);
    let mut wrong = String::new();
    for note in inventory.notes() {
        wrong += &format!("cannot be read: {}:{}: {}\n", note.file.name, note.line, note.message);
    }
    let left = |finding: &Finding| {
        outcome.left.iter().any(|left| left.rule == finding.rule && left.object == finding.object)
    };
    for located in report(&inventory).findings {
        let finding = located.finding;
        let known = before.iter().find(|known| is_same(known, &finding));
        let asked = |known: &Finding| {
            known.counts()
                && !known.edits.is_empty()
                && (unsafe_too || known.edits.iter().all(|edit| edit.is_safe))
        };
        if known.is_some_and(|known| asked(known) && !left(known)) {
            wrong += &format!("still there: {}", case::render(&finding));
        } else if known.is_none() && finding.level == Level::Deny {
            wrong += &format!("new: {}", case::render(&finding));
        }
    }
    for ((name, old), (_, new)) in files.iter().zip(&after) {
        let lost = lost_comments(old, new);
        if !lost.is_empty() {
            wrong += &format!("{name} has lost {lost:?}\n");
        }
    }
    if wrong.is_empty() { wrong } else { format!("{wrong}{after:?}\n") }
}

/// The comments on lines of their own that are gone.
fn lost_comments(old: &str, new: &str) -> Vec<String> {
    let comments = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| line.starts_with('#')).map(str::to_owned).collect()
    };
    let mut kept = comments(new);
    let is_lost = |comment: &String| match kept.iter().position(|other| other == comment) {
        Some(index) => {
            kept.swap_remove(index);
            false
        }
        None => true,
    };
    comments(old).into_iter().filter(is_lost).collect()
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            yaml_files(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(entry);
        }
    }
}

/// Texts of one file each: fixtures, examples in the documentation, `deploy/examples`.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    yaml_files(&root.join("deploy/examples"), &mut files);
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        (file.display().to_string(), case::split_header(&text).1.to_owned())
    };
    let mut texts: Vec<(String, String)> = files.into_iter().map(read).collect();
    for rule in rules::ALL {
        for fixture in case::fixtures(rule.id) {
            let name = format!("{}-{}.yaml", rule.id, fixture.name);
            texts.push((name, case::split_header(&fixture.text).1.to_owned()));
        }
        for (index, part) in rules::markdown(rule).split("```yaml\n").enumerate().skip(1) {
            let text = part.split("```").next().unwrap();
            texts.push((format!("{}-{index}.yaml", rule.id), case::split_header(text).1.to_owned()));
        }
    }
    texts
}

#[test]
fn fixtures_and_examples_are_fixed_in_place() {
    let mut wrong = String::new();
    for (name, text) in texts() {
        for unsafe_too in [false, true] {
            for text in [text.clone(), text.replace('\n', "\r\n")] {
                let complaints = complaints(&[(name.clone(), text)], unsafe_too);
                if !complaints.is_empty() {
                    wrong += &format!("# {name} (unsafe: {unsafe_too})\n{complaints}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn line_breaks_stay_what_they_are() {
    for (name, text) in texts() {
        let (_, after) = fixed(&[(name.clone(), text.replace('\n', "\r\n"))], true);
        let bare = after[0].1.replace("\r\n", "").contains('\n');
        assert!(!bare, "{name}:\n{}", after[0].1);
    }
}

#[test]
fn json_is_fixed_in_place_and_stays_json() {
    for (name, text) in texts() {
        let objects = case::objects(&text);
        let [object] = &objects[..] else { continue };
        let text = format!("{object:#}\n");
        let (_, after) = fixed(&[(name.clone(), text)], true);
        assert!(serde_json::from_str::<serde_json::Value>(&after[0].1).is_ok(), "{name}:\n{}", after[0].1);
        let complaints = complaints(&[(name.clone(), format!("{object:#}\n"))], true);
        assert!(complaints.is_empty(), "{name}:\n{complaints}");
    }
}

/// Published manifests that lie beside the sources, where they do.
#[test]
fn published_manifests_are_fixed_in_place() {
    let Some(corpus) = std::env::var_os("STATEWARD_CORPUS") else {
        eprintln!("skipped: STATEWARD_CORPUS names no folder of published manifests");
        return;
    };
    let mut files = Vec::new();
    yaml_files(Path::new(&corpus), &mut files);
    let (mut wrong, mut fixed_findings, mut changed) = (String::new(), 0, 0);
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let files = [(file.display().to_string(), text)];
        for unsafe_too in [false, true] {
            let before = inventory(&files);
            let outcome = fix(&before, &report(&before), unsafe_too, |_| false);
            fixed_findings += outcome.fixed;
            changed += outcome.files.len();
            for left in &outcome.left {
                if let Reason::NotEditable(why) = &left.reason {
                    *reasons.entry(why.clone()).or_default() += 1;
                }
            }
            if outcome.files.is_empty() {
                continue;
            }
            let complaints = complaints(&files, unsafe_too);
            // Notes that were there before are not the fix's.
            if !complaints.is_empty() && !complaints.starts_with("cannot be read") {
                wrong += &format!(
                    "# {} (unsafe: {unsafe_too})\n{}\n",
                    file.display(),
                    complaints.chars().take(1500).collect::<String>()
                );
            }
        }
    }
    eprintln!("{fixed_findings} findings fixed in {changed} files; refused: {reasons:#?}");
    assert!(wrong.is_empty(), "{wrong}");
}

const SET: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: zk}
spec:
  # how many
  replicas: 2   # two
  serviceName: zk
  selector: {matchLabels: {app: zk}}
  template:
    metadata: {labels: {app: zk}}
    spec:
      terminationGracePeriodSeconds: 0 # at once
      containers:
      - name: zk
        image: zookeeper:3.9
";

/// What is said of the rule's finding that is left alone.
fn left(outcome: &Fixes, rule: &str) -> Reason {
    let left = outcome.left.iter().find(|left| left.rule.as_str() == rule);
    left.unwrap_or_else(|| panic!("{rule} is not left alone: {:?}", outcome.left)).reason.clone()
}

#[test]
fn comments_order_and_style_stay() {
    let fixed = all_fixed(SET);
    let expected = SET
        .replace("replicas: 2 ", "replicas: 3 ")
        .replace("PeriodSeconds: 0", "PeriodSeconds: 30")
        .replace(
            "        image: zookeeper:3.9\n",
            "        image: zookeeper:3.9\n      affinity:\n        podAntiAffinity:\n          \
             requiredDuringSchedulingIgnoredDuringExecution:\n          - labelSelector:\n              matchLabels:\n                \
             app: zk\n            topologyKey: kubernetes.io/hostname\n",
        );
    let (edited, created) = fixed.split_once("---\n").unwrap();
    assert_eq!(edited, expected);
    assert_eq!(
        created,
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: zk\nspec:\n  maxUnavailable: 1\n  selector:\n    \
         matchLabels:\n      app: zk\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: zk\nspec:\n  clusterIP: None\n  \
         publishNotReadyAddresses: true\n  selector:\n    app: zk\n"
    );
}

#[test]
fn only_safe_edits_are_made_unless_others_are_asked_for() {
    let (outcome, after) = fixed(&[("a.yaml".to_owned(), SET.to_owned())], false);
    assert_eq!(left(&outcome, "quorum-even"), Reason::Unsafe);
    assert!(
        after[0].1.contains("replicas: 2 ") && after[0].1.contains("PeriodSeconds: 30"),
        "{}",
        after[0].1
    );
}

#[test]
fn one_limit_takes_the_place_of_the_other_on_its_line() {
    let budget = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: zk\nspec:\n  # the limit\n  minAvailable: 1 # one\n  selector: {matchLabels: {app: zk}}\n";
    let set = SET.replace("replicas: 2", "replicas: 3");
    let fixed = all_fixed(&format!("{budget}---\n{set}"));
    assert!(
        fixed.starts_with(&budget.replace("minAvailable: 1 # one", "maxUnavailable: 1 # one")),
        "{fixed}"
    );
}

#[test]
fn what_an_alias_shares_is_not_edited() {
    let shared = SET.replace("terminationGracePeriodSeconds: 0", "terminationGracePeriodSeconds: &none 0")
        + "      priority: *none\n";
    let (outcome, after) = fixed(&[("a.yaml".to_owned(), shared)], false);
    assert!(
        matches!(left(&outcome, "grace-period-zero"), Reason::NotEditable(why) if why.contains("anchor"))
    );
    assert!(after[0].1.contains("&none 0"), "{}", after[0].1);
    // The rest is done all the same.
    assert!(after[0].1.contains("kind: PodDisruptionBudget") || after[0].1.contains("kind: Service"));

    let through = SET
        .replace("spec:\n      term", "spec:\n      priority: &none 0\n      term")
        .replace("Seconds: 0", "Seconds: *none");
    let (outcome, _) = fixed(&[("a.yaml".to_owned(), through)], false);
    assert!(matches!(left(&outcome, "grace-period-zero"), Reason::NotEditable(why) if why.contains("alias")));
}

#[test]
fn an_anchor_that_nothing_shares_stays() {
    let anchored = SET.replace("Seconds: 0", "Seconds: &none 0");
    assert!(all_fixed(&anchored).contains("Seconds: &none 30 # at once"));
}

#[test]
fn of_a_key_written_twice_the_one_that_counts_is_edited() {
    let twice = SET.replace(
        "      terminationGracePeriodSeconds: 0",
        "      terminationGracePeriodSeconds: 5\n      terminationGracePeriodSeconds: 0",
    );
    let fixed = all_fixed(&twice);
    assert!(fixed.contains("Seconds: 5\n      terminationGracePeriodSeconds: 30"), "{fixed}");
}

#[test]
fn beside_json_and_lists_objects_are_created_in_files_of_their_own() {
    let object = case::objects(SET).remove(0);
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {object}\n");
    for text in [format!("{object:#}\n"), list] {
        let (_, after) = fixed(&[("dir/a.json".to_owned(), text)], true);
        let names: Vec<&str> = after.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["dir/a.json", "dir/zk-poddisruptionbudget.yaml", "dir/zk-service.yaml"]);
        assert!(
            after[0].1.contains("\"terminationGracePeriodSeconds\": 30")
                || after[0].1.contains("Seconds\":30"),
            "{}",
            after[0].1
        );
    }
}

#[test]
fn a_variable_is_not_edited() {
    let text = SET.replace("replicas: 2 ", "replicas: ${N:=4} ");
    let (outcome, after) = fixed(&[("a.yaml".to_owned(), text)], true);
    let reason = Reason::NotEditable("${N:=4} is filled in from elsewhere".to_owned());
    assert_eq!(left(&outcome, "quorum-even"), reason);
    assert!(after[0].1.contains("replicas: ${N:=4} ") && after[0].1.contains("kind: PodDisruptionBudget"));
}

#[test]
fn a_template_is_not_edited() {
    let object = case::objects(SET).remove(0);
    let template = format!("apiVersion: v1\nkind: Template\nobjects:\n- {object}\n");
    let (outcome, after) = fixed(&[("a.yaml".to_owned(), template.clone())], true);
    assert_eq!(after, [("a.yaml".to_owned(), template)]);
    assert!(matches!(left(&outcome, "grace-period-zero"), Reason::NotEditable(_)));
}

#[test]
fn two_wishes_for_one_field_are_refused_and_named() {
    // Two sets of which each wants the Service to select its own pods.
    let one = SET.replace("metadata: {name: zk}", "metadata: {name: a}").replace("app: zk", "app: a");
    let other = SET.replace("metadata: {name: zk}", "metadata: {name: b}").replace("app: zk", "app: b");
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: zk}\nspec: {clusterIP: None, selector: {app: c}}\n";
    let (outcome, after) = fixed(&[("a.yaml".to_owned(), format!("{one}---\n{other}---\n{service}"))], true);
    assert_eq!(
        left(&outcome, "service-selector-mismatch"),
        Reason::Conflict("service-selector-mismatch".to_owned())
    );
    assert!(after[0].1.contains("selector: {app: c}"), "{}", after[0].1);
}

#[test]
fn what_is_exempt_is_left_as_it_is() {
    let exempt = SET.replace("{name: zk}\nspec", "{name: zk, annotations: {stateward.dev/exempt: grace-period-zero, stateward.dev/exempt-reason: x}}\nspec");
    assert!(all_fixed(&exempt).contains("Seconds: 0 # at once"));
}

#[test]
fn a_namespace_is_written_where_the_set_writes_one() {
    let named = SET.replace("metadata: {name: zk}", "metadata: {name: zk, namespace: data}");
    assert!(all_fixed(&named).contains("  name: zk\n  namespace: data\n"));
}

#[test]
fn a_diff_shows_what_changes() {
    let (outcome, _) = fixed(&[("a.yaml".to_owned(), SET.to_owned())], false);
    let diff = stateward::fix::unified(&outcome.files[0]);
    assert!(diff.starts_with("--- a/a.yaml\n+++ b/a.yaml\n@@ "), "{diff}");
    let removed: Vec<&str> = diff.lines().filter(|line| line.starts_with('-')).collect();
    assert_eq!(removed, ["--- a/a.yaml", "-      terminationGracePeriodSeconds: 0 # at once"]);
}

/// A text with some pieces replaced, as a tool does it that reads them in SARIF.
fn replaced(text: &str, replacements: &[Replacement]) -> String {
    let offset = |(line, column): (usize, usize)| {
        let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        start + text[start..].chars().take(column - 1).map(char::len_utf8).sum::<usize>()
    };
    let mut after = text.to_owned();
    for replacement in replacements.iter().rev() {
        after.replace_range(offset(replacement.start)..offset(replacement.end), &replacement.text);
    }
    after
}

#[test]
fn the_edits_of_each_finding_as_places_in_files_end_it() {
    let mut paths = Vec::new();
    yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples"), &mut paths);
    let mut checked = 0;
    for path in paths {
        let files = vec![("a.yaml".to_owned(), fs::read_to_string(&path).unwrap())];
        let before = inventory(&files);
        let mut judged = report(&before);
        attach(&before, &mut judged);
        for located in judged.findings.iter().filter(|located| !located.fixes.is_empty()) {
            let mut after = files.clone();
            for fix in &located.fixes {
                match after.iter_mut().find(|(name, _)| *name == fix.file) {
                    Some((_, text)) => *text = replaced(text, &fix.replacements),
                    None => after.push((fix.file.clone(), replaced("", &fix.replacements))),
                }
            }
            let left = report(&inventory(&after)).findings;
            let is_there = left.iter().any(|other| is_same(&other.finding, &located.finding));
            assert!(!is_there, "{}: {:?}", path.display(), located.fixes);
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}
