//! The process: when it is ready, when it stops, what it logs and traces.

pub mod descriptors;
pub mod logging;
mod readiness;
mod shutdown;
pub mod traces;

pub use readiness::{Gate, Readiness, Remark};
pub use shutdown::{Shutdown, Stopper};
