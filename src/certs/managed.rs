//! The Secret that all replicas share: what is in it, and what is to be done about it. Pure.
//!
//! ```text
//! tls.crt, tls.key   the serving certificate               ca.crt        every CA that is to be trusted
//! ca.key             of the CA that signs it               next-ca.key   of the CA that is to sign next
//! ```
//!
//! A CA is replaced in steps, so that no replica presents a certificate that the API server does not trust yet:
//!
//! ```text
//! PrepareCa: into ca.crt with it ─▶ both webhook configurations carry it ─▶ Promote: it signs from now on
//! ```
//!
//! The old one stays in `ca.crt` until a CA is prepared after it has expired; no leaf outlives the CA that signed it.
//!
//! A new certificate is valid at least as long as the one that it replaces, in both directions. So a replica whose clock is
//! wrong can cause work, but cannot put anything into use that is not valid for the others, and they need not undo it.

mod state;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;

use super::{
    authority::Identity,
    x509::{Certificate, PrivateKey, pem_of},
};

pub use state::{CertificateState, CertificateStep, Lifetimes};
pub use steps::carry_out;

/// The data of a Secret.
pub type Data = BTreeMap<String, ByteString>;

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const BUNDLE: &str = "ca.crt";
const SIGNER_KEY: &str = "ca.key";
const NEXT_KEY: &str = "next-ca.key";

/// The content of the Secret; missing and broken parts are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretContent {
    /// Every CA that is to be trusted.
    pub bundle: Vec<Certificate>,
    /// The one of them that signs.
    pub signer: Option<Identity>,
    /// The one of them that is to sign when it is trusted.
    pub next: Option<Identity>,
    /// The serving certificate, signed by one of them.
    pub leaf: Option<Leaf>,
}

/// A serving certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate.
    pub identity: Identity,
    /// Who signed it.
    pub ca: Certificate,
}

impl SecretContent {
    /// Reads it, and tells people what is wrong with it.
    pub fn read(data: &Data) -> (Self, Vec<String>) {
        let mut defects = Vec::new();
        let bundle: Vec<Certificate> = noted(certificates(data, BUNDLE), &mut defects)
            .unwrap_or_default()
            .into_iter()
            .filter(|ca| ca.is_ca)
            .collect();
        let signer = noted(authority(data, SIGNER_KEY, &bundle), &mut defects);
        let is_next = data.contains_key(NEXT_KEY);
        let next = is_next.then(|| noted(authority(data, NEXT_KEY, &bundle), &mut defects)).flatten();
        let leaf = noted(leaf(data, &bundle), &mut defects);
        (Self { bundle, signer, next, leaf }, defects)
    }

    /// Writes it into a Secret's data; what else is there stays.
    pub fn write(&self, data: &mut Data) {
        let leaf = self.leaf.as_ref().map(|leaf| &leaf.identity);
        let key =
            |identity: &Option<Identity>| identity.as_ref().map(|identity| identity.key.pem().to_owned());
        let parts = [
            (CERTIFICATE, leaf.map(|leaf| leaf.certificate.pem())),
            (KEY, leaf.map(|leaf| leaf.key.pem().to_owned())),
            (BUNDLE, Some(pem_of(&self.bundle))),
            (SIGNER_KEY, key(&self.signer)),
            (NEXT_KEY, key(&self.next)),
        ];
        for (name, text) in parts {
            match text {
                Some(text) => drop(data.insert(name.to_owned(), ByteString(text.into_bytes()))),
                None => drop(data.remove(name)),
            }
        }
    }

    /// Whether there is everything that it takes to serve and to go on.
    pub fn has_all_objects(&self) -> bool {
        self.signer.is_some() && self.leaf.is_some()
    }
}

fn noted<T>(read: Result<T, String>, defects: &mut Vec<String>) -> Option<T> {
    read.map_err(|defect| defects.push(defect)).ok()
}

fn part<'a>(data: &'a Data, name: &str) -> Result<&'a [u8], String> {
    let part = data.get(name).map(|part| &*part.0).filter(|part| !part.is_empty());
    part.ok_or_else(|| format!("{name} is missing"))
}

fn certificates(data: &Data, name: &str) -> Result<Vec<Certificate>, String> {
    Certificate::read_all(part(data, name)?).map_err(|error| format!("{name}: {error}"))
}

fn key(data: &Data, name: &str) -> Result<PrivateKey, String> {
    PrivateKey::read(part(data, name)?).map_err(|error| format!("{name}: {error}"))
}

/// The CA that this key is of.
fn authority(data: &Data, name: &str, bundle: &[Certificate]) -> Result<Identity, String> {
    let key = key(data, name)?;
    match bundle.iter().find(|ca| ca.fits(&key)) {
        Some(ca) => Ok(Identity { certificate: ca.clone(), key }),
        None => Err(format!("{name} belongs to no CA in {BUNDLE}")),
    }
}

fn leaf(data: &Data, bundle: &[Certificate]) -> Result<Leaf, String> {
    let certificate = certificates(data, CERTIFICATE)?.swap_remove(0);
    let key = key(data, KEY)?;
    if !certificate.fits(&key) {
        return Err(format!("{KEY} does not belong to {CERTIFICATE}"));
    }
    let ca = bundle
        .iter()
        .find(|ca| certificate.is_signed_by(ca))
        .cloned()
        .ok_or_else(|| format!("{CERTIFICATE} is signed by no CA in {BUNDLE}"))?;
    Ok(Leaf { identity: Identity { certificate, key }, ca })
}

#[cfg(test)]
mod tests;
