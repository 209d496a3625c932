//! Keeps the certificate of all replicas: in a Secret that they share, and in the webhook configurations.
//!
//! ```text
//! Secret ◀─ compare and swap ─ every replica ─▶ the certificate in use
//!    └──────────── ca.crt ──── the elected one ─▶ caBundle of both webhook configurations
//! policies ── add something to StatefulSets? ────▶ whether the mutating one asks about them
//! ```
//!
//! Everything is looked at every few seconds and put right; what is to be done is [`managed`](super::managed)'s to say. Nothing here
//! ends the serving of reviews: a certificate that is in use stays so until there is a better one.

mod configurations;
mod secret;

use std::{collections::BTreeSet, convert::Infallible, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use rustls::sign::CertifiedKey;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    authority::IssueError,
    managed::{CertificateState, CertificateStep, Lifetimes, SecretContent, carry_out},
    x509::pem_of,
};
use crate::{api_server::jittered, certs::Provided, events::Events, lease::Leadership, process::Remark};
use configurations::{ConfigurationError, Configurations, WebhookConfiguration};
use secret::{Store, StoreError};

pub(crate) use secret::fetch;

/// How many steps are taken in a row: more than any situation needs.
const STEPS: usize = 8;
/// How long an answer of the API server may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How often everything is looked at until there is something to present.
const STARTING: Duration = Duration::from_secs(1);

/// The Secret and the configurations to keep, and the settings.
#[derive(Clone)]
pub struct CertificateConfig {
    /// The Secret: namespace and name.
    pub secret: (String, String),
    /// The name of both webhook configurations.
    pub configuration: String,
    /// The names that the certificate is for, [normalized](super::x509::normalized).
    pub hosts: BTreeSet<String>,
    /// How long certificates last.
    pub lifetimes: Lifetimes,
    /// How often everything is looked at. Default 5 s at most.
    pub every: Duration,
    /// How long an API server may take to notice what is in its webhook configurations. Default 60 s.
    pub settle: Duration,
    /// Whether a policy has something added to StatefulSets; `None` before the policies are known, and by default.
    pub mutates_sets: watch::Receiver<Option<bool>>,
    /// The readiness remark that says what the certificate waits for.
    pub remark: Remark,
    /// The wall clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl CertificateConfig {
    /// The defaults, for this Secret and these names.
    pub fn new(secret: (String, String), configuration: String, hosts: BTreeSet<String>) -> Self {
        Self {
            secret,
            configuration,
            hosts,
            lifetimes: Lifetimes::default(),
            every: Duration::from_secs(5),
            settle: Duration::from_secs(60),
            mutates_sets: watch::channel(None).1,
            remark: Remark::default(),
            clock: Arc::new(Timestamp::now),
        }
    }
}

impl fmt::Debug for CertificateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({:?}, {:?}, {:?})", self.secret, self.configuration, self.hosts)
    }
}

/// Keeps the certificate as long as it is run.
pub struct CertificateManager {
    store: Store,
    configurations: Configurations,
    state: CertificateState,
    leadership: Leadership,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The instant from which the running time of this process is counted.
    start: Instant,
    every: Duration,
    mutates_sets: watch::Receiver<Option<bool>>,
    presented: watch::Sender<Option<Arc<CertifiedKey>>>,
    report: CertificateReporter,
}

/// Why the Secret is not as it should be.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error("conflict: others changed the Secret during each of {} writes", STEPS)]
    Restless,
}

impl CertificateManager {
    /// Creates the manager and the certificate to present.
    pub fn new(
        client: Client,
        settings: CertificateConfig,
        leadership: Leadership,
        events: Option<Events>,
        registry: &mut Registry,
    ) -> (Self, Provided) {
        let (namespace, name) = settings.secret;
        let (presented, provided) = watch::channel(None);
        let manager = Self {
            store: Store { client: client.clone(), namespace, name, patience: PATIENCE },
            configurations: Configurations { client, name: settings.configuration, patience: PATIENCE },
            state: CertificateState::new(settings.hosts, settings.lifetimes, settings.settle),
            leadership,
            clock: settings.clock,
            start: Instant::now(),
            every: settings.every,
            mutates_sets: settings.mutates_sets,
            presented,
            report: CertificateReporter::new(events, registry, settings.remark),
        };
        (manager, Provided(provided))
    }

