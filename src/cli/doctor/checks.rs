//! The checks of an installation. Pure.

mod certificate;
mod webhooks;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use self::certificate::certificate;
use self::webhooks::{configurations, endpoints, service};
use super::coverage::coverage;
use super::facts::InstallationFacts;
use crate::api_server::ApiError;
use crate::cli::policies::Loaded;
use crate::cli::sources::has_manifest_name;
use crate::manifest::{Source, SourceOrigin};
use crate::model::PolicyDocument;

/// The oldest minor version of Kubernetes that has what the webhooks need.
const OLDEST: u32 = 30;

/// How a check ends, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckStatus {
    Ok,
    /// A choice of the administrator that is worth knowing.
    Note,
    /// It may not be read.
    Unknown,
    Warning,
    Problem,
}

impl CheckStatus {
    pub(super) const ALL: [Self; 5] = [Self::Problem, Self::Warning, Self::Unknown, Self::Note, Self::Ok];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DoctorCheck {
    pub(super) status: CheckStatus,
    /// The subject of the check.
    pub(super) about: &'static str,
    pub(super) message: String,
    /// The remedy, where there is one.
    pub(super) edit: String,
}

impl DoctorCheck {
    pub(super) fn new(
        status: CheckStatus,
        about: &'static str,
        message: String,
        edit: impl Into<String>,
    ) -> Self {
        Self { status, about, message, edit: edit.into() }
    }

    pub(super) fn ok(about: &'static str, message: String) -> Self {
        Self::new(CheckStatus::Ok, about, message, "")
    }

