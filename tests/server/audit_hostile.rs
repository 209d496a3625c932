//! Audits of folders that are made to deceive or to hang.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn audit_folder(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    command.arg("audit").args(arguments).current_dir(folder).output().unwrap()
}

fn audit(files: &[(&str, &str)], arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    audit_folder(folder.path(), &[arguments, &["."]].concat())
}

#[test]
fn reports_for_people_cannot_be_forged() {
    let name = "a\\e[2J\\u202Ex\\n::error::forged\\r##vso[task.setvariable]";
    let set = format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: \"{name}\"}}\nspec:\n  replicas: 4\n  selector: \
         {{matchLabels: {{app: \"{name}\"}}}}\n  template:\n    metadata: {{labels: {{app: \"{name}\"}}}}\n    spec: \
         {{containers: [{{name: zk, image: 'zookeeper:3.9', args: [\"\u{202e}\u{9f}\"]}}]}}\n"
    )
    .replace('\u{9f}', "");
    let broken = "kind: StatefulSet\n\u{202e}: [\n";
    let files = [("a\u{1b}[2J\n::error::b.yaml", &*set), ("##[error]c.yaml", broken)];
    let output = audit(&files, &["--profile", "strict"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("quorum-even") && text.contains("cannot read"), "{text}");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{text:?}");
    assert!(!text.contains("##vso[") && !text.contains("##["), "{text}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn nothing_is_printed_beside_the_report_for_broken_yaml() {
    let output =
        audit(&[("a.yaml", "kind: StatefulSet\na: [!,\n"), ("b.yaml", "[!,"), ("c.yaml", "{!,: x")], &[]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("cannot read a.yaml:2:"), "{text}");
}

#[test]
fn a_pipe_without_a_writer_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.yaml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let named = audit_folder(folder.path(), &["pipe.yaml"]);
    let text = String::from_utf8_lossy(&named.stdout).into_owned();
    assert_eq!(named.status.code(), Some(2), "{text}");
    assert!(text.contains("pipe.yaml: not a regular file"), "{text}");
    let found = audit_folder(folder.path(), &["."]);
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(found.status.code(), Some(2), "nothing else is there: {text}");
    assert!(text.contains("1 × file or folder that is not looked into"), "{text}");
}
