//! Checks certificates and keys that are to be used together. Pure.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use super::x509::{Certificate, PrivateKey};

/// A certificate that is renewed by hand should be renewed by then.
const SOON: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Certificates and keys, each with where it was found.
#[derive(Debug, Default)]
pub struct CertificateInventory {
    certificates: Vec<(String, Certificate)>,
    keys: Vec<(String, PrivateKey)>,
}

/// The result of the checks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Each certificate, for people to read.
    pub text: String,
    /// The errors, a line each.
    pub findings: Vec<String>,
}

impl CertificateInventory {
    /// Adds what is in a PEM file: certificates, a key, or both. The error is for people.
    pub fn add(&mut self, origin: &str, pem: &[u8]) -> Result<(), String> {
        let key = PrivateKey::read(pem);
        match Certificate::read_all(pem) {
            Ok(read) => self.certificates.extend(read.into_iter().map(|read| (origin.to_owned(), read))),
            Err(error) if has_certificate(pem) => return Err(format!("{origin}: {error}")),
            Err(error) if key.is_err() => return Err(format!("{origin}: {error}, and no key either")),
            Err(_) => {}
        }
        self.keys.extend(key.ok().map(|key| (origin.to_owned(), key)));
        Ok(())
    }

    /// Whether there is no certificate.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Looks at all of it.
    pub fn inspect(&self, now: Timestamp) -> Inspection {
        let mut inspection = Inspection::default();
        for (origin, certificate) in &self.certificates {
            self.show(&mut inspection.text, origin, certificate);
            let wrong = self.wrong_with(certificate, now);
            inspection.findings.extend(wrong.iter().map(|wrong| format!("{origin}: {wrong}")));
        }
        let strays = self
            .keys
            .iter()
            .filter(|(_, key)| !self.certificates.iter().any(|(_, certificate)| certificate.fits(key)));
        inspection.findings.extend(
            strays.map(|(origin, _)| format!("{origin}: the key belongs to none of these certificates")),
        );
        inspection
    }

    fn show(&self, text: &mut String, origin: &str, certificate: &Certificate) {
        let what = if certificate.is_ca { "a CA" } else { "a certificate" };
        let key = self.keys.iter().find(|(_, key)| certificate.fits(key));
        let signer =
            self.signer(certificate).map_or_else(String::new, |(origin, _)| format!(" (in {origin})"));
        let names = certificate.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        // Nothing fails that is written to a String.
        let _ = writeln!(text, "{origin}: {what}, {}", certificate.subject);
        let _ = writeln!(text, "  issued by  {}{signer}", certificate.issuer);
        let _ = writeln!(text, "  valid      {} to {}", certificate.from, certificate.until);
        if !certificate.is_ca {
            let _ = writeln!(text, "  names      {}", if names.is_empty() { "none" } else { &names });
        }
        let _ = writeln!(text, "  key        {}", key.map_or("not here", |(origin, _)| origin));
    }

    fn wrong_with(&self, certificate: &Certificate, now: Timestamp) -> Vec<String> {
        let mut wrong = Vec::new();
        let (from, until) = (certificate.from, certificate.until);
        if now < from {
            wrong.push(format!("is not valid before {from}"));
        } else if until < now {
            wrong.push(format!("has expired at {until}"));
        } else if until.duration_since(now) < SOON {
            wrong.push(format!("expires soon, at {until}"));
        }
        if !certificate.is_ca && certificate.names.is_empty() {
            wrong.push("has no name that a server could be reached by".to_owned());
        }
        let has_cas = self.certificates.iter().any(|(_, other)| other.is_ca);
        if !certificate.is_ca && has_cas && self.signer(certificate).is_none() {
            wrong.push("is signed by none of these CAs".to_owned());
        }
        wrong
    }

    fn signer(&self, certificate: &Certificate) -> Option<&(String, Certificate)> {
        self.certificates.iter().find(|(_, ca)| certificate.is_signed_by(ca))
    }
}

/// Whether a text claims to have one.
fn has_certificate(pem: &[u8]) -> bool {
    let mark = b"-----BEGIN CERTIFICATE-----";
    pem.windows(mark.len()).any(|part| part == mark)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::CertificateInventory;
    use crate::certs::authority::{Identity, LEAF_LIFETIME, Validity};

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn now() -> Timestamp {
        "2026-05-01T12:00:00Z".parse().unwrap()
    }

    fn validity() -> Validity {
        Validity::lasting(LEAF_LIFETIME, now()).unwrap()
    }

    fn inventory(parts: &[(&str, &str)]) -> CertificateInventory {
        let mut inventory = CertificateInventory::default();
        for (origin, pem) in parts {
            inventory.add(origin, pem.as_bytes()).unwrap();
        }
        inventory
    }

    #[test]
    fn what_fits_together_is_shown_and_what_does_not_is_found() {
        let [ca, other] = [(); 2].map(|()| Identity::authority(validity()).unwrap());
        let leaf = ca.issue(["localhost".to_owned(), "a.example".to_owned()], validity()).unwrap();
        let (ca_pem, other_pem, leaf_pem) =
            (ca.certificate.pem(), other.certificate.pem(), leaf.certificate.pem());
        let good = [("ca.crt", &*ca_pem), ("tls.crt", &leaf_pem), ("tls.key", leaf.key.pem())];
        let inspection = inventory(&good).inspect(now());
        assert_eq!(inspection.findings, [""; 0]);
        insta::assert_snapshot!(inspection.text);

        let found = |parts: &[(&str, &str)], days: i32| inventory(parts).inspect(now() + days * DAY).findings;
        assert_eq!(found(&[("tls.crt", &leaf_pem)], 0), [""; 0], "of a CA that is not here nothing is known");
        assert_eq!(
            found(
                &[
                    ("other.crt", &other_pem),
                    ("tls.crt", &leaf_pem),
                    ("other.key", other.key.pem()),
                    ("ca.key", ca.key.pem())
                ],
                0
            ),
            [
                "tls.crt: is signed by none of these CAs",
                "ca.key: the key belongs to none of these certificates"
            ]
        );
        for (days, finding) in [
            (340, "tls.crt: expires soon, at 2027-05-01T12:00:00Z"),
            (366, "tls.crt: has expired at 2027-05-01T12:00:00Z"),
            (-2, "tls.crt: is not valid before 2026-04-30T12:00:00Z"),
        ] {
            assert_eq!(found(&[("tls.crt", &leaf_pem)], days), [finding]);
        }
        let nameless = ca.issue([], validity()).unwrap().certificate.pem();
        assert_eq!(found(&[("x", &nameless)], 0), ["x: has no name that a server could be reached by"]);
    }

    #[test]
    fn a_file_that_is_neither_is_an_error_that_shows_nothing_of_it() {
        let error = CertificateInventory::default().add("x.pem", b"secret words").unwrap_err();
        assert_eq!(error, "x.pem: no certificate in PEM, and no key either");
    }
}
