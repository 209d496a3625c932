//! The process: when it is ready, when it stops, what it logs and traces.

pub mod descriptors;
pub mod logging;
mod readiness;
mod repeats;
mod shutdown;
pub mod traces;

pub use readiness::{Gate, Readiness, Remark};
pub(crate) use repeats::{RepeatedErrors, warn_if_new};
pub use shutdown::{Shutdown, Stopper};
