//! Traces of reviews and of the per-pod Service controller, for a collector that speaks OTLP over HTTP.
//!
//! ```text
//! span!(target: SPANS) ─▶ layer ─ the span ends ─▶ bounded queue, on a thread of its own ─ protobuf ─▶ collector
//! ```
//!
//! Spans have the level TRACE. Without `--otlp-endpoint` nothing subscribes to them, and each costs the comparison of its level. A
//! review is traced where the API server traces the request, as part of that trace.

mod caller;
mod collector;

use http::Uri;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

pub use caller::{Caller, review_span};
use collector::Collector;
pub use opentelemetry::TraceId;

/// The target of the spans that are exported.
pub const SPANS: &str = "stateward::spans";

/// The span of a round of the per-pod Service controller.
pub const RECONCILE: &str = "reconcile";

/// Spans that start a trace or continue one of another process; all others are exported only as parts of these.
const ROOTS: [&str; 2] = [caller::REVIEW, RECONCILE];

/// The collector cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{endpoint}` is not the URL of a collector, such as http://collector:4318: {reason}")]
pub struct EndpointError {
    endpoint: String,
    reason: String,
}

/// Collects spans and sends them to a collector. Spans that cannot be sent are dropped.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Must be called in a tokio runtime, which the collector is called from. A URL without a path gets `/v1/traces`.
    pub fn new(endpoint: &str, instance: String) -> Result<Self, EndpointError> {
        let wrong = |reason: String| EndpointError { endpoint: endpoint.to_owned(), reason };
        let uri: Uri = endpoint.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("it does not begin with http:// or https://".to_owned()));
        }
        let path = Some(uri.path()).filter(|path| *path != "/").unwrap_or("/v1/traces");
        let url = format!("{}{path}", endpoint.trim_end_matches(path).trim_end_matches('/'));
        let collector = Collector::new(uri).map_err(|error| wrong(error.to_string()))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(url)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let resource = Resource::builder().with_service_name("stateward").with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
        ]);
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        Ok(Self(provider.with_resource(resource.build()).build()))
    }

    /// The subscriber's part that collects the spans.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("stateward"))
            .with_context_activation(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        layer.with_filter(dynamic_filter_fn(|metadata, context| {
            let is_ours = metadata.is_span() && metadata.target() == SPANS;
            is_ours && (ROOTS.contains(&metadata.name()) || context.lookup_current().is_some())
        }))
    }

    /// Sends what has not been sent yet.
    pub fn end(&self) {
        if let Err(error) = self.0.shutdown() {
            tracing::debug!("the last spans were not sent: {error}");
        }
    }
}
