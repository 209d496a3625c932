//! Handshakes, certificates that change underfoot, and clients that must show one.

use crate::support;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use stateward::process::Readiness;
use stateward::server::Metrics;
use stateward::server::ServeConfig;
use stateward::server::ServeError;
use stateward::server::Server;
use stateward::server::tls::CertificateSource;
use support::{
    Running,
    client::Client,
    guard::{Echo, Hold},
    logs::Logs,
    pki::{Ca, Mount, Pair, client_config},
    start, start_with, until, within,
};

const FAILURES: &str = "stateward_tls_handshake_failures_total";
const EXPIRY: &str = "stateward_certificate_expiry_timestamp_seconds";

async fn start_from(certificate: PathBuf, key: PathBuf, client_ca: Option<PathBuf>) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let config = ServeConfig {
        tls: CertificateSource::Files { certificate, key },
        client_ca,
        ..support::config(&folder)
    };
    start(config, folder).await
}

async fn error_of(certificate: &Path, key: &Path, client_ca: Option<PathBuf>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    let config = ServeConfig {
        tls: CertificateSource::Files { certificate, key },
        client_ca,
        ..support::config(&folder)
    };
    match Server::bind(config, Echo(Hold::default()), Readiness::default(), Metrics::new()).await {
        Err(error @ ServeError::Tls(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("started"),
    }
}

/// Which certificate a new connection is shown.
async fn shown(server: &Running, ca: &Ca) -> Option<Vec<u8>> {
    let config = client_config(ca.pem().as_bytes(), None);
    Client::tls(server.webhook, "localhost", config).await.ok()?.certificate
}

#[tokio::test]
async fn a_handshake_that_never_comes_ends_and_is_counted() {
    let server = start_with(|limits| limits.handshake = Duration::from_secs(1)).await;
    let mut silent = Client::plain(server.webhook).await;
    assert!(silent.rest().await.0.is_empty());
    until("the count", async || server.metric(FAILURES).await == Some(1.0)).await;
    let mut garbage = Client::plain(server.webhook).await;
    garbage.send("GET / HTTP/1.1\r\nhost: not tls\r\n\r\n").await;
    let _ = garbage.rest().await;
    until("the count", async || server.metric(FAILURES).await == Some(2.0)).await;
    assert_eq!(server.client().await.post("{}").await.status, 200);
}

#[tokio::test]
async fn self_signed_is_trusted_by_its_ca_under_each_name() {
    let folder = tempfile::tempdir().unwrap();
    let ca_out = folder.path().join("new/folder/ca.crt");
    let hosts = vec!["guard.example".to_owned()];
    let tls = CertificateSource::SelfSigned { ca_out: ca_out.clone(), hosts };
    let server = start(ServeConfig { tls, ..support::config(&folder) }, folder).await;
    let ca = fs::read(ca_out).unwrap();
    for host in ["localhost", "127.0.0.1", "::1", "stateward", "stateward.stateward.svc", "guard.example"] {
        let mut client = Client::tls(server.webhook, host, client_config(&ca, None)).await.unwrap();
        assert_eq!(client.post("{}").await.status, 200, "{host}");
    }
    assert!(Client::tls(server.webhook, "other.example", client_config(&ca, None)).await.is_err());
    let year = 365.0 * 24.0 * 3600.0;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let left = server.metric(EXPIRY).await.unwrap() - now;
    assert!((0.99 * year..1.01 * year).contains(&left), "{left}");
}

#[tokio::test]
async fn http_1_1_is_all_that_is_spoken() {
    let server = start_with(|_| {}).await;
    let ca = fs::read(server.folder.path().join("ca.crt")).unwrap();
    let offering = |protocols: &[&str]| {
        let mut config = client_config(&ca, None);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Client::tls(server.webhook, "localhost", config)
    };
    assert_eq!(offering(&["h2", "http/1.1"]).await.unwrap().alpn.as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(offering(&[]).await.unwrap().alpn, None);
    assert!(offering(&["h2"]).await.is_err());
}

#[tokio::test]
async fn each_swap_of_the_data_link_is_noticed_and_a_broken_pair_is_not_taken_up() {
    let logs = Logs::capture();
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let pairs: Vec<Pair> = (0..4).map(|_| ca.issue()).collect();
    let mut mount = Mount::new(folder.path(), &pairs[0]);
    let server = start_from(mount.certificate(), mount.key(), None).await;
    let kept_config = client_config(ca.pem().as_bytes(), None);
    let mut kept = Client::tls(server.webhook, "localhost", kept_config).await.unwrap();
    assert_eq!(kept.certificate, Some(pairs[0].der()));

    mount.swap(&pairs[1]);
    until("the first swap", async || shown(&server, &ca).await == Some(pairs[1].der())).await;
    assert_eq!(kept.post("{}").await.status, 200);

    mount.swap(&Pair { key: pairs[3].key.clone(), ..pairs[2].clone() });
    until("a warning", async || !logs.lines_with("does not belong").is_empty()).await;
    assert_eq!(shown(&server, &ca).await, Some(pairs[1].der()));
    assert_eq!(kept.post("{}").await.status, 200);

    mount.swap(&pairs[2]);
    until("the second swap", async || shown(&server, &ca).await == Some(pairs[2].der())).await;
    mount.swap(&pairs[3]);
    until("the third swap", async || shown(&server, &ca).await == Some(pairs[3].der())).await;
    assert_eq!(kept.post("{}").await.status, 200);
    assert_eq!(kept.certificate, Some(pairs[0].der()));
    assert_eq!(logs.lines_with("ignored").len(), 1, "{}", logs.text());
    assert_eq!(logs.lines_with("certificate replaced").len(), 3, "{}", logs.text());
}

#[tokio::test]
async fn each_broken_content_is_warned_of_once() {
    let logs = Logs::capture();
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let (first, second) = (ca.issue(), ca.issue());
    let mut mount = Mount::new(folder.path(), &first);
    let server = start_from(mount.certificate(), mount.key(), None).await;
    let warnings = || logs.lines_with("ignored").len();

    mount.swap(&Pair { certificate: "rubbish".to_owned(), key: first.key.clone() });
    until("a warning", async || warnings() == 1).await;
    fs::remove_file(mount.key()).unwrap();
    until("another", async || warnings() == 2).await;
    assert!(logs.lines_with("ignored")[1].contains("tls."), "{}", logs.text());
    // Ten more looks at the same broken files.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(warnings(), 2, "{}", logs.text());
    assert_eq!(shown(&server, &ca).await, Some(first.der()));

    fs::write(mount.key(), &second.key).unwrap();
    mount.swap(&second);
    until("the repair", async || shown(&server, &ca).await == Some(second.der())).await;
}

#[tokio::test]
async fn files_that_make_no_pair_are_an_error_at_the_start() {
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let (one, other) = (ca.issue(), ca.issue());
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let (certificate, key) = (file("one.crt", &one.certificate), file("one.key", &one.key));
    let (other, rubbish) = (file("other.key", &other.key), file("rubbish", "rubbish"));
    let missing = folder.path().join("missing");
    for (certificate, key, client_ca, parts) in [
        (&certificate, &other, None, ["one.crt", "other.key", "does not belong"]),
        (&missing, &key, None, ["", "missing", "No such file"]),
        (&rubbish, &key, None, ["", "rubbish", "no certificate in PEM"]),
        (&key, &key, None, ["", "one.key", "no certificate in PEM"]),
        (&certificate, &certificate, None, ["", "one.crt", "no private key in PEM"]),
        (&certificate, &key, Some(missing.clone()), ["", "missing", "No such file"]),
        (&certificate, &key, Some(rubbish.clone()), ["", "rubbish", "no certificate in PEM"]),
    ] {
        let error = error_of(certificate, key, client_ca).await;
        assert!(parts.iter().all(|part| error.contains(part)), "{error}: {parts:?}");
    }
}

#[tokio::test]
async fn rsa_and_sec1_keys_and_chains_are_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let folder = tempfile::tempdir().unwrap();
    for name in ["rsa", "sec1"] {
        let certificate = fixtures.join(name).with_extension("crt");
        let leaf = fs::read_to_string(certificate).unwrap();
        let chain = folder.path().join("chain.crt");
        fs::write(&chain, format!("{leaf}{}", Ca::new().pem())).unwrap();
        let server = start_from(chain, fixtures.join(name).with_extension("key"), None).await;
        let config = client_config(leaf.as_bytes(), None);
        let mut client = Client::tls(server.webhook, "localhost", config).await.unwrap();
        assert_eq!(client.post("{}").await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_are_served_and_the_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, next_ca) = (Ca::new(), Ca::new());
    let client_ca = folder.path().join("clients.crt");
    fs::write(&client_ca, ca.pem()).unwrap();
    let (mount, folder) = (Mount::new(&folder.path().join("tls"), &ca.issue()), folder);
    let server = start_from(mount.certificate(), mount.key(), Some(client_ca.clone())).await;
    let lets_in = async |identity: Option<&Pair>| {
        let config = client_config(ca.pem().as_bytes(), identity);
        let Ok(mut client) = Client::tls(server.webhook, "localhost", config).await else {
            return false;
        };
        // In TLS 1.3 the client is done before the server has looked at its certificate.
        client
            .try_send(support::client::request("/validate", "content-type: application/json\r\n", "{}"))
            .await
            .is_ok()
            && client.try_response().await.is_ok_and(|response| response.status == 200)
    };
    let (known, next) = (ca.issue(), next_ca.issue());
    assert!(lets_in(Some(&known)).await);
    assert!(!lets_in(None).await);
    assert!(!lets_in(Some(&next)).await);
    until("the count", async || server.metric(FAILURES).await == Some(2.0)).await;

    fs::write(folder.path().join("draft"), next_ca.pem()).unwrap();
    fs::rename(folder.path().join("draft"), &client_ca).unwrap();
    until("the new CA", async || lets_in(Some(&next)).await).await;
    assert!(!lets_in(Some(&known)).await);

    fs::write(&client_ca, "rubbish").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(within("still served", lets_in(Some(&next))).await);
}
