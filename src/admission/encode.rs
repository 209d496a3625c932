//! From a verdict, or a mutation, to the bytes of an answer.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use serde::Serialize;

use super::Request;
use crate::model::{cut, escaped};
use crate::mutate::{Addition, Mutation};
use crate::verdict::Level;
use crate::verdict::{Finding, Verdict};

/// The API server cuts a warning that is longer, in characters.
const LONGEST_WARNING: usize = 256;
/// And drops what comes after this much in all, in bytes.
const ALL_WARNINGS: usize = 4096;

/// What a person reads of a refusal, in bytes; and all causes together.
const LONGEST_REFUSAL: usize = 16 << 10;
const ALL_CAUSES: usize = 32 << 10;

/// The keys of the audit annotations; the API server puts the webhook's name and a slash before them.
const FINDINGS: &str = "findings";
const ADDED: &str = "added";

/// The `AdmissionReview` that answers `request`, as JSON.
pub fn encode(request: &Request, verdict: &Verdict) -> Vec<u8> {
    let denied: Vec<&Finding> = verdict.at(Level::Deny).collect();
    answer(Response {
        uid: &request.uid,
        allowed: denied.is_empty(),
        status: (!denied.is_empty()).then(|| Status::new(request, &denied)),
        warnings: warnings(verdict),
        audit_annotations: audit_annotations(verdict),
        patch_type: None,
        patch: None,
    })
}

/// The `AdmissionReview` that answers `request` with a patch, or with none, as JSON. A mutation never refuses.
pub fn encode_mutation(request: &Request, mutation: &Mutation, patch: Option<&Patch>) -> Vec<u8> {
    let warnings = mutation.warnings.iter().map(|warning| shortened(warning)).collect();
    let added: Vec<&str> = mutation.additions.iter().map(|Addition { key, .. }| key.as_str()).collect();
    let added = (!added.is_empty()).then(|| (ADDED, added.join(",")));
    // As of the answer itself: into memory it cannot fail.
    let encoded = |patch| STANDARD.encode(serde_json::to_vec(patch).unwrap_or_default());
    answer(Response {
        uid: &request.uid,
        allowed: true,
        status: None,
        warnings: fitting(warnings),
        audit_annotations: added.into_iter().collect(),
        patch_type: patch.map(|_| "JSONPatch"),
        patch: patch.map(encoded),
    })
}

fn answer(response: Response<'_>) -> Vec<u8> {
    let answer = Answer { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response };
    // Serialising strings, numbers and maps with string keys into memory cannot fail.
    serde_json::to_vec(&answer).unwrap_or_default()
}

// The types of `kube::core::admission` say the same, but a response of theirs can only be made from a request of
// theirs, which would have to be built from ours first, on every review.

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    api_version: &'a str,
    kind: &'a str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of metav1.Status")]
struct Status {
    status: &'static str,
    message: String,
    reason: &'static str,
    code: u16,
    details: Details,
}

#[derive(Serialize)]
struct Details {
    name: String,
    kind: String,
    causes: Vec<Cause>,
}

#[derive(Serialize)]
struct Cause {
    reason: &'static str,
    message: String,
    field: String,
}

impl Status {
    fn new(request: &Request, denied: &[&Finding]) -> Self {
        let causes = denied.iter().map(|finding| Cause {
            reason: "FieldValueInvalid",
            message: format!("{}: {}; {}", finding.rule, finding.message, finding.remedy),
            field: field_path(&finding.path),
        });
        let mut room = ALL_CAUSES;
        let causes = causes.take_while(|cause| {
            room = room.saturating_sub(cause.message.len() + cause.field.len());
            room > 0
        });
        let details =
            Details { name: request.name.clone(), kind: request.kind.clone(), causes: causes.collect() };
        Self { status: "Failure", message: refusal(denied), reason: "Invalid", code: 422, details }
    }
}

