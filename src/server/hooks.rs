//! Metacontroller's hooks, on the webhook's own port.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
    routing::post,
};

use super::{
    body::{self, plain, wrong_method},
    catch_panic::catch_panic,
    reviews::Reviews,
};
use crate::guard::HttpError;
use crate::metacontroller::Hook;

/// The routes; each path ends in `token`, which is a segment or nothing.
pub(super) fn routes(token: &str) -> Router<Arc<Reviews>> {
    Hook::ALL.into_iter().fold(Router::new(), |router, hook| {
        let handler =
            move |State(reviews): State<Arc<Reviews>>, request: Request| answer(reviews, hook, request);
        router.route(&format!("{}{token}", hook.path()), post(handler).fallback(wrong_method))
    })
}

async fn answer(reviews: Arc<Reviews>, hook: Hook, request: Request) -> Response {
    let read = match reviews.check_path(&request) {
        Ok(()) => body::read(request, &reviews.limits, &reviews.bodies).await,
        Err(refusal) => Err(refusal),
    };
    let answered = match read {
        Ok((body, _share)) => catch_panic(|| reviews.guard.hook(hook, &body)).unwrap_or_else(|panicked| {
            tracing::error!(place = panicked.place, "a hook panicked and was answered with 500");
            let message = "stateward failed on this request, which is a bug in it; its log says where";
            Err(HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, message))
        }),
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(refusal) => {
            // A string as a field is escaped by the formatter: it may quote the name of a pod.
            tracing::info!(
                hook = hook.path(),
                status = refusal.status.as_u16(),
                reason = refusal.message,
                "hook not answered"
            );
            plain(refusal.status, &refusal.message)
        }
    }
}
