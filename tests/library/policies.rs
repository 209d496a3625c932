//! Which rules apply, at which level, and who is exempt: seen through whole judgements.

use crate::case;
use case::{findings, now};
use stateward::manifest;
use stateward::policy::NamespaceExemption;
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
    for (time, is_exempt) in [
        ("2026-11-21t12:00:01z", true),
        ("2026-11-21T13:00:01+01:00", true),
        ("2026-11-21T13:00:00+01:00", false),
        ("2026-11-21T07:00:00.001-05:00", true),
        ("2026-11-21T12:00:00.000000000Z", false),
        ("2026-11-21T12:00:00.0000000010001z", true),
        ("2026-11-21 12:00:01Z", true),
        ("2026-12-31T23:59:60Z", true),
    ] {
        assert_eq!(exempt(&format!(", expiresAt: '{time}'")).exempt.is_some(), is_exempt, "{time}");
    }
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

/// A `StatefulSetExemption` of the namespace prod-a.
fn exemption(spec: &str) -> String {
    format!(
        "\n---\napiVersion: stateward.dev/v1alpha1\nkind: StatefulSetExemption\nmetadata: {{name: moving, namespace: prod-a}}\nspec: {spec}\n"
    )
}

const ALL_NAMESPACES: &str = "{exemptionNamespaces: {}}";

#[test]
fn an_exemption_of_a_namespace_counts_where_a_policy_lets_it() {
    let set = etcd("");
    let with = |spec: &str, policies: &[&str]| {
        even(&(set.clone() + &exemption(spec)), policies).unwrap().exempt.map(|exempt| exempt.to_string())
    };
    let spec = "{rules: [quorum-even], names: [etcd], reason: migrating}";
    let used = Some("by StatefulSetExemption moving: migrating".to_owned());
    assert_eq!(with(spec, &[]), None);
    assert_eq!(with(spec, &["{annotationExemptions: true}"]), None);
    assert_eq!(with(spec, &[ALL_NAMESPACES]), used);
    let named = "{exemptionNamespaces: {matchLabels: {kubernetes.io/metadata.name: NAME}}}";
    assert_eq!(with(spec, &[&named.replace("NAME", "prod-a")]), used);
    assert_eq!(with(spec, &[&named.replace("NAME", "prod-b")]), None);
    assert_eq!(with(spec, &[&named.replace("NAME", "prod-b"), ALL_NAMESPACES]), used, "any policy will do");
    assert_eq!(with(spec, &["{match: {namespaces: [other]}, exemptionNamespaces: {}}"]), None);
    for (about, is_exempt) in [
        ("rules: ['*'], names: ['*']", true),
        ("rules: ['*'], names: [etc, 'etc?']", true),
        ("rules: ['*'], selector: {matchLabels: {tier: gold}}", true),
        ("rules: ['*'], names: [other]", false),
        ("rules: [pdb-missing], names: ['*']", false),
        ("rules: ['*'], selector: {matchLabels: {tier: silver}}", false),
        ("rules: ['*'], names: [other], selector: {matchLabels: {tier: gold}}", false),
    ] {
        let found = with(&format!("{{{about}, reason: x}}"), &[ALL_NAMESPACES]);
        assert_eq!(found.is_some(), is_exempt, "{about}");
    }
    let other = exemption(spec).replace("prod-a", "prod-b");
    assert_eq!(even(&(set.clone() + &other), &[ALL_NAMESPACES]).unwrap().exempt, None);
}

#[test]
fn an_exemption_of_a_namespace_whose_labels_are_unknown_can_only_make_it_milder() {
    let text = etcd("") + &exemption("{rules: [quorum-even], names: ['*'], reason: x}");
    let finding = even(&text, &["{exemptionNamespaces: {matchLabels: {team: a}}}"]).unwrap();
    assert_eq!((finding.level, finding.exempt), (Level::Warn, None));
    assert!(finding.message.contains("policy mine decides on an exemption"), "{}", finding.message);
}

