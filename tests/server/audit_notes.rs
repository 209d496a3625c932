//! What an audit says beside its findings, and how that is silenced.

use serde_json::Value;

use crate::repository::{Repository, fake_kustomize, note_kinds, text};
use crate::support::etcd::MANIFEST as ETCD;

/// Nothing is wrong with it but a field that no StatefulSet has; and `comment` stands behind that.
fn misspelt(comment: &str) -> String {
    ETCD.replace("  replicas: 4", &format!("  replicas: 3\n  replica: 3{comment}"))
}

#[test]
fn a_comment_silences_a_note_with_a_reason_only() {
    let repository = Repository::of(&[]);
    let notes = |comment: &str| {
        repository.write("a.yaml", &misspelt(comment));
        repository.audit(&["a.yaml"]).1["notes"].clone()
    };
    assert_eq!(notes("")[0]["kind"], "unknownField");
    assert_eq!(
        notes(" # stateward:ignore unknownField -- our own API server has it"),
        Value::Array(Vec::new())
    );
    let without_reason = notes(" # stateward:ignore unknownField");
    assert_eq!(without_reason.as_array().unwrap().len(), 2, "{without_reason}");
    let unknown = notes(" # stateward:ignore unknownfield -- why");
    let message = unknown[1]["message"].as_str().unwrap();
    assert!(
        message.ends_with("there is no rule or note unknownfield; did you mean \"unknownField\"?"),
        "{message}"
    );
    let no_name = notes(" # stateward:ignore -- why");
    assert!(no_name[1]["message"].as_str().unwrap().contains("names no rule and no note"), "{no_name}");
}

#[test]
fn a_comment_that_silences_no_note_is_named() {
    let comment = "# stateward:ignore definedTwice -- why\n";
    let repository = Repository::of(&[("a.yaml", &format!("{comment}{ETCD}"))]);
    let (_, report) = repository.audit(&["a.yaml"]);
    assert_eq!(note_kinds(&report), ["ignoreComment"]);
    // The last of both counts, and is named.
    repository.write("a.yaml", &format!("{ETCD}---\n{comment}{ETCD}"));
    assert_eq!(note_kinds(&repository.audit(&["a.yaml"]).1), Vec::<&str>::new());
}

#[test]
fn what_cannot_be_judged_fails_no_more_where_a_comment_says_why() {
    let variable = |comment: &str| ETCD.replace("replicas: 4", &format!("replicas: ${{REPLICAS}}{comment}"));
    let repository = Repository::of(&[("a.yaml", &variable(""))]);
    let (code, report) = repository.audit(&["a.yaml"]);
    assert_eq!((code, note_kinds(&report)), (Some(2), vec!["notRendered"]));
    repository.write("a.yaml", &variable(" # stateward:ignore notRendered -- the pipeline fills it in"));
    let (code, report) = repository.audit(&["a.yaml"]);
    assert_eq!((code, note_kinds(&report)), (Some(0), Vec::new()));
}

#[test]
fn what_is_said_of_a_base_is_said_once_for_all_overlays() {
    let overlays =
        [("k/a/kustomization.yaml", "namePrefix: a-\n"), ("k/b/kustomization.yaml", "namePrefix: b-\n")];
    let of = |base: &str| {
        let repository = Repository::of(&[("k/base/etcd.yaml", base), ("bin/x", "")]);
        for (name, prefix) in overlays {
            repository.write(name, &format!("resources: [../base]\n{prefix}"));
        }
        repository.write("k/base/kustomization.yaml", "resources: [etcd.yaml]\n");
        // Each overlay gives its name to the object.
        let rendered = base.replace("name: etcd\nspec", "name: NAME-etcd\nspec");
        fake_kustomize(&repository, &rendered, "k/base/etcd.yaml");
        let script = repository.path().join("bin/kustomize");
        let printed = std::fs::read_to_string(&script).unwrap();
        let name = "name=$(/usr/bin/grep -o '/k/[ab]' \"$2/kustomization.yaml\" | /usr/bin/tail -c 2)";
        let printed = printed
            .replace("#!/bin/sh\n", &format!("#!/bin/sh\n{name}\n"))
            .replace("s#UP#$up#", "s#UP#$up#;s#NAME#$name#");
        std::fs::write(&script, printed).unwrap();
        let output = repository.run_with(&repository.path().join("bin"), &["audit", "--format", "json", "k"]);
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        let names: Vec<&str> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|f| f["object"]["name"].as_str())
            .collect();
        assert!(names.contains(&"a-etcd") && names.contains(&"b-etcd"), "{report:#}");
        report["notes"].clone()
    };
    let notes = of(&misspelt(""));
    assert_eq!(notes.as_array().unwrap().len(), 1, "{notes:#}");
    let place = (&notes[0]["file"], &notes[0]["line"]);
    let line = misspelt("").lines().position(|line| line.contains("replica: 3")).unwrap() + 1;
    assert_eq!(place, (&"k/base/etcd.yaml".into(), &line.into()));
    assert!(
        notes[0]["message"].as_str().unwrap().starts_with("StatefulSet etcd: spec.replica "),
        "{notes:#}"
    );
    let silenced = of(&misspelt(" # stateward:ignore unknownField -- why"));
    assert_eq!(silenced, Value::Array(Vec::new()), "the comment is used, whichever overlay has read it");
}

