//! The formats of a report, of manifests whose names and annotations attack each of them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use stateward::audit::{AuditConfig, audit};
use stateward::cluster::inventory::{Inventory, Unit, UnitKind};
use stateward::manifest::{Source, SourceOrigin};
use stateward::policy::{Policies, Profile};
use stateward::report::Report;
use stateward::report::formats::ReportFormat;
use stateward::verdict::Level;

/// A name that a terminal, a workflow, HTML and Markdown would each take for something else.
const HOSTILE: &str =
    r#"x\u001b[31m\u202e\n::error::gotcha<script>alert(1)</script>|`a`](http://evil)&\"'%0A"#;

fn manifest(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: \"{name}\"}}\nspec:\n  replicas: 4\n  serviceName: \"{name}\"\n  \
         selector: {{matchLabels: {{app: zk}}}}\n  template:\n    metadata: {{labels: {{app: zk}}}}\n    \
         spec: {{containers: [{{name: zk, image: 'zookeeper:3.9'}}]}}\n---\n\
         apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: \"{name}\"}}\n\
         spec: {{maxUnavailable: 3, selector: {{matchLabels: {{app: zk}}}}}}\n"
    )
}

fn report_of(file: &str, text: &str) -> Report {
    let mut inventory = Inventory::new(None);
    inventory.begin(Unit { name: "dir".into(), kind: UnitKind::Files });
    inventory.add(&Source::new(file, text, SourceOrigin::Named));
    let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
    let config = AuditConfig { pictures: true, ..AuditConfig::default() };
    let mut report = audit(&inventory, &policies, config, Timestamp::UNIX_EPOCH);
    assert!(report.findings.len() > 3, "{report:?}");
    report.fail_on = Some(Level::Deny);
    report
}

fn hostile() -> Report {
    report_of("dir/a,b:<i>|`%.yaml", &manifest(HOSTILE))
}

