//! Which objects are judged together, and what a step from one state to another is found to break.

use std::collections::BTreeSet;

use jiff::Timestamp;
use stateward::audit::contexts::Contexts;
use stateward::audit::transition::OldState;
use stateward::audit::{AuditConfig, audit, audit_step};
use stateward::cluster::inventory::{Inventory, Unit, UnitKind};
use stateward::manifest::{Note, NoteKind, Source, SourceOrigin, kinds_that_matter};
use stateward::policy::{Policies, Profile};
use stateward::report::Report;

fn set(name: &str, extra: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: {name}{extra}}}\nspec:\n  replicas: 3\n  serviceName: {name}\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec: {{containers: [{{name: zk, image: 'zookeeper:3.9'}}]}}\n---\n"
    )
}

fn service(name: &str, extra: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}{extra}}}\nspec: {{clusterIP: None, selector: {{app: {name}}}}}\n---\n"
    )
}

fn budget(name: &str, app: &str, extra: &str) -> String {
    format!(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: {name}{extra}}}\n\
         spec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: {app}}}}}}}\n---\n"
    )
}

/// Units with the files in them.
type Units<'a> = &'a [(&'a str, &'a [(&'a str, String)])];

fn inventory(units: Units<'_>) -> Inventory {
    let mut inventory = Inventory::new(None);
    for (name, files) in units {
        inventory.begin(Unit { name: (*name).into(), kind: UnitKind::Files });
        for (file, text) in *files {
            inventory.add(&Source::new(*file, text, SourceOrigin::Found));
        }
    }
    inventory
}

fn policies() -> Policies {
    Policies::new(Profile::Strict, Vec::new()).unwrap()
}

fn report(units: Units<'_>) -> Report {
    audit(&inventory(units), &policies(), AuditConfig::default(), Timestamp::UNIX_EPOCH)
}

/// `CONTEXT RULE` of what is found about Services and budgets.
fn found(units: Units<'_>) -> BTreeSet<String> {
    let report = report(units);
    let about = ["service-not-found", "pdb-missing", "pdb-overlap"];
    let findings = report.findings.iter().filter(|located| about.contains(&located.finding.rule.as_str()));
    findings
        .map(|located| format!("{} {}", located.context.as_deref().unwrap(), located.finding.rule))
        .collect()
}

fn names(units: Units<'_>) -> Vec<String> {
    let contexts = Contexts::of(&inventory(units), false);
    contexts.list.iter().filter(|c| !c.judged.is_empty()).map(|context| context.name.to_string()).collect()
}

fn texts<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
    texts.map(str::to_owned).into()
}

#[test]
fn the_budget_of_one_variant_does_not_cover_the_other() {
    let dev = set("zk", "") + &service("zk", "") + &budget("zk", "zk", "");
    let prod = set("zk", "") + &service("zk", "");
    let files = [("r/dev/app.yaml", dev), ("r/prod/app.yaml", prod)];
    assert_eq!(names(&[("r", &files)]), ["r/dev", "r/prod"]);
    assert_eq!(found(&[("r", &files)]), texts(["r/prod pdb-missing"]));
}

#[test]
fn what_lies_beside_variants_is_shared_by_them_and_judged_in_each() {
    let shared = set("zk", "");
    let dev = service("zk", "") + &budget("zk", "zk", "");
    let files = [("r/zk.yaml", shared), ("r/dev/a.yaml", dev), ("r/prod/a.yaml", service("zk", ""))];
    assert_eq!(names(&[("r", &files)]), ["r/dev", "r/prod"]);
    assert_eq!(found(&[("r", &files)]), texts(["r/prod pdb-missing"]));
    let report = report(&[("r", &files)]);
    let twice = report.findings.iter().filter(|l| l.finding.rule.as_str() == "spread-missing").count();
    assert_eq!(twice, 1, "what is found in every variant is said once");
}

#[test]
fn files_are_variants_where_there_are_no_folders() {
    let files = [
        ("r/one.yaml", set("zk", "") + &budget("one", "zk", "")),
        ("r/three.yaml", set("zk", "") + &budget("three", "zk", "")),
        ("r/service.yaml", service("zk", "")),
    ];
    assert_eq!(names(&[("r", &files)]), ["r/one.yaml", "r/three.yaml"]);
    assert_eq!(found(&[("r", &files)]), texts([]));
}

#[test]
fn variants_within_variants_see_what_is_above_them() {
    let files = [
        ("r/svc.yaml", service("zk", "")),
        ("r/a/eu/zk.yaml", set("zk", "")),
        ("r/a/us/zk.yaml", set("zk", "")),
        ("r/a/pdb.yaml", budget("zk", "zk", "")),
        ("r/b/zk.yaml", set("zk", "")),
    ];
    assert_eq!(found(&[("r", &files)]), texts(["r/b pdb-missing"]));
}

#[test]
fn several_applications_stay_together_while_nothing_is_defined_twice() {
    let files =
        [("r/a/zk.yaml", set("zk", "")), ("r/b/zk.yaml", service("zk", "") + &budget("zk", "zk", ""))];
    assert_eq!(names(&[("r", &files)]), ["r"]);
    assert_eq!(found(&[("r", &files)]), texts([]));
}

#[test]
fn a_namespace_beside_each_variant_makes_no_variants() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n";
    let files = [
        ("r/a.yaml", namespace.to_owned() + &set("zk", ", namespace: x")),
        (
            "r/b.yaml",
            namespace.to_owned() + &service("zk", ", namespace: x") + &budget("zk", "zk", ", namespace: x"),
        ),
    ];
    assert_eq!(found(&[("r", &files)]), texts([]));
}

#[test]
fn namespaces_that_are_written_join_over_arguments_and_missing_ones_do_not() {
    let other = |extra: &str| [("b/x.yaml", service("zk", extra) + &budget("zk", "zk", extra))];
    let one = |extra: &str| [("a/x.yaml", set("zk", extra))];
    assert_eq!(found(&[("a", &one(", namespace: x")), ("b", &other(", namespace: x"))]), texts([]));
    let missing = texts(["a service-not-found", "a pdb-missing"]);
    assert_eq!(found(&[("a", &one("")), ("b", &other(""))]), missing);
    assert_eq!(found(&[("a", &one("")), ("b", &other(", namespace: default"))]), missing);
    assert_eq!(found(&[("a", &one("")), ("b", &other(", namespace: x"))]), missing);
}

#[test]
fn arguments_that_define_the_same_object_are_variants() {
    let dev = [("dev/a.yaml", set("zk", ", namespace: x") + &service("zk", ", namespace: x"))];
    let prod = [(
        "prod/a.yaml",
        set("zk", ", namespace: x")
            + &budget("zk", "zk", ", namespace: x")
            + &service("zk", ", namespace: x"),
    )];
    assert_eq!(found(&[("dev", &dev), ("prod", &prod)]), texts(["dev pdb-missing"]));
}

#[test]
fn together_is_one_context_and_the_same_object_twice_in_it_is_a_note() {
    let files = [("r/dev/a.yaml", set("zk", "")), ("r/prod/a.yaml", set("zk", ""))];
    let contexts = Contexts::of(&inventory(&[("r", &files)]), true);
    assert_eq!(contexts.list.len(), 1);
    assert_eq!(contexts.notes[0].kind, NoteKind::DefinedTwice);
    let twice = [("r/a.yaml", service("zk", "") + &service("zk", ""))];
    let report = report(&[("r", &twice)]);
    assert_eq!(report.notes.len(), 1);
    assert!(report.notes[0].message.contains("Service default/zk is defined twice"), "{:?}", report.notes);
}

#[test]
fn what_cannot_be_read_makes_only_its_own_variant_unknown() {
    let files = [
        ("r/dev/a.yaml", set("zk", "")),
        ("r/dev/broken.yaml", "kind: PodDisruptionBudget\n\tapiVersion: [".to_owned()),
        ("r/prod/a.yaml", set("zk", "")),
    ];
    let rules = found(&[("r", &files)]);
    assert!(rules.contains("r/prod pdb-missing") && !rules.contains("r/dev pdb-missing"), "{rules:?}");
}

#[test]
fn a_chart_that_cannot_be_rendered_hides_nothing_in_other_namespaces_than_its_own() {
    let text =
        set("zk", ", namespace: a") + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: a}\n";
    for (kind, is_judged) in [(UnitKind::Chart, true), (UnitKind::Kustomization, false)] {
        let mut inventory = inventory(&[("r", &[("r/a.yaml", text.clone())])]);
        inventory.begin(Unit { name: "r/c".into(), kind });
        inventory.add_note(Note {
            file: Source::new("r/c/Chart.yaml", "", SourceOrigin::Found),
            line: 1,
            column: 1,
            kind: NoteKind::NotRendered,
            message: "it needs the network".to_owned(),
            hides: kinds_that_matter().collect(),
        });
        let report = audit(&inventory, &policies(), AuditConfig::default(), Timestamp::UNIX_EPOCH);
        let is_missed = report.findings.iter().any(|located| located.finding.rule.as_str() == "pdb-missing");
        assert_eq!(is_missed, is_judged, "{kind:?}");
    }
}

fn step(old: Units<'_>, new: Units<'_>, changed: bool) -> Vec<String> {
    let (old, new) = (inventory(old), inventory(new));
    let old = OldState::of(&old, false);
    let config = AuditConfig { changed, ..AuditConfig::default() };
    let report = audit_step(&new, Some(&old), &policies(), config, Timestamp::UNIX_EPOCH);
    report
        .findings
        .iter()
        .map(|located| format!("{}={}", located.finding.rule, located.finding.level))
        .collect()
}

#[test]
fn a_step_is_judged_by_what_it_breaks() {
    let whole = set("zk", "") + &service("zk", "") + &budget("zk", "zk", "");
    let old: Units<'_> = &[("old", &[("old/a.yaml", whole.clone())])];
    let to = |text: String, changed| step(old, &[("new", &[("new/a.yaml", text)])], changed);
    assert!(to(whole.clone(), true).is_empty(), "nothing is touched");
    assert!(to(whole.clone(), false).contains(&"spread-missing=warn".to_owned()), "it was so before");

    let no_budget = to(set("zk", "") + &service("zk", ""), true);
    assert_eq!(no_budget, ["pdb-in-use=deny"]);
    let renamed = to(set("zk", "") + &service("other", "") + &budget("zk", "zk", ""), true);
    assert_eq!(renamed, ["service-in-use=deny"]);
    let scaled = to(whole.replace("replicas: 3", "replicas: 1"), true);
    assert!(scaled.contains(&"quorum-scale-loses-majority=deny".to_owned()), "{scaled:?}");
    let governed = to(whole.replace("serviceName: zk", "serviceName: zk2"), true);
    assert!(governed.contains(&"immutable-field=deny".to_owned()), "{governed:?}");
    let selector = "  selector: {matchLabels: {app: zk}}\n  template";
    let beta = whole.replace("apps/v1", "apps/v1beta1").replace(selector, "  template");
    let newer = step(&[("old", &[("old/a.yaml", beta)])], &[("new", &[("new/a.yaml", whole.clone())])], true);
    assert!(
        newer.iter().all(|finding| !finding.starts_with("immutable")),
        "its default was the same: {newer:?}"
    );
    let parallel = whole.replace("serviceName: zk", "serviceName: zk\n  podManagementPolicy: OrderedReady");
    assert!(
        to(parallel, true).iter().all(|finding| !finding.starts_with("immutable")),
        "the default is no change"
    );
}

#[test]
fn a_set_is_compared_with_what_it_was_before_its_variants_changed() {
    let of = |replicas: i32| {
        let set = set("zk", "").replace("replicas: 3", &format!("replicas: {replicas}"));
        set + &service("zk", "") + &budget("zk", "zk", "")
    };
    let loses = |old: &[(&str, String)], new: &[(&str, String)]| {
        step(&[("r", old)], &[("r", new)], false).iter().any(|found| found.contains("majority=deny"))
    };
    let prod = |replicas| ("r/prod.yaml", of(replicas));
    let dev = ("r/dev.yaml", of(1));
    assert!(loses(&[prod(5)], &[prod(1), dev.clone()]), "a variant is added");
    assert!(loses(&[prod(5), dev.clone()], &[prod(1)]), "a variant is removed");
    assert!(!loses(&[prod(5)], &[prod(5), dev.clone()]), "what is added is not what there was");
    assert!(!loses(&[prod(5), dev.clone()], &[prod(5)]));
    assert!(loses(&[prod(5)], &[("r/apps/zk.yaml", of(1))]), "it has moved");
    assert!(
        !loses(&[prod(5)], &[("r/a/zk.yaml", of(5)), ("r/b/zk.yaml", of(1))]),
        "which of them is not known"
    );
    let (one, other) = (("r/a/zk.yaml", of(5)), ("r/b/zk.yaml", of(1)));
    assert!(!loses(&[one, dev.clone()], &[other, dev]), "another variant is not the same one moved");
}

#[test]
fn a_set_that_moves_from_one_argument_to_another_is_the_same_one() {
    let zk = |replicas: i32| {
        let text = set("zk", ", annotations: {stateward.dev/protected: 'true'}");
        text.replace("replicas: 3", &format!("replicas: {replicas}")) + &service("zk", "")
    };
    let (web, api) = (set("web", "") + &service("web", ""), set("api", "") + &service("api", ""));
    let moved = |new: String, (one, other): (&String, &String)| {
        let (old_a, old_b) =
            ([("a/zk.yaml", zk(3)), ("a/w.yaml", one.clone())], [("b/w.yaml", other.clone())]);
        let (new_a, new_b) = ([("a/w.yaml", one.clone())], [("b/zk.yaml", new), ("b/w.yaml", other.clone())]);
        step(&[("a", &old_a), ("b", &old_b)], &[("a", &new_a), ("b", &new_b)], true)
    };
    assert_eq!(moved(zk(3), (&web, &api)), Vec::<String>::new());
    let scaled = moved(zk(1), (&web, &api));
    assert!(scaled.contains(&"quorum-scale-loses-majority=deny".to_owned()), "{scaled:?}");
    assert!(!scaled.iter().any(|found| found.starts_with("protected")), "{scaled:?}");
    let apart = moved(zk(1), (&web, &web));
    assert!(apart.contains(&"protected=deny".to_owned()), "two clusters: one loses it, {apart:?}");
}

#[test]
fn what_may_be_in_a_text_that_could_not_be_read_is_not_deleted() {
    let protected = set("zk", ", annotations: {stateward.dev/protected: 'true'}");
    let other = ("a/other.yaml", set("other", ""));
    let old = inventory(&[("a", &[("a/zk.yaml", protected.clone()), other.clone()])]);
    let old = OldState::of(&old, false);
    let to = |text: String| {
        let new = inventory(&[("a", &[("a/zk.yaml", text), other.clone()])]);
        let config = AuditConfig { changed: true, ..AuditConfig::default() };
        audit_step(&new, Some(&old), &policies(), config, Timestamp::UNIX_EPOCH)
    };
    let denies =
        |report: &Report| report.findings.iter().any(|located| located.finding.rule.as_str() == "protected");
    assert!(denies(&to(String::new())));
    assert!(denies(&to("kind: Service\nx: [\n".to_owned())), "it holds no StatefulSet");
    for text in [protected.replace("replicas: 3", "replicas: {{ .n }}"), protected.replace("{app", "[app")] {
        let report = to(text);
        assert!(!denies(&report), "{report:?}");
        let note = report.notes.iter().find(|note| note.kind == NoteKind::DeletionUnknown).unwrap();
        assert!(note.message.contains("StatefulSet default/zk; a/zk.yaml"), "{}", note.message);
    }
}

#[test]
fn what_changes_beside_a_set_was_not_so_before() {
    let whole = set("zk", "") + &service("zk", "") + &budget("zk", "zk", "");
    let to =
        |new: String| step(&[("r", &[("r/a.yaml", whole.clone())])], &[("r", &[("r/a.yaml", new)])], false);
    let elsewhere = to(whole.replace("selector: {app: zk}", "selector: {app: other}"));
    assert!(elsewhere.contains(&"service-selector-mismatch=deny".to_owned()), "{elsewhere:?}");
    let claim = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data-zk-0}\n";
    let set = whole.replacen("spec:", "spec:\n  volumeClaimTemplates: [{metadata: {name: data}}]", 1);
    let files = |text: String| [("r/a.yaml", text)];
    let (with, without) = (files(set.clone() + claim), files(set));
    let pruned = step(&[("r", &with)], &[("r", &without)], true);
    assert_eq!(pruned, ["claim-in-use=deny"]);
}

