//! From a verdict, or a mutation, to the bytes of an answer.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use serde::Serialize;

use super::{Request, Resource};
use crate::model::{cut, field_path, printable};
use crate::mutate::{Addition, Mutation};
use crate::rules;
use crate::verdict::Level;
use crate::verdict::{Exempt, Finding, Verdict};

/// The API server cuts a warning that is longer, in characters.
const LONGEST_WARNING: usize = 256;
/// And drops what comes after this much in all, in bytes.
const ALL_WARNINGS: usize = 4096;

/// The largest message of a denial, in bytes; also the largest size of all causes together.
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
        warnings: warnings(request, verdict),
        audit_annotations: audit_annotations(verdict),
        patch_type: None,
        patch: None,
    })
}

/// The `AdmissionReview` that answers `request` with a patch, or with none, as JSON. A mutation never refuses.
pub fn encode_mutation(request: &Request, mutation: &Mutation, patch: Option<&Patch>) -> Vec<u8> {
    let unread = request.unread.iter();
    let warnings = unread.chain(&mutation.warnings).map(|warning| shortened(warning)).collect();
    let added: Vec<&str> = mutation.additions.iter().map(|Addition { key, .. }| key.as_str()).collect();
    let added = (!added.is_empty()).then(|| (ADDED, added.join(",")));
    // Writing into memory cannot fail, as for the answer itself.
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
    let answer =
        AdmissionReviewResponse { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response };
    // Serialising strings, numbers and maps with string keys into memory cannot fail.
    serde_json::to_vec(&answer).unwrap_or_default()
}

// The types of `kube::core::admission` say the same, but a response of theirs can only be made from a request of
// theirs, which would have to be built from ours first, on every review.

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionReviewResponse<'a> {
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
    /// Absent where no field is to blame but the request itself, as where a pod is deleted.
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
}

/// kubectl prints the whole message of a refusal with this reason. Of one that is `Invalid` it prints the causes alone, `kubectl
/// edit` not even these, and `kubectl apply --force` deletes the object and creates it anew.
const REASON: (u16, &str) = (422, "Forbidden");

/// How the eviction API itself refuses what a PodDisruptionBudget forbids: `kubectl drain` waits some seconds and tries again.
const TRY_AGAIN: (u16, &str) = (429, "TooManyRequests");
/// The cause in that answer, by which clients tell it from an overloaded API server.
const BUDGET_CAUSE: &str = "DisruptionBudget";

/// Whether an eviction is refused only for what passes with time.
fn may_try_again(request: &Request, denied: &[&Finding]) -> bool {
    let passes = |finding: &&Finding| rules::find(&finding.rule).is_some_and(|rule| rule.passes_with_time);
    request.resource == Resource::Eviction && denied.iter().all(passes)
}

impl Status {
    fn new(request: &Request, denied: &[&Finding]) -> Self {
        let may_try_again = may_try_again(request, denied);
        let (code, reason) = if may_try_again { TRY_AGAIN } else { REASON };
        let causes = denied.iter().map(|finding| Cause {
            reason: if may_try_again { BUDGET_CAUSE } else { "FieldValueInvalid" },
            // Each is cut by itself: a long message must not take the remedy away.
            message: format!(
                "{}: {}; {}",
                finding.rule,
                printable(&finding.message),
                printable(&finding.remedy)
            ),
            field: field_path(&finding.path),
        });
        let mut room = ALL_CAUSES;
        let causes = causes.take_while(|cause| {
            room = room.saturating_sub(cause.message.len() + cause.field.len());
            room > 0
        });
        let details =
            Details { name: request.name.clone(), kind: request.kind.clone(), causes: causes.collect() };
        Self { status: "Failure", message: refusal(request, denied), reason, code, details }
    }
}

/// The message to the user: every problem with the edit that fixes it, and the way to an exemption.
fn refusal(request: &Request, denied: &[&Finding]) -> String {
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
        let _ = write!(text, "\n  {}: {}", finding.rule, printable(&finding.message));
        if let Some(place) = place(finding) {
            let _ = write!(text, "\n    at {place}");
        }
        let _ = write!(text, "\n    fix: {}", printable(&finding.remedy));
    }
    text.extend(way_out(request, denied));
    text
}

