//! Why a document could not be parsed.

/// Where a document stops making sense, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Fault {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The error.
    pub message: String,
    /// Nothing is wrong with the text, there is too much of it.
    pub limit: bool,
}

impl Fault {
    pub(super) fn syntax(line: u32, column: u32, message: impl Into<String>) -> Self {
        Fault { line, column, message: message.into(), limit: false }
    }

    pub(super) fn limit(line: u32, column: u32, message: impl Into<String>) -> Self {
        Fault { line, column, message: message.into(), limit: true }
    }
}