#[test]
fn an_exemption_that_ended_is_named_unless_another_counts() {
    let set = etcd("");
    let ended = |end: &str| {
        format!("{{exemptions: [{{rules: [quorum-even], reason: x, expiresAt: '2026-11-{end}T12:00:00Z'}}]}}")
    };
    let (one, last) = (ended("19"), ended("20"));
    let finding = even(&set, &[&one, &last]).unwrap();
    assert_eq!((finding.level, &finding.exempt), (Level::Deny, &None));
    let end = "(an exemption by policy mine ended on 2026-11-20T12:00:00Z)";
    assert!(finding.message.ends_with(end), "{}", finding.message);
    let team =
        exemption("{rules: [quorum-even], names: ['*'], reason: x, expiresAt: '2026-11-21T12:00:00Z'}");
    let finding = even(&(set.clone() + &team), &[&one, ALL_NAMESPACES]).unwrap();
    let end = "(an exemption by StatefulSetExemption moving ended on 2026-11-21T12:00:00Z)";
    assert!(finding.exempt.is_none() && finding.message.ends_with(end), "{}", finding.message);
    let other = "{exemptions: [{rules: ['*'], reason: moving}]}";
    let finding = even(&set, &[&one, other]).unwrap();
    assert!(finding.exempt.is_some() && !finding.message.contains("ended"));
}

#[test]
fn what_is_wrong_with_an_exemption_is_said_with_its_place() {
    let names = ["a"; 101].join(",");
    for (spec, pointer) in [
        ("{rules: [pdb-mising], names: ['*'], reason: x}", "/spec/rules/0"),
        ("{rules: [], names: ['*'], reason: x}", "/spec/rules"),
        ("{rules: ['*'], reason: x}", "/spec"),
        ("{rules: ['*'], names: [], reason: x}", "/spec/names"),
        ("{rules: ['*'], names: ['*'], reason: ' '}", "/spec/reason"),
        ("{rules: ['*'], names: ['*']}", "/spec"),
        ("{rules: ['*'], names: ['*'], reason: x, expiresAt: tomorrow}", "/spec/expiresAt"),
        ("{rules: ['*'], names: ['['], reason: x}", "/spec/names"),
        ("{rules: ['*'], namespaces: ['*'], reason: x}", "/spec/namespaces"),
        (&format!("{{rules: ['*'], names: [{names}], reason: x}}"), "/spec/names"),
    ] {
        let document = manifest::document(exemption(spec).trim_start_matches("\n---\n")).unwrap().to_json();
        let error = NamespaceExemption::from_json(&document).unwrap_err();
        assert_eq!(error.pointer, pointer, "{spec}: {error}");
    }
}

/// The level at which a rule is found in a fixture, under strict and some policies.
fn strict_level(text: &str, rule: &str, specs: &[&str]) -> Option<Level> {
    let policies = Policies::new(Profile::Strict, specs.iter().map(|spec| policy(spec)).collect()).unwrap();
    let found = findings(text, &policies).into_iter().find(|finding| finding.rule.as_str() == rule);
    found.map(|finding| finding.level)
}

#[test]
fn an_operator_is_denied_only_where_a_policy_says_so() {
    let owner = "ownerReferences: [{apiVersion: OWNER, kind: Etcd, name: main, controller: true}]";
    let set =
        ETCD.replace("IMAGE", "quay.io/coreos/etcd:v3.5.9").replace("annotations: {ANNOTATIONS}", owner);
    let scaled = |user: &str, api_version: &str| {
        let case = format!("case:\n  scale: {{name: etcd, from: 5, to: 1}}\n  user: {user}\n---");
        case + &set.replace("OWNER", api_version).replace("prod-a", "default")
    };
    let rule = "quorum-scale-loses-majority";
    let (operator, custom) = ("system:serviceaccount:operators:etcd", "example.com/v1");
    for (user, api_version, policy, expected) in [
        (operator, custom, "{}", Level::Warn),
        (operator, custom, "{operated: warn}", Level::Warn),
        (operator, custom, "{operated: enforce}", Level::Deny),
        (operator, custom, "{operated: enforce, match: {namespaces: [other]}}", Level::Warn),
        ("jane", custom, "{}", Level::Deny),
        (operator, "apps/v1", "{}", Level::Deny),
        (operator, "v1", "{}", Level::Deny),
    ] {
        let level = strict_level(&scaled(user, api_version), rule, &[policy]);
        assert_eq!(level, Some(expected), "{user} {api_version} {policy}");
    }
    let even = |specs: &[&str]| strict_level(&set.replace("OWNER", custom), "quorum-even", specs);
    assert_eq!(even(&[]), Some(Level::Warn), "operators pass through even counts");
    assert_eq!(even(&["{operated: enforce}"]), Some(Level::Deny));
    assert!(try_policy("{operated: deny}").is_err());
}

