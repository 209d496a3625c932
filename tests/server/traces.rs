//! Traces, as a collector gets them from a running server; and a log filter that changes while it runs.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Router, routing::post};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::api_server::ApiServer;
use crate::support::client::request;
use crate::support::served::Served;
use crate::support::until;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const REVIEW: &str = "tests/captures/consul-scale-5-to-4.validate.json";

/// A collector, and the spans that it was sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route(
                "/v1/traces",
                post(async |State(collector): State<Self>, body: Bytes| collector.take(body)),
            )
            .with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        address
    }

    fn take(&self, body: Bytes) -> StatusCode {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let mut spans = self.0.lock().unwrap();
        for of in request.resource_spans {
            let attributes = of.resource.unwrap().attributes;
            assert!(attributes.iter().any(|attribute| attribute.key == "service.instance.id"));
            spans.extend(of.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        StatusCode::OK
    }

    fn named(&self, name: &str) -> Vec<Span> {
        self.0.lock().unwrap().iter().filter(|span| span.name == name).cloned().collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value| if let Some(Text::StringValue(text)) = value { text } else { String::new() };
    let pairs = span.attributes.iter().cloned();
    pairs.map(|pair| (pair.key, pair.value.map(|value| text(value.value)).unwrap_or_default())).collect()
}

/// An API server with the set of the review.
async fn api() -> ApiServer {
    let api = ApiServer::start().await;
    let review: Value = serde_json::from_str(&fs::read_to_string(REVIEW).unwrap()).unwrap();
    let text = |field: &str| review["request"][field].as_str().unwrap();
    let labels = json!({"app": "consul"});
    let spec = json!({
        "replicas": 5, "serviceName": "consul", "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "consul", "image": "hashicorp/consul:1.17"}]},
        },
    });
    api.put_object("namespaces", "", text("namespace"), json!({}));
    api.put("statefulsets", text("namespace"), text("name"), spec);
    api
}

async fn serve(api: &ApiServer, flags: &[String]) -> Served {
    Served::start(|folder| {
        let kubeconfig = api.kubeconfig(folder.path()).display().to_string();
        let environment = [("KUBECONFIG", kubeconfig), ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned())];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        ([&["--events=false".to_owned()], flags].concat(), environment.into())
    })
    .await
}

/// Asks about four members, which is denied after a live read.
async fn ask(served: &Served, headers: &str) {
    let review = fs::read_to_string(REVIEW).unwrap();
    let headers = format!("content-type: application/json\r\n{headers}");
    let mut client = served.client().await;
    client.send(request("/validate", &headers, &review)).await;
    assert_eq!(client.response().await.json()["response"]["allowed"], false, "{}", served.log());
}

fn denials(served: &Served) -> Vec<String> {
    served.log().lines().filter(|line| line.contains("denied")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_review_is_a_tree_of_spans_in_the_trace_of_the_api_server() {
    let collector = Collector::default();
    let endpoint = format!("--otlp-endpoint=http://{}", collector.start().await);
    let api = api().await;
    let served = serve(&api, &[endpoint, "--controller".to_owned()]).await;
    ask(&served, "").await;
    ask(&served, &format!("traceparent: 00-{TRACE}-{CALLER}-00\r\n")).await;
    ask(&served, &format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n")).await;
    until("the review", async || !collector.named("review").is_empty()).await;

    let reviews = collector.named("review");
    let [root] = &*reviews else { panic!("only what the API server traces: {reviews:?}") };
    assert_eq!((hex(&root.trace_id), hex(&root.parent_span_id)), (TRACE.to_owned(), CALLER.to_owned()));
    assert_eq!(root.kind(), SpanKind::Server);
    let of_root = attributes(root);
    let value = |name: &str| of_root.get(name).map(String::as_str);
    assert_eq!([value("webhook"), value("decision")], [Some("validate"), Some("denied")], "{of_root:?}");
    assert_eq!(value("resource"), Some("statefulsets/scale"));
    assert!(root.end_time_unix_nano > root.start_time_unix_nano && root.start_time_unix_nano > 1 << 60);
    for name in ["decode", "judge", "live read", "encode"] {
        let spans = collector.named(name);
        let is_part = |span: &Span| span.parent_span_id == root.span_id && span.trace_id == root.trace_id;
        assert!(!spans.is_empty() && spans.iter().all(is_part), "{name}: {spans:?}");
    }

    let denied = denials(&served);
    assert_eq!(denied.len(), 3, "{}", served.log());
    assert!(!denied[0].contains("trace_id"), "{}", denied[0]);
    // Not recorded by anyone, but it tells which request of the API server it was.
    assert!(denied[1].contains(TRACE) && denied[2].contains(TRACE), "{denied:?}");

    until("a round", async || !collector.named("reconcile").is_empty()).await;
    let round = &collector.named("reconcile")[0];
    assert!(round.parent_span_id.is_empty() && hex(&round.trace_id) != TRACE, "{round:?}");
}

#[tokio::test]
async fn without_a_collector_spans_are_dropped_and_it_is_said_once() {
    let api = api().await;
    let served = serve(&api, &["--otlp-endpoint=http://127.0.0.1:9/x".to_owned()]).await;
    for number in 1..4 {
        ask(&served, &format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n")).await;
        assert_eq!(denials(&served).len(), number);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    until("the complaint", async || served.log().contains("cannot reach the collector")).await;
    assert_eq!(served.log().matches("cannot reach the collector").count(), 1, "{}", served.log());
}

#[tokio::test]
async fn the_log_filter_follows_its_file() {
    let (api, folder) = (api().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("filter");
    let served = serve(&api, &[format!("--log-filter-file={}", file.display())]).await;
    ask(&served, "").await;
    fs::write(&file, "warn,stateward::process=info\n").unwrap();
    until("the change", async || served.log().contains("log filter changed")).await;
    ask(&served, "").await;
    assert_eq!(denials(&served).len(), 1, "{}", served.log());
    fs::write(&file, "stateward=loud").unwrap();
    until("the complaint", async || served.log().contains("log filter not changed")).await;
    fs::remove_file(&file).unwrap();
    until("the change back", async || served.log().matches("log filter changed").count() == 2).await;
    ask(&served, "").await;
    assert_eq!(denials(&served).len(), 2, "{}", served.log());
}

#[test]
fn an_endpoint_that_is_none_is_refused() {
    for wrong in ["collector:4318", "grpc://collector:4317", "x y", ""] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stateward"));
        let output =
            command.args(["serve", "--standalone", &format!("--otlp-endpoint={wrong}")]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains("URL of a collector"), "{wrong}: {text}");
    }
}
