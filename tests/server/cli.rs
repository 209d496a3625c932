//! The commands as a user runs them.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::support::etcd::MANIFEST as ETCD;

fn started(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn stateward(arguments: &[&str], input: &str) -> Output {
    let mut child = started(arguments);
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn audit_shows_the_line_and_the_remedy() {
    let output = stateward(&["audit", "-"], ETCD);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output.stdout));
}

#[test]
fn audit_json_has_the_fixed_names() {
    let output = stateward(&["audit", "-", "--format", "json", "--namespace", "prod"], ETCD);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let even = findings.iter().find(|finding| finding["rule"] == "quorum-even").unwrap();
    insta::assert_json_snapshot!(even);
    insta::assert_json_snapshot!(report["summary"]);
}

#[test]
fn audit_exits_by_the_level_it_is_to_fail_on() {
    let fails_on = |level: &str| stateward(&["audit", "-", "--fail-on", level], ETCD).status.code();
    assert_eq!(["deny", "warn", "audit", "never"].map(fails_on), [Some(1), Some(1), Some(1), Some(0)]);
    let three = ETCD.replace("replicas: 4", "replicas: 3");
    let fails_on = |level: &str| stateward(&["audit", "-", "--fail-on", level], &three).status.code();
    assert_eq!(["deny", "warn", "audit", "never"].map(fails_on), [Some(0), Some(1), Some(1), Some(0)]);
}

#[test]
fn audit_reports_what_it_could_read_and_exits_with_2() {
    let output = stateward(&["audit", "-"], &format!("kind: Service\n  bad: [\n---\n{ETCD}"));
    assert_eq!(output.status.code(), Some(2));
    let shown = text(&output.stdout);
    assert!(shown.contains("cannot read <stdin>:") && shown.contains("quorum-even"), "{shown}");
    assert_eq!(stateward(&["audit", "/no/such/file"], "").status.code(), Some(2));
    assert_eq!(stateward(&["audit"], "").status.code(), Some(2));
}

#[test]
fn audit_writes_several_formats_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let to_file = format!("json={}", file.display());
    let output = stateward(&["audit", "-", "--format", "human", "--format", &to_file], ETCD);
    assert!(text(&output.stdout).contains("deny[quorum-even]"));
    let report: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(report["summary"]["statefulSets"], 1);
}

#[test]
fn a_wrong_policy_is_named_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    let policy = "apiVersion: stateward.dev/v1alpha1\nkind: StatefulSetPolicy\nmetadata:\n  name: p\nspec:\n  rules:\n  - rule: quorum-evne\n    level: warn\n";
    fs::write(&file, policy).unwrap();
    let path = file.display().to_string();
    let output = stateward(&["audit", "-", "--policies", &path], ETCD);
    assert_eq!(output.status.code(), Some(2));
    let complaint = text(&output.stderr);
    assert!(complaint.contains(&format!("{path}:7:5: there is no rule \"quorum-evne\"")), "{complaint}");
    fs::write(&file, policy.replace("quorum-evne", "quorum-even")).unwrap();
    assert_eq!(stateward(&["audit", "-", "--policies", &path], ETCD).status.code(), Some(0));
}

#[test]
fn review_answers_a_review_and_refuses_what_is_none() {
    let capture = "tests/captures/consul-scale-5-to-4.validate.json";
    let output = stateward(&["review", capture, "--objects", "deploy/examples"], "");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &answer["response"]["allowed"]), (Some(0), &Value::Bool(false)));
    let unknown = stateward(&["review", capture], "");
    let answer: Value = serde_json::from_slice(&unknown.stdout).unwrap();
    assert_eq!(answer["response"]["allowed"], true);
    let none = stateward(&["review"], "{}");
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("send apiVersion admission.k8s.io/v1"), "{}", text(&none.stderr));
}

#[test]
fn review_mutates_where_it_is_told_to() {
    let pod = "tests/captures/nginx-0-pod-create.mutate.json";
    let output = stateward(&["review", "--mutate", pod], "");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &answer["response"]["patchType"]), (Some(0), &"JSONPatch".into()));
    assert_eq!(answer["response"]["auditAnnotations"]["added"], "pod-name");
    let set = stateward(&["review", "--mutate", "tests/captures/consul-create.mutate.json"], "");
    let answer: Value = serde_json::from_slice(&set.stdout).unwrap();
    assert_eq!(answer["response"].get("patch"), None, "no policy asks for anything");
}