    fn unread(about: &'static str, what: &str, error: &ApiError) -> Self {
        Self::new(CheckStatus::Unknown, about, format!("{what} cannot be read: {error}"), "")
    }
}

/// Everything there is to say, in the order in which an installation is put right.
pub(super) fn checks(facts: &InstallationFacts, now: Timestamp) -> Vec<DoctorCheck> {
    let mut checks = vec![version(&facts.version), deployment(facts), service(facts), endpoints(facts)];
    checks.extend(image(facts));
    checks.extend(configurations(facts));
    checks.push(certificate(facts, now));
    checks.push(rights(facts));
    checks.push(policies(facts, now));
    checks.push(reached(facts));
    checks.extend(latency(facts));
    coverage(facts, &mut checks);
    checks
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn version(version: &Value) -> DoctorCheck {
    let minor = text(version, "minor").trim_end_matches('+').parse::<u32>();
    let message = format!("Kubernetes {}", text(version, "gitVersion"));
    if minor.is_ok_and(|minor| minor < OLDEST) {
        let message = format!("{message} is older than 1.{OLDEST}");
        return DoctorCheck::new(
            CheckStatus::Problem,
            "version",
            message,
            "upgrade the cluster, or do without Stateward until then",
        );
    }
    DoctorCheck::ok("version", message)
}

fn deployment(facts: &InstallationFacts) -> DoctorCheck {
    let (namespace, name) = (&facts.place.namespace, &facts.place.name);
    let what = format!("the Deployment {namespace}/{name}");
    let deployment = match &facts.deployment {
        Ok(deployment) => deployment,
        Err(ApiError::Status { code: 404, .. }) => {
            let edit = "install it (deploy/README.md), or say where it is with --namespace and --name";
            return DoctorCheck::new(
                CheckStatus::Problem,
                "deployment",
                format!("{what} does not exist"),
                edit,
            );
        }
        Err(error) => return DoctorCheck::unread("deployment", &what, error),
    };
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let ready = deployment["status"]["readyReplicas"].as_u64().unwrap_or_default();
    let message = format!("{ready} of {wanted} replicas of {what} are ready");
    let look = format!("kubectl -n {namespace} describe pods; kubectl -n {namespace} logs deploy/{name}");
    match (ready, wanted) {
        (0, _) => DoctorCheck::new(CheckStatus::Problem, "deployment", message, look),
        (ready, wanted) if ready < wanted => {
            DoctorCheck::new(CheckStatus::Warning, "deployment", message, look)
        }
        (_, 1) => {
            let message = format!("{message}: while its node is drained nothing is reviewed");
            DoctorCheck::new(
                CheckStatus::Warning,
                "deployment",
                message,
                "run two replicas, unless there is one node (docs/one-node.md)",
            )
        }
        _ => DoctorCheck::ok("deployment", message),
    }
}

/// Whether all pods run one image. In a rollout they do not.
fn image(facts: &InstallationFacts) -> Option<DoctorCheck> {
    let pods = facts.pods.as_ref().ok()?["items"].as_array()?;
    let images: BTreeSet<&str> = pods
        .iter()
        .map(|pod| text(&pod["spec"]["containers"][0], "image"))
        .filter(|i| !i.is_empty())
        .collect();
    let shown = images.iter().copied().collect::<Vec<_>>().join(", ");
    let own = env!("CARGO_PKG_VERSION");
    match images.len() {
        0 => None,
        1 => Some(DoctorCheck::ok("image", format!("{shown} (this program is {own})"))),
        _ => Some(DoctorCheck::new(
            CheckStatus::Warning,
            "image",
            format!("the pods run several images: {shown}"),
            format!(
                "wait for the rollout: kubectl -n {0} rollout status deploy/{1}",
                facts.place.namespace, facts.place.name
            ),
        )),
    }
}

fn rights(facts: &InstallationFacts) -> DoctorCheck {
    let missing: Vec<String> = facts
        .rights
        .iter()
        .filter(|(_, answer)| matches!(answer, Ok(false)))
        .map(|(right, _)| right.to_string())
        .collect();
    if !missing.is_empty() {
        let message = format!("the service account lacks rights: {}", missing.join(", "));
        return DoctorCheck::new(
            CheckStatus::Problem,
            "rights",
            message,
            "apply its roles and bindings again: deploy/base/rbac.yaml",
        );
    }
    match facts.rights.iter().find_map(|(_, answer)| answer.as_ref().err()) {
        Some(error) => DoctorCheck::unread("rights", "what the service account may do", error),
        None => {
            DoctorCheck::ok("rights", format!("the service account has all {} rights", facts.rights.len()))
        }
    }
}

fn policies(facts: &InstallationFacts, now: Timestamp) -> DoctorCheck {
    let files = match &facts.policies {
        Ok(files) => files.as_object(),
        Err(error) => return DoctorCheck::unread("policies", "the ConfigMap of the policies", error),
    };
    let objects = match &facts.policy_objects {
        Ok(objects) => objects.as_array(),
        Err(error) => return DoctorCheck::unread("policies", "StatefulSetPolicies", error),
    };
    let mut loaded = Loaded::default();
    let mut load = |name: String, text: String| {
        let source = Source::new(name, &text, SourceOrigin::Named);
        loaded.extend(Loaded::of(&Ok(source), now));
    };
    // The others are not read by the server either.
    let files = files.into_iter().flatten().filter(|(name, _)| has_manifest_name(Path::new(name)));
    for (name, text) in files {
        load(name.clone(), text.as_str().unwrap_or_default().to_owned());
    }
    for object in objects.into_iter().flatten().filter_map(|object| PolicyDocument::deserialize(object).ok())
    {
        load(format!("StatefulSetPolicy {}", object.metadata.name), object.to_json().to_string());
    }
    if !loaded.errors.is_empty() {
        let errors: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
        let message = format!("these policies are not in force: {}", errors.join("; "));
        return DoctorCheck::new(CheckStatus::Problem, "policies", message, "stateward policy check FILE");
    }
    if !loaded.warnings.is_empty() {
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        let message = format!("parts of policies have no effect: {}", warnings.join("; "));
        return DoctorCheck::new(CheckStatus::Warning, "policies", message, "stateward policy check FILE");
    }
    match loaded.policies.len() {
        0 => DoctorCheck::ok("policies", "none of your own: the profile alone decides".to_owned()),
        count => DoctorCheck::ok("policies", format!("{count} in force")),
    }
}

/// Whether the API server asks, by the answer to the creation of a set that every profile refuses.
fn reached(facts: &InstallationFacts) -> DoctorCheck {
    let (probe, namespace) = (&facts.probe, &facts.place.probe_namespace);
    let is_ours = probe.message.contains(".stateward.dev\"");
    let is_denied = is_ours && probe.message.contains("denied the request");
    if is_denied || probe.warnings.iter().any(|warning| warning.contains("name-too-long")) {
        return DoctorCheck::ok(
            "reached",
            format!("the API server asks about namespace {namespace} and is answered"),
        );
    }
    if probe.message.contains("failed calling webhook") && is_ours {
        let message = format!("the API server cannot call the webhook: {}", probe.message);
        return DoctorCheck::new(
            CheckStatus::Problem,
            "reached",
            message,
            "docs/certificates.md for x509; docs/providers.md for time-outs",
        );
    }
    if (200..300).contains(&probe.status) {
        let message = format!(
            "a StatefulSet that every profile refuses may be created in namespace {namespace}: the API server does not ask, or gets no \
             answer and failurePolicy is Ignore"
        );
        let edit = "put right what is a problem above; if nothing is, the namespace is excluded or a policy exempts it: \
                    try another with --probe-namespace; then docs/providers.md";
        return DoctorCheck::new(CheckStatus::Problem, "reached", message, edit);
    }
    let message = format!(
        "the dry run in namespace {namespace} was answered by something else: {} {}",
        probe.status, probe.message
    );
    DoctorCheck::new(CheckStatus::Unknown, "reached", message, "try another namespace with --probe-namespace")
}

/// How long a review takes beside what the API server waits for.
fn latency(facts: &InstallationFacts) -> Option<DoctorCheck> {
    let took = &facts.probe.took;
    let median = *took.get(took.len() / 2)?;
    let slowest = *took.last()?;
    let entry = &facts.validating.as_ref().ok()?["webhooks"][0];
    let limit = Duration::from_secs(entry["timeoutSeconds"].as_u64()?);
    let message = format!(
        "creating a set takes {} ms, {} ms at worst of {}; webhooks have {} s",
        median.as_millis(),
        slowest.as_millis(),
        took.len(),
        limit.as_secs()
    );
    if median * 2 > limit {
        let edit = "see whether the pods lack CPU, and how far the API server is from them (docs/sizing.md)";
        return Some(DoctorCheck::new(CheckStatus::Warning, "latency", message, edit));
    }
    Some(DoctorCheck::ok("latency", message))
}

#[cfg(test)]
mod tests;
