//! Who may ask, and what gives way when too much is asked at once.

use crate::support;
use std::fs;
use std::time::Duration;

use stateward::process::{Readiness, Stopper};
use stateward::server::tls::CertificateSource;
use stateward::server::{Callers, Metrics, ServeConfig, Server};
use support::{
    client::{Client, request},
    guard::{Echo, Hold},
    logs::Logs,
    pki::{Ca, client_config},
    start, start_with, until, within,
};

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn the_connection_that_rests_gives_way_to_a_new_one() {
    let server = start_with(|limits| limits.connections = 2).await;
    let mut first = server.client().await;
    first.post("{}").await;
    let mut second = server.client().await;
    second.post("{}").await;
    let mut third = server.client().await;
    assert_eq!(third.post(r#"{"uid":"third"}"#).await.json()["uid"], "third");
    assert!(first.rest().await.0.is_empty(), "the one that rested longest is closed");
    assert_eq!(second.post(r#"{"uid":"second"}"#).await.json()["uid"], "second");
    let open = r#"stateward_connections{port="webhook"}"#;
    server.until("two connections", async || server.metric(open).await == Some(2.0)).await;
}

#[tokio::test]
async fn connections_that_ask_nothing_lock_nothing_out() {
    let server = start_with(|limits| limits.connections = 8).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Client::plain(server.webhook).await);
    }
    for _ in 0..8 {
        silent.push(server.client().await);
    }
    assert_eq!(server.client().await.post("{}").await.status, 200);
}

#[tokio::test]
async fn idle_connections_on_the_ops_port_lock_no_probe_out() {
    let server = start_with(|limits| limits.ops_connections = 4).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(Client::plain(server.ops).await);
        assert_eq!(server.get("/livez").await.status, 200);
    }
}

#[tokio::test]
async fn connections_that_have_not_asked_and_those_of_probes_are_closed_soon() {
    let server = start_with(|limits| {
        limits.first = Duration::from_millis(300);
        limits.ops_idle = Duration::from_millis(300);
    })
    .await;
    let mut used = server.client().await;
    used.post("{}").await;
    let mut unused = server.client().await;
    assert!(unused.rest().await.1.is_ok());
    let mut probe = Client::plain(server.ops).await;
    probe.send("GET /livez HTTP/1.1\r\nhost: ops\r\n\r\n").await;
    assert_eq!(probe.response().await.status, 200);
    assert!(probe.rest().await.1.is_ok());
    assert_eq!(used.post("{}").await.status, 200, "one that has asked may rest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_in_flight_have_one_budget() {
    let server = start_with(|limits| limits.bodies_bytes = 1000).await;
    let mut holding = server.client().await;
    let hold = format!(r#"{{"do":"hold","x":"{}"}}"#, "x".repeat(600));
    holding.send(request("/validate", JSON, &hold)).await;
    until("the review", async || server.hold.waiting() == 1).await;
    assert!(server.metric("stateward_request_body_bytes").await.unwrap() > 600.0);
    let mut client = server.client().await;
    let refused = client.post(&format!(r#"{{"x":"{}"}}"#, "x".repeat(600))).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.text());
    assert_eq!(server.client().await.post(r#"{"uid":"small"}"#).await.json()["uid"], "small");
    server.hold.release();
    assert_eq!(holding.response().await.status, 200);
    let empty = async || server.metric("stateward_request_body_bytes").await == Some(0.0);
    server.until("bytes given back", empty).await;
}

/// On one thread: a review that was judged on it would hold up everything else.
#[tokio::test]
async fn a_large_review_is_judged_on_no_connections_thread() {
    let server = start_with(|_| {}).await;
    let large = format!(r#"{{"uid":"large","do":"hold","x":"{}"}}"#, "x".repeat(100_000));
    let mut holding = Vec::new();
    for _ in 0..2 {
        let mut client = server.client().await;
        client.send(request("/validate", JSON, &large)).await;
        holding.push(client);
    }
    until("two large reviews", async || server.hold.waiting() == 2).await;
    let mut client = server.client().await;
    assert_eq!(client.post(r#"{"uid":"small"}"#).await.json()["uid"], "small");
    // A third is not judged beside them, and answered within its time.
    client.send(request("/validate?timeout=200ms", JSON, &large)).await;
    let late = client.response().await;
    assert_eq!((late.status, late.header("retry-after")), (503, Some("1")));
    server.hold.release();
    for mut client in holding {
        assert_eq!(client.response().await.json()["uid"], "large");
    }
}

/// The thread that serves reviews does nothing at all here, as if one review kept it busy.
#[test]
fn liveness_waits_for_no_review() {
    let reviews = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = reviews.block_on(start_with(|_| {}));
    let prober = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    prober.block_on(async {
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(server.get(path).await.status, 200, "{path}");
        }
    });
    reviews.block_on(async { drop(server) });
}

#[tokio::test]
async fn only_clients_of_one_of_the_names_may_ask() {
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    let own = ca.issue();
    fs::write(path("tls.crt"), &own.certificate).unwrap();
    fs::write(path("tls.key"), &own.key).unwrap();
    fs::write(path("clients.crt"), ca.pem()).unwrap();
    let names = vec!["kube-apiserver".to_owned(), "apiserver.example".to_owned()];
    let config = ServeConfig {
        tls: CertificateSource::Files { certificate: path("tls.crt"), key: path("tls.key") },
        client_ca: Some(path("clients.crt")),
        callers: Callers { names, token: None },
        ..support::config(&folder)
    };
    let server = start(config, folder).await;
    for (identity, status) in [
        (ca.issue_to("kube-apiserver"), 200),
        (ca.issue_for(["other.example", "apiserver.example"]), 200),
        (ca.issue_to("front-proxy-client"), 403),
        (ca.issue_to("kube-apiserver.evil"), 403),
        (ca.issue_for(["kube-apiserver.example"]), 403),
    ] {
        let tls = client_config(ca.pem().as_bytes(), Some(&identity));
        let mut client = Client::tls(server.webhook, "localhost", tls).await.unwrap();
        let response = client.post("{}").await;
        assert_eq!(response.status, status, "{}", response.text());
        client.send(request("/nowhere", JSON, "{}")).await;
        let elsewhere = client.response().await.status;
        assert_eq!(elsewhere, if status == 403 { 403 } else { 404 });
    }
}

#[tokio::test]
async fn with_a_token_only_its_path_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let token = "Zm9vYmFyYmF6cXV4-_1";
    let callers = Callers { names: Vec::new(), token: Some(token.to_owned()) };
    let config = ServeConfig { callers, metacontroller: true, ..support::config(&folder) };
    let server = start(config, folder).await;
    let mut client = server.client().await;
    let hook = "/metacontroller/service-per-pod/sync";
    for (path, status) in [
        (format!("/validate/{token}"), 200),
        (format!("/validate/{token}?timeout=5s"), 200),
        (format!("/mutate/{token}"), 200),
        (format!("{hook}/{token}"), 200),
        ("/validate".to_owned(), 403),
        ("/mutate".to_owned(), 403),
        ("/validate/wrong".to_owned(), 403),
        (format!("/validate/{}", &token[1..]), 403),
        (format!("{hook}/wrong"), 403),
        (format!("/validate/{token}/more"), 404),
    ] {
        client.send(request(&path, JSON, r#"{"uid":"a"}"#)).await;
        let response = client.response().await;
        assert_eq!(response.status, status, "{path}");
        assert!(!response.text().contains(token));
    }
}

#[tokio::test]
async fn hooks_are_off_unless_asked_for() {
    let server = start_with(|_| {}).await;
    let mut client = server.client().await;
    client.send(request("/metacontroller/service-per-pod/sync", JSON, "{}")).await;
    assert_eq!(client.response().await.status, 404);
}

#[tokio::test]
async fn a_name_in_a_hooks_error_forges_no_log_line() {
    let logs = Logs::capture();
    let folder = tempfile::tempdir().unwrap();
    let guard = stateward::guard::WebhookGuard {
        cluster: std::sync::Arc::default(),
        policies: std::sync::Arc::new(arc_swap::ArcSwap::from_pointee(
            stateward::policy::Policies::new(stateward::policy::Profile::Baseline, Vec::new()).unwrap(),
        )),
        confirmer: None,
        reservations: std::sync::Arc::default(),
        events: None,
        excluded: Vec::new(),
    };
    let config = ServeConfig { metacontroller: true, ..support::config(&folder) };
    let server = Server::bind(config, guard, Readiness::default(), Metrics::new()).await.unwrap();
    let (address, (stopper, shutdown)) = (server.webhook_address(), Stopper::new());
    let task = tokio::spawn(server.run(shutdown));
    let ca = fs::read(folder.path().join("ca.crt")).unwrap();
    let mut client = Client::tls(address, "localhost", client_config(&ca, None)).await.unwrap();
    let pod = r#"{"object":{"metadata":{"namespace":"n","name":"a\n2026 ERROR forged"}}}"#;
    client.send(request("/metacontroller/pod-name-label/sync", JSON, pod)).await;
    assert_eq!(client.response().await.status, 400);
    assert!(logs.text().lines().all(|line| !line.starts_with("2026 ERROR forged")), "{}", logs.text());
    assert_eq!(logs.lines_with("forged").len(), 1);
    stopper.stop();
    stopper.stop();
    let _ = within("the end", task).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_at_work_gives_way_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = support::config(&folder);
    config.limits.connections = 1;
    let (hold, (_stopper, shutdown)) = (Hold::default(), Stopper::new());
    let server =
        Server::bind(config, Echo(hold.clone()), Readiness::default(), Metrics::new()).await.unwrap();
    let address = server.webhook_address();
    let _running = tokio::spawn(server.run(shutdown));
    let ca = fs::read(folder.path().join("ca.crt")).unwrap();
    let mut working = Client::tls(address, "localhost", client_config(&ca, None)).await.unwrap();
    working.send(request("/validate", JSON, r#"{"uid":"first","do":"hold"}"#)).await;
    until("the review", async || hold.waiting() == 1).await;
    let second = tokio::spawn(async move {
        let mut client = Client::tls(address, "localhost", client_config(&ca, None)).await.unwrap();
        client.post(r#"{"uid":"second"}"#).await.json()["uid"].clone()
    });
    hold.release();
    assert_eq!(working.response().await.json()["uid"], "first");
    assert_eq!(within("the second", second).await.unwrap(), "second");
}