fn written(format: ReportFormat, report: &Report) -> String {
    let mut out = Vec::new();
    format.write(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_misspelt_field_is_shown_in_every_format_with_a_place_for_it() {
    let report = report_of("a.yaml", &manifest("zk").replace("serviceName:", "servicename:"));
    for format in ReportFormat::ALL {
        let is_shown = written(format, &report).contains("spec.servicename is not a field of a StatefulSet");
        // A test of JUnit passes or fails, and this does neither.
        assert_eq!(is_shown, format != ReportFormat::Junit, "{format}");
    }
}

#[test]
fn no_format_passes_on_what_a_terminal_obeys() {
    let report = hostile();
    for format in ReportFormat::ALL.into_iter().filter(|format| *format != ReportFormat::Human) {
        let text = written(format, &report);
        let obeyed = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
        let raw = text.chars().find(obeyed);
        // JSON escapes control characters by itself; what reorders text is in the values that programs compare.
        assert!(
            raw.is_none() || format == ReportFormat::Json && raw == Some('\u{202e}'),
            "{format}: {raw:?}"
        );
    }
    // Its own colours apart.
    let text = written(ReportFormat::Human, &report);
    let text = text.split('\u{1b}').map(|part| part.split_once('m').map_or(part, |(_, rest)| rest));
    let text: String = text.collect();
    assert!(!text.contains("\u{202e}") && text.contains(r"x\u{1b}[31m\u{202e}\u{a}"), "{text}");
}

#[test]
fn workflow_commands_are_one_line_a_finding() {
    let report = hostile();
    let text = written(ReportFormat::Github, &report);
    assert_eq!(text.lines().count(), report.findings.len());
    for line in text.lines() {
        let (properties, message) = line[2..].split_once("::").unwrap();
        assert!(line.starts_with("::error ") || line.starts_with("::warning "), "{line}");
        assert!(properties.contains(" file=dir/a%2Cb%3A<i>|`%25.yaml,line="), "{line}");
        assert_eq!(properties.matches(',').count(), 4, "{line}");
        assert!(message.contains("%0AFix: "), "{line}");
    }
}

#[test]
fn html_has_no_tags_but_its_own_and_a_picture() {
    let text = written(ReportFormat::Html, &hostile());
    assert!(!text.contains("<script") && !text.contains("<i>") && text.contains("&lt;script&gt;"));
    let tags: BTreeSet<&str> = text
        .split('<')
        .skip(1)
        .map(|tag| tag.trim_start_matches('/').split([' ', '>']).next().unwrap())
        .collect();
    let known = [
        "!doctype", "b", "body", "circle", "code", "div", "h1", "h2", "head", "html", "li", "main", "meta",
        "p", "path", "section", "span", "style", "svg", "text", "title", "tspan", "ul",
    ];
    assert!(tags.is_subset(&known.into()), "{tags:?}");
    assert!(
        text.contains("3 of 4 must stay up") && text.contains("3 at once by maxUnavailable: 3"),
        "{text}"
    );
    assert!(text.contains("prefers-color-scheme: dark"));
}

#[test]
fn markdown_stays_in_its_table() {
    let report = hostile();
    let text = written(ReportFormat::Markdown, &report);
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ❌")).collect();
    assert_eq!(rows.len(), report.count(Level::Deny));
    for row in rows {
        let bars = row.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 5, "{row}");
        assert!(!row.replace("<br>", "").contains('<') && !row.replace("\\`", "").contains('`'), "{row}");
    }
}

#[test]
fn a_comment_is_never_too_long_for_github() {
    let text = (0..400).fold(String::new(), |text, n| {
        text + &manifest(&format!("zk-{n}")).replace("app: zk", &format!("app: zk{n}")) + "---\n"
    });
    let text = written(ReportFormat::Markdown, &report_of("a.yaml", &text));
    assert!(text.len() < 65_000 && text.contains("more, which did not fit"), "{}", text.len());
    let misspelt = (0..30).fold(String::new(), |text, n| {
        text + &manifest(&format!("zk-{n}")).replace("serviceName:", "servicename:") + "---\n"
    });
    let text = written(ReportFormat::Markdown, &report_of("a.yaml", &misspelt));
    assert!(text.contains("\n**Misspelt**: and 10 more.\n"), "{text}");
}

#[test]
fn sarif_has_the_edits_as_fixes() {
    let text = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: zk}\nspec:\n  replicas: 4\n  \
                selector: {matchLabels: {app: zk}}\n  template:\n    metadata: {labels: {app: zk}}\n    \
                spec: {containers: [{name: zk, image: 'zookeeper:3.9'}]}\n";
    let mut inventory = Inventory::new(None);
    inventory.add(&Source::new("a.yaml", text, SourceOrigin::Named));
    let policies = Policies::new(Profile::Strict, Vec::new()).unwrap();
    let mut report = audit(&inventory, &policies, AuditConfig::default(), Timestamp::UNIX_EPOCH);
    stateward::fix::attach(&inventory, &mut report);
    let log: Value = serde_json::from_str(&written(ReportFormat::Sarif, &report)).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let even = results.iter().find(|result| result["ruleId"] == "quorum-even").unwrap();
    let change = &even["fixes"][0]["artifactChanges"][0];
    assert_eq!(change["artifactLocation"]["uri"], "a.yaml");
    let replacement = &change["replacements"][0];
    let region = serde_json::json!({"startLine": 5, "startColumn": 1, "endLine": 6, "endColumn": 1});
    assert_eq!(replacement["deletedRegion"], region);
    assert_eq!(replacement["insertedContent"]["text"], "  replicas: 5\n");
    assert!(even["fixes"][0]["description"]["text"].as_str().unwrap().contains("spec.replicas"));
}

#[test]
fn sarif_has_the_required_shape() {
    let report = hostile();
    let log: Value = serde_json::from_str(&written(ReportFormat::Sarif, &report)).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(
        rules
            .iter()
            .filter(|rule| rule["help"]["markdown"].as_str().is_some_and(|text| !text.is_empty()))
            .count()
            >= 36
    );
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(matches!(result["level"].as_str(), Some("error" | "warning" | "note")));
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "dir/a%2Cb%3A%3Ci%3E%7C%60%25.yaml");
        assert_eq!(place["artifactLocation"]["uriBaseId"], "%SRCROOT%");
        let region = &place["region"];
        assert!(
            region["startLine"].as_u64() >= Some(1)
                && region["endColumn"].as_u64() >= region["startColumn"].as_u64()
        );
        assert_eq!(result["partialFingerprints"]["stateward/v2"].as_str().unwrap().len(), 32);
    }
    let related = results.iter().find(|result| result["ruleId"] == "pdb-below-quorum").unwrap();
    assert_eq!(related["relatedLocations"][0]["id"], 1);
    assert!(related["relatedLocations"][0]["physicalLocation"]["region"]["startLine"].as_u64() > Some(10));
}

#[test]
fn fingerprints_survive_moved_lines_and_differ_from_each_other() {
    let prints = |text: String| -> Vec<String> {
        report_of("a.yaml", &text).findings.iter().map(|located| located.fingerprint.clone()).collect()
    };
    let before = prints(manifest("zk"));
    assert_eq!(before, prints(format!("# one\n\n# two\n{}", manifest("zk"))));
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), before.len());
    assert_ne!(before, prints(manifest("zk2")));
}

