//! Loading at start, and keeping up.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::{RootCertStore, sign::CertifiedKey};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{
    Acceptors, CertificateSource, Provided, Resolver, TlsError,
    files::{self, Watched},
    server_config,
};
use crate::{
    certs::{
        self,
        authority::{self, CA_LIFETIME, LEAF_LIFETIME, LOCAL_HOSTS, SERVICE_HOSTS, Validity},
    },
    process::Gate,
    server::Metrics,
};

/// A self-signed certificate is issued anew this long before it ends: a third of its year.
const RENEW_BEFORE: i64 = 120 * 24 * 3600;

enum ServerIdentity {
    Files(Watched<2>),
    SelfSigned { authority: Box<authority::Identity>, hosts: Vec<String>, renew_at: i64 },
    Provided(Provided),
}

impl ServerIdentity {
    /// Waits for the next certificate of the manager. Files are polled: for these it never ends.
    async fn changed(&mut self) {
        if let Self::Provided(Provided(provided)) = self
            && provided.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Keeps the acceptors up to date.
pub(in crate::server) struct Refresher {
    identity: ServerIdentity,
    clients: Option<Watched<1>>,
    resolver: Arc<Resolver>,
    acceptors: Acceptors,
    metrics: Arc<Metrics>,
}

/// Loads everything once. At the start a broken file is an error; later the last good one stays in use.
pub(in crate::server) async fn load(
    source: &CertificateSource,
    client_ca: Option<&Path>,
    metrics: Arc<Metrics>,
    ready: Gate,
) -> Result<(Acceptors, Refresher), TlsError> {
    let (identity, pair) = match source {
        CertificateSource::Files { certificate, key } => {
            from_files([certificate.clone(), key.clone()]).await.map(|(files, pair)| (files, Some(pair)))?
        }
        CertificateSource::SelfSigned { ca_out, hosts } => {
            self_signed(ca_out, hosts).map(|(authority, pair)| (authority, Some(pair)))?
        }
        CertificateSource::Provided(provided) => provided_by(provided.clone()),
    };
    let (clients, roots) = match client_ca {
        None => (None, None),
        Some(path) => from_client_ca(path.to_owned()).await.map(|(file, roots)| (Some(file), Some(roots)))?,
    };
    let resolver = Arc::new(Resolver { pair: ArcSwapOption::empty(), ready });
    if let Some(pair) = pair {
        note_expiry(&pair, &metrics);
        resolver.present(pair);
    }
    let acceptors = Acceptors::new(server_config(Arc::clone(&resolver), roots)?);
    let refresher = Refresher { identity, clients, resolver, acceptors: acceptors.clone(), metrics };
    Ok((acceptors, refresher))
}

async fn from_files(paths: [PathBuf; 2]) -> Result<(ServerIdentity, Arc<CertifiedKey>), TlsError> {
    let mut files = Watched::new(paths.clone());
    let pair = files::pair(&paths, files.read().await?)?;
    Ok((ServerIdentity::Files(files), Arc::new(pair)))
}

fn self_signed(ca_out: &Path, hosts: &[String]) -> Result<(ServerIdentity, Arc<CertifiedKey>), TlsError> {
    let authority = authority::Identity::authority(Validity::lasting(CA_LIFETIME, Timestamp::now())?)?;
    let hosts: Vec<String> = LOCAL_HOSTS
        .iter()
        .chain(&SERVICE_HOSTS)
        .map(ToString::to_string)
        .chain(hosts.iter().cloned())
        .collect();
    let (pair, renew_at) = issue(&authority, &hosts)?;
    certs::write_atomically(ca_out, authority.certificate.pem().as_bytes())
        .map_err(|source| TlsError::Write { path: ca_out.to_owned(), source })?;
    tracing::info!(ca = %ca_out.display(), "certificate issued by a CA of our own");
    Ok((ServerIdentity::SelfSigned { authority: Box::new(authority), hosts, renew_at }, pair))
}

fn provided_by(mut provided: Provided) -> (ServerIdentity, Option<Arc<CertifiedKey>>) {
    let pair = provided.0.borrow_and_update().clone();
    (ServerIdentity::Provided(provided), pair)
}

async fn from_client_ca(path: PathBuf) -> Result<(Watched<1>, RootCertStore), TlsError> {
    let mut file = Watched::new([path.clone()]);
    let [pem] = file.read().await?;
    let roots = files::authorities(&path, pem)?;
    Ok((file, roots))
}

fn issue(
    authority: &authority::Identity,
    hosts: &[String],
) -> Result<(Arc<CertifiedKey>, i64), authority::IssueError> {
    let leaf = authority.issue(hosts.to_vec(), Validity::lasting(LEAF_LIFETIME, Timestamp::now())?)?;
    let renew_at = leaf.certificate.until.as_second() - RENEW_BEFORE;
    Ok((Arc::new(leaf.certified()?), renew_at))
}

fn note_expiry(pair: &CertifiedKey, metrics: &Metrics) {
    let Ok(expiry) = files::expiry(pair) else { return };
    metrics.certificate_expires(expiry);
    if expiry <= Timestamp::now().as_second() {
        tracing::warn!("the certificate has expired");
    }
}

impl Refresher {
    /// Compares again and again; ends only when dropped.
    pub(in crate::server) async fn run(mut self, every: Duration) {
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.identity.changed() => {}
            }
            self.refresh_identity().await;
            self.refresh_clients().await;
        }
    }

