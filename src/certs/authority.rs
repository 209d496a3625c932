//! A small certificate authority of our own, for clusters and machines that bring no certificate. ECDSA P-256.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{crypto::ring, pki_types::PrivateKeyDer, pki_types::pem::PemObject, sign::CertifiedKey};

use super::x509::{Certificate, PrivateKey};

/// The names by which this machine reaches itself.
pub const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The names of the Service in the manifests that we ship.
pub const SERVICE_HOSTS: [&str; 2] = ["stateward", "stateward.stateward.svc"];

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Backdates certificates for clients whose clock is slow.
const BACKDATED: SignedDuration = DAY;
/// How long a CA is valid.
pub const CA_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// How long what it signs is valid.
pub const LEAF_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Why a certificate could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A name no certificate can carry, or a failure of the cryptography.
    #[error("cannot issue a certificate for {}: {source}", hosts.join(", "))]
    Issue {
        /// The names asked for.
        hosts: Vec<String>,
        /// The error.
        source: rcgen::Error,
    },
    /// The key or certificate of the authority could not be made.
    #[error("cannot make a certificate authority: {0}")]
    Authority(#[source] rcgen::Error),
    /// The new certificate or its key cannot be read.
    #[error("the issued certificate cannot be used: {0}")]
    Unusable(String),
    /// The clock is beyond the dates a certificate can carry.
    #[error("the date is out of range")]
    Date,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
}

impl Validity {
    /// So long from now; it begins a day earlier, for whose clock is late.
    pub fn lasting(lifetime: SignedDuration, now: Timestamp) -> Result<Self, IssueError> {
        let from = now.checked_sub(BACKDATED).map_err(|_| IssueError::Date)?;
        Ok(Self { from, until: now.checked_add(lifetime).map_err(|_| IssueError::Date)? })
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate alone.
    pub certificate: Certificate,
    /// Its key.
    pub key: PrivateKey,
}

impl Identity {
    /// A new authority.
    pub fn authority(validity: Validity) -> Result<Self, IssueError> {
        let mut params = valid(CertificateParams::default(), validity)?;
        params.distinguished_name.push(DnType::CommonName, "stateward self-signed CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(IssueError::Authority)?;
        let certificate = params.self_signed(&key).map_err(IssueError::Authority)?;
        Self::of(&certificate, &key)
    }

    /// A new server certificate for exactly these names, signed by this authority.
    pub fn issue(
        &self,
        hosts: impl IntoIterator<Item = String>,
        validity: Validity,
    ) -> Result<Self, IssueError> {
        let hosts: Vec<String> = hosts.into_iter().collect();
        let failed = |source| IssueError::Issue { hosts: hosts.clone(), source };
        let mut params = valid(CertificateParams::new(hosts.clone()).map_err(failed)?, validity)?;
        params.distinguished_name.push(DnType::CommonName, "stateward");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let signer = KeyPair::from_pem(self.key.pem()).map_err(IssueError::Authority)?;
        let signer = Issuer::from_ca_cert_der(self.certificate.der(), signer);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &signer.map_err(IssueError::Authority)?).map_err(failed)?;
        Self::of(&certificate, &key)
    }

    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Result<Self, IssueError> {
        let certificate = Certificate::read(certificate.der().clone()).map_err(IssueError::Unusable)?;
        let key = PrivateKey::read(key.serialize_pem().as_bytes()).map_err(IssueError::Unusable)?;
        Ok(Self { certificate, key })
    }

    /// The chain and key in the form that a server presents.
    pub fn certified(&self) -> Result<CertifiedKey, IssueError> {
        let unusable = |error: &dyn std::fmt::Display| IssueError::Unusable(error.to_string());
        let key =
            PrivateKeyDer::from_pem_slice(self.key.pem().as_bytes()).map_err(|error| unusable(&error))?;
        let chain = vec![self.certificate.der().clone()];
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| unusable(&error))
    }
}

fn valid(mut params: CertificateParams, validity: Validity) -> Result<CertificateParams, IssueError> {
    let time = |time: Timestamp| {
        let since_1970 = u64::try_from(time.as_second()).map_err(|_| IssueError::Date)?;
        // Four digits are all that a certificate has for the year.
        let is_in_range = time < Timestamp::from_second(253_370_764_800).unwrap_or(Timestamp::MAX);
        let time = is_in_range.then(|| date_time_ymd(1970, 1, 1) + Duration::from_secs(since_1970));
        time.ok_or(IssueError::Date)
    };
    (params.not_before, params.not_after) = (time(validity.from)?, time(validity.until)?);
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok(params)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{CA_LIFETIME, DAY, Identity, LEAF_LIFETIME, Validity};

    fn now() -> Timestamp {
        "2049-12-31T12:00:00Z".parse().unwrap()
    }

    fn authority() -> Identity {
        Identity::authority(Validity::lasting(CA_LIFETIME, now()).unwrap()).unwrap()
    }

    #[test]
    fn a_leaf_is_signed_by_the_authority_and_says_what_was_asked_for() {
        let (authority, other) = (authority(), authority());
        let validity = Validity::lasting(LEAF_LIFETIME, now()).unwrap();
        let hosts = ["guard.example", "::1", "10.0.0.1"];
        let leaf = authority.issue(hosts.map(str::to_owned), validity).unwrap();
        let (ca, leaf, key) = (authority.certificate, leaf.certificate, leaf.key);
        assert!(leaf.is_signed_by(&ca) && ca.is_signed_by(&ca), "{leaf:?}");
        assert!(!leaf.is_signed_by(&other.certificate), "the name alone is not enough");
        assert!(ca.is_ca && !leaf.is_ca);
        assert!(leaf.fits(&key) && !ca.fits(&key));
        assert_eq!(leaf.names, hosts.map(str::to_owned).into());
        assert_eq!((leaf.from, leaf.until), (validity.from, validity.until));
        assert_eq!(ca.until.duration_since(ca.from), CA_LIFETIME + DAY);
        assert!(leaf.is_valid(now()) && !leaf.is_valid(now() - 2 * DAY) && !leaf.is_valid(now() + 366 * DAY));
    }

    #[test]
    fn what_no_certificate_can_carry_is_an_error() {
        let validity = Validity::lasting(LEAF_LIFETIME, now()).unwrap();
        let error = authority().issue(["größe".to_owned()], validity).unwrap_err();
        assert!(error.to_string().starts_with("cannot issue a certificate for größe: "), "{error}");
        for now in [Timestamp::MAX, Timestamp::MIN, Timestamp::UNIX_EPOCH - SignedDuration::from_secs(1)] {
            assert!(Validity::lasting(CA_LIFETIME, now).and_then(Identity::authority).is_err(), "{now}");
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        let shown = format!("{:?}", authority());
        assert!(!shown.contains("BEGIN") && shown.contains("stateward self-signed CA"), "{shown}");
    }
}
