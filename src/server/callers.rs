//! Who may ask.
//!
//! Anything in the cluster that reaches the port can send a review of its own making. The API server proves itself by a client
//! certificate (`--client-ca-file` with `--client-name`) or by a secret in the path of the webhook's URL (`--path-token-file`),
//! which only those who may read the webhook configurations can know. Where neither is asked for, everything is answered: the
//! answer can then say of the objects of a namespace what the rules say of them. What remains where one is asked for: those who
//! may read webhook configurations, or have the API server's client key.

use std::fmt;

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

/// The proof that a client must give.
#[derive(Clone, Default)]
pub struct Callers {
    /// The names of which the certificate must have one, as its common name or as one of its alternative names. Where there are
    /// none, each certificate that the CA has signed will do.
    pub names: Vec<String>,
    /// The last segment of the path. Where it is `None`, there is none.
    pub token: Option<String>,
}

impl fmt::Debug for Callers {
    /// Without the token, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "...");
        f.debug_struct("Callers").field("names", &self.names).field("token", &token).finish()
    }
}

impl Callers {
    /// Whether a connection with these certificates, which are verified, may ask.
    pub(super) fn accept(&self, certificates: Option<&[CertificateDer<'_>]>) -> bool {
        self.names.is_empty() || certificates.and_then(<[_]>::first).is_some_and(|one| self.is_named(one))
    }

    fn is_named(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return false };
        let is_one = |name: &str| self.names.iter().any(|wanted| wanted == name);
        let mut common = certificate.subject().iter_common_name();
        if common.any(|name| name.as_str().is_ok_and(is_one)) {
            return true;
        }
        let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return false };
        alternative.value.general_names.iter().any(|name| match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
                is_one(name)
            }
            _ => false,
        })
    }

    /// Whether a path ends in the token, where there is one. It takes as long for every wrong one of that length.
    pub(super) fn know(&self, path: &str) -> bool {
        let Some(token) = &self.token else { return true };
        let given = path.rsplit('/').next().unwrap_or_default();
        let pairs = token.bytes().zip(given.bytes());
        given.len() == token.len() && pairs.fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_not_printed() {
        let callers = Callers { names: vec!["kube-apiserver".to_owned()], token: Some("s3cret".to_owned()) };
        let config = crate::server::ServeConfig { callers, ..Default::default() };
        let printed = format!("{config:?}");
        assert!(printed.contains("kube-apiserver") && !printed.contains("s3cret"), "{printed}");
    }

    #[test]
    fn a_path_has_to_end_in_the_whole_token() {
        let callers = Callers { token: Some("abc".to_owned()), ..Callers::default() };
        for (path, known) in [
            ("/validate/abc", true),
            ("/validate/abd", false),
            ("/validate/ab", false),
            ("/validate/abcd", false),
            ("/validate", false),
            ("/validate/", false),
        ] {
            assert_eq!(callers.know(path), known, "{path}");
        }
        assert!(Callers::default().know("/validate"));
    }
}
