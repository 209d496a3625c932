//! Reading certificates and keys, and noticing that they changed.

use std::path::{Path, PathBuf};

use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::TlsError;

/// The content of a file, or the error of reading it.
type Content = Result<Vec<u8>, String>;

/// Files that belong together.
pub(super) struct Watched<const N: usize> {
    pub(super) paths: [PathBuf; N],
    seen: Option<[Content; N]>,
}

impl<const N: usize> Watched<N> {
    pub(super) fn new(paths: [PathBuf; N]) -> Self {
        Self { paths, seen: None }
    }

    /// The present content of the files.
    pub(super) async fn read(&mut self) -> Result<[&[u8]; N], TlsError> {
        let content = read_all(&self.paths).await;
        whole(&self.paths, self.seen.insert(content))
    }

    /// The content of the files if it is new; equal content, broken or not, is returned once.
    ///
    /// Two reads must agree: one that a swap of the files runs into sees halves of two generations.
    pub(super) async fn changed(&mut self) -> Option<Result<[&[u8]; N], TlsError>> {
        let content = read_all(&self.paths).await;
        if self.seen.as_ref() == Some(&content) || read_all(&self.paths).await != content {
            return None;
        }
        Some(whole(&self.paths, self.seen.insert(content)))
    }
}

async fn read_all<const N: usize>(paths: &[PathBuf; N]) -> [Content; N] {
    let mut contents = [const { Ok(Vec::new()) }; N];
    for (path, content) in paths.iter().zip(&mut contents) {
        *content = tokio::fs::read(path).await.map_err(|error| error.to_string());
    }
    contents
}

fn whole<'a, const N: usize>(
    paths: &[PathBuf; N],
    contents: &'a [Content; N],
) -> Result<[&'a [u8]; N], TlsError> {
    let mut whole = [&[] as &[u8]; N];
    for ((path, content), bytes) in paths.iter().zip(contents).zip(&mut whole) {
        *bytes = content.as_deref().map_err(|reason| wrong(path, reason.clone()))?;
    }
    Ok(whole)
}

/// A certificate with its key, from the files of these names.
pub(super) fn pair(paths: &[PathBuf; 2], [chain, key]: [&[u8]; 2]) -> Result<CertifiedKey, TlsError> {
    let [certificate_path, key_path] = paths;
    let chain = certificates(certificate_path, chain)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| wrong(key_path, format!("no private key in PEM (PKCS#8, SEC1 or RSA): {error}")))?;
    let key = ring::default_provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| wrong(key_path, format!("the key cannot be used: {error}")))?;
    let pair = CertifiedKey::new(chain, key);
    expiry(&pair).map_err(|reason| wrong(certificate_path, reason))?;
    pair.keys_match()
        .map_err(|_| TlsError::Mismatch { certificate: certificate_path.clone(), key: key_path.clone() })?;
    Ok(pair)
}

/// The CAs in this file.
pub(super) fn authorities(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate).map_err(|error| wrong(path, format!("not a CA certificate: {error}")))?;
    }
    Ok(roots)
}

/// When the certificate itself ends, in seconds since 1970.
pub(super) fn expiry(pair: &CertifiedKey) -> Result<i64, String> {
    let leaf = pair.end_entity_cert().map_err(|error| error.to_string())?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| format!("not a certificate: {error}"))?;
    Ok(leaf.validity().not_after.timestamp())
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(path, format!("not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(wrong(path, "no certificate in PEM".to_owned()));
    }
    Ok(certificates)
}

fn wrong(path: &Path, reason: String) -> TlsError {
    TlsError::File { path: path.to_owned(), reason }
}
