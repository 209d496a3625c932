//! The HTTP shell around the guard: TLS, limits, health, metrics and a shutdown that fails nobody's request.
//!
//! The shell knows nothing of Kubernetes objects. It hands the bytes of a review to a [`Guard`] and sends back the
//! bytes it gets; what it counts and logs, the guard says in [`Facts`].
//!
//! ```text
//! TcpListener ─ listener ─▶ TLS handshake ─▶ connection ─▶ router ─▶ review ─▶ Guard::validate
//!               (slots,      (tls)            (phases and    (ops)     (body checks, panic, metrics)
//!                back-off)                     deadlines)
//! ```
//!
//! How it is wired:
//!
//! ```no_run
//! use stateward::webhook::{self, Config, Guard, Metrics, Readiness, Refusal, Reply, Shutdown};
//!
//! async fn run(guard: impl Guard) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut metrics = Metrics::new();
//!     // Others register theirs: `metrics.registry()` prefixes every name with `stateward_`.
//!     let policies = metrics.registry();
//!     let readiness = Readiness::default();
//!     let loaded = readiness.gate("policies");
//!     loaded.open();
//!     webhook::serve(Config::default(), guard, readiness, metrics, Shutdown::signals()?).await?;
//!     Ok(())
//! }
//! ```

mod activity;
mod body;
mod budget;
mod config;
mod confirmation;
mod connection;
mod contain;
mod events;
mod guard;
mod handshake;
mod hooks;
mod judge;
mod listener;
mod metrics;
mod ops;
mod readiness;
mod review;
mod server;
mod shutdown;
mod tasks;
pub mod tls;

pub use config::{Config, Drain, Limits};
pub use events::{Events, Teller};
pub use guard::{
    Answer, Decision, Facts, Finding, Guard, Operation, Refusal, RefusedLine, Reply, Resource, Webhook,
};
pub use judge::{Confirmer, Judge};
pub use metrics::Metrics;
pub use readiness::{Gate, Readiness, Remark};
pub use server::{ServeError, Server, serve};
pub use shutdown::{Shutdown, Stopper};
