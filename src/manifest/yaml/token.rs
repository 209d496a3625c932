//! The words of YAML's grammar.

use super::cursor::Mark;

#[derive(Debug)]
pub(super) struct Token {
    pub(super) start: Mark,
    pub(super) end: Mark,
    pub(super) kind: TokenKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    StreamEnd,
    /// `%YAML 1.1`, with the two numbers.
    Version(u8, u8),
    /// `%TAG`, with the handle and what it stands for.
    TagDirective(String, String),
    DocumentStart,
    DocumentEnd,
    BlockListStart,
    BlockMapStart,
    BlockEnd,
    FlowListStart,
    FlowListEnd,
    FlowMapStart,
    FlowMapEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    /// The handle, empty for `!<…>` and `!`, and the rest.
    Tag(String, String),
    Scalar {
        text: String,
        /// Without quotes, and no block scalar.
        is_plain: bool,
    },
}