#[test]
fn junit_fails_where_the_audit_does() {
    let mut report = report_of("a.yaml", &(manifest("zk") + "---\nkind: [\napiVersion: Service\n"));
    let text = written(ReportFormat::Junit, &report);
    let deny = report.count(Level::Deny);
    assert_eq!(text.matches("<failure ").count(), deny);
    assert!(text.contains(&format!(r#"failures="{deny}" errors="1">"#)), "{text}");
    report.fail_on = None;
    let text = written(ReportFormat::Junit, &report);
    assert!(!text.contains("<failure ") && text.contains("<system-out>deny: a.yaml:"), "{text}");
    let open = text.matches("<testcase ").count();
    assert_eq!(open, text.matches("</testcase>").count());
}

#[test]
fn gitlab_has_its_five_names() {
    let misspelt = manifest("zk").replace("serviceName:", "servicename:");
    let report =
        report_of("a.yaml", &format!("{misspelt}---\n{misspelt}---\nkind: [\napiVersion: Service\n"));
    let issues: Vec<Value> = serde_json::from_str(&written(ReportFormat::Gitlab, &report)).unwrap();
    let of = |name: &str| issues.iter().filter(|issue| issue["check_name"] == name).count();
    assert_eq!((of("unknownField"), of("unreadable")), (2, 1));
    assert_eq!(issues.len(), report.findings.len() + 3);
    let prints: BTreeSet<&str> = issues.iter().map(|issue| issue["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(prints.len(), issues.len());
    for issue in issues {
        let names: Vec<&String> = issue.as_object().unwrap().keys().collect();
        assert_eq!(names.len(), 5, "{names:?}");
        assert!(
            issue["location"]["lines"]["begin"].as_u64() >= Some(1) && issue["location"]["path"] == "a.yaml"
        );
    }
}

#[test]
fn findings_that_one_edit_ends_are_shown_as_one() {
    let two = manifest("zk")
        .replace("replicas: 4", "replicas: 2")
        .replace("maxUnavailable: 3", "maxUnavailable: 1");
    let report = report_of("a.yaml", &two);
    let text = written(ReportFormat::Human, &report);
    let told = text.matches("set spec.replicas to 3").count();
    assert_eq!(told, 1, "{text}");
    let others = text.lines().filter(|line| line.contains("also"));
    assert_eq!(others.count(), 2, "{text}");
}

#[test]
fn one_long_line_with_many_findings_is_no_problem() {
    let items: Vec<String> = (0..3000)
        .map(|n| {
            format!(
                r#"{{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{{"name":"s{n}"}},"spec":{{"replicas":4,"selector":{{"matchLabels":{{"a":"b{n}"}}}},"template":{{"metadata":{{"labels":{{"a":"b{n}"}}}},"spec":{{"containers":[{{"name":"zk","image":"zookeeper:3.9"}}]}}}}}}}}"#
            )
        })
        .collect();
    let text = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, items.join(","));
    let report = report_of("a.json", &text);
    let text = written(ReportFormat::Human, &report);
    assert!(text.len() < report.findings.len() * 3000, "only the part of the line around a place is shown");
    let last = report.findings.last().and_then(|located| located.position.as_ref()).unwrap();
    assert!(text.contains(&format!("(column {})", last.span.column)), "{last:?}");
}

/// The contrast of two colours, `#rrggbb`, by the Web Content Accessibility Guidelines.
fn contrast(a: &str, b: &str) -> f64 {
    let light = |colour: &str| {
        let part = |at: usize| {
            let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5) + 0.05
    };
    let (a, b) = (light(a), light(b));
    a.max(b) / a.min(b)
}

#[test]
fn html_can_be_read_in_the_light_and_in_the_dark() {
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.01);
    let page = include_str!("../../src/report/formats/html/page.css");
    assert!(!page.contains("opacity"), "it takes contrast from text");
    let (light, dark) = page.split_once("prefers-color-scheme: dark").unwrap();
    for scheme in [light, dark] {
        let colour = |name: &str| {
            let (_, value) = scheme.split_once(&format!("--{name}: ")).unwrap();
            value.split(';').next().unwrap()
        };
        for text in ["text", "soft", "deny", "warn", "audit"] {
            for back in ["back", "card"] {
                let contrast = contrast(colour(text), colour(back));
                assert!(contrast >= 4.5, "{text} on {back}: {contrast}");
            }
        }
    }
}
