//! Shared parts of all clients of an API server: requests answered in model types, errors, waits, the rate limiter.

mod answer;
mod api;
mod backoff;
mod error;
mod rate_limiter;

pub(crate) use answer::AnswerLimits;
pub use api::Api;
pub(crate) use api::{WatchedChange, api_resource, checked, path_of};
pub use backoff::{Backoff, jittered};
pub use error::ApiError;
pub(crate) use error::{answered, chain};
pub use rate_limiter::RateLimiter;
