//! The words of YAML's grammar.

use std::borrow::Cow;

use super::cursor::LineColumn;

#[derive(Debug)]
pub(super) struct YamlToken<'a> {
    pub(super) start: LineColumn,
    pub(super) end: LineColumn,
    pub(super) kind: TokenKind<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum TokenKind<'a> {
    StreamEnd,
    /// `%YAML 1.1`, with the two numbers.
    Version(u8, u8),
    /// `%TAG`, with the handle and what it stands for.
    TagDirective(Box<[String; 2]>),
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
    Alias(&'a str),
    Anchor(&'a str),
    /// The handle, empty for `!<…>` and `!`, and the rest.
    Tag(Box<[String; 2]>),
    Scalar {
        text: Cow<'a, str>,
        /// Without quotes, and no block scalar.
        is_plain: bool,
    },
}
