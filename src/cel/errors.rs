//! Errors of an expression, when it is compiled and when it is evaluated.

/// An expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// Where in the expression, in bytes.
    pub offset: usize,
    pub message: String,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A field that is not there, an index that is too large, a division by zero.
    #[error("{0}")]
    Error(String),
    #[error("it costs more than a check may")]
    TooCostly,
    /// It depends on this variable, whose value is not known.
    #[error("{0} is not known")]
    Unknown(&'static str),
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::Error(message.into())
    }
}
