//! From a request to the bytes of a review, or to the reason why there are none.

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName},
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::Limits;
use crate::guard::HttpError;

/// Checks the headers and reads the body.
pub(super) async fn read(request: Request, limits: &Limits) -> Result<Bytes, HttpError> {
    check_type(request.headers())?;
    check_encoding(request.headers())?;
    let body = request.into_body();
    // The least it will be is what Content-Length announced: no need to read it first.
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(too_large(limits));
    }
    let reading = timeout(limits.body, Limited::new(body, limits.body_bytes).collect());
    match reading.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limits)),
        Ok(Err(error)) => Err(HttpError::new(
            StatusCode::BAD_REQUEST,
            format!("the body broke off ({error}); expected a whole AdmissionReview"),
        )),
        Err(_) => Err(HttpError::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body took too long; expected all of it within {:?}", limits.body),
        )),
    }
}

/// An answer as plain text, of one line.
pub(super) fn plain(status: StatusCode, message: &str) -> axum::response::Response {
    let mut response = axum::response::Response::new(Body::from(format!("{message}\n")));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

pub(super) async fn wrong_method() -> axum::response::Response {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "wrong method; expected POST");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

fn check_type(headers: &HeaderMap) -> Result<(), HttpError> {
    let given = text_of(headers, &CONTENT_TYPE);
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("the content type is \"{given}\"; expected application/json");
    Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

fn check_encoding(headers: &HeaderMap) -> Result<(), HttpError> {
    let given = text_of(headers, &CONTENT_ENCODING);
    if given.is_empty() || given.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    let message = format!("the content encoding is \"{given}\"; expected the review as it is, without one");
    Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("not text").trim())
}

fn too_large(limits: &Limits) -> HttpError {
    let message = format!("the body is too large; expected at most {} bytes", limits.body_bytes);
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
