//! From a request to the bytes of a review, or to the reason why there are none.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName},
    },
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::{
    Limits,
    in_flight::{ByteBudget, NoRoom, Share},
};
use crate::guard::HttpError;

/// Checks the headers and reads the body, whose bytes are in flight as long as the share lives.
pub(super) async fn read(
    request: Request,
    limits: &Limits,
    budget: &Arc<ByteBudget>,
) -> Result<(Bytes, Share), HttpError> {
    check_type(request.headers())?;
    check_encoding(request.headers())?;
    let body = request.into_body();
    // The least it will be is what Content-Length announced: no need to read it first.
    if body.size_hint().lower() > limits.body_bytes as u64 {
        return Err(too_large(limits));
    }
    let mut share = budget.share();
    let give_way = share.give_way();
    let read = tokio::select! {
        biased;
        read = until(Instant::now() + limits.body, collect(body, limits, &mut share)) => read,
        () = give_way.notified() => return Err(busy(NoRoom)),
    };
    let too_slow = || {
        let message = format!("the body took too long; expected all of it within {:?}", limits.body);
        HttpError::new(StatusCode::REQUEST_TIMEOUT, message)
    };
    let body = read.ok_or_else(too_slow)??;
    share.complete();
    Ok((body, share))
}

/// The result of `reading`, or nothing where that takes too long. It sets no timer, for which every request would pay: the connection's
/// own wakes it in time ([`Activity::overdue`](super::activity::Activity::overdue)).
async fn until<T>(deadline: Instant, reading: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(reading);
    poll_fn(|cx| match reading.as_mut().poll(cx) {
        Poll::Ready(read) => Poll::Ready(Some(read)),
        Poll::Pending if Instant::now() >= deadline => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

async fn collect(mut body: Body, limits: &Limits, share: &mut Share) -> Result<Bytes, HttpError> {
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let message = format!("the body broke off ({error}); expected a whole AdmissionReview");
            HttpError::new(StatusCode::BAD_REQUEST, message)
        })?;
        let Ok(bytes) = frame.into_data() else { continue };
        if first.len().max(all.len()) + bytes.len() > limits.body_bytes {
            return Err(too_large(limits));
        }
        share.grow(bytes.len()).map_err(busy)?;
        // Nearly every body comes in one piece, which needs no copy.
        if first.is_empty() {
            first = bytes;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&bytes);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn busy(_: NoRoom) -> HttpError {
    let message = "too many bodies are in flight; ask again in a moment";
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message)
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

/// The value of a header, shortened for a quotation.
fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("not text").trim())
}

fn too_large(limits: &Limits) -> HttpError {
    let message = format!("the body is too large; expected at most {} bytes", limits.body_bytes);
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
