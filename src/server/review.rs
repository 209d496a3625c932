//! The webhook's own port: `POST /validate` and `POST /mutate`.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
    },
    response::Response,
    routing::{any, post},
};
use bytes::Bytes;
use tokio::{
    task::{spawn_blocking, yield_now},
    time::{Instant, timeout_at},
};
use tracing::{Instrument, Span};

use super::{
    body::{self, plain, wrong_method},
    catch_panic::{Panicked, catch_panic, catch_panic_in},
    deadline, hooks,
    reviews::{FORBIDDEN, LARGE_AT_ONCE, Reviews},
};
use crate::guard::{DenialLog, GuardAnswer, HttpError, Reply, ReviewFacts, Webhook};
use crate::process::traces::{Caller, TraceId, review_span};

/// A body from this size on is judged on a thread of its own: it takes milliseconds, in which a thread serves others.
const LARGE: usize = 64 << 10;

/// A body from this size on is judged alone: lists of empty objects take fifteen times as much memory as their text.
const HUGE: usize = 1 << 20;

pub(super) fn router(reviews: Reviews, metacontroller: bool) -> Router {
    let has_token = reviews.callers.token.is_some();
    let token = if has_token { "/{token}" } else { "" };
    let mut router = Router::new();
    for (path, webhook) in [("/validate", Webhook::Validate), ("/mutate", Webhook::Mutate)] {
        let handler = move |State(reviews): State<Arc<Reviews>>, request: Request| async move {
            reviews.review(webhook, request).await
        };
        router = router.route(&format!("{path}{token}"), post(handler).fallback(wrong_method));
        if has_token {
            router = router.route(path, any(forbidden));
        }
    }
    if metacontroller {
        router = router.merge(hooks::routes(token));
    }
    router.fallback(wrong_path).with_state(Arc::new(reviews))
}

/// For connections that may not ask anything.
pub(super) fn forbidding_router() -> Router {
    Router::new().fallback(forbidden)
}

async fn forbidden() -> Response {
    plain(StatusCode::FORBIDDEN, FORBIDDEN)
}

async fn wrong_path() -> Response {
    plain(StatusCode::NOT_FOUND, "no such path; expected POST /validate or POST /mutate")
}

/// The guard's answer to a body, unless it panics.
type Asked<T> = Result<Result<T, HttpError>, Panicked>;

impl Reviews {
    async fn review(self: Arc<Self>, webhook: Webhook, request: Request) -> Response {
        let caller = Caller::of(request.headers());
        let span = review_span(caller.as_ref(), webhook.as_str());
        let trace = caller.map(|caller| caller.trace_id());
        self.review_in(trace, webhook, request).instrument(span).await
    }

    async fn review_in(
        self: Arc<Self>,
        trace: Option<TraceId>,
        webhook: Webhook,
        request: Request,
    ) -> Response {
        if let Err(refusal) = self.check_path(&request) {
            return self.refuse(webhook, &refusal);
        }
        let deadline = deadline::deadline(request.uri().query(), Instant::now());
        let (body, _share) = match body::read(request, &self.limits, &self.bodies).await {
            Ok(read) => read,
            Err(refusal) => return self.refuse(webhook, &refusal),
        };
        // Reviews that are ready at the same time take each step one after the other, all of them: one is some 300 kB of code that
        // is run once, and what reads and writes is as much. The processor's cache holds one of the two.
        yield_now().await;
        let started = Instant::now();
        let asked = self.ask(webhook, body, deadline).await;
        let took = started.elapsed();
        yield_now().await;
        match asked {
            Ok(Ok(reply)) => self.answer(trace, webhook, reply, took),
            Ok(Err(refusal)) => self.refuse(webhook, &refusal),
            Err(panicked) => {
                tracing::error!(place = panicked.place, "a review panicked and was answered with 500");
                let message = "stateward failed on this review, which is a bug in it; its log says where";
                self.refuse(webhook, &HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, message))
            }
        }
    }

    async fn ask(self: &Arc<Self>, webhook: Webhook, body: Bytes, deadline: Instant) -> Asked<Reply> {
        let asked = if body.len() < LARGE {
            self.ask_guard(webhook, &body, deadline)?
        } else {
            self.ask_apart(webhook, body, deadline).await?
        };
        match asked {
            Ok(GuardAnswer::Now(reply)) => Ok(Ok(reply)),
            Ok(GuardAnswer::Later(reply)) => Ok(Ok(catch_panic_in(reply).await?)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn ask_guard(&self, webhook: Webhook, body: &[u8], deadline: Instant) -> Asked<GuardAnswer> {
        catch_panic(|| match webhook {
            Webhook::Validate => self.guard.validate(body, deadline),
            Webhook::Mutate => self.guard.mutate(body).map(GuardAnswer::Now),
        })
    }

    /// Reviews on a thread that serves no connection, once a permit is free.
    async fn ask_apart(
        self: &Arc<Self>,
        webhook: Webhook,
        body: Bytes,
        deadline: Instant,
    ) -> Asked<GuardAnswer> {
        let late = || {
            let message = "too many large reviews are judged; ask again in a moment";
            Ok(Err(HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message)))
        };
        let share = if body.len() < HUGE { 1 } else { LARGE_AT_ONCE };
        let leave = Arc::clone(&self.large).acquire_many_owned(share);
        let Ok(Ok(leave)) = timeout_at(deadline, leave).await else {
            return late();
        };
        let (reviews, span) = (Arc::clone(self), Span::current());
        let judging = spawn_blocking(move || {
            let asked = span.in_scope(|| reviews.ask_guard(webhook, &body, deadline));
            drop(leave);
            asked
        });
        match timeout_at(deadline, judging).await {
            Ok(Ok(asked)) => asked,
            Ok(Err(error)) => Err(Panicked { place: error.to_string() }),
            Err(_) => late(),
        }
    }

    fn answer(&self, trace: Option<TraceId>, webhook: Webhook, mut reply: Reply, took: Duration) -> Response {
        self.metrics.answered(webhook, &mut reply.facts, took);
        if trace.is_some() {
            record(&reply.facts, &Span::current());
        }
        if let Some(line) = &reply.facts.refused {
            log_refused(line, trace);
        }
        let mut response = Response::new(Body::from(reply.body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    fn refuse(&self, webhook: Webhook, refusal: &HttpError) -> Response {
        self.metrics.failed(webhook, refusal.status);
        let mut response = plain(refusal.status, &refusal.message);
        if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
            // The API server asks again by itself where it is told when.
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if matches!(
            refusal.status,
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE
        ) {
            // The unread rest of the body would block the next request.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn record(facts: &ReviewFacts, span: &Span) {
    span.record("operation", facts.operation.name());
    span.record("resource", facts.resource.name());
    span.record("decision", facts.decision.as_str());
}

/// Strings are given as such, not by `Display`: the formatter then escapes them, and no name can forge a line.
fn log_refused(line: &DenialLog, trace: Option<TraceId>) {
    tracing::info!(
        uid = line.uid,
        user = line.user,
        kind = line.kind,
        namespace = line.namespace,
        name = line.name,
        dry_run = line.dry_run,
        rules = line.rules.join(","),
        reason = line.message,
        trace_id = trace.map(display),
        "denied"
    );
}
