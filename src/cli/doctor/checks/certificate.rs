//! Whether the API server trusts the certificate.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use serde_json::Value;

use super::super::facts::{Certificates, InstallationFacts};
use super::{CheckStatus, DoctorCheck, text};
use crate::certs::x509::Certificate;

/// A certificate that was not renewed by then.
const SOON: SignedDuration = SignedDuration::from_hours(24);

/// The CAs that the API server trusts, for each entry of both configurations.
fn bundles(facts: &InstallationFacts) -> Vec<(&str, Vec<Certificate>)> {
    let configurations = [&facts.validating, &facts.mutating].into_iter().flatten();
    let entries =
        configurations.flat_map(|configuration| configuration["webhooks"].as_array().into_iter().flatten());
    let bundle = |entry: &Value| {
        let pem = serde_json::from_value::<ByteString>(entry["clientConfig"]["caBundle"].clone());
        Certificate::read_all(&pem.map(|pem| pem.0).unwrap_or_default()).unwrap_or_default()
    };
    entries.map(|entry| (text(entry, "name"), bundle(entry))).collect()
}

/// Whether the API server trusts the certificate that is presented, under the name that it calls.
pub(super) fn certificate(facts: &InstallationFacts, now: Timestamp) -> DoctorCheck {
    let bundles = bundles(facts);
    let empty: Vec<&str> =
        bundles.iter().filter(|(_, bundle)| bundle.is_empty()).map(|(name, _)| *name).collect();
    let pages = "docs/certificates.md says what writes caBundle, and how to write it by hand";
    if !empty.is_empty() {
        let message =
            format!("caBundle is empty in {}: the API server trusts no certificate there", empty.join(", "));
        return DoctorCheck::new(CheckStatus::Problem, "certificate", message, pages);
    }
    let Certificates { secret, leaf, .. } = match &facts.certificates {
        Ok(certificates) => certificates,
        Err(error) => return DoctorCheck::unread("certificate", "the Secret of the certificate", error),
    };
    let Some(leaf) = leaf else {
        return DoctorCheck::new(
            CheckStatus::Problem,
            "certificate",
            format!("the Secret {secret} has no certificate in tls.crt"),
            pages,
        );
    };
    let untrusted: Vec<&str> = bundles
        .iter()
        .filter(|(_, bundle)| !bundle.iter().any(|ca| leaf.is_signed_by(ca)))
        .map(|(name, _)| *name)
        .collect();
    if !untrusted.is_empty() {
        let message = format!(
            "caBundle of {} has no CA that signed the certificate in the Secret {secret}",
            untrusted.join(", ")
        );
        return DoctorCheck::new(CheckStatus::Problem, "certificate", message, pages);
    }
    let host = format!("{}.{}.svc", facts.place.name, facts.place.namespace);
    if !leaf.names.contains(&host) {
        let message =
            format!("the certificate in the Secret {secret} is not for {host}, which the API server calls");
        return DoctorCheck::new(
            CheckStatus::Problem,
            "certificate",
            message,
            format!("issue it for {host}"),
        );
    }
    let until = leaf.until;
    if !leaf.is_valid(now) {
        let message = format!(
            "the certificate in the Secret {secret} is valid from {} to {until}, and it is {now}",
            leaf.from
        );
        return DoctorCheck::new(CheckStatus::Problem, "certificate", message, pages);
    }
    if until.duration_since(now) < SOON {
        let message =
            format!("the certificate in the Secret {secret} ends at {until} and has not been renewed");
        return DoctorCheck::new(CheckStatus::Warning, "certificate", message, pages);
    }
    DoctorCheck::ok(
        "certificate",
        format!("caBundle trusts the certificate in the Secret {secret}, which ends at {until}"),
    )
}
