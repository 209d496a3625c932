//! `stateward audit` over the files of a repository, as a user runs it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::repository::{Repository, fake, fake_kustomize, note_kinds, rules, text};
use crate::support::etcd::MANIFEST as ETCD;

#[test]
fn gitignore_and_excludes_are_honoured() {
    let repository = Repository::of(&[
        ("a/etcd.yaml", ETCD),
        ("a/target/etcd.yaml", ETCD),
        ("a/vendor/etcd.yaml", ETCD),
        (".gitignore", "target/\n"),
    ]);
    let (_, report) = repository.audit(&["a", "--exclude", "vendor"]);
    assert_eq!(report["summary"]["statefulSets"], 1);
    assert_eq!(report["contexts"][0]["name"], "a");
}

#[test]
fn settings_are_found_above_and_the_command_line_overrides_them() {
    let settings = "paths: [a]\nprofile: strict\nexclude: [b.yaml]\nskip: [spread-missing]\nfailOn: never\nformat: [json]\n";
    let repository = Repository::of(&[
        (".stateward.yaml", settings),
        ("a/etcd.yaml", ETCD),
        ("a/b.yaml", ETCD),
        ("sub/x", ""),
    ]);
    let output = repository.run(&["audit"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["summary"]["statefulSets"], 1);
    assert!(
        rules(&report).contains(&"quorum-even") && !rules(&report).contains(&"spread-missing"),
        "{report}"
    );
    assert_eq!(repository.run(&["audit", "--fail-on", "deny"]).status.code(), Some(1));
    let below = Command::new(env!("CARGO_BIN_EXE_stateward"))
        .arg("audit")
        .current_dir(repository.path().join("sub"))
        .output();
    assert_eq!(
        serde_json::from_slice::<Value>(&below.unwrap().stdout).unwrap()["summary"]["statefulSets"],
        1
    );
    repository.write(".stateward.yaml", "pathes: [a]\n");
    let output = repository.run(&["audit"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("there is no field \"pathes\"; did you mean \"paths\"?"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_comment_exempts_with_a_reason_only() {
    let comment = |comment: &str| {
        ETCD.replace("replicas: 4", &format!("replicas: 4 # stateward:ignore quorum-even{comment}"))
    };
    let repository = Repository::of(&[("a.yaml", &comment(" -- a fifth comes on Monday"))]);
    let (code, report) = repository.audit(&["a.yaml"]);
    assert_eq!((code, &report["summary"]["exempt"]), (Some(0), &1.into()));
    let even = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["rule"] == "quorum-even")
        .unwrap();
    assert_eq!(even["exempt"]["reason"], "a fifth comes on Monday");
    repository.write("a.yaml", &comment(""));
    let (code, report) = repository.audit(&["a.yaml"]);
    assert_eq!((code, note_kinds(&report)), (Some(1), vec!["ignoreComment"]));
    repository.write("a.yaml", &comment(" -- why").replace("replicas: 4", "replicas: 3"));
    let (code, report) = repository.audit(&["a.yaml"]);
    assert_eq!((code, note_kinds(&report)), (Some(0), vec!["ignoreComment"]), "it is not needed");
    repository.write("a.yaml", &comment(" -- why").replace("quorum-even", "quorum-evn"));
    let (_, report) = repository.audit(&["a.yaml"]);
    let message = report["notes"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("there is no rule or note quorum-evn; did you mean \"quorum-even\"?"),
        "{message}"
    );
}

#[test]
fn a_kind_that_no_api_server_knows_is_not_passed_over() {
    let repository = Repository::of(&[]);
    for (right, typed) in [("StatefulSet", "Statefulset"), ("apps/v1", "app/v1")] {
        repository.write("a.yaml", &ETCD.replace(right, typed));
        let (code, report) = repository.audit(&["a.yaml"]);
        let message = report["notes"][0]["message"].as_str().unwrap();
        assert!(code == Some(2) && message.ends_with("did you mean StatefulSet in apps/v1?"), "{message}");
    }
}

#[test]
fn a_misspelt_field_is_named_and_fails_nothing() {
    let three = ETCD.replace("replicas: 4", "replicas: 3");
    let repository = Repository::of(&[("a.yaml", &three.replace("replicas: 3", "replica: 3"))]);
    let (code, report) = repository.audit(&["a.yaml"]);
    assert_eq!((code, note_kinds(&report)), (Some(0), vec!["unknownField"]));
    let message = report["notes"][0]["message"].as_str().unwrap();
    assert!(message.contains("spec.replica is not a field of a StatefulSet"), "{message}");
    assert!(message.ends_with("did you mean replicas?"), "{message}");
    let line = report["notes"][0]["line"].as_u64().unwrap();
    assert!(three.lines().nth(usize::try_from(line).unwrap() - 1).unwrap().contains("replicas: 3"), "{line}");
    let shown = text(&repository.run(&["audit", "a.yaml"]).stdout);
    assert!(
        shown.contains(&format!("note: a.yaml:{line}:3: StatefulSet etcd: spec.replica is not")),
        "{shown}"
    );

    repository.write("a.yaml", &three.replace("spec:", "sepc:"));
    let (code, report) = repository.audit(&["a.yaml"]);
    assert!(
        code == Some(2) && note_kinds(&report).contains(&"unknownField"),
        "without a spec it is a patch: {report}"
    );
    for (right, typed) in [("apiVersion", "apiversion"), ("kind", "Kind")] {
        repository.write("a.yaml", &three.replace(right, typed));
        let (code, report) = repository.audit(&["a.yaml"]);
        let message = report["notes"][0]["message"].as_str().unwrap();
        assert!(code == Some(2) && message.ends_with(&format!("did you mean {right}?")), "{message}");
    }
}

#[test]
fn with_a_baseline_only_new_findings_fail() {
    let repository = Repository::of(&[("a.yaml", ETCD)]);
    assert_eq!(repository.run(&["audit", "a.yaml", "--baseline", "known.json"]).status.code(), Some(2));
    let written = repository.run(&["audit", "a.yaml", "--baseline", "known.json", "--write-baseline"]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    repository.write("a.yaml", &format!("# a line more\n{ETCD}"));
    let (code, report) = repository.audit(&["a.yaml", "--baseline", "known.json"]);
    assert_eq!((code, &report["summary"]["deny"]), (Some(0), &0.into()));
    assert!(report["summary"]["known"].as_u64() > Some(0));
    repository.write("b.yaml", &ETCD.replace("name: etcd\nspec", "name: other\nspec"));
    let (code, report) = repository.audit(&["a.yaml", "b.yaml", "--baseline", "known.json"]);
    assert_eq!((code, &report["summary"]["deny"]), (Some(1), &1.into()));
}

#[test]
fn rules_and_levels_are_chosen() {
    let repository = Repository::of(&[("a.yaml", ETCD)]);
    let (code, report) = repository.audit(&["a.yaml", "--only", "pdb-missing,spread-missing"]);
    assert_eq!((code, rules(&report).len()), (Some(0), 2));
    assert_eq!(rules(&repository.audit(&["a.yaml", "--min-level", "deny"]).1), ["quorum-even"]);
    assert_eq!(repository.audit(&["a.yaml", "--skip", "quorum-even"]).0, Some(0));
    let output = repository.run(&["audit", "a.yaml", "--skip", "quorum-evne"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_makes_the_audit_fail_is_reported() {
    let repository = Repository::of(&[("a.yaml", &ETCD.replace("replicas: 4", "replicas: 3"))]);
    let both = ["audit", "a.yaml", "--min-level", "deny", "--fail-on", "warn"];
    assert_eq!(repository.run(&both).status.code(), Some(2));
    repository.write(".stateward.yaml", "minLevel: deny\n");
    let (code, report) = repository.audit(&["a.yaml", "--fail-on", "warn"]);
    assert!(code == Some(1) && rules(&report).contains(&"pdb-missing"), "{report}");
    assert_eq!(repository.audit(&["a.yaml"]).0, Some(0));
}

#[test]
fn settings_of_no_effect_are_named() {
    let repository = Repository::of(&[("k8s/a.yaml", ETCD)]);
    let notes = |folder: &str, arguments: &[&str]| {
        let path = Path::new("/nowhere");
        text(
            &repository
                .run_in(folder, path, &[&["audit", "--quiet", "--format", "json"], arguments].concat())
                .stderr,
        )
    };
    for (name, settings, is_named) in [
        (".stateward.yml", "failOn: warn\n", true),
        ("stateward.yaml", "failOn: warn\n", true),
        ("stateward.yml", "failOn: warn\n", true),
        ("stateward.yaml", "replicaCount: 2\n", false),
        ("stateward.yaml", ETCD, false),
    ] {
        repository.write(name, settings);
        for (folder, path) in [("", "k8s"), ("k8s", ".")] {
            let note = notes(folder, &[path]);
            assert_eq!(
                note.contains(&format!("{name} is not read: settings are read from .stateward.yaml")),
                is_named
            );
        }
        assert_eq!(notes("", &["k8s", "--config", "/dev/null"]), "");
        fs::remove_file(repository.path().join(name)).unwrap();
    }
    repository.write(
        ".stateward.yaml",
        "failOn: warn\nminLevel: deny\nonly: [pdb-missing, quorum-even]\nskip: [quorum-even]\n",
    );
    let note = notes("", &["k8s"]);
    assert!(note.contains(".stateward.yaml: minLevel: deny has no effect beside failOn: warn"), "{note}");
    assert!(note.contains("quorum-even is in `only` and in `skip`"), "{note}");
    repository.write(".stateward.yaml", "skip: [quorum-even]\n");
    assert_eq!(rules(&repository.audit(&["k8s", "--only", "quorum-even"]).1), ["quorum-even"]);
    let nothing = repository.run(&["audit", "k8s", "--only", "quorum-even", "--skip", "quorum-even"]);
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing.stderr));
}

#[test]
fn two_reports_on_one_target_are_refused() {
    let repository = Repository::of(&[("a.yaml", ETCD)]);
    for (one, other) in [("human", "json"), ("json=o", "sarif=./o")] {
        let output = repository.run(&["audit", "a.yaml", "--format", one, "--format", other]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("two reports would be written"), "{said}");
    }
    let output = repository.run(&["audit", "-", "--base", "HEAD"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("--from OLD -"), "{said}");
}

#[test]
fn quiet_says_only_what_fails() {
    let repository =
        Repository::of(&[("a.yaml", ETCD), ("b.yaml", &ETCD.replace("replicas: 4", "replicas: 3"))]);
    let shown = text(&repository.run(&["audit", "a.yaml", "--quiet"]).stdout);
    assert!(shown.contains("quorum-even") && !shown.contains("warn[pdb-missing]"), "{shown}");
    assert_eq!(text(&repository.run(&["audit", "b.yaml", "-q"]).stdout), "");
}

#[test]
fn nothing_to_judge_is_never_green() {
    let repository =
        Repository::of(&[("empty/readme.md", "x"), ("values.yaml", "replicas: 3\n"), ("a.yaml", ETCD)]);
    for path in ["empty", "values.yaml"] {
        let (code, report) = repository.audit(&["a.yaml", path]);
        assert_eq!((code, note_kinds(&report).contains(&"empty")), (Some(2), true), "{path}");
        assert!(rules(&report).contains(&"quorum-even"), "what could be read is reported");
    }
    assert_eq!(repository.audit(&["empty", "--fail-on-empty=false"]).0, Some(0));
    let from = repository.run(&["audit", "a.yaml", "--from", "empty"]);
    let said = text(&from.stderr);
    assert!(
        from.status.code() == Some(2) && said.contains("empty: no Kubernetes object is found here"),
        "{said}"
    );
    assert_eq!(repository.audit(&["a.yaml", "--from", "empty", "--fail-on-empty=false"]).0, Some(1));

    repository.write("chart/Chart.yaml", "name: a\nversion: 1.0.0\n");
    repository.write("chart/templates/a.yaml", "name: {{ .Values.name }}\n");
    let shown = text(&repository.run(&["audit", "chart/templates"]).stdout);
    assert!(shown.contains("only templates of a chart: name the folder of its Chart.yaml"), "{shown}");
}

#[test]
fn variants_in_one_folder_are_judged_apart_unless_told_otherwise() {
    let repository = Repository::of(&[("r/dev/a.yaml", ETCD), ("r/prod/a.yaml", ETCD)]);
    let (_, report) = repository.audit(&["r"]);
    assert_eq!(report["contexts"].as_array().unwrap().len(), 2);
    assert_eq!(report["findings"][0]["context"], "r/dev");
    let shown = text(&repository.run(&["audit", "r"]).stdout);
    assert!(shown.contains("judged apart, in 2 contexts: r/dev, r/prod"), "{shown}");
    let (_, report) = repository.audit(&["r", "--together"]);
    assert_eq!(
        (report["contexts"].as_array().unwrap().len(), note_kinds(&report)),
        (1, vec!["definedTwice"])
    );
}

#[test]
fn what_cannot_be_rendered_is_not_judged_and_fails() {
    let repository = Repository::of(&[
        ("k/kustomization.yaml", "resources: [etcd.yaml]\n"),
        ("k/etcd.yaml", ETCD),
        ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        ("c/templates/etcd.yaml", ETCD),
    ]);
    for path in ["k", "c", "k/kustomization.yaml"] {
        let (code, report) = repository.audit(&[path]);
        assert_eq!(
            (code, note_kinds(&report), rules(&report).len()),
            (Some(2), vec!["notRendered"], 0),
            "{path}"
        );
    }
    let shown = text(&repository.run(&["audit", "k"]).stdout);
    assert!(shown.contains("NOT JUDGED k/kustomization.yaml"), "{shown}");
}

/// A program that stands for kustomize or helm: it prints what is rendered.
#[test]
fn findings_point_into_the_files_that_rendered_objects_come_from() {
    let template = ETCD.replace("replicas: 4", "replicas: {{ .Values.replicas }}");
    let repository = Repository::of(&[
        ("k/base/kustomization.yaml", "resources: [etcd.yaml]\n"),
        ("k/base/etcd.yaml", ETCD),
        ("k/over/kustomization.yaml", "resources: [../base]\nnamePrefix: a-\n"),
        ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        ("c/templates/etcd.yaml", &format!("# a chart\n{template}")),
        ("c/templates/_helpers.tpl", "x"),
        ("bin/rendered.yaml", ETCD),
    ]);
    let bin = repository.path().join("bin");
    // What kustomize says of the origin is relative to the kustomization that it was given.
    fake_kustomize(
        &repository,
        &ETCD.replace("  name: etcd\nspec", "  name: a-etcd\nspec"),
        "k/base/etcd.yaml",
    );
    let helm =
        format!("printf '# Source: c/templates/etcd.yaml\\n'; /bin/cat {}/rendered.yaml", bin.display());
    fake(&bin, "helm", &helm);
    for (path, file, line, context) in [
        ("k", "k/base/etcd.yaml", 6, "k/over (kustomization)"),
        ("c", "c/templates/etcd.yaml", 7, "c (chart)"),
    ] {
        let output = repository.run_with(&bin, &["audit", "--format", "json", path]);
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        let findings = report["findings"].as_array().unwrap();
        let even =
            findings.iter().find(|f| f["rule"] == "quorum-even").unwrap_or_else(|| panic!("{report:#}"));
        assert_eq!((&even["file"], &even["line"]), (&file.into(), &line.into()), "{path}");
        assert_eq!(report["contexts"].as_array().unwrap().len(), 1, "{report:#}");
        assert_eq!(even["context"], context);
    }
    // A chart may ask for a kind, as it does of a cluster.
    let asked = "for argument; do [ \"$argument\" = --api-versions=policy/v1/PodDisruptionBudget ] && found=yes; done";
    fake(&bin, "helm", &format!("{asked}\n[ \"$found\" ] && exec /bin/cat {}/rendered.yaml", bin.display()));
    assert_eq!(repository.run_with(&bin, &["audit", "c"]).status.code(), Some(1));
    // Helm takes an empty path for the name of a repository.
    fake(&bin, "helm", &format!("[ \"$2\" = . ] && exec /bin/cat {}/rendered.yaml", bin.display()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    let output =
        command.args(["audit", "."]).current_dir(repository.path().join("c")).env("PATH", &bin).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    fake(&bin, "helm", "echo 'Error: no such value' >&2; exit 1");
    let output = repository.run_with(&bin, &["audit", "c"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains("helm failed: Error: no such value"), "{}", text(&output.stdout));
}

#[test]
fn a_finding_points_at_the_overlay_that_sets_the_value_and_nothing_is_edited_there() {
    let base = ETCD.replace("replicas: 4", "replicas: 3");
    let patch = "kind: StatefulSet\nmetadata: {name: etcd}\nspec:\n  replicas: 4\n";
    let operations = "[{op: replace, path: /spec/replicas, value: 4}]\n";
    let target = "target: {kind: Stateful.*, name: et.d}";
    for (overlay, file, line) in [
        ("replicas:\n- {name: other, count: 4}\n- name: etcd\n  count: 4\n", "k/over/kustomization.yaml", 5),
        ("patches:\n- path: patch.yaml\n", "k/over/patch.yaml", 4),
        ("patchesStrategicMerge: [patch.yaml]\n", "k/over/patch.yaml", 4),
        (&format!("patches:\n- path: operations.yaml\n  {target}\n"), "k/over/operations.yaml", 1),
        (
            "patches:\n- patch: |\n    kind: StatefulSet\n    metadata: {name: etcd}\n    spec:\n      replicas: 4\n",
            "k/over/kustomization.yaml",
            7,
        ),
        ("components: [../part]\n", "k/part/kustomization.yaml", 2),
        ("replicas: [{name: other, count: 4}]\n", "k/over/kustomization.yaml", 1),
        ("patches:\n- path: operations.yaml\n  target: {kind: Deployment}\n", "k/over/kustomization.yaml", 1),
    ] {
        let overlay = format!("resources: [../base]\n{overlay}");
        let repository = Repository::of(&[
            ("k/base/kustomization.yaml", "resources: [etcd.yaml]\n"),
            ("k/base/etcd.yaml", &base),
            ("k/over/kustomization.yaml", &overlay),
            ("k/over/patch.yaml", patch),
            ("k/over/operations.yaml", operations),
            ("k/part/kustomization.yaml", "kind: Component\nreplicas: [{name: etcd, count: 4}]\n"),
            ("bin/x", ""),
        ]);
        fake_kustomize(&repository, ETCD, "k/base/etcd.yaml");
        let bin = repository.path().join("bin");
        let output = repository.run_with(&bin, &["audit", "--format", "json", "k/over"]);
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        let findings = report["findings"].as_array().unwrap();
        let of =
            |rule: &str| findings.iter().find(|f| f["rule"] == rule).unwrap_or_else(|| panic!("{report:#}"));
        let place = |rule: &str| (of(rule)["file"].as_str().unwrap(), of(rule)["line"].as_u64().unwrap());
        assert_eq!(place("quorum-even"), (file, line), "{overlay}");
        assert_eq!(
            place("spread-missing").0,
            "k/base/etcd.yaml",
            "what nothing sets is missing there: {overlay}"
        );
        assert_eq!(of("quorum-even")["rendered"], true);
        let output =
            repository.run_with(&bin, &["audit", "k/over", "--fix", "--unsafe-fixes", "--format", "sarif"]);
        assert!(text(&output.stderr).contains("0 findings fixed in 0 files"), "{}", text(&output.stderr));
        assert!(!text(&output.stdout).contains("\"fixes\""), "{overlay}");
        let shown = text(&repository.run_with(&bin, &["audit", "k/over", "--diff"]).stderr);
        assert!(!shown.contains("--unsafe-fixes"), "that would not make them either: {shown}");
        for (name, before) in [
            ("k/base/etcd.yaml", &*base),
            ("k/over/kustomization.yaml", &*overlay),
            ("k/over/patch.yaml", patch),
        ] {
            assert_eq!(fs::read_to_string(repository.path().join(name)).unwrap(), before);
        }
    }
}

#[test]
fn a_comment_in_a_patch_exempts_what_the_patch_sets() {
    let repository = Repository::of(&[
        ("k/kustomization.yaml", "resources: [etcd.yaml]\npatches: [{path: patch.yaml}]\n"),
        ("k/etcd.yaml", &ETCD.replace("replicas: 4", "replicas: 3")),
        (
            "k/patch.yaml",
            "kind: StatefulSet\nmetadata: {name: etcd}\nspec:\n  replicas: 4 # stateward:ignore quorum-even -- a test\n",
        ),
        ("bin/x", ""),
    ]);
    fake_kustomize(&repository, ETCD, "k/etcd.yaml");
    let output = repository.run_with(&repository.path().join("bin"), &["audit", "k"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn a_remote_base_is_not_fetched_unasked() {
    let repository = Repository::of(&[
        ("k/kustomization.yaml", "resources: ['https://example.com/x?ref=v1']\n"),
        ("bin/x", ""),
    ]);
    let bin = repository.path().join("bin");
    fake(&bin, "kustomize", "echo called >&2; exit 1");
    let output = repository.run_with(&bin, &["audit", "k"]);
    let shown = text(&output.stdout);
    assert!(
        output.status.code() == Some(2) && shown.contains("--allow-network") && !shown.contains("called"),
        "{shown}"
    );
}

#[test]
fn a_step_between_two_folders_or_since_a_revision_is_judged() {
    let three = ETCD.replace("replicas: 4", "replicas: 3");
    let repository = Repository::of(&[("old/etcd.yaml", &three), ("new/etcd.yaml", &three)]);
    let (code, report) = repository.audit(&["new", "--from", "old", "--changed"]);
    assert_eq!((code, rules(&report).len()), (Some(0), 0));
    repository.git(&["init", "-q"]);
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "x"]);
    repository.write("new/etcd.yaml", &three.replace("replicas: 3", "replicas: 1"));
    repository.write("new/more.yaml", &three.replace("name: etcd\nspec", "name: more\nspec"));
    let (code, report) = repository.audit(&["new", "--from", "old", "--changed"]);
    assert!(code == Some(1) && rules(&report).contains(&"quorum-scale-loses-majority"), "{report}");
    let output = repository.run_with(
        Path::new("/usr/bin:/usr/local/bin:/bin"),
        &["audit", "new", "--base", "HEAD", "--changed", "--format", "json"],
    );
    let since: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert_eq!(rules(&since), rules(&report));
    let unknown = repository
        .run_with(Path::new("/usr/bin:/usr/local/bin:/bin"), &["audit", "new", "--base", "nothing"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("there is no revision \"nothing\""), "{}", text(&unknown.stderr));
    assert_eq!(repository.run(&["audit", "new", "--changed"]).status.code(), Some(2));
}

#[test]
fn a_revision_that_there_is_not_is_named() {
    let repository = Repository::of(&[("a.yaml", ETCD)]);
    let path = std::env::var_os("PATH").unwrap();
    let audit = || repository.run_with(Path::new(&path), &["audit", "a.yaml", "--base", "nope"]);
    assert!(text(&audit().stderr).contains("not a git repository"), "{}", text(&audit().stderr));
    repository.git(&["init", "-q"]);
    let output = audit();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("there is no revision \"nope\" in ") && said.contains("fetch it first"), "{said}");
}

#[test]
fn a_github_job_gets_a_summary() {
    let repository = Repository::of(&[("a.yaml", ETCD)]);
    let summary = repository.path().join("summary.md");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    command.args(["audit", "a.yaml", "--format", "github"]).current_dir(repository.path());
    let output = command.env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    assert!(text(&output.stdout).starts_with("::error file=a.yaml,line=6,"), "{}", text(&output.stdout));
    assert!(fs::read_to_string(summary).unwrap().contains("| ❌ quorum-even |"));
}

#[test]
fn completions_and_the_manual_are_printed() {
    let repository = Repository::of(&[]);
    assert!(text(&repository.run(&["completions", "bash"]).stdout).contains("stateward"));
    let manual = text(&repository.run(&["man"]).stdout);
    assert!(manual.contains("fail\\-on\\-empty") && manual.contains("Exit codes"), "{manual}");
    assert!(text(&repository.run(&["--version"]).stdout).starts_with("stateward "));
}
