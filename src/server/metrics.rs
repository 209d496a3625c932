//! The metrics of the server.

use std::{borrow::Cow, fmt, time::Duration};

use axum::http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, text},
    metrics::{
        MetricType, TypedMetric, counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
        info::Info,
    },
    registry::Registry,
};

use crate::guard::{Decision, Operation, Resource, ReviewFacts, Webhook};

/// Seconds; the API server gives up after 30 at most.
const DURATIONS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    webhook: Webhook,
    operation: Operation,
    resource: Resource,
    decision: Decision,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    webhook: Webhook,
    operation: Operation,
    resource: Resource,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    rule: Cow<'static, str>,
    level: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PortLabels {
    port: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookFailureLabels {
    webhook: Webhook,
    status: u16,
}

/// A counter with `_total` in the name of its family, where another family has the name without it: `findings` is a gauge of what
/// exists. The text format has no name for that but `unknown`.
#[derive(Clone, Debug, Default)]
struct NamedCounter(Counter);

impl TypedMetric for NamedCounter {
    const TYPE: MetricType = MetricType::Unknown;
}

impl EncodeMetric for NamedCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.0.get())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// The registry with the server's own metrics in it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram>,
    findings: Family<FindingLabels, NamedCounter>,
    failures: Family<WebhookFailureLabels, Counter>,
    handshake_failures: Counter,
    certificate_expiry: Gauge,
    connections: Family<PortLabels, Gauge>,
    body_bytes: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A new registry, whose names all begin with `stateward_`.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("stateward"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            findings: Family::default(),
            failures: Family::default(),
            handshake_failures: Counter::default(),
            certificate_expiry: Gauge::default(),
            connections: Family::default(),
            body_bytes: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    /// The registry for metrics of other modules, before the server is started.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    // The encoder itself appends `_total` to counters and `_info` to an info.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("admission_requests", "Reviews answered", self.requests.clone());
        registry.register("admission_duration_seconds", "Time to judge a review", self.durations.clone());
        registry.register("findings_total", "Findings in reviews", self.findings.clone());
        registry.register("admission_failures", "Calls answered with an HTTP error", self.failures.clone());
        let handshakes = self.handshake_failures.clone();
        registry.register("tls_handshake_failures", "TLS handshakes that failed", handshakes);
        let expiry = self.certificate_expiry.clone();
        registry.register("certificate_expiry_timestamp_seconds", "When the certificate ends", expiry);
        registry.register("connections", "Open connections of clients", self.connections.clone());
        let bytes = self.body_bytes.clone();
        registry.register("request_body_bytes", "Bytes of the bodies of requests in flight", bytes);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running build", build);
    }

    pub(super) fn answered(&self, webhook: Webhook, facts: &mut ReviewFacts, took: Duration) {
        let (operation, resource, decision) = (facts.operation, facts.resource, facts.decision);
        self.requests.get_or_create(&RequestLabels { webhook, operation, resource, decision }).inc();
        let review = DurationLabels { webhook, operation, resource };
        self.durations.get_or_create(&review).observe(took.as_secs_f64());
        for finding in facts.findings.drain(..) {
            self.findings.get_or_create(&FindingLabels { rule: finding.rule, level: finding.level }).0.inc();
        }
    }

    pub(super) fn failed(&self, webhook: Webhook, status: StatusCode) {
        self.failures.get_or_create(&WebhookFailureLabels { webhook, status: status.as_u16() }).inc();
    }

    pub(super) fn handshake_failed(&self) {
        self.handshake_failures.inc();
    }

    pub(super) fn certificate_expires(&self, timestamp: i64) {
        self.certificate_expiry.set(timestamp);
    }

    /// The open connections of a port, `webhook` or `ops`.
    pub(super) fn connections(&self, port: &'static str) -> Gauge {
        self.connections.get_or_create(&PortLabels { port }).clone()
    }

    pub(super) fn body_bytes(&self) -> Gauge {
        self.body_bytes.clone()
    }

    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
