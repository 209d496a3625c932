//! Which certificate is presented and which clients are let in; both follow their files while the server runs.
//!
//! Files are compared by content on a timer. Kubernetes replaces a mounted Secret by swapping a symlink, which a file
//! watch loses track of after the first time.

mod files;
mod refresh;

use std::{fmt, io, path::PathBuf, sync::Arc};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
    },
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    certs::{Provided, authority},
    process::Gate,
};

pub(super) use refresh::{Refresher, load};

/// The source of the certificate.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// PEM files, taken up again whenever their content changes.
    Files {
        /// The certificate, then whatever leads from it to a CA.
        certificate: PathBuf,
        /// Its private key: PKCS#8, SEC1 or RSA.
        key: PathBuf,
    },
    /// A CA of our own, new at each start. Its certificate is written where clients can read it.
    SelfSigned {
        /// The path that the CA's certificate is written to.
        ca_out: PathBuf,
        /// More names to be valid for than [`authority::LOCAL_HOSTS`] and [`authority::SERVICE_HOSTS`].
        hosts: Vec<String>,
    },
    /// A certificate that another task provides. No handshake succeeds before that.
    Provided(Provided),
}

impl Default for CertificateSource {
    fn default() -> Self {
        Self::SelfSigned { ca_out: PathBuf::from("certs/ca.crt"), hosts: Vec::new() }
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, or holds something else than it should.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error in it.
        reason: String,
    },
    /// Each file is fine, but they do not belong together.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// No self-signed certificate.
    #[error(transparent)]
    SelfSigned(#[from] authority::IssueError),
    /// The CA's certificate cannot be left for clients.
    #[error("cannot write the CA certificate to {}", path.display())]
    Write {
        /// The path that it was to be written to.
        path: PathBuf,
        /// Why it did not.
        source: io::Error,
    },
    /// The cryptography at hand does not do what is asked of it.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// The clients' CAs cannot be used.
    #[error("clients cannot be verified: {0}")]
    Clients(#[from] VerifierBuilderError),
}

/// Takes up connections with whatever is current.
#[derive(Clone)]
pub(super) struct Acceptors(Arc<ArcSwap<ServerConfig>>);

impl Acceptors {
    fn new(config: ServerConfig) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(config)))
    }

    pub(super) fn current(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }

    fn replace(&self, config: ServerConfig) {
        self.0.store(Arc::new(config));
    }
}

/// The certificate in use.
struct Resolver {
    pair: ArcSwapOption<CertifiedKey>,
    /// Open as soon as there is one.
    ready: Gate,
}

impl Resolver {
    fn present(&self, pair: Arc<CertifiedKey>) {
        self.pair.store(Some(pair));
        self.ready.open();
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.pair.load_full()
    }
}

fn server_config(resolver: Arc<Resolver>, clients: Option<RootCertStore>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
        ),
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // The API server never resumes a session: tickets and storage would be wasted work.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}