#[test]
fn there_is_no_controller_without_a_cluster() {
    let output = stateward(&["serve", "--standalone", "--controller"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot be used with"), "{}", text(&output.stderr));
}

#[test]
fn explain_lists_and_explains() {
    let list = text(&stateward(&["explain"], "").stdout);
    assert!(stateward::rules::ALL.iter().all(|rule| list.contains(rule.id)));
    let rule = text(&stateward(&["explain", "quorum-even"], "").stdout);
    assert!(rule.starts_with("# quorum-even: ") && rule.contains("## How to fix"), "{rule}");
    let none = stateward(&["explain", "quorum-evne"], "");
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("did you mean \"quorum-even\""));
}

#[test]
fn the_exit_code_does_not_depend_on_who_reads() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("report.json");
    let file = format!("json={}", written.display());
    let run = |arguments: &[&str]| {
        let mut child = started(arguments);
        drop((child.stdout.take(), child.stderr.take()));
        let _ = child.stdin.take().unwrap().write_all(ETCD.as_bytes());
        child.wait().unwrap().code()
    };
    assert_eq!(run(&["audit", "-", "--format", "human", "--format", &file]), Some(1));
    assert!(fs::read_to_string(written).unwrap().contains("quorum-even"));
    assert_eq!(run(&["audit", "/no/such/file"]), Some(2));
    assert_eq!(run(&["policy", "check", "/no/such/file"]), Some(2));
    for arguments in [
        &["explain"][..],
        &["man"],
        &["crds"],
        &["completions", "bash"],
        &["policy", "explain", "etcd", "--objects", "-", "--format", "json"],
        &["show", "etcd", "--objects", "-", "--format", "json"],
    ] {
        assert_eq!(run(arguments), Some(0), "{arguments:?}");
    }
}

#[test]
fn nothing_but_text_goes_into_a_pipe() {
    let output = stateward(&["audit", "-"], ETCD);
    assert!(!output.stdout.contains(&0x1b));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn thousands_of_files_are_no_problem() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..3000 {
        let set = ETCD.replace("name: etcd\nspec", &format!("name: etcd-{index}\nspec"));
        fs::write(folder.path().join(format!("{index}.yaml")), set).unwrap();
    }
    let output = stateward(&["audit", &folder.path().display().to_string(), "--format", "json"], "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["summary"]["statefulSets"], 3000);
}

const POLICY: &str = "apiVersion: stateward.dev/v1alpha1
kind: StatefulSetPolicy
metadata:
  name: p
spec:
  rules:
  - rule: quorum-even
    level: warn
  exemptions:
  - rules: [pdb-missing]
    reason: migrating
    expiresAt: 2020-01-31T00:00:00+01:00
";

#[test]
fn policy_check_says_what_is_wrong_and_where() {
    let check = |arguments: &[&str], policy: &str| {
        let output = stateward(&[&["policy", "check"], arguments].concat(), policy);
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let ended = "<stdin>:12:5: warning: the exemption ended at 2020-01-30T23:00:00Z\n";
    let summary = "1 policy can be used, 0 errors, 1 warning\n";
    assert_eq!(check(&["-"], POLICY), (0, format!("{ended}{summary}")));
    assert_eq!(check(&["-", "--fail-on", "warning"], POLICY).0, 1);
    let (code, said) = check(&["-"], "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n");
    assert!(code == 1 && said.contains("a policy is apiVersion stateward.dev/v1alpha1"), "{said}");
    assert_eq!(
        check(&["policies/baseline.yaml", "policies/strict.yaml"], ""),
        (0, "2 policies can be used, 0 errors, 0 warnings\n".to_owned())
    );

    let (code, said) = check(&["-"], &POLICY.replace("quorum-even", "quorum-evne"));
    let error = "<stdin>:7:5: error: there is no rule \"quorum-evne\"; did you mean \"quorum-even\"?";
    assert!(code == 1 && said.contains(error) && said.contains("0 policies can be used, 1 error,"), "{said}");
    let (code, said) = check(&["-"], &format!("{POLICY}---\n{POLICY}"));
    assert!(code == 0 && said.contains("several policies are named p"), "{said}");
    let (code, said) = check(&["-"], &POLICY.replace("rules:\n", "rules: [\n"));
    assert!(code == 2 && said.contains("<stdin>:") && said.contains("error: "), "{said}");
    assert_eq!(check(&["/no/such/file"], "").0, 2);
    assert_eq!(check(&[], "").0, 2);

    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    let (code, said) = check(&["policies/baseline.yaml", path], "");
    assert!(code == 2 && said.contains(&format!("{path}: error: no StatefulSetPolicy")), "{said}");
}

#[test]
fn policy_check_says_all_that_is_wrong_with_a_policy() {
    let policy = POLICY.replace("spec:\n", "spec:\n  priorty: 1\n").replace("quorum-even", "quorum-evne");
    let output = stateward(&["policy", "check", "-"], &policy.replace("2020-01-31", "2020-31-01"));
    let said = text(&output.stdout);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains(": error: ")).collect();
    let expected =
        ["\"priorty\"; did you mean \"priority\"?", "\"quorum-evne\"", "is not a time of RFC 3339"];
    assert_eq!((errors.len(), output.status.code()), (expected.len(), Some(1)), "{said}");
    for (error, part) in errors.iter().zip(expected) {
        assert!(error.contains(part), "in the order in which they are written: {said}");
    }
}

#[test]
fn policies_that_are_not_there_are_not_taken_for_none() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    let output = stateward(&["audit", "-", "--policies", path], ETCD);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains(path), "{}", text(&output.stderr));
}