#[test]
fn what_is_missing_on_creation_may_come_next() {
    let set = etcd("").replace("prod-a", "default");
    let created = format!("case:\n  create: {{name: etcd}}\n---{set}");
    for rule in ["pdb-missing", "service-not-found"] {
        assert_eq!(strict_level(&created, rule, &[]), Some(Level::Warn), "{rule}");
        assert_eq!(
            strict_level(&created, rule, &["{onMissingCompanion: deny}"]),
            Some(Level::Deny),
            "{rule}"
        );
        assert_eq!(strict_level(&set, rule, &[]), Some(Level::Deny), "{rule}: files have all there is");
    }
    let grown = format!("case:\n  scale: {{name: etcd, from: 1, to: 3}}\n---{set}");
    assert_eq!(strict_level(&grown, "pdb-missing", &[]), Some(Level::Deny));
}

#[test]
fn a_policy_on_trial_adds_findings_and_takes_none_away() {
    let set = etcd("");
    let trial = |enforcement: &str, level: &str| {
        format!("{{priority: 9, enforcement: {enforcement}, rules: [{{rule: quorum-even, level: {level}}}]}}")
    };
    let off = "{priority: 1, rules: [{rule: quorum-even, level: off}]}";
    let warn = &format!("{{priority: 1, {WARN}}}");
    for (enforcement, alone, over_warn) in [
        ("audit", Level::Audit, Level::Warn),
        ("warn", Level::Warn, Level::Warn),
        ("deny", Level::Deny, Level::Deny),
    ] {
        assert_eq!(level(&set, &[&trial(enforcement, "deny"), off]), Some(alone), "{enforcement}");
        assert_eq!(level(&set, &[&trial(enforcement, "deny"), warn]), Some(over_warn), "{enforcement}");
    }
    for milder in ["off", "audit", "warn"] {
        assert_eq!(
            level(&set, &[&trial("warn", milder)]),
            Some(Level::Deny),
            "baseline denies, not {milder}"
        );
    }
    assert_eq!(level(&set, &[&trial("deny", "warn")]), Some(Level::Warn));
    let created = format!("case:\n  create: {{name: etcd}}\n---{}", set.replace("prod-a", "default"));
    let eager = "{onMissingCompanion: deny, enforcement: warn}";
    assert_eq!(strict_level(&created, "pdb-missing", &[eager]), Some(Level::Warn));
    assert!(try_policy("{enforcement: off}").is_err());
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

/// A policy of which it is not known whether it is about the set's namespace.
fn undecided(spec: &str) -> String {
    format!("{{priority: 5, match: {{namespaceSelector: {{matchLabels: {{env: prod}}}}}}, {spec}}}")
}

/// The Namespace of the set, in the same files.
fn namespace(env: &str, set: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: prod-a, labels: {{env: {env}}}}}\n---{set}")
}

#[test]
fn an_undecided_policy_switches_no_rule_off() {
    let off = undecided("rules: [{rule: quorum-even, level: 'off'}]");
    let set = etcd("");
    let finding = even(&set, &[&off]).unwrap();
    assert_eq!(finding.level, Level::Warn);
    assert!(
        finding.message.contains("policy mine may be about namespace prod-a, whose labels are not known")
    );
    assert_eq!(level(&namespace("prod", &set), &[&off]), None);
    assert_eq!(level(&namespace("dev", &set), &[&off]), Some(Level::Deny));
    // It is no milder, so there is nothing to say.
    let same = even(&set, &[&undecided("rules: [{rule: quorum-even, level: deny}]")]).unwrap();
    assert_eq!((same.level, same.message.contains("mine")), (Level::Deny, false));
    let audit = even(&set, &[&off, "{rules: [{rule: quorum-even, level: audit}]}"]).unwrap();
    assert_eq!((audit.level, audit.message.contains("mine")), (Level::Audit, false));
}