/// What the person who asked reads: every problem with the edit that fixes it, and the way out.
fn refusal(denied: &[&Finding]) -> String {
    let mut text = String::new();
    let mut last = None;
    for (told, finding) in denied.iter().enumerate() {
        if text.len() > LONGEST_REFUSAL {
            let _ = write!(text, "\n  and {} more", denied.len() - told);
            break;
        }
        if last != Some(&finding.subject) {
            let newline = if text.is_empty() { "" } else { "\n" };
            let _ = write!(text, "{newline}{}", finding.subject);
            if let Some(class) = &finding.class {
                let _ = write!(text, " (class {}: {})", class.class, class.because);
            }
            last = Some(&finding.subject);
        }
        let place = match (field_path(&finding.path), &finding.object) {
            (field, object) if *object == finding.subject => field,
            (field, object) if field.is_empty() => object.to_string(),
            (field, object) => format!("{field} of {object}"),
        };
        let _ = write!(text, "\n  {}: {}\n    at {place}", finding.rule, finding.message);
        let _ = write!(text, "\n    fix: {}", finding.remedy);
    }
    let mut seen = HashSet::new();
    let rules = denied.iter().map(|finding| finding.rule.as_str()).filter(|rule| seen.insert(*rule));
    let rules = rules.collect::<Vec<_>>().join(",");
    let _ = write!(text, "\nIf it must be, annotate the StatefulSet with stateward.dev/exempt: {rules} and ");
    text.push_str("stateward.dev/exempt-reason: why.");
    text
}

/// `/spec/template/spec/containers/0` as Kubernetes' own errors write it: `spec.template.spec.containers[0]`.
fn field_path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let index = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if index || part.contains(['/', '.']) {
            let _ = write!(path, "[{part}]");
        } else {
            let dot = if path.is_empty() { "" } else { "." };
            let _ = write!(path, "{dot}{part}");
        }
    }
    path
}

/// The warnings, none so long that the API server would cut it, nor so many that it would drop some.
fn warnings(verdict: &Verdict) -> Vec<String> {
    fitting(verdict.at(Level::Warn).flat_map(warning).collect())
}

fn fitting(lines: Vec<String>) -> Vec<String> {
    let (total, mut room, mut kept) = (lines.len(), ALL_WARNINGS - LONGEST_WARNING, Vec::new());
    for line in lines {
        if line.len() > room {
            kept.push(format!("stateward: {} more; `stateward audit` shows them all", total - kept.len()));
            break;
        }
        room -= line.len();
        kept.push(line);
    }
    kept
}

/// A finding as one warning, or as two where one would be cut.
fn warning(finding: &Finding) -> Vec<String> {
    let (rule, message, remedy) = (&finding.rule, &finding.message, &finding.remedy);
    let whole = format!("{rule}: {message}; {remedy}");
    if whole.chars().count() <= LONGEST_WARNING {
        return vec![whole];
    }
    vec![shortened(&format!("{rule}: {message}")), shortened(&format!("{rule}: {remedy}"))]
}

fn shortened(text: &str) -> String {
    let text = escaped(text);
    if text.chars().count() <= LONGEST_WARNING {
        return text.into_owned();
    }
    text.chars().take(LONGEST_WARNING - 1).chain(['…']).collect()
}

/// What the audit log keeps: each finding's rule and level, also of those that nobody was shown.
fn audit_annotations(verdict: &Verdict) -> BTreeMap<&'static str, String> {
    if verdict.findings.is_empty() {
        return BTreeMap::new();
    }
    let level = |finding: &Finding| if finding.counts() { finding.level.name() } else { "exempt" };
    let findings = verdict.findings.iter().map(|finding| (&finding.rule, level(finding)));
    // One budget can be wrong for a thousand sets: the audit log need not say so a thousand times.
    let mut seen = HashSet::new();
    let findings = findings.filter(|finding| seen.insert(*finding));
    let findings: Vec<String> = findings.map(|(rule, level)| format!("{rule}={level}")).collect();
    BTreeMap::from([(FINDINGS, cut(findings.join(","), ALL_WARNINGS))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_paths_are_those_of_kubernetes() {
        for (pointer, path) in [
            ("/spec/replicas", "spec.replicas"),
            ("/spec/template/spec/containers/0/image", "spec.template.spec.containers[0].image"),
            ("/metadata/annotations/stateward.dev~1class", "metadata.annotations[stateward.dev/class]"),
            ("", ""),
        ] {
            assert_eq!(field_path(pointer), path);
        }
    }

    #[test]
    fn the_key_of_the_audit_annotation_is_one_that_the_api_server_can_prefix() {
        let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        for key in [FINDINGS, ADDED] {
            assert!(key.len() <= 63 && key.bytes().all(part), "the name part of a qualified name");
        }
    }

    #[test]
    fn a_long_warning_is_shortened_by_characters() {
        let short = shortened(&"é".repeat(400));
        assert_eq!(short.chars().count(), LONGEST_WARNING);
        assert!(short.ends_with('…'));
    }
}
