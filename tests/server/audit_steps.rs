//! `stateward audit --base` and `--from`: the step from an old state, as a user runs it.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::repository::{Repository, fake, rules, text};
use crate::support::etcd::MANIFEST as ETCD;

fn committed(files: &[(&str, &str)]) -> Repository {
    let repository = Repository::of(files);
    commit(&repository);
    repository
}

fn commit(repository: &Repository) {
    repository.git(&["init", "-q"]);
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "x"]);
}

/// With git, and what the repository has in `bin`.
fn run(repository: &Repository, folder: &str, arguments: &[&str]) -> Output {
    let path = format!("{}:/usr/bin:/usr/local/bin:/bin", repository.path().join("bin").display());
    repository.run_in(folder, Path::new(&path), &[&["audit", "--format", "json"], arguments].concat())
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

fn of_count(count: &str) -> String {
    ETCD.replace("replicas: 4", &format!("replicas: {count}"))
}

fn protected() -> String {
    of_count("3")
        .replace("name: etcd\nspec", "name: etcd\n  annotations: {stateward.dev/protected: \"true\"}\nspec")
}

#[test]
fn an_old_chart_is_rendered_with_its_own_values() {
    let template = of_count("{{ .Values.replicas }}");
    let repository = committed(&[
        ("old/c/Chart.yaml", "name: c\nversion: 1.0.0\n"),
        ("old/c/templates/etcd.yaml", &template),
        ("old/env/prod.yaml", "5"),
        ("c/Chart.yaml", "name: c\nversion: 1.0.0\n"),
        ("c/templates/etcd.yaml", &template),
        ("c/prod.yaml", "5"),
        ("env/prod.yaml", "5"),
        ("bin/x", ""),
    ]);
    let helm = "chart=$2\nwhile [ \"$1\" != --values ]; do shift; done\n\
                sed \"s/{{ .Values.replicas }}/$(cat \"$2\")/\" \"$chart/templates/etcd.yaml\"";
    fake(&repository.path().join("bin"), "helm", helm);
    repository.write("c/prod.yaml", "1");
    repository.write("env/prod.yaml", "1");
    repository.write("env/new.yaml", "1");
    let absolute = repository.path().join("env/prod.yaml").display().to_string();
    for (folder, arguments) in [
        ("", &["c", "--base", "HEAD", "--values", "env/prod.yaml"][..]),
        ("", &["c", "--base", "HEAD", "--values", "c/prod.yaml"]),
        ("", &["c", "--base", "HEAD", "--values", &absolute]),
        ("c", &[".", "--base", "HEAD", "--values", "../env/prod.yaml"]),
        ("", &["c", "--from", "old/c", "--values", "env/prod.yaml"]),
    ] {
        let output = run(&repository, folder, arguments);
        let report = report(&output);
        let is_found = rules(&report).contains(&"quorum-scale-loses-majority");
        assert!(output.status.code() == Some(1) && is_found, "{arguments:?}: {report:#}");
    }
    let same = run(&repository, "", &["c", "--base", "HEAD", "--changed", "--values", "env/new.yaml"]);
    assert_eq!(rules(&report(&same)).len(), 0, "a file that is new is taken for both");
    repository.write(".stateward.yaml", "paths: [c]\nvalues: [env/prod.yaml]\n");
    for folder in ["", "c"] {
        let report = report(&run(&repository, folder, &["--base", "HEAD"]));
        assert!(rules(&report).contains(&"quorum-scale-loses-majority"), "{folder}: {report:#}");
    }
}

#[test]
fn what_is_excluded_is_excluded_from_the_old_state_too() {
    let repository = committed(&[
        ("apps/a/web.yaml", &of_count("3").replace("name: etcd\nspec", "name: other\nspec")),
        ("apps/legacy/etcd.yaml", &protected()),
        ("old/legacy/etcd.yaml", &protected()),
        ("old/a/web.yaml", &of_count("3").replace("name: etcd\nspec", "name: other\nspec")),
    ]);
    let absolute = repository.path().join("apps").display().to_string();
    for pattern in ["legacy", "apps/legacy", "/apps/legacy/", "apps/**/etcd.yaml"] {
        for (folder, arguments) in [
            ("", &["apps", "--base", "HEAD"][..]),
            ("", &["apps", "--from", "old"]),
            ("", &[&absolute, "--base", "HEAD"]),
            ("apps/a", &["..", "--base", "HEAD"]),
        ] {
            repository.write(".stateward.yaml", &format!("exclude: [{pattern}]\n"));
            let settings = run(&repository, folder, &[arguments, &["--changed"]].concat());
            let found = report(&settings);
            assert_eq!(settings.status.code(), Some(0), "{pattern} {folder} {arguments:?}: {found:#}");
            assert_eq!(found["summary"]["statefulSets"], 1, "{pattern} {folder} {arguments:?}");
        }
        repository.write(".stateward.yaml", "");
        let flag = run(&repository, "", &["apps", "--base", "HEAD", "--changed", "--exclude", pattern]);
        assert_eq!(flag.status.code(), Some(0), "{pattern}: {:#}", report(&flag));
    }
}

#[test]
fn what_is_deleted_is_reported_where_it_was() {
    let repository = committed(&[
        ("m/other.yaml", &of_count("3").replace("name: etcd\nspec", "name: other\nspec")),
        ("m/etcd.yaml", &protected()),
        ("old/etcd.yaml", &protected()),
    ]);
    std::fs::remove_file(repository.path().join("m/etcd.yaml")).unwrap();
    let deleted = |folder: &str, arguments: &[&str]| {
        let report = report(&run(&repository, folder, arguments));
        let all = report["findings"].as_array().unwrap();
        let found = all.iter().find(|finding| finding["rule"] == "protected");
        let found = found.unwrap_or_else(|| panic!("{report:#}"));
        let field = |name: &str| found[name].as_str().unwrap().to_owned();
        (field("file"), field("fingerprint"))
    };
    let at_root = deleted("", &[".", "--base", "HEAD", "--exclude", "/old"]);
    assert_eq!(at_root.0, "m/etcd.yaml");
    assert_eq!(deleted("", &[".", "--base", "HEAD", "--exclude", "/old"]), at_root, "each run");
    assert_eq!(deleted("m", &[".", "--base", "HEAD"]).0, "etcd.yaml");
    assert_eq!(deleted("", &["m", "--from", "old"]).0, "old/etcd.yaml");
}
