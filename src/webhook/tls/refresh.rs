//! Loading at start, and keeping up.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::{RootCertStore, crypto::ring, sign::CertifiedKey};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Acceptors, Resolver, Source, TlsError,
    files::{self, Watched},
    server_config,
};
use crate::{
    certs::{self, self_signed::Authority},
    webhook::Metrics,
};

/// A self-signed certificate is issued anew this long before it ends: a third of its year.
const RENEW_BEFORE: i64 = 120 * 24 * 3600;

enum Identity {
    Files(Watched<2>),
    SelfSigned { authority: Box<Authority>, hosts: Vec<String>, renew_at: i64 },
}

/// Keeps the acceptors up to date.
pub(in crate::webhook) struct Refresher {
    identity: Identity,
    clients: Option<Watched<1>>,
    resolver: Arc<Resolver>,
    acceptors: Acceptors,
    metrics: Arc<Metrics>,
}

/// Loads everything once. At the start a broken file is an error; later the last good one stays in use.
pub(in crate::webhook) async fn load(
    source: &Source,
    client_ca: Option<&Path>,
    metrics: Arc<Metrics>,
) -> Result<(Acceptors, Refresher), TlsError> {
    let (identity, pair) = match source {
        Source::Files { certificate, key } => from_files([certificate.clone(), key.clone()]).await?,
        Source::SelfSigned { ca_out, hosts } => self_signed(ca_out, hosts.clone())?,
    };
    let (clients, roots) = match client_ca {
        None => (None, None),
        Some(path) => from_client_ca(path.to_owned()).await.map(|(file, roots)| (Some(file), Some(roots)))?,
    };
    note_expiry(&pair, &metrics);
    let resolver = Arc::new(Resolver(ArcSwap::from_pointee(pair)));
    let acceptors = Acceptors::new(server_config(Arc::clone(&resolver), roots)?);
    let refresher = Refresher { identity, clients, resolver, acceptors: acceptors.clone(), metrics };
    Ok((acceptors, refresher))
}

async fn from_files(paths: [PathBuf; 2]) -> Result<(Identity, CertifiedKey), TlsError> {
    let mut files = Watched::new(paths.clone());
    let pair = files::pair(&paths, files.read().await?)?;
    Ok((Identity::Files(files), pair))
}

fn self_signed(ca_out: &Path, hosts: Vec<String>) -> Result<(Identity, CertifiedKey), TlsError> {
    let authority = Authority::new(Timestamp::now())?;
    let (pair, renew_at) = issue(&authority, &hosts)?;
    certs::write_atomically(ca_out, authority.certificate_pem().as_bytes())
        .map_err(|source| TlsError::Write { path: ca_out.to_owned(), source })?;
    tracing::info!(ca = %ca_out.display(), "certificate issued by a CA of our own");
    Ok((Identity::SelfSigned { authority: Box::new(authority), hosts, renew_at }, pair))
}

async fn from_client_ca(path: PathBuf) -> Result<(Watched<1>, RootCertStore), TlsError> {
    let mut file = Watched::new([path.clone()]);
    let [pem] = file.read().await?;
    let roots = files::authorities(&path, pem)?;
    Ok((file, roots))
}

fn issue(authority: &Authority, hosts: &[String]) -> Result<(CertifiedKey, i64), TlsError> {
    let leaf = authority.issue(hosts, Timestamp::now())?;
    let pair = CertifiedKey::from_der(vec![leaf.certificate], leaf.key, &ring::default_provider())?;
    let renew_at = files::expiry(&pair).unwrap_or_default() - RENEW_BEFORE;
    Ok((pair, renew_at))
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
    pub(in crate::webhook) async fn run(mut self, every: Duration) {
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh_identity().await;
            self.refresh_clients().await;
        }
    }

    async fn refresh_identity(&mut self) {
        let fresh = match &mut self.identity {
            Identity::Files(files) => {
                let paths = files.paths.clone();
                let changed = files.changed().await;
                changed.map(|contents| contents.and_then(|contents| files::pair(&paths, contents)))
            }
            Identity::SelfSigned { authority, hosts, renew_at } => renew(authority, hosts, renew_at),
        };
        match fresh {
            None => {}
            Some(Ok(pair)) => {
                note_expiry(&pair, &self.metrics);
                self.resolver.0.store(Arc::new(pair));
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

/// By the wall clock: a timer would be late by as long as the machine slept.
fn renew(
    authority: &Authority,
    hosts: &[String],
    renew_at: &mut i64,
) -> Option<Result<CertifiedKey, TlsError>> {
    if Timestamp::now().as_second() < *renew_at {
        return None;
    }
    Some(issue(authority, hosts).map(|(pair, next)| {
        *renew_at = next;
        pair
    }))
}

#[cfg(test)]
mod tests {
    use super::{Authority, Timestamp, issue, renew};

    #[test]
    fn a_self_signed_certificate_is_renewed_in_time() {
        let authority = Authority::new(Timestamp::now()).unwrap();
        let (_, mut renew_at) = issue(&authority, &[]).unwrap();
        let planned = renew_at;
        assert!(renew(&authority, &[], &mut renew_at).is_none());
        renew_at = 0;
        assert!(renew(&authority, &[], &mut renew_at).is_some_and(|renewed| renewed.is_ok()));
        assert!(renew_at >= planned);
    }
}