#[test]
fn a_rule_that_there_is_not_is_wrong_usage() {
    for option in ["--only", "--skip"] {
        let output = stateward(&["audit", "-", option, "quorum-evn"], ETCD);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(said.contains("no rule \"quorum-evn\"; did you mean \"quorum-even\"?"), "{said}");
    }
}

#[test]
fn an_option_that_would_have_no_effect_is_wrong_usage() {
    for (arguments, said) in [
        (&["audit", "-", "--kubeconfig", "x"][..], "cannot be used with"),
        (&["audit", "-", "--context", "x"], "cannot be used with"),
        (&["audit", "-", "--allow-partial"], "cannot be used with"),
        (&["audit", "-", "--format", "json="], "no file is named after `json=`"),
        (&["audit", "-", "--min-level", "never"], "there is no level \"never\"; there are deny, warn, audit"),
        (&["audit", "-", "--exclude", "[a"], "'[a' for '--exclude <PATTERN>'"),
        (&["audit", "-", "--exclude", "{a"], "'{a' for '--exclude <PATTERN>'"),
        (&["audit", "-", "--set", "a"], "expected KEY=VALUE"),
        (&["audit", "-", "--values", "/no/such/file"], "there is no file of values /no/such/file"),
        (&["audit", "-", "--namespace", "A b"], "not a namespace"),
        (&["show", "a", "--objects", ".", "--namespace", ""], "not a namespace"),
        (&["show", "a/b", "--objects", "-", "--namespace", "c"], "in namespace a, and --namespace says c"),
        (&["serve", "--standalone", "--exclude-namespace", "A b"], "not a namespace"),
        (&["certs", "inspect", "x", "--context", "y"], "cannot be used with"),
    ] {
        let output = stateward(arguments, ETCD);
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(said), "{arguments:?}: {error}");
    }
}

#[test]
fn cases_that_would_not_run_are_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.test.yaml");
    for (cases, said) in [
        ("tests: []\n---\ntests: []\n", "line 3, column 1: only one document is read"),
        ("tests: []\ntests: []\n", "line 2, column 1: `tests` is written twice"),
    ] {
        fs::write(&file, cases).unwrap();
        let output = stateward(&["policy", "test", file.to_str().unwrap()], "");
        let shown = text(&output.stdout);
        assert!(output.status.code() == Some(2) && shown.contains(said), "{shown}");
    }
}