/// The field, and the object that it is a field of where that is not the one that is judged.
fn place(finding: &Finding) -> Option<String> {
    let field = field_path(&finding.path);
    match (finding.object == finding.subject, field.is_empty()) {
        (true, true) => None,
        (true, false) => Some(field),
        (false, true) => Some(finding.object.to_string()),
        (false, false) => Some(format!("{field} of {}", finding.object)),
    }
}

/// How to be exempt, as far as the policies let annotations exempt.
fn way_out(request: &Request, denied: &[&Finding]) -> Option<String> {
    let exemptible = || denied.iter().filter(|finding| finding.may_be_exempted);
    let first = &exemptible().next()?.subject;
    let is_only = exemptible().all(|finding| finding.subject == *first);
    let whom = match is_only {
        true if request.is_name_generated => format!("the {} in its manifest", first.kind),
        true => first.to_string(),
        false => format!("each {}", first.kind),
    };
    // In the order of the findings. There are few rules, however many findings there are.
    let mut rules: Vec<&str> = Vec::new();
    for finding in exemptible() {
        if !rules.contains(&finding.rule.as_str()) {
            rules.push(finding.rule.as_str());
        }
    }
    let rules = rules.join(",");
    Some(format!(
        "\nTo override, annotate {whom} with stateward.dev/exempt: {rules} and stateward.dev/exempt-reason: why."
    ))
}

/// The warnings, none so long that the API server would cut it, nor so many that it would drop some.
fn warnings(request: &Request, verdict: &Verdict) -> Vec<String> {
    let unread = request.unread.iter().map(|unread| shortened(unread));
    let exempt = verdict.exempt().map(|(finding, exempt)| exemption(finding, exempt));
    // One budget can be exempt for a thousand sets.
    let exempt: BTreeSet<String> = exempt.collect();
    fitting(unread.chain(verdict.at(Level::Warn).flat_map(warning)).chain(exempt).collect())
}

/// That an exemption is used, as a warning.
fn exemption(finding: &Finding, exempt: &Exempt) -> String {
    let until = exempt.expires_at.map_or_else(String::new, |end| format!(" until {end}"));
    shortened(&format!("exempt from {}{until}: {} ({})", finding.rule, exempt.reason, exempt.by))
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
    let whole = printable(&format!("{rule}: {message}; {remedy}")).into_owned();
    if whole.chars().count() <= LONGEST_WARNING {
        return vec![whole];
    }
    vec![shortened(&format!("{rule}: {message}")), shortened(&format!("{rule}: {remedy}"))]
}

fn shortened(text: &str) -> String {
    let text = printable(text);
    if text.chars().count() <= LONGEST_WARNING {
        return text.into_owned();
    }
    text.chars().take(LONGEST_WARNING - 1).chain(['…']).collect()
}

