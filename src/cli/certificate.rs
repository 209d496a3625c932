//! The source of the certificate of `stateward serve`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rustls::pki_types::ServerName;

use super::kubernetes::{self, ObjectArgument};
use crate::certs::authority::LOCAL_HOSTS;
use crate::certs::manager::CertificateConfig;
use crate::certs::x509::normalized;
use crate::server::tls::CertificateSource;

const SECRET: &str = "stateward-tls";

#[derive(Debug, clap::Args)]
pub(super) struct CertificateArgs {
    /// The certificate chain, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// The Secret in which all replicas keep a certificate of their own, and renew it; what is done in a cluster unless another
    /// certificate is asked for [default there: stateward-tls]
    #[arg(long, value_name = "[NAMESPACE/]NAME", conflicts_with_all = ["cert_file", "standalone", "ca_out"])]
    cert_secret: Option<ObjectArgument>,
    /// With a certificate in a Secret: the webhook configurations, validating and mutating, whose caBundle is to be kept
    #[arg(long, value_name = "NAME", default_value = "stateward")]
    webhook_configuration: String,
    /// With a certificate in a Secret: the Service that the API server calls, in the namespace of the Secret
    #[arg(long, value_name = "NAME", default_value = "stateward")]
    service_name: String,
    /// Where the CA of a self-signed certificate of this process alone is written [default: certs/ca.crt]
    #[arg(long, value_name = "FILE", conflicts_with = "cert_file")]
    ca_out: Option<PathBuf>,
    /// One more name or address in the certificate (repeatable)
    #[arg(long, value_name = "HOST", conflicts_with = "cert_file", value_parser = host)]
    host: Vec<String>,
}

/// A name or an address that a client could ask for.
pub(super) fn host(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    match ServerName::try_from(name) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("neither a DNS name, such as guard.example, nor an address".to_owned()),
    }
}

impl CertificateArgs {
    /// The certificate in a Secret, if that is where it is to be.
    pub(super) fn managed(&self, client: &kube::Client) -> Option<CertificateConfig> {
        let is_default = || self.cert_file.is_none() && self.ca_out.is_none() && kubernetes::is_in_cluster();
        let secret = match &self.cert_secret {
            Some(secret) => secret.for_client(client),
            None if is_default() => (client.default_namespace().to_owned(), SECRET.to_owned()),
            None => return None,
        };
        let hosts = self.service_hosts(&secret.0);
        Some(CertificateConfig::new(secret, self.webhook_configuration.clone(), hosts))
    }

    /// The certificate that needs no API server.
    pub(super) fn source(&self) -> CertificateSource {
        match (&self.cert_file, &self.key_file) {
            (Some(certificate), Some(key)) => {
                CertificateSource::Files { certificate: certificate.clone(), key: key.clone() }
            }
            _ => CertificateSource::SelfSigned {
                ca_out: self.ca_out.clone().unwrap_or_else(|| PathBuf::from("certs/ca.crt")),
                hosts: self.host.clone(),
            },
        }
    }

    fn service_hosts(&self, namespace: &str) -> BTreeSet<String> {
        let service = &self.service_name;
        let names = [
            service.clone(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
        ];
        let given = self.host.iter().map(String::as_str).chain(LOCAL_HOSTS);
        names.iter().map(String::as_str).chain(given).map(normalized).collect()
    }
}
