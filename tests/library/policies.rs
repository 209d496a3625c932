//! Which rules apply, at which level, and who is exempt: seen through whole judgements.

use crate::case;
use case::{findings, now};
use stateward::manifest;
use stateward::policy::Policies;
use stateward::policy::Policy;
use stateward::policy::Profile;
use stateward::verdict::Finding;
use stateward::verdict::Level;

const ETCD: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: etcd, namespace: prod-a, labels: {tier: gold}, annotations: {ANNOTATIONS}}
spec:
  replicas: 4
  serviceName: etcd
  selector: {matchLabels: {app: etcd}}
  template:
    metadata: {labels: {app: etcd}}
    spec: {containers: [{name: etcd, image: IMAGE}]}
";

fn etcd(annotations: &str) -> String {
    ETCD.replace("ANNOTATIONS", annotations).replace("IMAGE", "quay.io/coreos/etcd:v3.5.9")
}

fn policy(spec: &str) -> Policy {
    try_policy(spec).unwrap()
}

fn try_policy(spec: &str) -> Result<Policy, stateward::policy::PolicyError> {
    let head = "apiVersion: stateward.dev/v1alpha1\nkind: StatefulSetPolicy\nmetadata: {name: mine}\n";
    Policy::from_json(&manifest::document(&format!("{head}spec: {spec}\n")).unwrap().to_json())
}

/// The finding of quorum-even in a set, under baseline and some policies.
fn even(text: &str, specs: &[&str]) -> Option<Finding> {
    let policies = Policies::new(Profile::Baseline, specs.iter().map(|spec| policy(spec)).collect()).unwrap();
    findings(text, &policies).into_iter().find(|finding| finding.rule.as_str() == "quorum-even")
}

fn level(text: &str, specs: &[&str]) -> Option<Level> {
    even(text, specs).map(|finding| finding.level)
}

const WARN: &str = "rules: [{rule: quorum-even, level: warn}]";

#[test]
fn a_policy_decides_where_it_matches() {
    let set = etcd("");
    let with = |scope: &str| level(&set, &[&format!("{{match: {scope}, {WARN}}}")]);
    assert_eq!(level(&set, &[]), Some(Level::Deny));
    for matching in [
        "{}",
        "{namespaces: ['prod-*']}",
        "{namespaces: [x, prod-a]}",
        "{objectSelector: {matchLabels: {tier: gold}}}",
        "{objectSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [silver]}]}}",
    ] {
        assert_eq!(with(matching), Some(Level::Warn), "{matching}");
    }
    for other in [
        "{namespaces: [prod]}",
        "{excludeNamespaces: ['prod-*']}",
        "{namespaces: ['*'], excludeNamespaces: [prod-a]}",
        "{objectSelector: {matchLabels: {tier: silver}}}",
    ] {
        assert_eq!(with(other), Some(Level::Deny), "{other}");
    }
}

#[test]
fn the_highest_priority_that_names_the_rule_decides() {
    let set = etcd("");
    let off = "{priority: 5, rules: [{rule: quorum-even, level: off}]}";
    let warn = &format!("{{priority: 10, {WARN}}}");
    let silent = "{priority: 20, rules: [{rule: duplicate-key, level: deny}]}";
    assert_eq!(level(&set, &[off, warn, silent]), Some(Level::Warn));
    assert_eq!(level(&set, &[silent, off]), None);
}

#[test]
fn an_entry_for_some_classes_leaves_the_others_alone() {
    let spec = "{rules: [{rule: quorum-even, classes: [singleton], level: off}]}";
    assert_eq!(level(&etcd(""), &[spec]), Some(Level::Deny));
    let spec = "{rules: [{rule: quorum-even, classes: [quorum], level: audit}]}";
    assert_eq!(level(&etcd(""), &[spec]), Some(Level::Audit));
}

#[test]
fn a_likely_class_is_milder_where_the_policy_says_so() {
    let mongo = ETCD.replace("ANNOTATIONS", "").replace("IMAGE", "mongo:7, args: [--replSet, rs0]");
    assert_eq!(level(&mongo, &[]), Some(Level::Warn));
    let declared = ETCD.replace("ANNOTATIONS", "stateward.dev/class: quorum").replace("IMAGE", "mongo:7");
    assert_eq!(level(&declared, &[]), Some(Level::Deny));
    assert_eq!(level(&mongo, &["{rules: [{rule: quorum-even, level: deny}]}"]), Some(Level::Deny));
}

#[test]
fn the_class_comes_from_annotation_policy_and_catalogue_in_this_order() {
    let ours = ETCD.replace("ANNOTATIONS", "").replace("IMAGE", "registry.example:5000/team/our-raft-db:1");
    assert_eq!(level(&ours, &[]), None);
    let by_image = "{classes: [{class: quorum, images: ['*/our-raft-db']}]}";
    let finding = even(&ours, &[by_image]).unwrap();
    assert_eq!(
        (finding.level, finding.class.unwrap().because.to_string()),
        (Level::Deny, "policy mine".into())
    );
    let by_label = "{classes: [{class: quorum, selector: {matchLabels: {tier: gold}}}]}";
    assert_eq!(level(&ours, &[by_label]), Some(Level::Deny));
    let replicated = "{classes: [{class: replicated, images: ['*/etcd']}]}";
    assert_eq!(level(&etcd(""), &[replicated]), None);
    assert_eq!(level(&etcd("stateward.dev/class: quorum"), &[replicated]), Some(Level::Deny));
    assert_eq!(level(&etcd("stateward.dev/class: bogus"), &[]), Some(Level::Deny));
}