#[test]
fn members_of_other_sets_count_with_those_that_go() {
    let member = |name: &str, replicas: i32| {
        let annotated = ", annotations: {stateward.dev/ensemble: zk}";
        set(name, annotated).replace("replicas: 3", &format!("replicas: {replicas}"))
    };
    let of = |members: &[(&str, i32)]| {
        let sets: String = members.iter().map(|(name, replicas)| member(name, *replicas)).collect();
        [("r/a.yaml", sets)]
    };
    let (old, new) = (of(&[("a", 1), ("b", 1), ("c", 1)]), of(&[("a", 1)]));
    let dropped = step(&[("r", &old)], &[("r", &new)], false);
    assert!(dropped.contains(&"quorum-scale-loses-majority=deny".to_owned()), "{dropped:?}");
    let new = of(&[("a", 1), ("b", 0), ("c", 0)]);
    let stopped = step(&[("r", &old)], &[("r", &new)], true);
    assert_eq!(
        stopped.iter().filter(|found| found.contains("loses-majority=deny")).count(),
        1,
        "{stopped:?}"
    );
}

#[test]
fn thousands_of_variants_are_no_problem() {
    let mut files: Vec<(String, String)> =
        (0..1500).map(|n| (format!("r/v{n}.yaml"), set("zk", ""))).collect();
    files.extend((0..1500).map(|n| (format!("r/s{n}.yaml"), set(&format!("s{n}"), ""))));
    let files: Vec<(&str, String)> = files.iter().map(|(name, text)| (&**name, text.clone())).collect();
    let contexts = Contexts::of(&inventory(&[("r", &files)]), false);
    let judged: usize = contexts.list.iter().map(|context| context.judged.len()).sum();
    assert_eq!(judged, 1500 + 1500 * 64, "what is shared is judged in so many variants");
}