/// The annotations for the audit log: each finding's rule and level, also of findings that were not shown.
fn audit_annotations(verdict: &Verdict) -> BTreeMap<&'static str, String> {
    if verdict.findings.is_empty() {
        return BTreeMap::new();
    }
    let level = |finding: &Finding| if finding.counts() { finding.level.name() } else { "exempt" };
    let findings = verdict.findings.iter().map(|finding| (&finding.rule, level(finding)));
    // One budget can be wrong for a thousand sets: the audit log need not say so a thousand times.
    let mut seen = HashSet::new();
    let findings: Vec<String> = findings
        .filter(|finding| seen.insert(*finding))
        .map(|(rule, level)| format!("{rule}={level}"))
        .collect();
    BTreeMap::from([(FINDINGS, cut(findings.join(","), ALL_WARNINGS))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectRef;
    use crate::verdict::RuleId;

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

    fn finding(rule: &'static str, subject: &str, path: &str) -> Finding {
        let object = |kind, name: &str| ObjectRef {
            api_version: "v1",
            kind,
            namespace: "demo".into(),
            name: name.into(),
        };
        Finding {
            rule: RuleId::shipped(rule),
            level: Level::Deny,
            subject: object("StatefulSet", subject),
            class: None,
            object: object("StatefulSet", subject),
            path: path.to_owned(),
            message: "wrong".to_owned(),
            remedy: "right".to_owned(),
            related: Vec::new(),
            edits: Vec::new(),
            group: None,
            exempt: None,
            may_be_exempted: true,
            misses_companion: false,
        }
    }

    fn creation(object: &str) -> Request {
        let review = format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","operation":"CREATE",
            "resource":{{"group":"apps","resource":"statefulsets"}},"object":{object}}}}}"#
        );
        crate::admission::decode(review.as_bytes()).unwrap()
    }

    fn refused(denied: &[&Finding]) -> String {
        refusal(&creation("{}"), denied)
    }

    #[test]
    fn a_name_that_is_made_anew_each_time_is_not_one_to_annotate() {
        let one = finding("a", "zk-x7k2p", "/spec");
        let said = refusal(&creation(r#"{"metadata":{"generateName":"zk-","name":"zk-x7k2p"}}"#), &[&one]);
        assert!(
            said.contains(
                "\nTo override, annotate the StatefulSet in its manifest with stateward.dev/exempt: a"
            ),
            "{said}"
        );
    }

    #[test]
    fn each_exemption_is_named_once_and_only_where_it_would_count() {
        let (one, same, other) =
            (finding("a", "zk", "/spec"), finding("a", "zk", ""), finding("b", "zk", ""));
        let said = refused(&[&one, &same, &other]);
        assert!(said.ends_with("annotate StatefulSet demo/zk with stateward.dev/exempt: a,b and stateward.dev/exempt-reason: why."), "{said}");
        let second = finding("a", "db", "");
        assert!(
            refused(&[&one, &second]).contains("annotate each StatefulSet with stateward.dev/exempt: a and")
        );
        let forbidden = Finding { may_be_exempted: false, ..one.clone() };
        assert!(!refused(&[&forbidden]).contains("annotate"));
        assert!(refused(&[&forbidden, &other]).contains("stateward.dev/exempt: b and"));
    }

    #[test]
    fn a_long_message_leaves_the_remedy_in_the_cause() {
        let mut long = finding("a", "zk", "/spec");
        long.message = "x".repeat(2000);
        let request = creation("{}");
        let status = Status::new(&request, &[&long]);
        assert!(
            status.details.causes[0].message.ends_with("…; right"),
            "{}",
            status.details.causes[0].message
        );
    }

    #[test]
    fn a_place_that_is_no_field_is_the_object_or_nothing() {
        let own = finding("a", "zk", "");
        assert_eq!(
            refused(&[&own]).lines().take(3).collect::<Vec<_>>(),
            ["StatefulSet demo/zk", "  a: wrong", "    fix: right"]
        );
        let pod = ObjectRef { kind: "Pod", name: "zk-0".into(), ..own.object.clone() };
        assert_eq!(place(&Finding { object: pod.clone(), ..own.clone() }).unwrap(), "Pod demo/zk-0");
        let field = Finding { object: pod, path: "/spec/x".to_owned(), ..own };
        assert_eq!(place(&field).unwrap(), "spec.x of Pod demo/zk-0");
    }

    #[test]
    fn text_of_an_object_ends_no_line() {
        let mut hostile = finding("a", "zk", "/spec");
        hostile.message = "no class \u{1b}[2Jx\ny\u{85}z".to_owned();
        assert_eq!(warning(&hostile), ["a: no class \\u{1b}[2Jx\\u{a}y\\u{85}z; right"]);
        assert_eq!(refused(&[&hostile]).lines().nth(1), Some("  a: no class \\u{1b}[2Jx\\u{a}y\\u{85}z"));
        hostile.message = "x\t".repeat(300);
        assert!(warning(&hostile).iter().all(|line| !line.contains(char::is_control)));
    }
}
