//! Asking what a replica holds of cells, and its answers. One message carries what a batch needs of both: the contexts for
//! its writes, the digests and records for its reads.
//!
//! ```text
//! item    +----------+-------------+-----------------+
//!         | wants u8 | database u8 | key, prefixed   |
//!         +----------+-------------+-----------------+
//! answer  +----+
//!         | 0  |                                                       there is no record
//!         +----+-----------+---------------+--------------------------+
//!         | 1  | floor u64 | count, varint | count x (actor, time)    |   the context above the floor
//!         +----+-----------+---------------+--------------------------+---------------+---------------------------+
//!         | 2  | floor u64 | count, varint | count x (actor, time)    | count, varint | count x (actor, time, expiry) |
//!         +----+-----------+---------------+--------------------------+---------------+---------------------------+
//!         | 3  | floor u64 | fence u64     | record, prefixed         |
//!         +----+-----------+---------------+--------------------------+
//!         | 4  | refusal                                              |
//!         +----+------------------------------------------------------+
//! expiry  milliseconds since the Unix epoch, all ones if the version has none
//! ```

use crate::causality::{Actor, Dot, MAX_ACTORS, MAX_VERSIONS, RecordView, Time};
use crate::codec::{Reader, put_bytes, put_u64, put_varint};
use crate::types::Database;
use crate::wire::batch::read_database;
use crate::wire::frame::read_time;
use crate::wire::{Kind, Put, Refusal, Take, WireError};

/// Bytes of a context's entry.
const ENTRY_BYTES: usize = 16;
/// Bytes of a version's dot and expiry.
const VERSION_BYTES: usize = 24;
/// What stands for "no expiry": the end of time, at which nothing expires either.
const NEVER: u64 = u64::MAX;

const NOTHING: u8 = 0;
const CONTEXT: u8 = 1;
const DIGEST: u8 = 2;
const RECORD: u8 = 3;
const REFUSED: u8 = 4;

/// How much of a record is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Wants {
    /// What it has seen: for a write that is to supersede it.
    Context = CONTEXT,
    /// That, and dots and expiries of its versions: for a read that compares, and for DEL.
    Digest = DIGEST,
    /// All of it.
    Record = RECORD,
}

/// One cell that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadItem<'a> {
    /// How much of it.
    pub wants: Wants,
    /// Its database.
    pub database: Database,
    /// Its key.
    pub key: &'a [u8],
}

impl Put for ReadItem<'_> {
    const KIND: Kind = Kind::Read;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.wants as u8);
        out.push(self.database.0);
        put_bytes(out, self.key);
    }
}

impl<'a> Take<'a> for ReadItem<'a> {
    #[inline]
    fn take(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let wants = match reader.u8()? {
            CONTEXT => Wants::Context,
            DIGEST => Wants::Digest,
            RECORD => Wants::Record,
            other => return Err(WireError::value("extent of a read", other)),
        };
        Ok(ReadItem { wants, database: read_database(reader)?, key: reader.prefixed()? })
    }
}

/// What a replica answers about one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAnswer<'a> {
    /// It holds no record.
    Nothing,
    /// What it has seen; with its versions' dots if they were asked for.
    Digest(Digest<'a>),
    /// The record.
    Record {
        /// Every member is known to have fenced at this time.
        floor: Time,
        /// The sender's fence, read under the key's lock.
        fence: Time,
        /// The bytes, unread.
        record: &'a [u8],
    },
    /// It tells nothing.
    Refused(Refusal<'a>),
}

impl Put for ReadAnswer<'_> {
    const KIND: Kind = Kind::ReadAnswer;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            ReadAnswer::Nothing => out.push(NOTHING),
            ReadAnswer::Digest(digest) => digest.put(out),
            ReadAnswer::Record { floor, fence, record } => {
                out.push(RECORD);
                put_u64(out, floor.0);
                put_u64(out, fence.0);
                put_bytes(out, record);
            }
            ReadAnswer::Refused(refusal) => {
                out.push(REFUSED);
                refusal.put(out);
            }
        }
    }
}

impl<'a> Take<'a> for ReadAnswer<'a> {
    #[inline]
    fn take(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(match reader.u8()? {
            NOTHING => ReadAnswer::Nothing,
            CONTEXT => {
                ReadAnswer::Digest(Digest { floor: read_time(reader)?, entries: read_entries(reader)?, versions: None })
            }
            DIGEST => {
                let (floor, entries) = (read_time(reader)?, read_entries(reader)?);
                ReadAnswer::Digest(Digest { floor, entries, versions: Some(read_versions(reader)?) })
            }
            RECORD => {
                let (floor, fence) = (read_time(reader)?, read_time(reader)?);
                ReadAnswer::Record { floor, fence, record: reader.prefixed()? }
            }
            REFUSED => ReadAnswer::Refused(Refusal::take(reader)?),
            other => return Err(WireError::value("answer to a read", other)),
        })
    }
}

/// A version without its payload. It never changes: the same dot always means the same payload and expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestVersion {
    /// The write that made it.
    pub dot: Dot,
    /// When it expires, in milliseconds since the Unix epoch; `None` if never.
    pub expiry: Option<u64>,
}