#[test]
fn a_list_without_items_is_not_passed_over() {
    let indented = ETCD.replace('\n', "\n  ");
    let list = |key: &str| format!("apiVersion: v1\nkind: List\n{key}\n- {}", indented.trim_end());
    let repository = Repository::of(&[
        ("a.yaml", &list("items:")),
        ("service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"),
    ]);
    assert_eq!(repository.audit(&["a.yaml"]).0, Some(1));
    repository.write("a.yaml", &list("item:"));
    let output = repository.run(&["audit", "service.yaml", "a.yaml"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        shown.contains(
            "cannot read a.yaml:3:1: List: no API server knows the field item; did you mean items?"
        ),
        "{shown}"
    );
}

#[test]
fn a_diff_promises_what_a_fix_does() {
    let utf16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(ETCD.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let latin1: Vec<u8> = [b"# \xe9\n", ETCD.as_bytes()].concat();
    let repository = Repository::of(&[("a.yaml", ETCD)]);
    for bytes in [utf16, latin1] {
        std::fs::write(repository.path().join("b.yaml"), &bytes).unwrap();
        let said = |mode: &str| {
            let output = repository.run(&["audit", "b.yaml", mode]);
            (output.status.code(), text(&output.stderr).replace("would be fixed", "fixed"))
        };
        let (diff, fix) = (said("--diff"), said("--fix"));
        assert_eq!(diff, fix);
        assert!(
            fix.1.contains("0 findings fixed in 0 files") && fix.1.contains("b.yaml is not UTF-8 text"),
            "{}",
            fix.1
        );
        assert_eq!(std::fs::read(repository.path().join("b.yaml")).unwrap(), bytes);
    }
    let both = repository.run(&["audit", "a.yaml", "b.yaml", "--fix"]);
    assert!(
        !text(&both.stderr).starts_with("stateward: 0 findings"),
        "other files are fixed: {}",
        text(&both.stderr)
    );
    // The object of a file in JSON gets a file of its own, and there is one of that name.
    let json = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "etcd"},
        "spec": {
            "replicas": 3, "serviceName": "etcd", "selector": {"matchLabels": {"app": "etcd"}},
            "template": {"metadata": {"labels": {"app": "etcd"}}, "spec": {"containers": [{"name": "etcd", "image": "etcd"}]}},
        },
    });
    repository.write("c/a.json", &json.to_string());
    for name in ["etcd-service.yaml", "etcd-poddisruptionbudget.yaml"] {
        repository.write(&format!("c/{name}"), "# mine\n");
    }
    for mode in ["--diff", "--fix"] {
        let output = repository.run(&["audit", "c", mode]);
        let said = text(&output.stderr);
        assert!(said.contains("etcd-service.yaml is to be made, and there is one already"), "{mode}: {said}");
        assert_eq!(output.status.code(), Some(0), "the rest is fixed and judged: {mode}: {said}");
        assert_eq!(
            std::fs::read_to_string(repository.path().join("c/etcd-service.yaml")).unwrap(),
            "# mine\n"
        );
    }
}

#[test]
fn a_diff_says_what_was_not_judged() {
    let repository = Repository::of(&[("a.yaml", "kind: StatefulSet\n a: b\n")]);
    let output = repository.run(&["audit", "a.yaml", "--diff"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("stateward: a.yaml:2:"), "{said}");
}
