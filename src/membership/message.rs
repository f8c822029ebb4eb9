//! What two nodes say to each other in a round of gossip, and the limits of it.
//!
//! ```text
//! a -- Open { digest of all that a knows } ------------------------> b   takes the heartbeats out of it
//! a <- Reply { delta: what a lacks, wants: where b lacks values } -- b
//! a -- Close { delta: what b lacks } ------------------------------> b   left out if b lacks nothing
//! ```
//!
//! Invariant: no message is longer than [`MAX_MESSAGE_BYTES`], and none is read that is. What does not fit comes later:
//! where a digest or a delta begins changes from round to round, so that all nodes get their turn.
//! Invariant: the entries of a [`NodeDelta`] are ascending by version and without gaps from `since` on, so that after a
//! cut the last of them still says how far the receiver has come.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::codec::varint_len;
use crate::types::{Incarnation, NodeId};

/// Longest message.
pub const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// Longest value of a key.
pub const MAX_VALUE_BYTES: usize = 16 << 10;
/// Most bytes of the values of one node.
pub const MAX_STATE_BYTES: usize = 48 << 10;
/// Most keys of one node.
pub const MAX_KEYS: usize = 128;

/// Bytes of a message beside its lines and entries: tags and counts.
pub(super) const FRAME_BYTES: usize = 16;

const _: () = assert!(MAX_VALUE_BYTES <= MAX_STATE_BYTES, "a value fits into a state");
const _: () = assert!(MAX_VALUE_BYTES + 4 * FRAME_BYTES + 128 < MAX_MESSAGE_BYTES / 2, "any entry fits, beside wants");

/// The name of a value that a node tells of itself. A node carries keys that it does not know, so that newer nodes can
/// talk past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub u16);

impl Key {
    /// Whom the node suspects; written by this module alone.
    pub const SUSPECTS: Key = Key(0);
    /// The epoch that it knows.
    pub const EPOCH: Key = Key(1);
    /// How busy it is.
    pub const LOAD: Key = Key(2);
    /// How full its disk is.
    pub const DISK: Key = Key(3);
    /// What it keeps for others.
    pub const HINTS: Key = Key(4);
    /// Where it can be reached.
    pub const ADDRESSES: Key = Key(5);
    /// That it wants to become a member, and as what.
    pub const CANDIDATE: Key = Key(6);

    /// Part `part` of its purge floors: split, so that one that rises does not send all others along.
    #[must_use]
    pub const fn floors(part: u8) -> Key {
        Key(0x100 | part as u16)
    }
}

/// How far a node's knowledge of one node reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The node it is about.
    pub node: NodeId,
    /// Its life; zero if nothing was ever heard of it.
    pub incarnation: Incarnation,
    /// The rounds of that life.
    pub heartbeat: u64,
    /// The greatest version of its values.
    pub version: u64,
}

/// What somebody knows, without the values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Whether nodes that are not named here are unknown to the sender.
    pub is_whole: bool,
    /// A line for each node.
    pub lines: Vec<Line>,
}

/// One value of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// Its version; each change of any value of the node takes the next one.
    pub version: u64,
    /// The value.
    #[serde(serialize_with = "write_value", deserialize_with = "read_value")]
    pub value: Arc<[u8]>,
}

/// News of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDelta {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// The rounds of that life.
    pub heartbeat: u64,
    /// The version after which the entries begin.
    pub since: u64,
    /// What changed, by version.
    pub entries: Vec<Entry>,
}

/// News of some nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// One for each node.
    pub nodes: Vec<NodeDelta>,
}

/// A step of an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Begins it.
    Open(Digest),
    /// Answers [`Message::Open`].
    Reply {
        /// What the other lacks.
        delta: Delta,
        /// What the sender lacks.
        wants: Digest,
    },
    /// Answers [`Message::Reply`].
    Close(Delta),
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Above [`MAX_MESSAGE_BYTES`].
    #[error("a message of {0} bytes is too long")]
    Long(usize),
    /// Not what a message looks like.
    #[error("no message of membership")]
    Malformed,
}

impl Message {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain values are encoded into memory")
    }

    /// The message that `bytes` are.
    ///
    /// # Errors
    /// [`MessageError`] if they are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(MessageError::Long(bytes.len()));
        }
        match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            _ => Err(MessageError::Malformed),
        }
    }

    /// An upper bound of the length of [`Message::encode`], a few bytes above it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let body = match self {
            Message::Open(digest) => digest.bytes(),
            Message::Reply { delta, wants } => delta.bytes() + wants.bytes(),
            Message::Close(delta) => delta.bytes(),
        };
        FRAME_BYTES + body
    }
}

impl Digest {
    pub(super) fn bytes(&self) -> usize {
        self.lines.iter().map(Line::bytes).sum()
    }
}

impl Line {
    pub(super) fn bytes(&self) -> usize {
        let Line { node, incarnation, heartbeat, version } = self;
        node.0.len() + varint_len(incarnation.0) + varint_len(*heartbeat) + varint_len(*version)
    }
}

impl Delta {
    pub(super) fn bytes(&self) -> usize {
        let entries = self.nodes.iter().flat_map(|node| &node.entries);
        self.nodes.iter().map(NodeDelta::head_bytes).sum::<usize>() + entries.map(Entry::bytes).sum::<usize>()
    }
}

impl NodeDelta {
    /// Bytes of it without its entries.
    pub(super) fn head_bytes(&self) -> usize {
        let NodeDelta { node, incarnation, heartbeat, since, entries: _ } = self;
        let count = varint_len(MAX_KEYS as u64);
        node.0.len() + varint_len(incarnation.0) + varint_len(*heartbeat) + varint_len(*since) + count
    }
}

impl Entry {
    pub(super) fn bytes(&self) -> usize {
        let length = self.value.len();
        varint_len(u64::from(self.key.0)) + varint_len(self.version) + varint_len(length as u64) + length
    }
}

fn write_value<S: Serializer>(value: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(value)
}

/// Looks at the length before it copies anything.
fn read_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
    let bytes = <&[u8]>::deserialize(deserializer)?;
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(de::Error::invalid_length(bytes.len(), &"a shorter value"));
    }
    Ok(bytes.into())
}
