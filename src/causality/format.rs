//! The bytes of a record: one encoding for log, memtable, table and wire.
//!
//! ```text
//! SINGLE: one entry, one version, whose dot is that entry; 17 bytes and the payload (25 with expiry)
//! +-------+-----------+----------+ +------------+ +---------------------+
//! | flags | actor u64 | time u64 | | expiry u64 | | payload, to the end |
//! +-------+-----------+----------+ +------------+ +---------------------+
//!                                    if EXPIRES
//! every other record
//! +-------+---------------+-------------------------+----------------+--------------+
//! | flags | count, varint | count x (actor, time)   | count, varint  | versions ... |
//! +-------+---------------+-------------------------+----------------+--------------+
//! a version
//! +-------------+ +----------+ +------------+ +----------------+---------+
//! | tag, varint | | time u64 | | expiry u64 | | length, varint | payload |
//! +-------------+ +----------+ +------------+ +----------------+---------+
//!                  if OLDER     if EXPIRES
//!
//! flags   bit 0 SINGLE   bit 1 EXPIRES (only with SINGLE)
//!         bit 2 reserved: ballots of SERIAL   bit 3 reserved: payload tags of counters   others unknown
//! tag     (index of the actor's entry << 2) | EXPIRES 2 | OLDER 1; without OLDER the version's time is the entry's
//! actor   node number << 48 | incarnation     time   HLC     expiry   milliseconds since the Unix epoch
//! ```
//!
//! Little endian. Entries are sorted by actor, versions by dot; a set flag that this code does not know is refused.
//!
//! Invariant: every version's dot is covered by the context: it is an entry, or older than one.
//! Invariant: a record has one encoding: equal records have equal bytes. Reading refuses what writing would not write.

use crate::causality::{Actor, Dot, MAX_ACTORS, Time, Version};
use crate::codec::{DecodeError, Reader, put_u64, put_varint, varint_len};

/// Most versions that a record may hold. Writes stop at far fewer (`MAX_SIBLINGS`), only merging goes beyond.
pub const MAX_VERSIONS: usize = 512;

/// Flag: one entry and one version, whose dot it is.
pub(super) const SINGLE: u8 = 1;
/// Flag of a SINGLE record, and bit of a version's tag: an expiry follows.
pub(super) const EXPIRES: u8 = 2;
/// Bit of a version's tag: its time follows, because its actor's entry is later.
const OLDER: u64 = 1;
/// Bits of a version's tag below the entry's index.
const TAG_BITS: u32 = 2;

/// Bytes of one entry of a context.
pub(super) const ENTRY_BYTES: usize = 16;

/// An encoded entry.
pub(super) type Entry = [u8; ENTRY_BYTES];

/// Bytes that are no record, or no context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// They end too early, go on too long, or hold a broken integer.
    #[error("record {0}")]
    Bytes(#[from] DecodeError),
    /// Flags of a newer version of the format.
    #[error("record has flags {flags:#04x}, which this version does not know")]
    Flags {
        /// The flags byte.
        flags: u8,
    },
    /// More entries or versions than are allowed.
    #[error("record announces {count} {what}, at most {limit} are allowed")]
    Count {
        /// Number that the bytes say.
        count: u64,
        /// Greatest number allowed.
        limit: usize,
        /// What is counted.
        what: &'static str,
    },
    /// Something that no writer writes.
    #[error("record is broken before offset {offset}: {what}")]
    Broken {
        /// End of what was being read.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// The dot that an encoded entry says.
#[inline]
pub(super) fn entry_dot(entry: &Entry) -> Dot {
    let mut reader = Reader::new(entry);
    let mut next = || reader.u64().unwrap_or_default();
    Dot::new(Actor::from_bits(next()), Time(next()))
}

/// Appends an entry.
#[inline]
pub(super) fn put_entry(out: &mut Vec<u8>, dot: Dot) {
    put_u64(out, dot.actor.bits());
    put_u64(out, dot.time.0);
}

/// Bytes of a context of `count` entries, its count included.
pub(super) fn context_len(count: usize) -> usize {
    varint_len(count as u64) + count * ENTRY_BYTES
}

/// Appends the entries of a context behind their count.
pub(super) fn put_context(out: &mut Vec<u8>, entries: impl ExactSizeIterator<Item = Dot>) {
    put_varint(out, entries.len() as u64);
    entries.for_each(|entry| put_entry(out, entry));
}

/// Reads the entries of a context behind their count and checks them.
pub(super) fn read_context<'a>(reader: &mut Reader<'a>) -> Result<&'a [Entry], FormatError> {
    let count = read_count(reader, MAX_ACTORS, "actors")?;
    let (entries, _) = reader.bytes(count * ENTRY_BYTES)?.as_chunks();
    let mut previous = None;
    for entry in entries {
        let dot = entry_dot(entry);
        check_time(dot.time, reader)?;
        if previous.is_some_and(|actor| actor >= dot.actor) {
            return Err(broken(reader, "actors out of order"));
        }
        previous = Some(dot.actor);
    }
    Ok(entries)
}

