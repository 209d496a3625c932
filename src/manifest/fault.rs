//! Why a document could not be parsed.

/// Where a document stops making sense, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
    /// Nothing is wrong with the text, there is too much of it.
    pub(super) limit: bool,
}

impl Fault {
    pub(super) fn syntax(line: u32, column: u32, message: impl Into<String>) -> Self {
        Fault {
            line,
            column,
            message: message.into(),
            limit: false,
        }
    }

    pub(super) fn limit(line: u32, column: u32, message: impl Into<String>) -> Self {
        Fault {
            line,
            column,
            message: message.into(),
            limit: true,
        }
    }
}
