//! The path of a review: decoded, evaluated, confirmed by live reads before it is denied, and answered.
//!
//! ```text
//! bytes ─ decode ─▶ Change ─ evaluate ─▶ Verdict ─ in doubt? ─ live reads, evaluate again ─▶ Verdict ─ encode ─▶ bytes
//! ```

mod confirmation;
mod confirmer;
mod departures;
mod interface;
mod live_read_error;
mod live_reads;
mod read_queue;
mod reservations;
mod webhook_guard;

pub use confirmation::WhenOverloaded;
pub use confirmer::Confirmer;
pub use interface::{
    CountedFinding, Decision, DenialLog, Guard, GuardAnswer, HttpError, Operation, Reply, Resource,
    ReviewFacts, Webhook,
};
pub use live_read_error::LiveReadError;
pub use live_reads::{Fresh, LiveReadRequest, LiveReader};
pub use reservations::Reservations;
pub use webhook_guard::WebhookGuard;
