//! What the shell answers, what it refuses, and how long it waits.

use crate::support;
use std::time::Duration;

use stateward::process::Readiness;
use stateward::server::Metrics;
use stateward::server::ServeConfig;
use stateward::server::Server;
use support::{
    client::{Client, request},
    guard::{Echo, Hold},
    logs::Logs,
    start_with, until,
};
use tokio::time::sleep;

const JSON: &str = "content-type: application/json\r\n";
const CHUNKED: &str = "POST /validate HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn one_connection_answers_one_review_after_the_other() {
    let server = start_with(|_| {}).await;
    let mut client = server.client().await;
    let response = client.post(r#"{"uid":"a"}"#).await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    assert_eq!(response.json()["uid"], "a");
    for (path, headers) in [
        ("/validate?timeout=10s", JSON),
        ("/validate", "Content-Type: Application/JSON; charset=utf-8\r\naccept-encoding: gzip\r\n"),
        ("/validate", "content-type: application/json\r\ncontent-encoding: identity\r\n"),
    ] {
        client.send(request(path, headers, r#"{"uid":"b"}"#)).await;
        assert_eq!(client.response().await.json()["uid"], "b", "{path} {headers}");
    }
    let both = [request("/validate", JSON, r#"{"uid":"c"}"#), request("/validate", JSON, r#"{"uid":"d"}"#)];
    client.send(both.concat()).await;
    assert_eq!(client.response().await.json()["uid"], "c");
    assert_eq!(client.response().await.json()["uid"], "d");
}

#[tokio::test]
async fn whatever_is_no_review_is_told_what_was_expected() {
    let server = start_with(|_| {}).await;
    let mut client = server.client().await;
    for (request, status, expected) in [
        (request("/nowhere", JSON, "{}"), 404, "POST /validate or POST /mutate"),
        ("GET /mutate HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), 405, "expected POST"),
        ("GET /validate HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), 405, "expected POST"),
        (request("/validate", "", "{}"), 415, "expected application/json"),
        (request("/validate", "content-type: text/yaml\r\n", "{}"), 415, "\"text/yaml\""),
        (request("/validate", &format!("{JSON}content-encoding: gzip\r\n"), "{}"), 415, "\"gzip\""),
        (request("/validate", JSON, "{"), 422, "no AdmissionReview: EOF"),
        (request("/validate", JSON, ""), 422, "no AdmissionReview: EOF"),
    ] {
        client.send(&request).await;
        let response = client.response().await;
        assert_eq!(response.status, status, "{request}");
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
        let text = response.text();
        assert!(text.contains(expected) && text.lines().count() == 1, "{text}");
        assert_eq!(response.header("allow"), (status == 405).then_some("POST"));
    }
    assert_eq!(client.post(r#"{"uid":"still"}"#).await.json()["uid"], "still");
    let failures =
        server.metric(r#"stateward_admission_failures_total{webhook="validate",status="415"}"#).await;
    assert_eq!(failures, Some(3.0));
}

/// Those of Metacontroller, on the same port and under the same limits.
#[tokio::test]
async fn hooks_are_answered_beside_reviews() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServeConfig { metacontroller: true, ..support::config(&folder) };
    config.limits.body_bytes = 1000;
    let server = support::start(config, folder).await;
    let mut client = server.client().await;
    let path = "/metacontroller/service-per-pod/sync";
    client.send(request(path, JSON, "{}")).await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    assert_eq!(response.json()["hook"], path);
    for (path, headers, body, status) in [
        ("/metacontroller", JSON, "{}", 404),
        (path, "", "{}", 415),
        (path, JSON, "panic", 500),
        (path, JSON, &*"x".repeat(1001), 413),
    ] {
        let mut client = server.client().await;
        client.send(request(path, headers, body)).await;
        let response = client.response().await;
        assert_eq!((response.status, response.text().lines().count()), (status, 1), "{}", response.text());
    }
    client.send(format!("GET {path} HTTP/1.1\r\nhost: g\r\n\r\n")).await;
    assert_eq!(client.response().await.status, 405);
}

#[tokio::test]
async fn too_large_is_said_before_the_body_comes() {
    let server = start_with(|limits| limits.body_bytes = 1000).await;
    let mut client = server.client().await;
    let exact = format!("\"{}\"", "x".repeat(998));
    assert_eq!(client.post(&exact).await.json()["bytes"], 1000);
    let head = request("/validate", &format!("{JSON}expect: 100-continue\r\n"), "");
    client.send(head.replace("content-length: 0", "content-length: 1001")).await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection")), (413, Some("close")));
    assert!(response.text().contains("at most 1000 bytes"));
    assert!(client.rest().await.1.is_ok());
}

#[tokio::test]
async fn the_answer_to_a_body_too_large_arrives_though_the_client_keeps_sending() {
    let server = start_with(|limits| limits.linger = support::PATIENCE).await;
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    for announced in [false, true] {
        let mut client = server.client().await;
        let head = request("/validate", JSON, "").replace("length: 0", &format!("length: {}", 10 << 20));
        client.send(if announced { &head } else { CHUNKED }).await;
        for _ in 0..10 {
            client.send(if announced { &chunk.as_bytes()[..1 << 20] } else { chunk.as_bytes() }).await;
        }
        let response = client.response().await;
        assert_eq!(response.status, 413);
        assert!(response.text().contains("at most 8388608 bytes"));
    }
}

#[tokio::test]
async fn chunks_add_up_to_a_review() {
    let server = start_with(|_| {}).await;
    let mut client = server.client().await;
    client.send(CHUNKED).await;
    client.send("6\r\n{\"uid\"\r\n").await;
    client.send("5\r\n:\"a\"}\r\n0\r\n\r\n").await;
    assert_eq!(client.response().await.json()["uid"], "a");
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_with_408() {
    let server = start_with(|limits| limits.body = Duration::from_millis(200)).await;
    let mut client = server.client().await;
    client.send(request("/validate", JSON, "").replace("length: 0", "length: 20")).await;
    client.send("{\"uid\":").await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection")), (408, Some("close")));
    assert!(response.text().contains("within 200ms"), "{}", response.text());
    assert!(client.rest().await.1.is_ok());
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off_however_lively_it_drips() {
    let server = start_with(|limits| limits.head = Duration::from_millis(300)).await;
    let mut client = server.client().await;
    client.post("{}").await;
    client.send("POST /validate HTTP/1.1\r\n").await;
    let dripping = async {
        while client.try_send("x: y\r\n").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    support::within("the end of the drip", dripping).await;
}

#[tokio::test]
async fn rest_between_requests_is_not_held_against_the_next_head() {
    let head = Duration::from_millis(100);
    let server = start_with(|limits| limits.head = head).await;
    let mut fresh = server.client().await;
    let mut used = server.client().await;
    used.post("{}").await;
    sleep(head * 8).await;
    assert_eq!(fresh.post("{}").await.status, 200, "a connection dialled ahead");
    assert_eq!(used.post("{}").await.status, 200, "a connection kept alive");
}

#[tokio::test]
async fn a_connection_that_rests_too_long_is_closed_in_good_order() {
    let server = start_with(|limits| {
        limits.idle = Duration::from_secs(1);
        limits.first = Duration::from_secs(1);
    })
    .await;
    let mut used = server.client().await;
    used.post("{}").await;
    let mut fresh = server.client().await;
    for client in [&mut fresh, &mut used] {
        let (rest, end) = client.rest().await;
        assert!(rest.is_empty() && end.is_ok(), "{end:?}");
    }
}

#[tokio::test]
async fn a_head_too_large_is_431() {
    let server = start_with(|limits| limits.head_bytes = 4096).await;
    let mut client = server.client().await;
    let padding = format!("{JSON}x: {}\r\n", "y".repeat(5000));
    client.send(request("/validate", &padding, "{}")).await;
    assert_eq!(client.response().await.status, 431);
}

#[tokio::test]
async fn a_panic_costs_one_review_and_one_line_of_log() {
    let logs = Logs::capture();
    let server = start_with(|_| {}).await;
    let mut client = server.client().await;
    for moment in ["panic", "panic later"] {
        let review = format!(r#"{{"uid":"a","do":"{moment}","password":"hunter2"}}"#);
        let response = client.post(&review).await;
        assert_eq!(response.status, 500);
        assert!(!response.text().contains("hunter2"));
        assert_eq!(client.post(r#"{"uid":"b","do":"wait"}"#).await.json()["uid"], "b");
    }
    let lines = logs.lines_with("panicked");
    assert_eq!(lines.len(), 2, "{}", logs.text());
    assert!(lines[0].contains("guard.rs:"), "{}", lines[0]);
    assert!(!logs.text().contains("hunter2"), "{}", logs.text());
    let failures =
        server.metric(r#"stateward_admission_failures_total{webhook="validate",status="500"}"#).await;
    assert_eq!(failures, Some(2.0));
}

#[tokio::test]
async fn a_mutation_is_answered_and_counted_as_such() {
    let server = start_with(|_| {}).await;
    let mut client = server.client().await;
    client.send(request("/mutate?timeout=2s", JSON, r#"{"uid":"a"}"#)).await;
    assert_eq!(client.response().await.json()["uid"], "a");
    client.send(request("/mutate", JSON, "{")).await;
    assert_eq!(client.response().await.status, 422);
    client.send(request("/mutate", JSON, r#"{"do":"panic"}"#)).await;
    assert_eq!(client.response().await.status, 500);
    let labels = r#"webhook="mutate",operation="UPDATE",resource="statefulsets/scale""#;
    for line in [
        format!(r#"stateward_admission_requests_total{{{labels},decision="allowed"}}"#),
        r#"stateward_admission_failures_total{webhook="mutate",status="422"}"#.to_owned(),
        r#"stateward_admission_failures_total{webhook="mutate",status="500"}"#.to_owned(),
    ] {
        assert_eq!(server.metric(&line).await, Some(1.0), "{line}");
    }
}

#[tokio::test]
async fn a_denial_is_one_structured_line_and_is_counted() {
    let logs = Logs::capture();
    let server = start_with(|_| {}).await;
    let mut client = server.client().await;
    client.post(r#"{"uid":"a"}"#).await;
    assert_eq!(
        client.post(r#"{"uid":"u-1","do":"deny","password":"hunter2"}"#).await.json()["allowed"],
        false
    );

    let lines = logs.lines_with("denied");
    assert_eq!(lines.len(), 1, "{}", logs.text());
    for part in [r#"uid="u-1""#, r#"user="jane""#, r#"rules="quorum-even""#, r"consul\n2026 ERROR forged"] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    assert!(!logs.text().contains("hunter2"));

    let labels = r#"webhook="validate",operation="UPDATE",resource="statefulsets/scale""#;
    for (line, value) in [
        (format!(r#"stateward_admission_requests_total{{{labels},decision="denied"}}"#), 1.0),
        (format!(r#"stateward_admission_requests_total{{{labels},decision="allowed"}}"#), 1.0),
        (format!("stateward_admission_duration_seconds_count{{{labels}}}"), 2.0),
        (format!(r#"stateward_admission_duration_seconds_bucket{{le="10.0",{labels}}}"#), 2.0),
        (r#"stateward_findings_total{rule="quorum-even",level="deny"}"#.to_owned(), 1.0),
        (format!(r#"stateward_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert_eq!(
            server.metric(&line).await,
            Some(value),
            "{line}\n{}",
            server.get("/metrics").await.text()
        );
    }
}

#[tokio::test]
async fn the_ops_port_tells_which_part_is_not_ready() {
    let server = start_with(|_| {}).await;
    let policies = server.readiness.gate("policies");
    let response = server.get("/readyz").await;
    assert_eq!((response.status, response.text().as_str()), (503, "not ready: policies\n"));
    assert_eq!(server.get("/livez").await.status, 200);
    policies.open();
    assert_eq!(server.get("/readyz").await.status, 200);
    assert!(server.get("/").await.text().contains("/livez, /readyz or /metrics"));

    let mut client = Client::plain(server.ops).await;
    client.send(request("/metrics", "", "")).await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")));
    assert!(server.get("/metrics").await.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = ServeConfig { ops_bind: taken.local_addr().unwrap(), ..support::config(&folder) };
    let error = Server::bind(config, Echo(Hold::default()), Readiness::default(), Metrics::new()).await;
    let Err(error) = error else { panic!("bound twice") };
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
}

#[tokio::test]
async fn the_real_addresses_are_logged() {
    let logs = Logs::capture();
    let server = start_with(|_| {}).await;
    until("the line", async || !logs.lines_with("listening").is_empty()).await;
    let line = logs.lines_with("listening").remove(0);
    let fields = format!("webhook={} ops={}", server.webhook, server.ops);
    assert!(line.contains(&fields), "{line}");
}
