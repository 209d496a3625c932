//! The port for probes and metrics.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{
        HeaderValue, StatusCode,
        header::{ALLOW, CONTENT_TYPE},
    },
    response::Response,
    routing::get,
};

use super::{Metrics, body::plain};
use crate::process::Readiness;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Ops {
    readiness: Readiness,
    metrics: Arc<Metrics>,
}

pub(super) fn router(readiness: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(livez).fallback(wrong_method))
        .route("/readyz", get(readyz).fallback(wrong_method))
        .route("/metrics", get(scrape).fallback(wrong_method))
        .fallback(wrong_path)
        .with_state(Ops { readiness, metrics })
}

async fn livez() -> Response {
    plain(StatusCode::OK, "ok")
}

async fn readyz(State(ops): State<Ops>) -> Response {
    let missing = ops.readiness.missing();
    let mut lines = ops.readiness.remarks();
    if missing.is_empty() {
        lines.insert(0, "ok".to_owned());
        return plain(StatusCode::OK, &lines.join("\n"));
    }
    lines.insert(0, format!("not ready: {}", missing.join(", ")));
    plain(StatusCode::SERVICE_UNAVAILABLE, &lines.join("\n"))
}

async fn scrape(State(ops): State<Ops>) -> Response {
    let Ok(text) = ops.metrics.text() else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "a metric could not be written");
    };
    let mut response = Response::new(text.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
    response
}

async fn wrong_method() -> Response {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "wrong method; expected GET");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

async fn wrong_path() -> Response {
    plain(StatusCode::NOT_FOUND, "no such path; expected GET /livez, /readyz or /metrics")
}