#[test]
fn exemptions_need_a_reason_and_end() {
    let set = etcd("");
    let exempt = |more: &str| {
        let spec = format!("{{exemptions: [{{rules: [quorum-even], reason: migrating{more}}}]}}");
        even(&set, &[&spec]).unwrap()
    };
    let finding = exempt("");
    assert_eq!(finding.level, Level::Deny);
    assert_eq!(finding.exempt.unwrap().by, "policy mine");
    assert!(exempt(", expiresAt: '2026-11-21T12:00:01Z'").exempt.is_some());
    assert!(exempt(", expiresAt: '2026-11-21T12:00:00Z'").exempt.is_none(), "{}", now());
    assert!(exempt(", namespaces: ['prod-*'], names: ['etc*']").exempt.is_some());
    assert!(exempt(", namespaces: [other]").exempt.is_none());
    assert!(exempt(", names: [consul]").exempt.is_none());
}

#[test]
fn the_annotation_exempts_unless_a_policy_forbids_it() {
    let annotated =
        etcd("stateward.dev/exempt: 'spread-missing, quorum-even', stateward.dev/exempt-reason: moving");
    assert_eq!(even(&annotated, &[]).unwrap().exempt.unwrap().reason, "moving");
    assert!(even(&annotated, &["{annotationExemptions: false}"]).unwrap().exempt.is_none());
    let both = ["{priority: 1, annotationExemptions: true}", "{annotationExemptions: false}"];
    assert!(even(&annotated, &both).unwrap().exempt.is_some());
    for without in [
        "stateward.dev/exempt: quorum-even",
        "stateward.dev/exempt: quorum-even, stateward.dev/exempt-reason: ' '",
    ] {
        assert!(even(&etcd(without), &[]).unwrap().exempt.is_none(), "{without}");
    }
}

#[test]
fn labels_of_an_unknown_namespace_can_only_make_it_milder() {
    let set = etcd("");
    let selected = |priority: i32, level: &str| {
        format!(
            "{{priority: {priority}, match: {{namespaceSelector: {{matchLabels: {{env: prod}}}}}}, rules: [{{rule: quorum-even, level: {level}}}]}}"
        )
    };
    assert_eq!(level(&set, &[&selected(1, "warn")]), Some(Level::Warn));
    assert_eq!(level(&set, &[&selected(2, "deny"), &format!("{{priority: 1, {WARN}}}")]), Some(Level::Warn));
    let namespace = |env: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: prod-a, labels: {{env: {env}}}}}\n---{set}"
        )
    };
    assert_eq!(level(&namespace("prod"), &[&selected(1, "warn")]), Some(Level::Warn));
    assert_eq!(level(&namespace("dev"), &[&selected(1, "warn")]), Some(Level::Deny));
}

#[test]
fn what_is_wrong_with_a_policy_is_said_with_its_place() {
    for (spec, pointer, message) in [
        (
            "{rules: [{rule: quorum-evne, level: warn}]}",
            "/spec/rules/0/rule",
            "there is no rule \"quorum-evne\"",
        ),
        ("{rules: [{rule: quorum-even, level: loud}]}", "/spec/rules/0/level", "unknown variant `loud`"),
        ("{ruels: []}", "/spec/ruels", "unknown field `ruels`"),
        ("{match: {namespaces: ['[']}}", "/spec/match/namespaces", "unclosed character class"),
        (
            "{rules: [{rule: quorum-even, level: warn, params: {topologyKeys: [a]}}]}",
            "/spec/rules/0/params/topologyKeys",
            "has no parameter `topologyKeys`",
        ),
        ("{exemptions: [{rules: [quorum-even], reason: ''}]}", "/spec/exemptions/0/reason", "needs a reason"),
        ("{exemptions: [{rules: [quorum-even]}]}", "/spec/exemptions/0", "missing field `reason`"),
        ("{exemptions: [{rules: [nope], reason: x}]}", "/spec/exemptions/0/rules/0", "there is no rule"),
        ("{classes: [{class: quorum}]}", "/spec/classes/0", "needs `images` or a `selector`"),
        ("{classes: [{class: quorum, images: [a, 'b/c:1.2']}]}", "/spec/classes/0/images", "write \"b/c\""),
        (
            "{classes: [{class: quorum, images: ['b@sha256:00']}]}",
            "/spec/classes/0/images",
            "has a tag or digest",
        ),
        (
            "{match: {objectSelector: {matchExpressions: [{key: a, operator: Near}]}}}",
            "/spec/match/objectSelector/matchExpressions/0/operator",
            "unknown variant `Near`",
        ),
        ("{servicePerPod: {type: Headless}}", "/spec/servicePerPod/type", "unknown variant `Headless`"),
        ("{servicePerPod: {sessionAffinity: None}}", "/spec/servicePerPod/sessionAffinity", "unknown field"),
        (
            "{servicePerPod: {labels: {'stateward.dev/x': a}}}",
            "/spec/servicePerPod/labels/stateward.dev~1x",
            "says who makes the Service",
        ),
    ] {
        let error = try_policy(spec).unwrap_err();
        assert_eq!(error.pointer, pointer, "{spec}");
        assert!(error.message.contains(message), "{spec}: {}", error.message);
    }
}
