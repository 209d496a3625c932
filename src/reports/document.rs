//! The report about one object, as a document for the API server. Pure.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::model::{ObjectRef, cut};
use crate::report::Located;
use crate::verdict::{Finding, Level};

/// The label and its value by which our reports are found again.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "stateward");

/// How many findings there are beyond those that the report shows.
const LEFT_OUT: &str = "stateward.dev/results-left-out";

/// Findings that one report shows: the gravest. The summary counts all.
const MOST_RESULTS: usize = 50;

/// Bytes of one text in a report.
const LONGEST_TEXT: usize = 1_000;

/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// A kind of reports, as tools that show reports read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// `Report` of `openreports.io/v1alpha1`.
    OpenReports,
    /// `PolicyReport` of `wgpolicyk8s.io/v1alpha2`.
    PolicyReport,
}

impl ReportKind {
    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::OpenReports => "openreports.io/v1alpha1",
            Self::PolicyReport => "wgpolicyk8s.io/v1alpha2",
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::OpenReports => "Report",
            Self::PolicyReport => "PolicyReport",
        }
    }

    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::OpenReports => "reports",
            Self::PolicyReport => "policyreports",
        }
    }
}

/// The name of the report about an object with this uid. Objects of other kinds may have the name of a StatefulSet.
pub(super) fn report_name(object: &ObjectRef, uid: &str) -> String {
    let name = match object.kind {
        "StatefulSet" => format!("stateward-{}", object.name),
        kind => format!("stateward-{}.{}", object.name, kind.to_ascii_lowercase()),
    };
    if name.len() <= LONGEST_NAME { name } else { format!("stateward-{uid}") }
}

/// The report about an object with this uid. A result keeps the time of the same result in `before`, the report as it is now, so that
/// it says since when something is found and a report of the same findings is the same.
pub(super) fn document(
    kind: ReportKind,
    (object, uid): (&ObjectRef, &str),
    findings: &[&Located],
    before: Option<&Value>,
    now: Timestamp,
) -> Value {
    let known = known_times(before);
    let shown = findings.iter().take(MOST_RESULTS);
    let results: Vec<Value> = shown.map(|located| result(&located.finding, &known, now)).collect();
    let mut metadata = json!({
        "name": report_name(object, uid),
        "namespace": object.namespace,
        "labels": {MANAGED_BY.0: MANAGED_BY.1},
        "ownerReferences": [{
            "apiVersion": object.api_version, "kind": object.kind, "name": object.name, "uid": uid,
        }],
    });
    let left_out = findings.len().saturating_sub(MOST_RESULTS);
    if left_out > 0 {
        metadata["annotations"] = json!({LEFT_OUT: left_out.to_string()});
    }
    let mut document = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.kind(),
        "metadata": metadata,
        "scope": reference(object),
        "summary": summary(findings),
        "results": results,
    });
    document["scope"]["uid"] = uid.into();
    if kind == ReportKind::OpenReports {
        document["source"] = MANAGED_BY.1.into();
    }
    document
}

/// Whether an object has all that a document says, so that there is nothing to write.
pub(super) fn says(object: &Value, document: &Value) -> bool {
    let is_noted = |object: &Value| !object["metadata"]["annotations"][LEFT_OUT].is_null();
    // Items of a list need not name their kind.
    let fields = ["metadata", "scope", "source", "summary", "results"];
    fields.iter().all(|field| contains(&object[field], &document[field]))
        && is_noted(object) == is_noted(document)
}

fn contains(object: &Value, part: &Value) -> bool {
    match (object, part) {
        (Value::Object(object), Value::Object(part)) => {
            part.iter().all(|(key, part)| object.get(key).is_some_and(|value| contains(value, part)))
        }
        (Value::Array(items), Value::Array(parts)) => {
            items.len() == parts.len() && items.iter().zip(parts).all(|(item, part)| contains(item, part))
        }
        (object, part) => object == part,
    }
}

fn reference(object: &ObjectRef) -> Value {
    let mut reference = json!({"apiVersion": object.api_version, "kind": object.kind, "name": object.name});
    if !object.namespace.is_empty() {
        reference["namespace"] = json!(object.namespace);
    }
    reference
}

/// How a finding is shown: tools know five results and five severities.
fn outcome(finding: &Finding) -> (&'static str, &'static str) {
    let severity = match finding.level {
        Level::Deny => "high",
        Level::Warn => "medium",
        Level::Audit | Level::Off => "info",
    };
    let result = match finding.level {
        _ if !finding.counts() => "skip",
        Level::Deny => "fail",
        Level::Warn | Level::Audit | Level::Off => "warn",
    };
    (result, severity)
}

/// Rules that find nothing are not counted: the report lists what is found.
fn summary(findings: &[&Located]) -> Value {
    let count =
        |wanted: &str| findings.iter().filter(|located| outcome(&located.finding).0 == wanted).count();
    json!({"pass": 0, "fail": count("fail"), "warn": count("warn"), "error": 0, "skip": count("skip")})
}

fn result(finding: &Finding, known: &HashMap<String, Value>, now: Timestamp) -> Value {
    let (result, severity) = outcome(finding);
    let text = |text: &str| cut(text.to_owned(), LONGEST_TEXT);
    let mut properties = Map::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            properties.insert(name.to_owned(), text(value).into());
        }
    };
    add("level", finding.level.name());
    add("path", &finding.path);
    add("remedy", &finding.remedy);
    if let Some(class) = &finding.class {
        add("class", &class.class.to_string());
        add("classBecause", &class.because.to_string());
    }
    if let Some(exempt) = &finding.exempt {
        add("exemptBy", &exempt.by);
        add("exemptReason", &exempt.reason);
        add("exemptUntil", &exempt.expires_at.map(|time| time.to_string()).unwrap_or_default());
    }
    let mut result = json!({
        "source": MANAGED_BY.1,
        "policy": finding.rule.as_str(),
        "result": result,
        "severity": severity,
        "scored": finding.counts(),
        "message": text(&finding.message),
        "resources": [reference(&finding.object)],
        "properties": properties,
    });
    result["timestamp"] = known
        .get(&identity(&result))
        .cloned()
        .unwrap_or_else(|| json!({"seconds": now.as_second(), "nanos": 0}));
    result
}

/// The identity of a result in its report, without the numbers in its message.
fn identity(result: &Value) -> String {
    let resource = &result["resources"][0];
    let parts = [&result["policy"], &resource["kind"], &resource["name"], &result["properties"]["path"]];
    parts.map(|part| part.as_str().unwrap_or_default()).join("\n")
}

/// When each result of a report was found first.
fn known_times(report: Option<&Value>) -> HashMap<String, Value> {
    let results = report.and_then(|report| report["results"].as_array()).into_iter().flatten();
    let timed = results.filter(|result| result["timestamp"]["seconds"].is_i64());
    timed.map(|result| (identity(result), result["timestamp"].clone())).collect()
}

#[cfg(test)]
mod tests;
