//! The trace that a request belongs to.

use http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, TraceId};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::field::Empty;
use tracing::{Span, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::SPANS;

/// The span of a review.
pub(super) const REVIEW: &str = "review";

/// The span of another process that a request was sent in.
#[derive(Clone, Debug)]
pub struct Caller(SpanContext);

impl Caller {
    /// Reads the header `traceparent`; `None` where it is missing or malformed.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        // The propagator allocates, header or not.
        headers.get("traceparent")?;
        let none = Context::new();
        let context = TraceContextPropagator::new().extract_with_context(&none, &HeaderExtractor(headers));
        let caller = context.span().span_context().clone();
        caller.is_valid().then_some(Self(caller))
    }

    /// The id that all spans of the trace have.
    pub fn trace_id(&self) -> TraceId {
        self.0.trace_id()
    }
}

/// The span of a review, where its caller records the trace; else no span.
pub fn review_span(caller: Option<&Caller>, webhook: &'static str) -> Span {
    let Some(Caller(caller)) = caller.filter(|caller| caller.0.is_sampled()) else { return Span::none() };
    let span = trace_span!(
        target: SPANS,
        REVIEW,
        otel.kind = "server",
        webhook,
        operation = Empty,
        resource = Empty,
        decision = Empty
    );
    // An error only says that nothing collects the span.
    let _ = span.set_parent(Context::new().with_remote_span_context(caller.clone()));
    span
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::Caller;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn caller(header: &str) -> Option<Caller> {
        let header = HeaderValue::from_bytes(header.as_bytes()).unwrap();
        Caller::of(&HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), header)]))
    }

    #[test]
    fn the_trace_of_the_caller_is_read() {
        let sampled = caller(HEADER).unwrap();
        assert_eq!(sampled.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(sampled.0.is_sampled() && sampled.0.is_remote());
        assert!(!caller(&HEADER.replace("-01", "-00")).unwrap().0.is_sampled());
    }

    #[test]
    fn a_malformed_header_is_no_trace() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let more = format!("{HEADER}-x");
        for wrong in ["", "x", zeros, &HEADER.to_uppercase(), &more, "00-é-é-01"] {
            assert!(caller(wrong).is_none(), "{wrong}");
        }
        assert!(Caller::of(&HeaderMap::new()).is_none());
    }
}
