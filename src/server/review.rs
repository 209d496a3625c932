//! The webhook's own port: `POST /validate` and `POST /mutate`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, CONTENT_TYPE},
    },
    response::Response,
    routing::post,
};
use tokio::time::Instant;

use super::{
    body::{self, plain, wrong_method},
    catch_panic::{Panicked, catch_panic, catch_panic_in},
    deadline, hooks,
    reviews::Reviews,
};
use crate::guard::{Answer, DenialLog, HttpError, Reply, Webhook};

pub(super) fn router(reviews: Reviews) -> Router {
    Router::new()
        .route("/validate", post(validate).fallback(wrong_method))
        .route("/mutate", post(mutate).fallback(wrong_method))
        .merge(hooks::routes())
        .fallback(wrong_path)
        .with_state(Arc::new(reviews))
}

async fn validate(State(reviews): State<Arc<Reviews>>, request: Request) -> Response {
    let deadline = deadline::deadline(request.uri().query(), Instant::now());
    let judge = async |body: &[u8]| reviews.ask(body, deadline).await;
    reviews.review(Webhook::Validate, request, judge).await
}

async fn mutate(State(reviews): State<Arc<Reviews>>, request: Request) -> Response {
    let fill_in = async |body: &[u8]| catch_panic(|| reviews.guard.mutate(body));
    reviews.review(Webhook::Mutate, request, fill_in).await
}

async fn wrong_path() -> Response {
    plain(StatusCode::NOT_FOUND, "no such path; expected POST /validate or POST /mutate")
}

impl Reviews {
    async fn review(
        &self,
        webhook: Webhook,
        request: Request,
        ask: impl AsyncFnOnce(&[u8]) -> Result<Result<Reply, HttpError>, Panicked>,
    ) -> Response {
        let body = match body::read(request, &self.limits).await {
            Ok(body) => body,
            Err(refusal) => return self.refuse(webhook, &refusal),
        };
        let started = Instant::now();
        match ask(&body).await {
            Ok(Ok(reply)) => self.answer(webhook, reply, started),
            Ok(Err(refusal)) => self.refuse(webhook, &refusal),
            Err(panicked) => {
                tracing::error!(place = panicked.place, "a review panicked and was answered with 500");
                let message = "stateward failed on this review, which is a bug in it; its log says where";
                self.refuse(webhook, &HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, message))
            }
        }
    }

    async fn ask(&self, body: &[u8], deadline: Instant) -> Result<Result<Reply, HttpError>, Panicked> {
        match catch_panic(|| self.guard.validate(body, deadline))? {
            Ok(Answer::Now(reply)) => Ok(Ok(reply)),
            Ok(Answer::Later(reply)) => Ok(Ok(catch_panic_in(reply).await?)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn answer(&self, webhook: Webhook, mut reply: Reply, started: Instant) -> Response {
        self.metrics.answered(webhook, &mut reply.facts, started.elapsed());
        if let Some(line) = &reply.facts.refused {
            log_refused(line);
        }
        let mut response = Response::new(Body::from(reply.body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    fn refuse(&self, webhook: Webhook, refusal: &HttpError) -> Response {
        self.metrics.failed(webhook, refusal.status);
        let mut response = plain(refusal.status, &refusal.message);
        if matches!(refusal.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            // What is left of the body is in the way of the next request.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Strings are given as such, not by `Display`: the formatter then escapes them, and no name can forge a line.
fn log_refused(line: &DenialLog) {
    tracing::info!(
        uid = line.uid,
        user = line.user,
        kind = line.kind,
        namespace = line.namespace,
        name = line.name,
        dry_run = line.dry_run,
        rules = line.rules.join(","),
        reason = line.message,
        "denied"
    );
}
