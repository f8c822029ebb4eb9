//! What is wrong with bytes that are no message.

use crate::codec::DecodeError;

/// Bytes that are no frame, or no message. The connection that they came by cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They end too early, go on too long, or hold a broken integer.
    #[error("message {0}")]
    Bytes(#[from] DecodeError),
    /// A frame that is too short or too long.
    #[error("frame announces {announced} bytes, {least} to {most} are allowed")]
    Length {
        /// What it announces.
        announced: usize,
        /// The least there can be.
        least: usize,
        /// The most there may be.
        most: usize,
    },
    /// The bytes are not those that were sent.
    #[error("checksum of a frame of {bytes} bytes is wrong")]
    Checksum {
        /// Length of the frame.
        bytes: usize,
    },
    /// More items, entries or versions than a message may have.
    #[error("message announces {announced} {what}, at most {most} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// What it announces.
        announced: u64,
        /// The most there may be.
        most: usize,
    },
    /// A value that nobody writes.
    #[error("message has a bad {what} ({value})")]
    Value {
        /// What should stand there.
        what: &'static str,
        /// What stands there.
        value: u64,
    },
    /// Entries or versions that are not in ascending order.
    #[error("message has {what} out of order")]
    Order {
        /// Of what.
        what: &'static str,
    },
    /// A text that is not UTF-8, or too long.
    #[error("message has a bad text")]
    Text,
}

impl WireError {
    #[cold]
    pub(super) fn value(what: &'static str, value: impl Into<u64>) -> WireError {
        WireError::Value { what, value: value.into() }
    }
}