/// What a replica has seen of a cell, and perhaps which versions it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest<'a> {
    floor: Time,
    entries: &'a [[u8; ENTRY_BYTES]],
    versions: Option<&'a [[u8; VERSION_BYTES]]>,
}

impl<'a> Digest<'a> {
    /// Every member is known to have fenced at this time; what the context says of times up to it is left out.
    #[must_use]
    pub fn floor(&self) -> Time {
        self.floor
    }

    /// The context's entries above the floor, in order of actors.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Dot> + Clone + use<'a> {
        self.entries.iter().map(|entry| entry_dot(entry))
    }

    /// The live versions in order of dots; `None` if they were not asked for.
    #[must_use]
    pub fn versions(&self) -> Option<impl ExactSizeIterator<Item = DigestVersion> + Clone + use<'a>> {
        self.versions.map(|versions| versions.iter().map(version_of))
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(if self.versions.is_some() { DIGEST } else { CONTEXT });
        put_u64(out, self.floor.0);
        put_varint(out, self.entries.len() as u64);
        out.extend_from_slice(self.entries.as_flattened());
        if let Some(versions) = self.versions {
            put_varint(out, versions.len() as u64);
            out.extend_from_slice(versions.as_flattened());
        }
    }
}

/// The answer that a replica makes of a record without sending it: a [`Digest`] to be.
#[derive(Clone, Copy, Debug)]
pub struct DigestOf<'a> {
    /// The record.
    pub record: RecordView<'a>,
    /// The replica's purge floor for its arc.
    pub floor: Time,
    /// [`Wants::Context`] leaves the versions out.
    pub wants: Wants,
}

impl Put for DigestOf<'_> {
    const KIND: Kind = Kind::ReadAnswer;

    fn put(&self, out: &mut Vec<u8>) {
        let with_versions = self.wants != Wants::Context;
        let entries = self.record.entries().filter(|entry| entry.time > self.floor);
        out.push(if with_versions { DIGEST } else { CONTEXT });
        put_u64(out, self.floor.0);
        put_varint(out, entries.clone().count() as u64);
        entries.for_each(|entry| put_dot(out, entry));
        if with_versions {
            put_varint(out, self.record.versions().count() as u64);
            for version in self.record.versions() {
                put_dot(out, version.dot);
                put_u64(out, version.expiry.unwrap_or(NEVER));
            }
        }
    }
}

fn put_dot(out: &mut Vec<u8>, dot: Dot) {
    put_u64(out, dot.actor.bits());
    put_u64(out, dot.time.0);
}

fn read_entries<'a>(reader: &mut Reader<'a>) -> Result<&'a [[u8; ENTRY_BYTES]], WireError> {
    let entries = read_array(reader, "actors", MAX_ACTORS)?;
    let mut before = None;
    for entry in entries {
        let dot = checked_dot(entry_dot(entry))?;
        if before.replace(dot.actor) >= Some(dot.actor) {
            return Err(WireError::Order { what: "actors" });
        }
    }
    Ok(entries)
}

fn read_versions<'a>(reader: &mut Reader<'a>) -> Result<&'a [[u8; VERSION_BYTES]], WireError> {
    let versions = read_array(reader, "versions", MAX_VERSIONS)?;
    let mut before = None;
    for version in versions {
        let dot = checked_dot(version_of(version).dot)?;
        if before.replace(dot) >= Some(dot) {
            return Err(WireError::Order { what: "versions" });
        }
    }
    Ok(versions)
}

/// A count, then as many times `N` bytes.
fn read_array<'a, const N: usize>(
    reader: &mut Reader<'a>,
    what: &'static str,
    most: usize,
) -> Result<&'a [[u8; N]], WireError> {
    let announced = reader.varint()?;
    let count = usize::try_from(announced).ok().filter(|count| *count <= most);
    let count = count.ok_or(WireError::TooMany { what, announced, most })?;
    Ok(reader.bytes(count * N)?.as_chunks().0)
}

/// A write's dot, never of time zero.
fn checked_dot(dot: Dot) -> Result<Dot, WireError> {
    let is_possible = dot.time > Time::ZERO && dot.time < Time::LIMIT;
    if is_possible { Ok(dot) } else { Err(WireError::value("time of a dot", dot.time.0)) }
}

#[inline]
fn entry_dot(entry: &[u8]) -> Dot {
    let mut reader = Reader::new(entry);
    // Cannot fail: there are at least 16 bytes.
    let (actor, time) = (reader.u64().unwrap_or_default(), reader.u64().unwrap_or_default());
    Dot::new(Actor::from_bits(actor), Time(time))
}

#[inline]
fn version_of(bytes: &[u8; VERSION_BYTES]) -> DigestVersion {
    let expiry = bytes.last_chunk().map_or(NEVER, |expiry| u64::from_le_bytes(*expiry));
    DigestVersion { dot: entry_dot(bytes), expiry: (expiry != NEVER).then_some(expiry) }
}
