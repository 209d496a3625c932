//! Why a live read gave nothing.

/// Objects in one page.
pub(super) const PAGE: u32 = 500;
/// Pages of one kind in one namespace; beyond, the kind stays unknown.
pub(super) const PAGES: usize = 10;

/// Bytes of all objects of one kind in one namespace, as JSON; beyond, the kind stays unknown. 5,000 Services or 1,500 StatefulSets
/// of usual size have less.
pub(super) const LARGEST: usize = 32 << 20;

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
    /// The objects are larger than what is read for one review.
    #[error("those in the namespace have more than {} MiB", LARGEST >> 20)]
    TooLarge,
    /// The API server refused, or could not be reached.
    #[error("{0}")]
    Error(String),
}
