//! The engine's keys: how a cell's address (database, key, path) becomes bytes in disk order.
//!
//! ```text
//! slot u16 BE | database u8 | xxh3-32 of the key, u32 BE | varint key length | key | cell path
//! ```
//!
//! Slot first: an arc is a run of keys. Hash before key: a SCAN cursor is `slot << 32 | hash`, stateless and below 2^46.
//! A string is the cell with the empty path.

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{Reader, put_varint};
use crate::types::{Database, SLOTS, Slot, slot_of};

/// Bytes before the key's length: slot, database, hash.
pub(super) const HEAD_BYTES: usize = 7;

/// Writes the engine's key of `key`'s string cell into `out`, which is cleared first.
#[inline]
pub(super) fn encode_key(database: Database, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&slot_of(key).0.to_be_bytes());
    out.push(database.0);
    out.extend_from_slice(&key_hash(key).to_be_bytes());
    put_varint(out, key.len() as u64);
    out.extend_from_slice(key);
}

/// The hash that orders keys inside a slot.
#[inline]
#[must_use]
pub(super) fn key_hash(key: &[u8]) -> u32 {
    xxh3_64(key) as u32
}

/// An engine key taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellKey<'a> {
    /// Slot of the key.
    pub slot: Slot,
    /// Database.
    pub database: Database,
    /// Hash of the key.
    pub hash: u32,
    /// The user's key.
    pub key: &'a [u8],
    /// The path inside the key; empty for a string.
    pub path: &'a [u8],
}

/// Takes an engine key apart; `None` if it is no such key.
#[must_use]
pub fn decode_key(bytes: &[u8]) -> Option<CellKey<'_>> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let (slot, database) = key_head(head)?;
    let hash = u32::from_be_bytes(head.get(3..)?.try_into().ok()?);
    let mut reader = Reader::new(rest);
    let key_bytes = usize::try_from(reader.varint().ok()?).ok()?;
    let key = reader.bytes(key_bytes).ok()?;
    let path = reader.bytes(reader.remaining()).ok()?;
    Some(CellKey { slot, database, hash, key, path })
}

/// Slot and database of an engine key.
#[must_use]
pub(super) fn key_head(bytes: &[u8]) -> Option<(Slot, Database)> {
    match bytes {
        [high, low, database, ..] => Some((Slot(u16::from_be_bytes([*high, *low])), Database(*database))),
        _ => None,
    }
}

/// First possible engine key of (slot, database) whose hash is at least `hash`.
#[must_use]
pub(super) fn range_start(slot: u16, database: Database, hash: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(HEAD_BYTES);
    key.extend_from_slice(&slot.to_be_bytes());
    key.push(database.0);
    key.extend_from_slice(&hash.to_be_bytes());
    key
}

/// First engine key after all of (slot, database).
#[must_use]
pub(super) fn range_end(slot: u16, database: Database) -> Vec<u8> {
    let mut key = Vec::with_capacity(3);
    key.extend_from_slice(&slot.to_be_bytes());
    key.push(database.0 + 1);
    key
}

/// The cursor of a key's place: `slot << 32 | hash`.
#[must_use]
pub(super) fn cursor_of(slot: Slot, hash: u32) -> u64 {
    u64::from(slot.0) << 32 | u64::from(hash)
}

/// The place that a cursor names; `None` past the last slot.
#[must_use]
pub(super) fn place_of(cursor: u64) -> Option<(Slot, u32)> {
    let slot = u16::try_from(cursor >> 32).ok().filter(|slot| *slot < SLOTS)?;
    Some((Slot(slot), cursor as u32))
}

#[cfg(test)]
mod tests {
    use super::{CellKey, cursor_of, decode_key, encode_key, key_hash, place_of};
    use crate::types::{Database, slot_of};

    #[test]
    fn an_engine_key_reads_back() {
        let mut bytes = Vec::new();
        for key in [&b"foo"[..], b"", &[0xff; 300]] {
            encode_key(Database(3), key, &mut bytes);
            let cell = CellKey { slot: slot_of(key), database: Database(3), hash: key_hash(key), key, path: b"" };
            assert_eq!(decode_key(&bytes), Some(cell));
        }
        assert_eq!(decode_key(b"short"), None);
        assert_eq!(decode_key(&[0, 0, 0, 0, 0, 0, 0, 200]), None);
    }

    #[test]
    fn a_cursor_names_its_place() {
        let slot = slot_of(b"k");
        assert_eq!(place_of(cursor_of(slot, u32::MAX)), Some((slot, u32::MAX)));
        assert_eq!(place_of(1 << 46), None);
    }
}
