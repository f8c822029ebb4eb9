//! The bytes of a frame: kinds, sizes, limits.
//!
//! ```text
//! +------------+---------+-------------+-----------+----------+---------------+------+------------+
//! | length u32 | kind u8 | request u64 | epoch u64 | time u64 | time left u32 | body | CRC-64 u64 |
//! +------------+---------+-------------+-----------+----------+---------------+------+------------+
//! length     of all that follows it
//! request    the sender's number for this request; its answer carries the same
//! epoch      of the topology that the sender goes by         time   the sender's hybrid logical clock
//! time left  milliseconds until the asker gives up; zero in answers
//! CRC-64     of all before it, the length too (`codec::crc64`)
//!
//! body of ping and pong      none
//! body of a cold message     topic u8, then bytes in the encoding of that topic, to the end
//! body of a refused frame    refusal, then bytes that help the asker (for another epoch: the topology), to the end
//! body of all others         count u16, then as many items; each item's file shows its own
//! refusal                    reason u8, text (length varint, UTF-8)
//! ```
//!
//! Little endian; lengths and counts inside items are variable-length integers. The handshake settles the version of all
//! this, so that frames need none.

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Are you there?
    Ping = 1,
    /// What do you hold of these cells?
    Read = 2,
    /// Merge these records.
    Write = 3,
    /// Carry out these commands.
    Forward = 4,
    /// What another module says.
    Cold = 5,
    /// Answer to [`Kind::Ping`].
    Pong = 0x81,
    /// Answer to [`Kind::Read`].
    ReadAnswer = 0x82,
    /// Answer to [`Kind::Write`].
    WriteAnswer = 0x83,
    /// Answer to [`Kind::Forward`].
    ForwardAnswer = 0x84,
    /// Answer to [`Kind::Cold`].
    ColdAnswer = 0x85,
    /// Answer to any of them: nothing of it was done.
    Refused = 0x86,
}

/// Every kind.
const KINDS: [Kind; 11] = [
    Kind::Ping,
    Kind::Read,
    Kind::Write,
    Kind::Forward,
    Kind::Cold,
    Kind::Pong,
    Kind::ReadAnswer,
    Kind::WriteAnswer,
    Kind::ForwardAnswer,
    Kind::ColdAnswer,
    Kind::Refused,
];

impl Kind {
    /// The kind that the byte stands for.
    #[must_use]
    pub fn of(byte: u8) -> Option<Kind> {
        KINDS.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Whether it is an answer.
    #[must_use]
    pub fn is_answer(self) -> bool {
        self as u8 & 0x80 != 0
    }

    /// Whether a frame of kind `answer` may answer one of this kind.
    #[must_use]
    pub fn is_answered_by(self, answer: Kind) -> bool {
        !self.is_answer() && (answer == Kind::Refused || answer as u8 == self as u8 | 0x80)
    }
}

/// Bytes of the length before a frame.
pub(super) const LENGTH_BYTES: usize = 4;
/// Bytes of the header behind the length.
pub(super) const HEADER_BYTES: usize = 1 + 8 + 8 + 8 + 4;
/// Bytes of the checksum behind the body.
pub(super) const CHECKSUM_BYTES: usize = 8;

/// Bytes of a frame that are not its body.
pub const FRAME_OVERHEAD: usize = LENGTH_BYTES + HEADER_BYTES + CHECKSUM_BYTES;
/// Longest frame: the greatest `max-pair-bytes` (512 MB), several siblings of it, and room for the rest.
pub const FRAME_LIMIT: usize = 1 << 30;
/// Longest body.
pub const BODY_LIMIT: usize = FRAME_LIMIT - FRAME_OVERHEAD;
/// A batch is better cut where its body passes this: a frame is read whole before any of it is carried out.
pub const FRAME_TARGET: usize = 1 << 20;
/// Most items of a frame.
pub const ITEMS_LIMIT: usize = 4096;
/// Longest text of a refusal in bytes; what is longer is cut.
pub const TEXT_LIMIT: usize = 512;

const _: () =
    assert!(FRAME_TARGET < FRAME_LIMIT && FRAME_LIMIT <= u32::MAX as usize && ITEMS_LIMIT <= u16::MAX as usize);