#[test]
fn an_undecided_policy_exempts_nothing_silently() {
    let exempts = undecided("exemptions: [{rules: [quorum-even], reason: x}]");
    let set = etcd("");
    let finding = even(&set, &[&exempts]).unwrap();
    assert_eq!((finding.level, &finding.exempt), (Level::Warn, &None));
    assert!(finding.message.contains("policy mine decides on an exemption"), "{}", finding.message);
    assert!(even(&namespace("prod", &set), &[&exempts]).unwrap().exempt.is_some());
    assert_eq!(level(&namespace("dev", &set), &[&exempts]), Some(Level::Deny));
    let certain = "{exemptions: [{rules: [quorum-even], reason: known}]}";
    assert_eq!(even(&set, &[&exempts, certain]).unwrap().exempt.unwrap().reason, "known");
}

#[test]
fn an_undecided_policy_voids_no_annotation_silently() {
    let annotated = etcd("stateward.dev/exempt: quorum-even, stateward.dev/exempt-reason: moving");
    let forbids = undecided("annotationExemptions: false");
    let finding = even(&annotated, &[&forbids]).unwrap();
    assert_eq!((finding.level, &finding.exempt), (Level::Warn, &None));
    assert!(even(&namespace("dev", &annotated), &[&forbids]).unwrap().exempt.is_some());
    assert!(even(&namespace("prod", &annotated), &[&forbids]).unwrap().exempt.is_none());
    assert!(even(&annotated, &[&undecided("annotationExemptions: true")]).unwrap().exempt.is_some());
}

#[test]
fn an_undecided_policy_does_not_decide_the_class() {
    let (set, ours) =
        (etcd(""), ETCD.replace("ANNOTATIONS", "").replace("IMAGE", "example.com/our-raft-db:1"));
    let replicated = undecided("classes: [{class: replicated, images: ['*/etcd']}]");
    let finding = even(&set, &[&replicated]).unwrap();
    assert_eq!(finding.level, Level::Warn);
    let class = finding.class.unwrap();
    assert!(class.because.to_string().contains("policy mine differs and may be about this namespace"));
    assert_eq!(level(&namespace("prod", &set), &[&replicated]), None);
    assert_eq!(level(&namespace("dev", &set), &[&replicated]), Some(Level::Deny));

    let quorum = undecided("classes: [{class: quorum, images: ['*/our-raft-db']}]");
    assert_eq!(level(&ours, &[&quorum]), Some(Level::Warn), "and not at all without it");
    assert_eq!(level(&namespace("prod", &ours), &[&quorum]), Some(Level::Deny));
    // Where a policy denies the rule whatever the class is, what is wrong is wrong.
    let strict = "{rules: [{rule: quorum-even, level: deny}]}";
    assert_eq!(level(&ours, &[&quorum, strict]), Some(Level::Warn));
    // The same class either way.
    let same = undecided("classes: [{class: quorum, images: ['*/etcd']}]");
    assert_eq!(level(&set, &[&same]), Some(Level::Deny));
    assert_eq!(level(&etcd("stateward.dev/class: quorum"), &[&replicated]), Some(Level::Deny));
}

#[test]
fn the_name_of_a_namespace_is_a_label_that_is_always_known() {
    let by_name = |name: &str| {
        let label = format!("{{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}");
        format!("{{match: {{namespaceSelector: {label}}}, rules: [{{rule: quorum-even, level: 'off'}}]}}")
    };
    let set = etcd("");
    assert_eq!(level(&set, &[&by_name("prod-a")]), None);
    assert_eq!(level(&set, &[&by_name("prod-b")]), Some(Level::Deny));
    // Files do not write what the API server adds.
    assert_eq!(level(&namespace("dev", &set), &[&by_name("prod-a")]), None);
}

#[test]
fn images_mean_what_they_mean_in_the_catalogue() {
    for (image, pattern, is_meant) in [
        ("quay.io/a/b/db:1", "db", true),
        ("quay.io/a/b/db:1", "b/db", true),
        ("quay.io/a/b/db:1", "*/db", true),
        ("quay.io/a/b/db:1", "quay.io/**", true),
        ("quay.io/a/b/db:1", "quay.io/*", false),
        ("quay.io/a/b/db:1", "d*", true),
        ("quay.io/a/b/db:1", "a/*", false),
        ("quay.io/a/b/db:1", "b", false),
        ("db", "db", true),
        ("mydb", "db", false),
    ] {
        let set = ETCD.replace("ANNOTATIONS", "").replace("IMAGE", &format!("'{image}'"));
        let spec = format!("{{classes: [{{class: quorum, images: ['{pattern}']}}]}}");
        assert_eq!(level(&set, &[&spec]).is_some(), is_meant, "{image} {pattern}");
    }
}

