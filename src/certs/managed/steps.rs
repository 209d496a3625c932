//! Taking a step. Pure but for the randomness of new keys.

use jiff::Timestamp;

use super::{BTreeSet, CertificateState, CertificateStep, Leaf, Lifetimes, SecretContent};
use crate::certs::authority::{Identity, IssueError, Validity};
use crate::certs::x509::Certificate;

/// The content of the Secret after a step; `read` is its present content.
pub fn carry_out(
    step: CertificateStep,
    read: Option<&SecretContent>,
    state: &CertificateState,
    now: Timestamp,
) -> Result<SecretContent, IssueError> {
    let content = read.cloned().unwrap_or_default();
    let held = state.held().cloned().unwrap_or_default();
    match step {
        CertificateStep::Keep => Ok(content),
        CertificateStep::Restore => Ok(with(held, &content.bundle, state.lifetimes, now)),
        CertificateStep::Merge => Ok(with(content, &held.bundle, state.lifetimes, now)),
        CertificateStep::Establish => establish(content, state, now),
        CertificateStep::PrepareCa => prepare(content, state.lifetimes, now),
        CertificateStep::Promote => promote(content, state, now),
        CertificateStep::IssueLeaf => renew(content, state, now),
    }
}

/// With these CAs too.
fn with(
    mut content: SecretContent,
    others: &[Certificate],
    lifetimes: Lifetimes,
    now: Timestamp,
) -> SecretContent {
    for ca in others.iter().filter(|ca| !lifetimes.is_past(ca, now)) {
        if !content.bundle.contains(ca) {
            content.bundle.push(ca.clone());
        }
    }
    content
}

fn establish(
    mut content: SecretContent,
    state: &CertificateState,
    now: Timestamp,
) -> Result<SecretContent, IssueError> {
    let ca = Identity::authority(ca_validity(&content, state.lifetimes, now)?)?;
    content.bundle.push(ca.certificate.clone());
    content.leaf = Some(issue(&ca, None, &state.hosts, state.lifetimes, now)?);
    content.signer = Some(ca);
    content.next = None;
    Ok(content)
}

/// CAs that expired long ago are taken out at the same time.
fn prepare(
    mut content: SecretContent,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<SecretContent, IssueError> {
    let ca = Identity::authority(ca_validity(&content, lifetimes, now)?)?;
    let signs = content.signer.as_ref().map(|signer| &signer.certificate);
    let has_signed = content.leaf.as_ref().map(|leaf| &leaf.ca);
    content.bundle.retain(|ca| !lifetimes.is_past(ca, now) || [signs, has_signed].contains(&Some(ca)));
    content.bundle.push(ca.certificate.clone());
    content.next = Some(ca);
    Ok(content)
}

fn promote(
    mut content: SecretContent,
    state: &CertificateState,
    now: Timestamp,
) -> Result<SecretContent, IssueError> {
    let Some(ca) = content.next.take() else { return Ok(content) };
    let before = content.leaf.as_ref().map(|leaf| &leaf.identity.certificate);
    content.leaf = Some(issue(&ca, before, &state.hosts, state.lifetimes, now)?);
    content.signer = Some(ca);
    Ok(content)
}

fn renew(
    mut content: SecretContent,
    state: &CertificateState,
    now: Timestamp,
) -> Result<SecretContent, IssueError> {
    let Some(ca) = &content.signer else { return Ok(content) };
    let before = content.leaf.as_ref().map(|leaf| &leaf.identity.certificate);
    let mut hosts = state.hosts.clone();
    // Replicas that want other names, as in a rollout, must not issue against each other.
    hosts.extend(
        before
            .filter(|before| !state.hosts.is_subset(&before.names))
            .into_iter()
            .flat_map(|before| before.names.clone()),
    );
    content.leaf = Some(issue(ca, before, &hosts, state.lifetimes, now)?);
    Ok(content)
}

fn issue(
    ca: &Identity,
    before: Option<&Certificate>,
    hosts: &BTreeSet<String>,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<Leaf, IssueError> {
    let validity = leaf_validity(&ca.certificate, before, lifetimes, now)?;
    Ok(Leaf { identity: ca.issue(hosts.iter().cloned(), validity)?, ca: ca.certificate.clone() })
}

/// A lifetime at least as long as that of the CAs that it replaces.
fn ca_validity(
    content: &SecretContent,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<Validity, IssueError> {
    let signing = content.signer.iter().chain(&content.next).map(|identity| &identity.certificate);
    let mut validity = Validity::lasting(lifetimes.ca, now)?;
    for before in signing.chain(content.leaf.as_ref().map(|leaf| &leaf.ca)) {
        validity.from = validity.from.min(before.from);
        validity.until = validity.until.max(before.until);
    }
    Ok(validity)
}

/// Not longer than the validity of the CA. It begins with it, so that clients with slow clocks accept the leaf.
pub(super) fn leaf_validity(
    ca: &Certificate,
    before: Option<&Certificate>,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<Validity, IssueError> {
    let until = Validity::lasting(lifetimes.leaf, now)?.until;
    let until = before.map_or(until, |before| until.max(before.until));
    Ok(Validity { from: ca.from, until: until.min(ca.until) })
}
