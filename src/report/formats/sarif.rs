//! SARIF 2.1.0, for code scanning.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use crate::cluster::inventory::Position;
use crate::manifest::Note;
use crate::model::{ObjectRef, printable};
use crate::report::paths::RepositoryPaths;
use crate::report::text::uri;
use crate::report::{GapKind, Located, Replacement, Report};
use crate::rules::{self, Rule};
use crate::verdict::Level;

/// The base of relative addresses: the folder that holds the repository.
const ROOT: &str = "%SRCROOT%";

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [SarifRun<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifRun<'a> {
    tool: Tool<'a>,
    invocations: [Invocation; 1],
    results: Vec<ResultItem<'a>>,
    column_kind: &'static str,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_description: Option<SarifMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_description: Option<SarifMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Help>,
}

#[derive(Serialize)]
struct Help {
    text: String,
    markdown: String,
}

#[derive(Serialize)]
struct SarifMessage {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: SarifMessage,
    locations: Vec<SarifLocation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultItem<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'static str,
    message: SarifMessage,
    locations: Vec<SarifLocation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<SarifLocation>,
    partial_fingerprints: BTreeMap<&'static str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<Fix<'a>>,
    /// Empty is "not suppressed".
    suppressions: Vec<Suppression>,
    properties: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fix<'a> {
    description: SarifMessage,
    artifact_changes: Vec<ArtifactChange<'a>>,
    properties: BTreeMap<&'static str, bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactChange<'a> {
    artifact_location: ArtifactLocation,
    replacements: Vec<JsonReplacement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonReplacement<'a> {
    deleted_region: DeletedRegion,
    inserted_content: ArtifactContent<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeletedRegion {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

#[derive(Serialize)]
struct ArtifactContent<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    justification: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifLocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<PhysicalLocation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<SarifMessage>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    name: String,
    fully_qualified_name: String,
    kind: &'static str,
}

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let mut indexes: BTreeMap<&str, usize> =
        rules::ALL.iter().enumerate().map(|(index, rule)| (rule.id, index)).collect();
    let mut descriptors: Vec<Descriptor<'_>> = rules::ALL.iter().map(descriptor).collect();
    for located in &report.findings {
        let id = located.finding.rule.as_str();
        indexes.entry(id).or_insert_with(|| {
            descriptors.push(Descriptor { id, short_description: None, full_description: None, help: None });
            descriptors.len() - 1
        });
    }
    let is_compared = report.known() > 0;
    let result = |located| result(report, located, &indexes, is_compared);
    let version = env!("CARGO_PKG_VERSION");
    let driver = Driver { name: "stateward", version, semantic_version: version, rules: descriptors };
    let run = SarifRun {
        tool: Tool { driver },
        invocations: [invocation(report)],
        results: report.findings.iter().map(result).collect(),
        column_kind: "unicodeCodePoints",
    };
    let schema = "https://json.schemastore.org/sarif-2.1.0.json";
    serde_json::to_writer_pretty(&mut *out, &Log { schema, version: "2.1.0", runs: [run] })?;
    writeln!(out)
}

fn descriptor(rule: &Rule) -> Descriptor<'_> {
    let markdown = rules::markdown(rule);
    let section = markdown.split("## ").find_map(|part| part.strip_prefix("What it checks"));
    let full = section.unwrap_or(rule.title).trim().to_owned();
    Descriptor {
        id: rule.id,
        short_description: Some(SarifMessage { text: rule.title.to_owned() }),
        full_description: Some(SarifMessage { text: full }),
        help: Some(Help { text: markdown.clone(), markdown }),
    }
}

fn invocation(report: &Report) -> Invocation {
    let of_note = |level: &'static str, note: &Note| {
        let region = Region { start_line: note.line, start_column: note.column, end_column: note.column };
        let artifact_location = artifact(&report.paths, &note.file.name);
        let location = SarifLocation {
            id: None,
            physical_location: Some(PhysicalLocation { artifact_location, region }),
            logical_locations: Vec::new(),
            message: None,
        };
        notification(level, &note.message, vec![location])
    };
    let unread = report.not_judged().map(|note| of_note("error", note));
    let misspelt = report.misspelt().map(|note| of_note("warning", note));
    let gaps = report
        .gaps
        .iter()
        .filter(|gap| gap.kind == GapKind::Unreadable)
        .map(|gap| notification("error", &gap.message, Vec::new()));
    Invocation {
        execution_successful: !report.is_incomplete(),
        tool_execution_notifications: unread.chain(misspelt).chain(gaps).collect(),
    }
}

