//! Records that a replica is to merge, and its answers.
//!
//! ```text
//! item    +-----------------------------+-------------+-------------+---------------+------------------+
//!         | origin, bits 0-3; FENCED 16 | database u8 | [fence u64] | key, prefixed | record, prefixed |
//!         +-----------------------------+-------------+-------------+---------------+------------------+
//!                                                       if FENCED: the sender has one
//! answer  0 merged and durable | 1 ignored | 2 refused, then the refusal
//! ```

use crate::causality::Time;
use crate::codec::{Reader, put_bytes, put_u64};
use crate::types::Database;
use crate::wire::batch::read_database;
use crate::wire::frame::read_time;
use crate::wire::{Kind, Put, Refusal, Take, WireError};

/// Bit beside the origin: the sender's fence follows.
const FENCED: u8 = 16;

const MERGED: u8 = 0;
const IGNORED: u8 = 1;
const REFUSED: u8 = 2;

/// Why a record is sent. A fresh write may be refused for its time, a record that is held already never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// A write that a client waits for.
    Fresh = 1,
    /// A read found that the replica lacks it.
    WriteBack = 2,
    /// A hint, delivered.
    Hint = 3,
    /// Two replicas compared what they hold.
    Exchange = 4,
    /// An arc is being moved.
    Transfer = 5,
}

/// One record that is to be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteItem<'a> {
    /// Why it is sent.
    pub origin: Origin,
    /// The database of its cell.
    pub database: Database,
    /// The sender's fence for the arc, read under the key's lock; zero if it has none.
    pub fence: Time,
    /// The key of its cell.
    pub key: &'a [u8],
    /// The encoded record, unread.
    pub record: &'a [u8],
}

impl Put for WriteItem<'_> {
    const KIND: Kind = Kind::Write;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        let has_fence = self.fence > Time::ZERO;
        out.reserve(2 + 8 + 2 * crate::codec::MAX_VARINT_LEN + self.key.len() + self.record.len());
        out.push(self.origin as u8 | if has_fence { FENCED } else { 0 });
        out.push(self.database.0);
        if has_fence {
            put_u64(out, self.fence.0);
        }
        put_bytes(out, self.key);
        put_bytes(out, self.record);
    }
}

impl<'a> Take<'a> for WriteItem<'a> {
    #[inline]
    fn take(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let first = reader.u8()?;
        let origin = match first & !FENCED {
            1 => Origin::Fresh,
            2 => Origin::WriteBack,
            3 => Origin::Hint,
            4 => Origin::Exchange,
            5 => Origin::Transfer,
            _ => return Err(WireError::value("origin of a write", first)),
        };
        let database = read_database(reader)?;
        let fence = if first & FENCED != 0 { read_fence(reader)? } else { Time::ZERO };
        Ok(WriteItem { origin, database, fence, key: reader.prefixed()?, record: reader.prefixed()? })
    }
}

fn read_fence(reader: &mut Reader<'_>) -> Result<Time, WireError> {
    let fence = read_time(reader)?;
    if fence > Time::ZERO { Ok(fence) } else { Err(WireError::value("fence", 0u8)) }
}

/// What became of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAnswer<'a> {
    /// The replica holds all that it says, durably.
    Merged,
    /// Obsolete: the fence is past what it would have added. Counts as no acknowledgement.
    Ignored,
    /// Not merged.
    Refused(Refusal<'a>),
}

impl Put for WriteAnswer<'_> {
    const KIND: Kind = Kind::WriteAnswer;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            WriteAnswer::Merged => out.push(MERGED),
            WriteAnswer::Ignored => out.push(IGNORED),
            WriteAnswer::Refused(refusal) => {
                out.push(REFUSED);
                refusal.put(out);
            }
        }
    }
}

impl<'a> Take<'a> for WriteAnswer<'a> {
    #[inline]
    fn take(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        match reader.u8()? {
            MERGED => Ok(WriteAnswer::Merged),
            IGNORED => Ok(WriteAnswer::Ignored),
            REFUSED => Refusal::take(reader).map(WriteAnswer::Refused),
            other => Err(WireError::value("answer to a write", other)),
        }
    }
}
