//! Why a live read gave nothing.

/// Objects in one page.
pub(super) const PAGE: u32 = 500;
/// Pages of one kind in one namespace; beyond, the kind stays unknown.
pub(super) const PAGES: usize = 10;

/// Why a kind could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveReadError {
    /// There was no slot for it in time: this replica has too many others to read.
    #[error("too many live reads wait at this replica")]
    Overloaded,
    /// The request's time was over.
    #[error("the API server did not answer in time")]
    Timeout,
    /// There are more objects than are read for one review.
    #[error("there are more than {} in the namespace", PAGES * PAGE as usize)]
    TooMany,
    /// The API server refused, or could not be reached.
    #[error("{0}")]
    Error(String),
}
