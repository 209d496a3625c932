//! Reads certificates and keys. Pure.

use std::{collections::BTreeSet, fmt};

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use jiff::Timestamp;
use pem::Pem;
use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// A certificate, and what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// Whom it is for.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The names and addresses that a server may be reached by.
    pub names: BTreeSet<String>,
    /// The first moment it is valid.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
    /// Whether it may sign others.
    pub is_ca: bool,
    public_key: Vec<u8>,
}

impl Certificate {
    /// Reads PEM: all certificates in it, of which there is at least one. The error is for people.
    pub fn read_all(pem: &[u8]) -> Result<Vec<Self>, String> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let read = read.map_err(|error| format!("not PEM: {error}"))?;
        if read.is_empty() {
            return Err("no certificate in PEM".to_owned());
        }
        read.into_iter().map(Self::read).collect()
    }

    /// Reads DER.
    pub fn read(der: CertificateDer<'static>) -> Result<Self, String> {
        let wrong = |error: &dyn fmt::Display| format!("not a certificate: {error}");
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| wrong(&error))?;
        let time = |seconds| Timestamp::from_second(seconds).map_err(|error| wrong(&error));
        let names = parsed.subject_alternative_name().map_err(|error| wrong(&error))?;
        let names = names.map_or(&[] as &[_], |names| &names.value.general_names);
        Ok(Self {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            names: names.iter().filter_map(name_of).collect(),
            from: time(parsed.validity().not_before.timestamp())?,
            until: time(parsed.validity().not_after.timestamp())?,
            is_ca: parsed.is_ca(),
            public_key: parsed.public_key().raw.to_vec(),
            der,
        })
    }

    /// The certificate itself.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        pem::encode(&Pem::new("CERTIFICATE", self.der.to_vec()))
    }

    /// Whether `ca` signed this one, and may.
    pub fn is_signed_by(&self, ca: &Self) -> bool {
        let (Ok((_, this)), Ok((_, by))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&ca.der))
        else {
            return false;
        };
        ca.is_ca && this.issuer() == by.subject() && this.verify_signature(Some(by.public_key())).is_ok()
    }

    /// Whether this is a moment at which it is valid.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.from <= now && now <= self.until
    }

    /// Whether the key is the one that it is about.
    pub fn fits(&self, key: &PrivateKey) -> bool {
        self.public_key == key.public
    }
}

/// Several as text, one after the other.
pub fn pem_of(certificates: &[Certificate]) -> String {
    certificates.iter().map(Certificate::pem).collect()
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} until {})", self.subject, self.until)
    }
}

/// A private key. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey {
    pem: String,
    public: Vec<u8>,
}

impl PrivateKey {
    /// Reads PEM: PKCS#8, SEC1 or RSA. The error is for people, and shows nothing of the key.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let der = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|_| "no private key in PEM (PKCS#8, SEC1 or RSA)".to_owned())?;
        let key = any_supported_type(&der).map_err(|_| "the key cannot be used".to_owned())?;
        let public = key.public_key().ok_or("the key has no public part")?.to_vec();
        let pem = String::from_utf8(pem.to_vec()).map_err(|_| "the key is not text".to_owned())?;
        Ok(Self { pem, public })
    }

    /// The private key as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// A name as certificates have it: however an address is written, it is one.
pub fn normalized(host: &str) -> String {
    host.parse::<IpAddr>().map_or_else(|_| host.to_ascii_lowercase(), |address| address.to_string())
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|octets| Ipv4Addr::from(octets).to_string());
            let v6 = || <[u8; 16]>::try_from(*bytes).map(|octets| Ipv6Addr::from(octets).to_string());
            v4.or_else(|_| v6()).ok()
        }
        _ => None,
    }
}