/// The entry that is the whole context of a SINGLE record.
#[inline]
pub(super) fn read_entry<'a>(reader: &mut Reader<'a>) -> Result<&'a [Entry], FormatError> {
    let (entries, _) = reader.bytes(ENTRY_BYTES)?.as_chunks();
    if let [entry] = entries {
        check_time(entry_dot(entry).time, reader)?;
    }
    Ok(entries)
}

/// Checks the versions of a record that is not SINGLE and gives their bytes, without their count.
pub(super) fn read_versions<'a>(reader: &mut Reader<'a>, context: &[Entry]) -> Result<&'a [u8], FormatError> {
    let count = read_count(reader, MAX_VERSIONS, "versions")?;
    let mut rest = *reader;
    let mut previous = None;
    for _ in 0..count {
        let dot = read_version(reader, context)?.dot;
        if previous.is_some_and(|earlier| earlier >= dot) {
            return Err(broken(reader, "versions out of order"));
        }
        previous = Some(dot);
    }
    if let ([entry], 1) = (context, count)
        && previous == Some(entry_dot(entry))
    {
        return Err(broken(reader, "longer than its shortest form"));
    }
    reader.end()?;
    Ok(rest.rest())
}

/// Reads one version of a record that is not SINGLE.
pub(super) fn read_version<'a>(reader: &mut Reader<'a>, context: &[Entry]) -> Result<Version<'a>, FormatError> {
    let tag = reader.varint()?;
    let index = usize::try_from(tag >> TAG_BITS).unwrap_or(usize::MAX);
    let entry = context.get(index).ok_or_else(|| broken(reader, "a version of an actor that the context lacks"))?;
    let mut dot = entry_dot(entry);
    if tag & OLDER != 0 {
        let time = Time(reader.u64()?);
        if time == Time::ZERO || time >= dot.time {
            return Err(broken(reader, "a version that the context does not cover"));
        }
        dot.time = time;
    }
    let expiry = if tag & u64::from(EXPIRES) != 0 { Some(reader.u64()?) } else { None };
    Ok(Version { dot, payload: reader.prefixed()?, expiry })
}

/// Bytes of one version of a record that is not SINGLE, whose actor's entry is `entry`, at `index` of the context.
pub(super) fn version_len(version: &Version<'_>, index: usize, entry: Dot) -> usize {
    let time = if version.dot == entry { 0 } else { 8 };
    let expiry = if version.expiry.is_some() { 8 } else { 0 };
    let payload = version.payload.len();
    varint_len(version_tag(version, index, entry)) + time + expiry + varint_len(payload as u64) + payload
}

/// Appends one version of a record that is not SINGLE.
pub(super) fn put_version(out: &mut Vec<u8>, version: &Version<'_>, index: usize, entry: Dot) {
    put_varint(out, version_tag(version, index, entry));
    if version.dot != entry {
        put_u64(out, version.dot.time.0);
    }
    if let Some(expiry) = version.expiry {
        put_u64(out, expiry);
    }
    crate::codec::put_bytes(out, version.payload);
}

fn version_tag(version: &Version<'_>, index: usize, entry: Dot) -> u64 {
    let older = if version.dot == entry { 0 } else { OLDER };
    let expires = if version.expiry.is_some() { u64::from(EXPIRES) } else { 0 };
    ((index as u64) << TAG_BITS) | expires | older
}

fn read_count(reader: &mut Reader<'_>, limit: usize, what: &'static str) -> Result<usize, FormatError> {
    let count = reader.varint()?;
    usize::try_from(count).ok().filter(|&count| count <= limit).ok_or(FormatError::Count { count, limit, what })
}

#[inline]
fn check_time(time: Time, reader: &Reader<'_>) -> Result<(), FormatError> {
    if time > Time::ZERO && time < Time::LIMIT { Ok(()) } else { Err(broken(reader, "a time that no clock gives")) }
}

#[cold]
fn broken(reader: &Reader<'_>, what: &'static str) -> FormatError {
    FormatError::Broken { offset: reader.offset(), what }
}