    /// Looks again and again; ends only when dropped.
    pub async fn run(mut self) -> Infallible {
        loop {
            let led = self.leadership.is_leader();
            self.round().await;
            let pause = self.pause();
            let leadership = &self.leadership;
            tokio::select! {
                () = sleep(jittered(pause)) => {}
                // This round left out the work of the leader, even if this replica has been elected meanwhile.
                () = leadership.gained(), if !led => {}
                // A policy that has something added is not to wait for the next look.
                Ok(()) = self.mutates_sets.changed() => {}
            }
        }
    }

    /// Whether there is a certificate in use.
    fn serves(&self) -> bool {
        self.state.presented().is_some()
    }

    /// How long until the next look. Without a certificate no review is served, so the wait is short then.
    fn pause(&self) -> Duration {
        if self.serves() { self.every } else { self.every.min(STARTING) }
    }

    async fn round(&mut self) {
        let found = match self.store.read().await {
            Ok(found) => found,
            Err(error) => {
                self.report.secret(Err(error.into()), self.serves());
                return self.report.wait(self.serves(), self.leadership.is_leader());
            }
        };
        let content = self.read(found.as_ref());
        let configurations = self.look().await;
        let kept = self.keep(found, content).await;
        let published = match configurations {
            Ok(configurations) if kept.is_ok() => self.publish(&configurations).await,
            looked => looked.map(drop),
        };
        self.report.secret(kept, self.serves());
        self.report.configuration(published);
        self.report.wait(self.serves(), self.leadership.is_leader());
    }

    /// Reads a Secret's content; a valid one becomes ours.
    fn read(&mut self, secret: Option<&Secret>) -> Option<SecretContent> {
        let secret = secret?;
        let (content, defects) =
            SecretContent::read(secret.data.as_ref().unwrap_or(&std::collections::BTreeMap::new()));
        self.report.defects(defects);
        self.state.hold(&content, (self.clock)());
        self.present();
        Some(content)
    }

    fn present(&mut self) {
        let (now, at) = ((self.clock)(), self.start.elapsed());
        let Some(leaf) = self.state.present(now, at) else { return };
        let until = leaf.identity.certificate.until;
        match leaf.identity.certified() {
            Ok(pair) => {
                tracing::info!(%until, "certificate of the Secret in use");
                self.presented.send_replace(Some(Arc::new(pair)));
            }
            Err(error) => tracing::warn!(%error, "the certificate of the Secret cannot be used"),
        }
    }

    /// Sees what the webhook configurations carry, where it matters to us.
    async fn look(&mut self) -> Result<Vec<WebhookConfiguration>, ConfigurationError> {
        if !self.leadership.is_leader() && !self.state.waits() {
            return Ok(Vec::new());
        }
        let configurations = self.configurations.read().await.inspect_err(|_| self.state.could_not_see())?;
        let entries: Vec<_> = configurations.iter().flat_map(WebhookConfiguration::entries).collect();
        self.state.saw(&entries, (self.clock)(), self.start.elapsed());
        self.present();
        Ok(configurations)
    }

    /// Takes steps until there is nothing to do about the Secret.
    async fn keep(
        &mut self,
        mut found: Option<Secret>,
        mut content: Option<SecretContent>,
    ) -> Result<(), SecretError> {
        for _ in 0..STEPS {
            let (now, at) = ((self.clock)(), self.start.elapsed());
            let step = self.state.next(content.as_ref(), now, at);
            if step == CertificateStep::Keep {
                self.report.authority(self.state.held());
                return Ok(());
            }
            let next = carry_out(step, content.as_ref(), &self.state, now)?;
            found = match self.store.write(found, &next).await? {
                Some(written) => {
                    tracing::info!(?step, secret = %self.store.name, "the Secret of the certificate was changed");
                    Some(written)
                }
                // Another was first: perhaps it did the same.
                None => self.store.read().await?,
            };
            content = self.read(found.as_ref());
        }
        Err(SecretError::Restless)
    }

