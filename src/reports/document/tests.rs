use super::*;
use crate::model::{Because, Class, Classified};
use crate::verdict::{Exempt, RuleId};

fn object(kind: &'static str, name: &str) -> ObjectRef {
    ObjectRef { api_version: "apps/v1", kind, namespace: "prod".into(), name: name.into() }
}

fn located(rule: &'static str, level: Level) -> Located {
    Located::of(Finding {
        rule: RuleId::shipped(rule),
        level,
        subject: object("StatefulSet", "etcd"),
        class: Some(Classified { class: Class::Quorum, because: Because::Annotation, software: None }),
        object: object("StatefulSet", "etcd"),
        path: "/spec/replicas".to_owned(),
        message: "4 members".to_owned(),
        remedy: "use 5".to_owned(),
        edits: Vec::new(),
        related: Vec::new(),
        group: None,
        exempt: None,
        may_be_exempted: false,
        misses_companion: false,
    })
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn report(findings: &[Located], before: Option<&Value>, second: i64) -> Value {
    let findings: Vec<&Located> = findings.iter().collect();
    let set = object("StatefulSet", "etcd");
    document(ReportKind::OpenReports, (&set, "uid-1"), &findings, before, at(second))
}

#[test]
fn a_report_says_what_is_found_and_belongs_to_its_set() {
    let mut exempt = located("pdb-missing", Level::Warn);
    exempt.finding.exempt = Some(Exempt {
        by: "policy ci".to_owned(),
        reason: "throw-away".to_owned(),
        expires_at: Some(at(99)),
    });
    let findings = [located("quorum-even", Level::Deny), located("volatile-data", Level::Audit), exempt];
    insta::assert_json_snapshot!(report(&findings, None, 7));
}

#[test]
fn the_older_kind_says_the_same() {
    let set = object("StatefulSet", "etcd");
    let finding = located("quorum-even", Level::Deny);
    let new = report(&[located("quorum-even", Level::Deny)], None, 7);
    let mut old = document(ReportKind::PolicyReport, (&set, "uid-1"), &[&finding], None, at(7));
    assert_eq!(old["apiVersion"], "wgpolicyk8s.io/v1alpha2");
    for field in ["apiVersion", "kind", "source"] {
        old[field] = new[field].clone();
    }
    assert_eq!(old, new);
}

#[test]
fn the_same_findings_are_the_same_report_later() {
    let before = report(&[located("quorum-even", Level::Deny)], None, 7);
    let mut stored = before.clone();
    stored["metadata"]["resourceVersion"] = "12".into();
    stored["results"][0]["scored_by_default"] = true.into();
    let later = report(&[located("quorum-even", Level::Deny)], Some(&stored), 3600);
    assert!(says(&stored, &later), "{later}");

    let mut worse = located("quorum-even", Level::Deny);
    worse.finding.message = "6 members".to_owned();
    let worse = report(&[worse, located("pdb-missing", Level::Warn)], Some(&stored), 3600);
    assert!(!says(&stored, &worse));
    assert_eq!(worse["results"][0]["timestamp"]["seconds"], 7, "it is found since then");
    assert_eq!(worse["results"][1]["timestamp"]["seconds"], 3600);
    assert!(!says(&stored, &report(&[], Some(&stored), 3600)));
}

#[test]
fn many_findings_make_no_large_report() {
    let many: Vec<Located> = (0..70).map(|_| located("quorum-even", Level::Deny)).collect();
    let mut large = located("quorum-even", Level::Deny);
    large.finding.message = "é".repeat(5_000);
    let report_of_many = report(&many, None, 7);
    assert_eq!(report_of_many["results"].as_array().unwrap().len(), 50);
    assert_eq!(report_of_many["summary"]["fail"], 70);
    assert_eq!(report_of_many["metadata"]["annotations"]["stateward.dev/results-left-out"], "20");
    assert!(report(&[large], None, 7)["results"][0]["message"].as_str().unwrap().len() <= 1_000);
    let fewer = report(&many[..50], Some(&report_of_many), 7);
    assert!(!says(&report_of_many, &fewer), "the annotation has to go");
}

#[test]
fn a_name_that_is_too_long_gives_way_to_the_uid() {
    assert_eq!(report_name(&object("StatefulSet", "etcd"), "uid-1"), "stateward-etcd");
    assert_eq!(report_name(&object("Deployment", "etcd"), "uid-1"), "stateward-etcd.deployment");
    assert_eq!(report_name(&object("StatefulSet", &"x".repeat(253)), "uid-1"), "stateward-uid-1");
}
