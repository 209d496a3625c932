//! Baselines and paths of reports, as a repository has them for a year: runs from other folders, of a part of the rules and the files,
//! and by other versions.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Output;

use serde_json::{Value, json};

use crate::repository::{Repository, fake_kustomize, text};
use crate::support::etcd::MANIFEST as ETCD;

fn of_name(name: &str) -> String {
    ETCD.replace("name: etcd\nspec", &format!("name: {name}\nspec"))
}

/// Two sets in a repository of git.
fn repository() -> Repository {
    let repository = Repository::of(&[("k8s/a.yaml", ETCD), ("k8s/more/b.yaml", &of_name("other"))]);
    repository.git(&["init", "-q"]);
    repository
}

fn run(repository: &Repository, folder: &str, arguments: &[&str]) -> Output {
    let bin = repository.path().join("bin");
    repository.run_in(folder, &bin, &[&["audit", "--format", "json"], arguments].concat())
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

fn fingerprints(report: &Value) -> BTreeSet<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["fingerprint"].as_str().unwrap().to_owned()).collect()
}

fn entries(repository: &Repository) -> Vec<Value> {
    let text = fs::read_to_string(repository.path().join("known.json")).unwrap();
    let baseline: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(baseline["schemaVersion"], 2);
    baseline["findings"].as_array().unwrap().clone()
}

/// The files and rules of a baseline.
fn rules_by_file(repository: &Repository) -> BTreeSet<(String, String)> {
    let part = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    entries(repository).iter().map(|entry| (part(entry, "file"), part(entry, "rule"))).collect()
}

#[test]
fn a_finding_is_the_same_however_its_path_is_written() {
    let repository = repository();
    let absolute = repository.path().join("k8s").display().to_string();
    symlink("k8s", repository.path().join("link")).unwrap();
    let first = fingerprints(&report(&run(&repository, "", &["k8s"])));
    assert!(first.len() > 2);
    for (folder, path) in [
        ("", "./k8s"),
        ("", &absolute),
        ("", "link"),
        ("k8s", "."),
        ("k8s/more", ".."),
        ("k8s/more", &absolute),
    ] {
        let report = report(&run(&repository, folder, &[path]));
        assert_eq!(fingerprints(&report), first, "{folder} {path}");
    }
    run(&repository, "k8s", &[".", "--baseline", "../known.json", "--write-baseline"]);
    for (folder, path, baseline) in [("", "k8s", "known.json"), ("k8s/more", "../../k8s", "../../known.json")]
    {
        assert_eq!(run(&repository, folder, &[path, "--baseline", baseline]).status.code(), Some(0));
    }
}

#[test]
fn platforms_get_the_path_in_the_repository_and_people_what_they_wrote() {
    let repository = repository();
    for (format, place) in [
        ("gitlab", "\"path\": \"k8s/a.yaml\""),
        ("sarif", "\"uri\": \"k8s/a.yaml\",\n                  \"uriBaseId\": \"%SRCROOT%\""),
        ("github", " file=k8s/a.yaml,line="),
        ("junit", "classname=\"k8s/a.yaml\" name="),
        ("junit", " file=\"k8s/a.yaml\">"),
        ("markdown", "| k8s/a.yaml:"),
        ("human", "--> a.yaml:"),
        ("json", "\"file\": \"a.yaml\""),
    ] {
        let output =
            repository.run_in("k8s", &repository.path().join("bin"), &["audit", ".", "--format", format]);
        assert!(text(&output.stdout).contains(place), "{format}: {}", text(&output.stdout));
    }
}

#[test]
fn a_partial_run_keeps_what_it_does_not_look_at() {
    let repository = repository();
    let baseline = ["--baseline", "known.json"];
    let write = [&baseline[..], &["--write-baseline"]].concat();
    run(&repository, "", &[&["k8s"], &write[..]].concat());
    let all = rules_by_file(&repository);
    assert!(all.iter().any(|(file, _)| file == "k8s/more/b.yaml"));
    let partial: [&[&str]; 6] = [
        &["k8s/a.yaml"],
        &["k8s", "--exclude", "more"],
        &["k8s", "--only", "pdb-missing"],
        &["k8s", "--skip", "quorum-even,pdb-missing"],
        &["k8s", "--min-level", "deny"],
        &["k8s", "k8s/none.yaml"],
    ];
    for arguments in partial {
        let compared = run(&repository, "", &[arguments, &baseline].concat());
        assert!(!text(&compared.stderr).contains("gone"), "{arguments:?}: {}", text(&compared.stderr));
        run(&repository, "", &[arguments, &write].concat());
        assert_eq!(rules_by_file(&repository), all, "{arguments:?}");
    }
    let kept = run(&repository, "", &[partial[0], &write].concat());
    assert!(text(&kept.stderr).contains("that this run does not look at"), "{}", text(&kept.stderr));
}

