//! Shared parts of the routes of the webhook port.

use std::sync::Arc;

use axum::{extract::Request, http::StatusCode};
use tokio::sync::Semaphore;

use super::{Callers, Limits, Metrics, in_flight::ByteBudget};
use crate::guard::{Guard, HttpError};

/// Large reviews that are judged at the same time.
pub(super) const LARGE_AT_ONCE: u32 = 2;

pub(super) struct Reviews {
    pub(super) guard: Box<dyn Guard>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Limits,
    pub(super) callers: Arc<Callers>,
    pub(super) bodies: Arc<ByteBudget>,
    /// Leave to judge a large review, on a thread that serves no connection.
    pub(super) large: Arc<Semaphore>,
}

impl Reviews {
    pub(super) fn new(
        guard: Box<dyn Guard>,
        metrics: Arc<Metrics>,
        limits: Limits,
        callers: Arc<Callers>,
    ) -> Self {
        let bodies = ByteBudget::new(limits.bodies_bytes, metrics.body_bytes());
        let large = Arc::new(Semaphore::new(LARGE_AT_ONCE as usize));
        Self { guard, metrics, limits, callers, bodies, large }
    }

    /// Refuses a request whose path does not have the token.
    pub(super) fn check_path(&self, request: &Request) -> Result<(), HttpError> {
        if self.callers.know(request.uri().path()) {
            return Ok(());
        }
        Err(HttpError::new(StatusCode::FORBIDDEN, FORBIDDEN))
    }
}

/// The answer to a client without a valid certificate or path token.
pub(super) const FORBIDDEN: &str = "forbidden: only the API server may send reviews, and this request has no valid client certificate or path token";
