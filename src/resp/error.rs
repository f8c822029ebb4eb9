//! What a client gets told when its bytes are refused: one request, or the connection as a whole.
//!
//! Invariant: `Display` is the whole error line of the reply, code first, without the leading `-`.
//!
//! Source: the texts of Redis 7.0.15 `networking.c`.

/// Why a request was skipped. `Display` is the error line of its reply, without the leading `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// One argument is too long.
    #[error("ERR value of {bytes} bytes exceeds max-pair-bytes ({limit})")]
    Argument {
        /// Length of the first argument that is too long.
        bytes: usize,
        /// [`Limits::argument_bytes`](crate::resp::Limits::argument_bytes) when it arrived.
        limit: usize,
    },
    /// All arguments together are too long.
    #[error("ERR request exceeds query-buffer-max ({limit})")]
    Request {
        /// [`Limits::request_bytes`](crate::resp::Limits::request_bytes) when it arrived.
        limit: usize,
    },
}

/// Input after which the connection cannot be kept in step: the caller replies with this and closes it.
/// `Display` is Redis's error line, without the leading `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// An inline request of more than 64 KB.
    #[error("ERR Protocol error: too big inline request")]
    InlineTooBig,
    /// An inline request with an open quote, or one that closes inside a word.
    #[error("ERR Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// No end of line within 64 KB of a `*`.
    #[error("ERR Protocol error: too big mbulk count string")]
    CountTooBig,
    /// The count after `*` is no number or above 1,048,576.
    #[error("ERR Protocol error: invalid multibulk length")]
    InvalidCount,
    /// More than 10 arguments before authentication.
    #[error("ERR Protocol error: unauthenticated multibulk length")]
    UnauthenticatedCount,
    /// No end of line within 64 KB where a `$` line should be.
    #[error("ERR Protocol error: too big bulk count string")]
    LengthTooBig,
    /// An argument that does not begin with `$`.
    #[error("ERR Protocol error: expected '$', got '{}'", char::from(*.0))]
    ExpectedBulk(u8),
    /// The length after `$` is no number, negative, or above 512 MB.
    #[error("ERR Protocol error: invalid bulk length")]
    InvalidLength,
    /// An argument of more than 16 KB before authentication.
    #[error("ERR Protocol error: unauthenticated bulk length")]
    UnauthenticatedLength,
    /// An argument is not followed by CRLF (Redis takes any two bytes).
    #[error("ERR Protocol error: expected CRLF after bulk")]
    ExpectedLineEnd,
}
