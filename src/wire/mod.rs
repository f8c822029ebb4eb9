//! Messages between nodes: frames, what is in them, and nothing of who sends them.
//!
//! Read in this order: `format` (kinds and limits), `frame` (header, cutting a stream into frames), `batch` (messages of many
//! items), `read`, `write`, `forward` (the hot items), `refusal`, `message` (all of them as one value).
//!
//! What every command needs is written by hand and read in place: a decoded message is a view of the frame, checked once
//! when it is made, and what is done with it after that cannot fail. What is rare or still changes (gossip, agreement,
//! joining) travels as a *cold* message: a topic and bytes that its own module encodes; nothing of it is known here.
//!
//! Invariant: bytes that come from outside never panic, and allocate nothing for a length that they only announce.
//! Invariant: a message has one encoding; reading refuses what writing would not write.
//!
//! Left out: connections, retries, deadlines (`peer`), what a record means (`causality`; its bytes are passed on unread).

mod batch;
mod error;
mod format;
mod forward;
mod frame;
mod message;
mod read;
mod refusal;
#[cfg(test)]
mod tests;
mod write;

pub use batch::{Batch, Items, Put, Take};
pub use error::WireError;
pub use format::{BODY_LIMIT, FRAME_LIMIT, FRAME_OVERHEAD, FRAME_TARGET, ITEMS_LIMIT, Kind, TEXT_LIMIT};
pub use forward::{Arguments, Command, Forwarded, Protocol, Reply};
pub use frame::{Frame, Frames, Header, put_frame};
pub use message::{Answer, Message, Request};
pub use read::{Digest, DigestOf, DigestVersion, ReadAnswer, ReadItem, Wants};
pub use refusal::{Reason, Refusal, RefusedFrame};
pub use write::{Origin, WriteAnswer, WriteItem};
