//! A small certificate authority of our own, for clusters and machines that bring no certificate.

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The names every leaf is valid for.
pub const HOSTS: [&str; 5] = ["localhost", "127.0.0.1", "::1", "stateward", "stateward.stateward.svc"];

const CA_YEARS: i64 = 10;
const LEAF_YEARS: i64 = 1;

/// Why a certificate could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A name no certificate can carry, or a failure of the cryptography.
    #[error("cannot issue a certificate for {hosts:?}")]
    Issue {
        /// The names asked for.
        hosts: Vec<String>,
        /// What is wrong.
        source: rcgen::Error,
    },
    /// The key or certificate of the authority could not be made.
    #[error("cannot make a certificate authority")]
    Authority(#[source] rcgen::Error),
    /// The clock is beyond the dates a certificate can carry.
    #[error("the date is out of range")]
    Date(#[from] jiff::Error),
}

/// A certificate authority whose key exists only in memory.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
#[derive(Debug)]
pub struct Leaf {
    /// The certificate alone: clients know the authority.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    /// A new ECDSA P-256 authority, valid for ten years.
    pub fn new(now: Timestamp) -> Result<Self, IssueError> {
        let mut params = valid_for(CertificateParams::default(), now, CA_YEARS)?;
        params.distinguished_name.push(DnType::CommonName, "stateward self-signed CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(IssueError::Authority)?;
        CertifiedIssuer::self_signed(params, key).map(Self).map_err(IssueError::Authority)
    }

    /// The authority's certificate, for `caBundle`.
    pub fn certificate_pem(&self) -> String {
        self.0.pem()
    }

    /// A server certificate for [`HOSTS`] and these names, valid for a year.
    pub fn issue(&self, hosts: &[String], now: Timestamp) -> Result<Leaf, IssueError> {
        let failed = |source| IssueError::Issue { hosts: hosts.to_vec(), source };
        let names: Vec<String> =
            HOSTS.iter().map(|host| (*host).to_owned()).chain(hosts.iter().cloned()).collect();
        let mut params = valid_for(CertificateParams::new(names).map_err(failed)?, now, LEAF_YEARS)?;
        params.distinguished_name.push(DnType::CommonName, "stateward");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.0).map_err(failed)?.der().clone();
        Ok(Leaf { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() })
    }
}

/// From yesterday, for clients whose clock is late.
fn valid_for(
    mut params: CertificateParams,
    now: Timestamp,
    years: i64,
) -> Result<CertificateParams, IssueError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let midnight = |date: Date| {
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = midnight(today.yesterday()?);
    params.not_after = midnight(today.checked_add(Span::new().try_years(years)?)?);
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok(params)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use x509_parser::{certificate::X509Certificate, prelude::FromDer};

    use super::Authority;

    const DAY: i64 = 24 * 3600;

    #[test]
    fn a_leaf_is_signed_by_the_authority_and_lasts_a_year() {
        let now: Timestamp = "2028-02-29T12:00:00Z".parse().unwrap();
        let authority = Authority::new(now).unwrap();
        let leaf = authority.issue(&["guard.example".into()], now).unwrap();
        let (_, leaf) = X509Certificate::from_der(&leaf.certificate).unwrap();
        let (_, ca) = X509Certificate::from_der(authority.0.der()).unwrap();
        assert_eq!(leaf.issuer(), ca.subject());
        assert!(ca.is_ca() && !leaf.is_ca());
        let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names.len(), 6);
        let days = |end: i64| (end - now.as_second()) / DAY;
        assert_eq!(days(leaf.validity().not_after.timestamp()), 364);
        assert_eq!(days(ca.validity().not_after.timestamp()), 3651);
        assert!(leaf.validity().not_before.timestamp() < now.as_second());
    }

    #[test]
    fn a_name_no_certificate_can_carry_is_an_error() {
        let now = Timestamp::now();
        assert!(Authority::new(now).unwrap().issue(&["größe".into()], now).is_err());
    }
}