#[test]
fn what_cannot_be_read_is_named_once() {
    for arguments in [
        &["audit", "/no/such/file"][..],
        &["audit", "-", "--from", "/no/such/file"],
        &["audit", "-", "--policies", "/no/such/file"],
        &["audit", "-", "--baseline", "/no/such/file"],
        &["audit", "-", "--config", "/no/such/file"],
        &["audit", "--cluster", "--kubeconfig", "/no/such/file"],
        &["policy", "check", "/no/such/file"],
        &["policy", "test", "/no/such/file"],
        &["show", "a", "--objects", "/no/such/file"],
        &["show", "a", "--kubeconfig", "/no/such/file"],
        &["review", "/no/such/file"],
        &["review", "tests/captures/consul-create.validate.json", "--objects", "/no/such/file"],
        &["certs", "inspect", "/no/such/file"],
        &["doctor", "--kubeconfig", "/no/such/file"],
    ] {
        let output = stateward(arguments, ETCD);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        for part in ["/no/such/file", "No such file or directory"] {
            assert_eq!(said.matches(part).count(), 1, "{arguments:?}: {said}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_kubeconfig_is_said_with_what_to_do() {
    let config = |current: &str, user: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {current}\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
             contexts: [{{name: test, context: {{cluster: c, user: u}}}}, {{name: lost, context: {{cluster: d, user: u}}}}, \
             {{name: nobody, context: {{cluster: c, user: v}}}}, {{name: anonymous, context: {{cluster: c}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let path = file.to_str().unwrap();
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}";
    for (text_of_it, said) in [
        (String::new(), "has no context"),
        ("clusters: [\n".to_owned(), "is not a kubeconfig: line 1"),
        (config("''", ""), "has no current-context: name one of its contexts with --context; it has test"),
        (config("lost", ""), "has no cluster \"d\", which its context names"),
        (config("nobody", ""), "has no user \"v\", which its context names"),
        (config("anonymous", ""), "at https://127.0.0.1:1: no connection"),
        (config("tests", ""), "has no context \"tests\"; did you mean \"test\"?"),
        (config("test", exec), "cannot run \"no-such-plugin\""),
        (config("test", "client-certificate: /no/c, client-key: /no/k"), "failed to read file '\"/no/c\"'"),
        (config("test", ""), "at https://127.0.0.1:1: no connection: tcp connect error: Connection refused"),
    ] {
        fs::write(&file, &text_of_it).unwrap();
        let output = stateward(&["audit", "--cluster", "--kubeconfig", path], "");
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(said), "{text_of_it}: {error}");
        let once = error.matches("os error").count() <= 1 && error.lines().count() == 1;
        assert!(once, "{text_of_it}: {error}");
    }
}

#[test]
fn policy_explain_says_which_policy_decides() {
    let explain = |arguments: &[&str]| {
        let output = stateward(&[&["policy", "explain"], arguments].concat(), "");
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let folder = tempfile::tempdir().unwrap();
    let (set, policy) = (folder.path().join("etcd.yaml"), folder.path().join("policy.yaml"));
    fs::write(&set, ETCD).unwrap();
    fs::write(&policy, POLICY).unwrap();
    let (set, policy) = (set.to_str().unwrap(), policy.to_str().unwrap());

    let (code, said, _) = explain(&["etcd", "--objects", set, "--policies", policy]);
    let decided = said.lines().find(|line| line.contains(" quorum-even ")).unwrap();
    assert!(
        code == 0 && decided.starts_with("warn ") && decided.contains(&format!("p ({policy}:1:1)")),
        "{said}"
    );
    assert!(!said.contains("singleton-scaled"), "{said}");
    let (_, said, _) = explain(&["default/etcd", "--objects", set, "--all", "--format", "json"]);
    let explanations: Value = serde_json::from_str(&said).unwrap();
    let decisions = explanations[0]["decisions"].as_array().unwrap();
    let even = decisions.iter().find(|decision| decision["rule"] == "quorum-even").unwrap();
    assert_eq!(even["decidedBy"]["origin"], "built-in profile");
    assert!(decisions.iter().any(|decision| decision["applies"] == false));

    let (code, _, error) = explain(&["etc", "--objects", set]);
    assert!(code == 2 && error.contains("did you mean \"etcd\"? There are: default/etcd"), "{error}");
    assert_eq!(explain(&["etcd", "--objects", "/no/such/file"]).0, 2);
}

#[test]
fn audit_fixes_files_in_place_and_a_diff_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("etcd.yaml");
    let path = file.to_str().unwrap();
    fs::write(&file, ETCD).unwrap();
    let diff = stateward(&["audit", path, "--diff", "--unsafe-fixes"], "");
    assert!(text(&diff.stdout).contains("-  replicas: 4\n+  replicas: 5\n"), "{}", text(&diff.stdout));
    assert_eq!(fs::read_to_string(&file).unwrap(), ETCD);
    stateward(&["audit", path, "--fix"], "");
    let safe = fs::read_to_string(&file).unwrap();
    assert!(safe.starts_with(ETCD) && safe.contains("kind: PodDisruptionBudget"), "{safe}");
    let all = stateward(&["audit", path, "--fix", "--unsafe-fixes"], "");
    assert_eq!(all.status.code(), Some(0), "{}", text(&all.stdout));
    assert!(fs::read_to_string(&file).unwrap().contains("  replicas: 5\n"));
    let stdin = stateward(&["audit", "-", "--fix"], ETCD);
    assert!(text(&stdin.stderr).contains("standard input cannot be edited"));
}