#[test]
fn what_a_partial_run_looks_at_and_does_not_find_is_gone() {
    let repository = repository();
    let baseline = ["--baseline", "known.json"];
    let write = [&baseline[..], &["--write-baseline"]].concat();
    run(&repository, "", &[&["k8s"], &write[..]].concat());
    let all = rules_by_file(&repository).len();
    repository.write("k8s/a.yaml", &ETCD.replace("replicas: 4", "replicas: 3"));
    for (arguments, gone) in [
        (&["k8s"][..], true),
        (&["k8s/a.yaml"], true),
        (&["k8s", "--only", "quorum-even,spread-missing"], true),
        (&["k8s/more"], false),
        (&["k8s", "--skip", "quorum-even"], false),
    ] {
        let compared = run(&repository, "", &[arguments, &baseline].concat());
        let said = text(&compared.stderr).contains("1 finding of known.json is gone: write it anew");
        assert_eq!(said, gone, "{arguments:?}: {}", text(&compared.stderr));
    }
    run(&repository, "", &[&["k8s/a.yaml"], &write[..]].concat());
    assert_eq!(rules_by_file(&repository).len(), all - 1);
}

#[test]
fn overlays_of_one_base_are_told_apart() {
    let repository = Repository::of(&[
        ("base/etcd.yaml", ETCD),
        ("prod/kustomization.yaml", "resources: [../base]\n"),
        ("staging/kustomization.yaml", "resources: [../base]\n"),
    ]);
    repository.git(&["init", "-q"]);
    fs::create_dir(repository.path().join("bin")).unwrap();
    fake_kustomize(&repository, ETCD, "base/etcd.yaml");
    let write = ["--baseline", "known.json", "--write-baseline"];
    let both = run(&repository, "", &[&["prod", "staging"], &write[..]].concat());
    assert_eq!(both.status.code(), Some(0), "{}", text(&both.stderr));
    let all = entries(&repository);
    let of = |folder: &str| all.iter().filter(|entry| entry["renderedFrom"] == folder).count();
    assert!(of("prod") > 1 && of("prod") == of("staging"), "{all:#?}");
    assert!(all.iter().all(|entry| entry["file"] == "base/etcd.yaml"));
    for (folder, path) in [("", "staging"), ("", "prod"), ("base", "../staging")] {
        let known = repository.path().join("known.json").display().to_string();
        let one = run(&repository, folder, &[path, "--baseline", &known, "--write-baseline"]);
        assert_eq!(one.status.code(), Some(0), "{}", text(&one.stderr));
        assert_eq!(entries(&repository), all, "{path}");
    }
}

/// The file as an earlier version has it: with the names of the command line.
fn of_version_1(report: &Value, fingerprint: &str) -> String {
    let findings: Vec<Value> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| json!({"file": finding["file"], "rule": finding["rule"], "object": "x", "fingerprint": fingerprint}))
        .collect();
    json!({"schemaVersion": 1, "findings": findings}).to_string()
}

#[test]
fn a_baseline_of_an_earlier_version_is_read_and_said_to_be_one() {
    let repository = repository();
    repository.write("k8s/a.yaml", &ETCD.replace("replicas: 4", "replicas: 3"));
    let only = ["--only", "quorum-even", "--baseline", "../known.json"];
    let found = report(&run(&repository, "k8s", &[".", "--only", "quorum-even"]));
    // What version 1 has for quorum-even of StatefulSet default/other in more/b.yaml.
    repository.write("known.json", &of_version_1(&found, "8970f449de454a396de311bbdef2570d"));
    let compared = run(&repository, "k8s", &[&["."], &only[..]].concat());
    assert_eq!(compared.status.code(), Some(0), "{}", text(&compared.stderr));
    assert!(text(&compared.stderr).contains("known.json is of an earlier version"));
    let otherwise = run(&repository, "", &["k8s", "--baseline", "known.json"]);
    assert_eq!(otherwise.status.code(), Some(1), "it knew the finding by another name");
    assert!(text(&otherwise.stderr).contains("known.json is of an earlier version"));
    let partial = run(&repository, "k8s", &["a.yaml", "--baseline", "../known.json", "--write-baseline"]);
    assert_eq!(partial.status.code(), Some(2), "{}", text(&partial.stderr));
    let whole = run(&repository, "k8s", &[&["."], &only[..], &["--write-baseline"]].concat());
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stderr));
    assert_eq!(rules_by_file(&repository), [("k8s/more/b.yaml".to_owned(), "quorum-even".to_owned())].into());
}

#[test]
fn a_file_that_is_no_baseline_is_not_written_over() {
    let repository = repository();
    repository.write("known.json", "<<<<<<< ours\n");
    let output = run(&repository, "", &["k8s", "--baseline", "known.json", "--write-baseline"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("known.json is not a baseline"), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(repository.path().join("known.json")).unwrap(), "<<<<<<< ours\n");
}

#[test]
fn what_a_fix_leaves_is_written() {
    let repository = repository();
    let output = run(
        &repository,
        "",
        &["k8s/a.yaml", "--fix", "--unsafe-fixes", "--baseline", "known.json", "--write-baseline"],
    );
    assert!(text(&output.stderr).contains("fixed in 1 file"), "{}", text(&output.stderr));
    assert!(!rules_by_file(&repository).contains(&("k8s/a.yaml".to_owned(), "quorum-even".to_owned())));
}