#[test]
fn what_is_wrong_with_a_policy_is_said_with_its_place() {
    for (spec, pointer, message) in [
        (
            "{rules: [{rule: quorum-evne, level: warn}]}",
            "/spec/rules/0/rule",
            "there is no rule \"quorum-evne\"; did you mean \"quorum-even\"?",
        ),
        (
            "{rules: [{rule: quorum-even, level: loud}]}",
            "/spec/rules/0/level",
            "there is no value \"loud\"; there are off, audit",
        ),
        ("{ruels: []}", "/spec/ruels", "there is no field \"ruels\"; did you mean \"rules\"?"),
        ("{match: []}", "/spec/match", "expected a map, found a list"),
        (
            "{match: {namespaceSelector: [a]}}",
            "/spec/match/namespaceSelector",
            "expected a map, found a list",
        ),
        ("{rules: [[quorum-even, deny]]}", "/spec/rules/0", "expected a map, found a list"),
        ("[1]", "/spec", "expected a map, found a list"),
        ("{rules: {}}", "/spec/rules", "expected a list, found a map"),
        ("{rules: [quorum-even]}", "/spec/rules/0", "expected a map, found \"quorum-even\""),
        (
            "{rules: [{rule: quorum-even, level: [deny]}]}",
            "/spec/rules/0/level",
            "expected one of off, audit, warn and deny, found a list",
        ),
        ("{classes: [{class: {a: b}, images: [x]}]}", "/spec/classes/0/class", "there is no value \"a\""),
        ("{classes: [{class: quorom, images: [x]}]}", "/spec/classes/0/class", "did you mean \"quorum\"?"),
        ("{priority: high}", "/spec/priority", "expected a whole number, found \"high\""),
        ("{annotationExemptions: 1}", "/spec/annotationExemptions", "expected true or false, found 1"),
        ("{annotationExemptionsBy: [a]}", "/spec/annotationExemptionsBy", "expected a map, found a list"),
        (
            "{annotationExemptionsBy: {user: [a]}}",
            "/spec/annotationExemptionsBy/user",
            "there is no field \"user\"; did you mean \"users\"?",
        ),
        (
            "{annotationExemptionsBy: {serviceAccounts: [{name: a}]}}",
            "/spec/annotationExemptionsBy/serviceAccounts/0",
            "the field `namespace` is missing",
        ),
        (
            "{exemptions: [{rules: ['*'], reason: x, expiresAt: '2027-01-31'}]}",
            "/spec/exemptions/0/expiresAt",
            "\"2027-01-31\" is not a time of RFC 3339",
        ),
        ("{match: {namespaces: ['[']}}", "/spec/match/namespaces", "unclosed character class"),
        (
            "{rules: [{rule: quorum-even, level: warn, params: {topologyKeys: [a]}}]}",
            "/spec/rules/0/params/topologyKeys",
            "has no parameter `topologyKeys`",
        ),
        ("{exemptions: [{rules: [quorum-even], reason: ''}]}", "/spec/exemptions/0/reason", "needs a reason"),
        ("{exemptions: [{rules: [quorum-even]}]}", "/spec/exemptions/0", "the field `reason` is missing"),
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
            "there is no value \"Near\"",
        ),
        ("{servicePerPod: {type: Headless}}", "/spec/servicePerPod/type", "there is no value \"Headless\""),
        (
            "{servicePerPod: {sessionAffinity: None}}",
            "/spec/servicePerPod/sessionAffinity",
            "there is no field",
        ),
        (
            "{servicePerPod: {labels: {'stateward.dev/x': a}}}",
            "/spec/servicePerPod/labels/stateward.dev~1x",
            "says who makes the Service",
        ),
    ] {
        let error = try_policy(spec).unwrap_err();
        assert_eq!(error.pointer, pointer, "{spec}");
        assert!(error.message.contains(message), "{spec}: {}", error.message);
        for of_the_program in
            ["struct", "enum", "variant", "sequence", "i32", "Selector", "with a single key"]
        {
            assert!(!error.message.contains(of_the_program), "{spec}: {}", error.message);
        }
    }
}
