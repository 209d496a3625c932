//! Replicas that keep one certificate, at whatever time a test says it is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use rustls::{
    ClientConfig, RootCertStore,
    client::WebPkiServerVerifier,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    time_provider::TimeProvider,
};
use serde_json::{Value, json};
use stateward::certs::managed::Lifetimes;
use stateward::certs::managed::SecretContent;
use stateward::certs::manager::CertificateConfig;
use stateward::certs::manager::CertificateManager;
use stateward::certs::x509::Certificate;
use stateward::events::{Events, ReviewOrigin};
use stateward::lease::Elector;
use stateward::lease::LeaseConfig;
use stateward::process::Readiness;
use stateward::process::Stopper;
use stateward::server::Metrics;
use stateward::server::ServeConfig;
use stateward::server::ServeError;
use stateward::server::Server;
use stateward::server::tls::CertificateSource;
use tokio::task::JoinHandle;

use super::{
    Running,
    api_server::ApiServer,
    client::{Client, Response},
    guard::{Echo, Hold},
};

pub const DAY: SignedDuration = SignedDuration::from_hours(24);
pub const LIFETIMES: Lifetimes =
    Lifetimes { ca: SignedDuration::from_hours(24 * 160), leaf: SignedDuration::from_hours(24 * 40) };
/// How long the API server may take to trust a CA: long enough for one handshake.
pub const SETTLE: Duration = Duration::from_millis(400);
pub const HOST: &str = "stateward.guard.svc";
pub const KINDS: [&str; 2] = ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"];

/// What time it is for everybody.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Timestamp>>);

impl Clock {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new("2026-05-01T12:00:00Z".parse().unwrap())))
    }

    pub fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    pub fn advance(&self, days: i32) {
        *self.0.lock().unwrap() += days * DAY;
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.now().as_second()).unwrap();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// One replica, with whatever ends when it does.
pub struct Replica {
    pub server: Running,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Replica {
    /// One that is not waited for.
    pub async fn start(api: &ApiServer, clock: &Clock, name: &str) -> Self {
        let hosts = [HOST.to_owned()].into();
        let mut settings = CertificateConfig::new(
            ("guard".to_owned(), "certificate".to_owned()),
            "stateward".to_owned(),
            hosts,
        );
        let now = clock.clone();
        settings.clock = Arc::new(move || now.now());
        (settings.lifetimes, settings.settle) = (LIFETIMES, SETTLE);
        settings.every = Duration::from_millis(30);

        let (mut metrics, (stopper, shutdown)) = (Metrics::new(), Stopper::new());
        let readiness = Readiness::default();
        settings.remark = readiness.remark();
        let (events, event_sender) =
            Events::new(api.client(), name, ReviewOrigin::Proven, metrics.registry());
        let (terms, lease) = (
            LeaseConfig {
                lasts: Duration::from_secs(2),
                retry: Duration::from_millis(50),
                ..LeaseConfig::default()
            },
            ("guard", "stateward"),
        );
        let terms = LeaseConfig { lead_for: Duration::from_millis(1900), ..terms };
        let (elector, leadership) = Elector::new(api.client(), lease, name, terms, metrics.registry());
        let elector = elector.with_remark(readiness.remark());
        let (keeper, provided) =
            CertificateManager::new(api.client(), settings, leadership, Some(events), metrics.registry());
        let election = shutdown.clone();
        let tasks = vec![
            tokio::spawn(async move { elector.run(&election).await }),
            tokio::spawn(async move { match keeper.run().await {} }),
            tokio::spawn(event_sender.run()),
        ];

        let (folder, hold) = (tempfile::tempdir().unwrap(), Hold::default());
        let config = ServeConfig { tls: CertificateSource::Provided(provided), ..super::config(&folder) };
        let server = Server::bind(config, Echo(hold.clone()), readiness.clone(), metrics).await.unwrap();
        let (webhook, ops) = (server.webhook_address(), server.ops_address());
        let task: JoinHandle<Result<(), ServeError>> = tokio::spawn(server.run(shutdown));
        Self { server: Running { webhook, ops, readiness, hold, stopper, folder, task }, tasks }
    }

    pub async fn is_ready(&self) -> bool {
        self.server.get("/readyz").await.status == 200
    }

    /// A review over a new connection, by a client that trusts just this.
    pub async fn review(&self, ca_bundle: &[u8], clock: &Clock) -> Result<Response, String> {
        let config = client_config(ca_bundle, clock)?;
        let client = Client::tls(self.server.webhook, HOST, config).await;
        let mut client = client.map_err(|error| error.to_string())?;
        client
            .try_send(super::client::request("/validate", "content-type: application/json\r\n", "{}"))
            .await
            .map_err(|error| error.to_string())?;
        client.try_response().await.map_err(|error| error.to_string())
    }

    /// The certificate that whoever trusts this is shown.
    pub async fn shown(&self, ca_bundle: &[u8], clock: &Clock) -> Option<Certificate> {
        let config = client_config(ca_bundle, clock).ok()?;
        let shown = Client::tls(self.server.webhook, HOST, config).await.ok()?.certificate?;
        Some(Certificate::read(shown.into()).unwrap())
    }
}

fn client_config(ca_bundle: &[u8], clock: &Clock) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_bundle) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let config = ClientConfig::builder_with_details(provider, Arc::new(clock.clone()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_webpki_verifier(verifier.map_err(|error| error.to_string())?)
        .with_no_client_auth();
    Ok(config)
}

/// The webhook configurations as somebody applies them: without a CA.
pub fn install(api: &ApiServer, entries: &[&str]) {
    for kind in KINDS {
        let entry = |name: &&str| {
            let service = json!({"namespace": "guard", "name": "stateward"});
            json!({"name": name, "sideEffects": "None", "clientConfig": {"service": service}})
        };
        let entries: Vec<Value> = entries.iter().map(entry).collect();
        let uid = format!("uid-of-{kind}");
        api.put_object(kind, "", "stateward", json!({"metadata": {"uid": uid}, "webhooks": entries}));
    }
}

/// What each entry of a configuration carries.
pub fn ca_bundles(api: &ApiServer, kind: &str) -> BTreeMap<String, Vec<u8>> {
    let configuration = api.object(kind, "", "stateward").unwrap();
    let entries = configuration["webhooks"].as_array().unwrap().clone();
    let carried = entries.into_iter().map(|entry| {
        let bundle: Option<ByteString> =
            serde_json::from_value(entry["clientConfig"]["caBundle"].clone()).unwrap();
        (entry["name"].as_str().unwrap().to_owned(), bundle.unwrap_or_default().0)
    });
    carried.collect()
}

/// What the API server trusts when it calls this entry, at this moment.
pub fn trusted(api: &ApiServer) -> Vec<u8> {
    ca_bundles(api, KINDS[0])["sets.stateward.dev"].clone()
}

pub fn data(api: &ApiServer) -> Option<BTreeMap<String, ByteString>> {
    let secret = api.object("secrets", "guard", "certificate")?;
    Some(serde_json::from_value(secret["data"].clone()).unwrap())
}

/// What the Secret holds, when nothing is wrong with it.
pub fn content(api: &ApiServer) -> Option<SecretContent> {
    let (content, defects) = SecretContent::read(&data(api)?);
    defects.is_empty().then_some(content)
}

pub fn version(api: &ApiServer, resource: &str, namespace: &str, name: &str) -> String {
    api.object(resource, namespace, name).unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}