    /// Makes the webhook configurations carry what they should; the elected replica does. One that fails does not keep it from
    /// the other.
    async fn publish(&self, configurations: &[WebhookConfiguration]) -> Result<(), ConfigurationError> {
        let (mut published, mut is_changed) = (Ok(()), false);
        let is_wanted = *self.mutates_sets.borrow();
        for configuration in configurations {
            let bundle = self.state.bundle(&configuration.entries(), self.start.elapsed());
            let right = pem_of(&bundle).into_bytes();
            let is_trusted = configuration.bundles.iter().all(|bundle| *bundle == right);
            let is_right = is_trusted && configuration.asks_as_wanted(is_wanted);
            if bundle.is_empty() || !self.leadership.is_leader() {
                continue;
            }
            let done = if is_right {
                self.give_up(configuration).await
            } else {
                let what = if is_trusted { "matchConditions updated" } else { "caBundle updated" };
                tracing::info!(kind = configuration.kind(), "{what}");
                is_changed = true;
                self.configurations.apply(configuration, &bundle, is_wanted).await
            };
            published = published.and(done);
        }
        if is_changed {
            // At once: as long as we own the fields, an apply of them by another manager is a conflict.
            for configuration in self.configurations.read().await? {
                published = published.and(self.give_up(&configuration).await);
            }
        }
        published
    }

    async fn give_up(&self, configuration: &WebhookConfiguration) -> Result<(), ConfigurationError> {
        if configuration.is_ours() { self.configurations.give_up(configuration).await } else { Ok(()) }
    }
}

/// Tells people how it goes: once where it stays the same.
struct CertificateReporter {
    events: Option<Events>,
    failures: Family<CertificateFailureLabels, Counter>,
    ca_expiry: Gauge,
    /// The last message about each.
    secret: Option<String>,
    configuration: Option<String>,
    defects: Vec<String>,
    remark: Remark,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateFailureLabels {
    of: &'static str,
}

impl CertificateReporter {
    fn new(events: Option<Events>, registry: &mut Registry, remark: Remark) -> Self {
        let (failures, ca_expiry) =
            (Family::<CertificateFailureLabels, Counter>::default(), Gauge::default());
        for of in ["secret", "ca_bundle"] {
            drop(failures.get_or_create(&CertificateFailureLabels { of }));
        }
        let help =
            "Failures to keep the Secret of the certificate, or the caBundle of the webhook configurations";
        registry.register("certificate_failures", help, failures.clone());
        registry.register("ca_expiry_timestamp_seconds", "When the CA that signs ends", ca_expiry.clone());
        Self { events, failures, ca_expiry, secret: None, configuration: None, defects: Vec::new(), remark }
    }

    /// Says why no certificate is in use.
    fn wait(&self, serves: bool, leads: bool) {
        let trust = "the certificate is not used before the webhook configurations have its CA as caBundle";
        let text = match (&self.secret, &self.configuration) {
            _ if serves => String::new(),
            (Some(error), _) => format!("there is no certificate yet: {error}"),
            (None, Some(error)) => format!("{trust}: {error}"),
            (None, None) if leads => trust.to_owned(),
            (None, None) => format!("{trust}, which the leader writes; this replica does not lead"),
        };
        self.remark.set(if text.is_empty() { text } else { format!("certificate: {text}") });
    }

    fn authority(&self, content: Option<&SecretContent>) {
        if let Some(signer) = content.and_then(|content| content.signer.as_ref()) {
            self.ca_expiry.set(signer.certificate.until.as_second());
        }
    }

    fn defects(&mut self, defects: Vec<String>) {
        if !defects.is_empty() && defects != self.defects {
            tracing::warn!("the certificate Secret is invalid: {}", defects.join("; "));
        }
        self.defects = defects;
    }

    fn secret(&mut self, kept: Result<(), SecretError>, serves: bool) {
        let Err(error) = kept else {
            self.secret = None;
            return;
        };
        self.failures.get_or_create(&CertificateFailureLabels { of: "secret" }).inc();
        let said = error.to_string();
        if self.secret.as_ref() != Some(&said) {
            let meanwhile =
                if serves { "the certificate in use stays" } else { "there is no certificate yet" };
            tracing::warn!("{meanwhile}: {said}");
        }
        self.secret = Some(said);
    }

    fn configuration(&mut self, applied: Result<(), ConfigurationError>) {
        let Err(error) = applied else {
            self.configuration = None;
            return;
        };
        // Another writer changed it at the same time: the next round looks again.
        if error.error.is_conflict() {
            return;
        }
        self.failures.get_or_create(&CertificateFailureLabels { of: "ca_bundle" }).inc();
        let said = error.to_string();
        if self.configuration.as_ref() != Some(&said) {
            tracing::warn!("the API server may stop trusting the certificate: {said}");
        }
        if let Some(events) = &self.events {
            events.queue_undone(error.object, &error.uid, "ca-bundle-not-kept", &said);
        }
        self.configuration = Some(said);
    }
}
