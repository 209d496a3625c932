//! The shutdown of a replica: no request fails for it.

use crate::support;
use std::{process::Command, time::Duration};

use stateward::process::Shutdown;
use stateward::server::Drain;
use stateward::server::ServeConfig;
use stateward::server::ServeError;
use support::{PATIENCE, Running, client::request, pki, start, until, within};
use tokio::net::TcpStream;

const JSON: &str = "content-type: application/json\r\n";

async fn start_draining(serve_for: Duration, finish_within: Duration) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let drain = Drain { serve_for, finish_within };
    start(ServeConfig { drain, ..support::config(&folder) }, folder).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readiness_first_then_no_new_connections_then_what_is_in_flight() {
    let server = start_draining(Duration::from_secs(3), PATIENCE).await;
    let (mut kept, mut slow) = (server.client().await, server.client().await);
    assert_eq!(kept.post("{}").await.header("connection"), None);
    slow.send(request("/validate", JSON, r#"{"uid":"slow","do":"hold"}"#)).await;
    until("the slow review", async || server.hold.waiting() == 1).await;

    server.stopper.stop();
    until("unready", async || server.get("/readyz").await.status == 503).await;
    assert_eq!(server.get("/readyz").await.text(), "not ready: webhook\n");
    let response = kept.post(r#"{"uid":"kept"}"#).await;
    assert_eq!(
        (response.json()["uid"].as_str(), response.header("connection")),
        (Some("kept"), Some("close"))
    );
    assert!(kept.rest().await.1.is_ok());
    let response = server.client().await.post(r#"{"uid":"new"}"#).await;
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));

    until("no new connections", async || TcpStream::connect(server.webhook).await.is_err()).await;
    assert_eq!(server.get("/livez").await.status, 200, "probes are answered to the end");
    assert_eq!(server.hold.waiting(), 1);
    server.hold.release();
    let response = slow.response().await;
    assert_eq!(
        (response.json()["uid"].as_str(), response.header("connection")),
        (Some("slow"), Some("close"))
    );
    drop(slow);
    let ops = server.ops;
    server.end().await.unwrap();
    assert!(TcpStream::connect(ops).await.is_err());
}

#[tokio::test]
async fn a_resting_connection_is_closed_in_good_order() {
    let server = start_draining(Duration::from_millis(200), PATIENCE).await;
    let (mut fresh, mut used) = (server.client().await, server.client().await);
    used.post("{}").await;
    server.stopper.stop();
    for client in [&mut fresh, &mut used] {
        let (rest, end) = client.rest().await;
        assert!(rest.is_empty() && end.is_ok(), "{end:?}");
    }
    server.end().await.unwrap();
}

#[tokio::test]
async fn a_request_half_sent_when_the_listener_closes_is_answered() {
    let server = start_draining(Duration::ZERO, PATIENCE).await;
    let mut client = server.client().await;
    let whole = request("/validate", JSON, r#"{"uid":"half"}"#);
    let (head, tail) = whole.split_at(30);
    client.post("{}").await;
    client.send(head).await;
    // The bytes are with the server once it closes this one for the drip, or here: once another round trip is over.
    server.client().await.post("{}").await;
    server.stopper.stop();
    until("no new connections", async || TcpStream::connect(server.webhook).await.is_err()).await;
    client.send(tail).await;
    let response = client.response().await;
    assert_eq!(
        (response.json()["uid"].as_str(), response.header("connection")),
        (Some("half"), Some("close"))
    );
    drop(client);
    server.end().await.unwrap();
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_left() {
    let server = start_draining(Duration::ZERO, Duration::from_millis(200)).await;
    let mut client = server.client().await;
    client.send(request("/validate", JSON, "").replace("length: 0", "length: 10")).await;
    server.client().await.post("{}").await;
    server.stopper.stop();
    server.end().await.unwrap();
}

#[tokio::test]
async fn a_second_stop_ends_at_once() {
    let server = start_draining(Duration::from_secs(3600), PATIENCE).await;
    server.stopper.stop();
    until("unready", async || server.get("/readyz").await.status == 503).await;
    server.stopper.stop();
    assert!(matches!(server.end().await, Err(ServeError::Aborted)));
}

#[tokio::test]
async fn a_dropped_stopper_stops_nothing() {
    let (stopper, shutdown) = stateward::process::Stopper::new();
    drop(stopper);
    tokio::select! {
        () = shutdown.draining() => panic!("stopped"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
}

#[tokio::test]
async fn signals_drain_and_then_abort() {
    let shutdown = Shutdown::signals().unwrap();
    let send = |signal: &str| {
        let status = Command::new("kill").args([signal, &std::process::id().to_string()]).status();
        assert!(status.unwrap().success());
    };
    send("-TERM");
    within("the drain", shutdown.draining()).await;
    tokio::select! {
        biased;
        () = shutdown.aborted() => panic!("at once"),
        () = std::future::ready(()) => {}
    }
    send("-INT");
    within("the abort", shutdown.aborted()).await;
}

#[tokio::test]
async fn the_server_is_done_with_a_client_that_never_closes() {
    let server = start_draining(Duration::ZERO, PATIENCE).await;
    let ca = std::fs::read(server.folder.path().join("ca.crt")).unwrap();
    let config = pki::client_config(&ca, None);
    let _kept = support::client::Client::tls(server.webhook, "localhost", config).await.unwrap();
    server.stopper.stop();
    server.end().await.unwrap();
}