fn notification(level: &'static str, message: &str, locations: Vec<SarifLocation>) -> Notification {
    Notification { level, message: SarifMessage { text: printable(message).into_owned() }, locations }
}

fn result<'a>(
    report: &Report,
    located: &'a Located,
    indexes: &BTreeMap<&str, usize>,
    is_compared: bool,
) -> ResultItem<'a> {
    let paths = &report.paths;
    let finding = &located.finding;
    let rule_id = finding.rule.as_str();
    let text = format!("{}: {}\nFix: {}", finding.object, finding.message, finding.remedy);
    let related = (1..).zip(&located.related).map(|(id, related)| SarifLocation {
        id: Some(id),
        message: Some(message(&format!("{} {}", related.object, related.path))),
        ..location(paths, related.position.as_ref(), &related.object, &related.path)
    });
    let suppressions = finding.exempt.iter().map(|exempt| Suppression {
        kind: if exempt.by == "comment" || exempt.by == "annotation" { "inSource" } else { "external" },
        justification: format!("{} ({})", exempt.reason, exempt.by),
    });
    let context = located.context.as_deref().map(|context| ("context", context));
    ResultItem {
        rule_id,
        rule_index: indexes.get(rule_id).copied().unwrap_or_default(),
        level: match finding.level {
            Level::Deny => "error",
            Level::Warn => "warning",
            Level::Audit | Level::Off => "note",
        },
        message: message(&text),
        locations: vec![location(paths, located.position.as_ref(), &finding.object, &finding.path)],
        related_locations: related.collect(),
        partial_fingerprints: [("stateward/v2", &*located.fingerprint)].into(),
        baseline_state: is_compared.then_some(if located.is_known { "unchanged" } else { "new" }),
        fixes: fix(paths, located).into_iter().collect(),
        suppressions: suppressions.collect(),
        properties: context.into_iter().collect(),
    }
}

/// All edits of a finding are one fix: a part of them may not end it.
fn fix<'a>(paths: &RepositoryPaths, located: &'a Located) -> Option<Fix<'a>> {
    let changes = located.fixes.iter().map(|file| ArtifactChange {
        artifact_location: artifact(paths, &file.file),
        replacements: file.replacements.iter().map(replacement).collect(),
    });
    let is_safe = located.finding.edits.iter().all(|edit| edit.is_safe);
    (!located.fixes.is_empty()).then(|| Fix {
        description: message(&located.finding.remedy),
        artifact_changes: changes.collect(),
        properties: [("safe", is_safe)].into(),
    })
}

fn replacement(replacement: &Replacement) -> JsonReplacement<'_> {
    let Replacement { start, end, text } = replacement;
    let deleted_region =
        DeletedRegion { start_line: start.0, start_column: start.1, end_line: end.0, end_column: end.1 };
    JsonReplacement { deleted_region, inserted_content: ArtifactContent { text } }
}

/// Brackets would be a link in a message.
fn message(text: &str) -> SarifMessage {
    let lines: Vec<_> = text.lines().map(printable).collect();
    SarifMessage { text: lines.join("\n").replace('[', "\\[").replace(']', "\\]") }
}

fn location(
    paths: &RepositoryPaths,
    position: Option<&Position>,
    object: &ObjectRef,
    path: &str,
) -> SarifLocation {
    let physical = position.map(|position| PhysicalLocation {
        artifact_location: artifact(paths, &position.file.name),
        region: Region {
            start_line: position.span.line,
            start_column: position.span.column,
            end_column: position.span.end_column,
        },
    });
    let logical = LogicalLocation {
        name: printable(&object.name).into_owned(),
        fully_qualified_name: printable(&format!("{object}{path}")).into_owned(),
        kind: "object",
    };
    SarifLocation { id: None, physical_location: physical, logical_locations: vec![logical], message: None }
}

fn artifact(paths: &RepositoryPaths, file: &str) -> ArtifactLocation {
    let path = paths.within(file);
    match path.strip_prefix('/') {
        Some(absolute) => ArtifactLocation { uri: format!("file:///{}", uri(absolute)), uri_base_id: None },
        None => ArtifactLocation { uri: uri(&path), uri_base_id: Some(ROOT) },
    }
}