    async fn refresh_identity(&mut self) {
        let fresh = match &mut self.identity {
            ServerIdentity::Files(files) => {
                let paths = files.paths.clone();
                let changed = files.changed().await;
                changed
                    .map(|contents| contents.and_then(|contents| files::pair(&paths, contents)).map(Arc::new))
            }
            ServerIdentity::SelfSigned { authority, hosts, renew_at } => renew(authority, hosts, renew_at),
            ServerIdentity::Provided(Provided(provided)) => provided_anew(provided, &self.resolver),
        };
        match fresh {
            None => {}
            Some(Ok(pair)) => {
                note_expiry(&pair, &self.metrics);
                self.resolver.present(pair);
                tracing::info!("certificate replaced");
            }
            Some(Err(error)) => tracing::warn!(%error, "new certificate ignored, the last good one stays"),
        }
    }

    async fn refresh_clients(&mut self) {
        let Some(file) = &mut self.clients else { return };
        let [path] = file.paths.clone();
        let Some(changed) = file.changed().await else {
            return;
        };
        let config = changed
            .and_then(|[pem]| files::authorities(&path, pem))
            .and_then(|roots| server_config(Arc::clone(&self.resolver), Some(roots)));
        match config {
            Ok(config) => {
                self.acceptors.replace(config);
                tracing::info!("CA of clients replaced");
            }
            Err(error) => tracing::warn!(%error, "new CA of clients ignored, the last good one stays"),
        }
    }
}

fn provided_anew(
    provided: &mut watch::Receiver<Option<Arc<CertifiedKey>>>,
    resolver: &Resolver,
) -> Option<Result<Arc<CertifiedKey>, TlsError>> {
    let pair = provided.borrow_and_update().clone()?;
    let is_new = !resolver.pair.load().as_ref().is_some_and(|before| Arc::ptr_eq(before, &pair));
    is_new.then_some(Ok(pair))
}

/// By the wall clock: a timer would be late by as long as the machine slept.
fn renew(
    authority: &authority::Identity,
    hosts: &[String],
    renew_at: &mut i64,
) -> Option<Result<Arc<CertifiedKey>, TlsError>> {
    if Timestamp::now().as_second() < *renew_at {
        return None;
    }
    let issued = issue(authority, hosts).map(|(pair, next)| {
        *renew_at = next;
        pair
    });
    Some(issued.map_err(TlsError::from))
}

#[cfg(test)]
mod tests {
    use super::{CA_LIFETIME, Timestamp, Validity, authority::Identity, issue, renew};

    #[test]
    fn a_self_signed_certificate_is_renewed_in_time() {
        let validity = Validity::lasting(CA_LIFETIME, Timestamp::now()).unwrap();
        let authority = Identity::authority(validity).unwrap();
        let (_, mut renew_at) = issue(&authority, &[]).unwrap();
        let planned = renew_at;
        assert!(renew(&authority, &[], &mut renew_at).is_none());
        renew_at = 0;
        assert!(renew(&authority, &[], &mut renew_at).is_some_and(|renewed| renewed.is_ok()));
        assert!(renew_at >= planned);
    }
}
