//! The HTTP shell around the guard: TLS, limits, health, metrics and a shutdown that fails no request.
//!
//! The shell knows nothing of Kubernetes objects. It hands the bytes of a review to a [`Guard`](crate::guard::Guard) and sends back the
//! bytes it gets; what it counts and logs, the guard says in [`ReviewFacts`](crate::guard::ReviewFacts).
//!
//! ```text
//! TcpListener ─ listener ─▶ TLS handshake ─▶ connection ─▶ router ─▶ review ─▶ Guard::validate
//!               (places,     (tls,            (phases and    (ops)     (body checks, bytes in flight,
//!                back-off)    callers)         deadlines)               panic, metrics)
//! ```
//!
//! How it is wired:
//!
//! ```no_run
//! use stateward::guard::Guard;
//! use stateward::process::{Readiness, Shutdown};
//! use stateward::server::{self, Metrics, ServeConfig};
//!
//! async fn run(guard: impl Guard) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut metrics = Metrics::new();
//!     // Others register theirs: `metrics.registry()` prefixes every name with `stateward_`.
//!     let policies = metrics.registry();
//!     let readiness = Readiness::default();
//!     let loaded = readiness.gate("policies");
//!     loaded.open();
//!     server::serve(ServeConfig::default(), guard, readiness, metrics, Shutdown::signals()?).await?;
//!     Ok(())
//! }
//! ```

mod activity;
mod body;
mod callers;
mod catch_panic;
mod config;
mod connection;
mod deadline;
mod handshake;
mod hooks;
mod in_flight;
mod listener;
mod metrics;
mod open_connections;
mod ops;
mod own_thread;
mod ports;
mod review;
mod reviews;
mod tasks;
pub mod tls;

pub use callers::Callers;
pub use config::{Drain, Limits, ServeConfig};
pub use metrics::Metrics;
pub use ports::{ServeError, Server, serve};
