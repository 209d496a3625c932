//! The process: when it is ready, when it stops, what it logs.

pub mod descriptors;
pub mod logging;
mod readiness;
mod shutdown;

pub use readiness::{Gate, Readiness, Remark};
pub use shutdown::{Shutdown, Stopper};
