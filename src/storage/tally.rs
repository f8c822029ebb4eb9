//! The counters of one arc: keys per (slot, database), keys per (database, expiry bucket); and their form on disk.
//!
//! ```text
//! version u8 = 1 | log generation that it is the end of (varint) | arcs (varint), then for each arc that counts anything:
//!   arc (varint) | count of counters (varint) | slot (u16) database (u8) keys (varint) ...
//!                | count of sums (varint)     | database (u8) bucket (u16) keys (varint) ...
//! ```
//!
//! Invariant: a tally is the sum of the notes up to a point of the log, drops applied; entries that are zero are not kept.
//! Left out: its checksum, which the file around it has.

use std::collections::BTreeMap;

use crate::codec::{DecodeError, Reader, put_u16, put_varint};
use crate::storage::note::{Bucket, Note};

const VERSION: u8 = 1;

/// First bytes of an engine key that the engine knows: slot and database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Head {
    pub(crate) slot: u16,
    pub(crate) database: u8,
}

impl Head {
    /// The head of a key; a shorter key counts as padded with zeros.
    #[inline]
    pub(crate) fn of(key: &[u8]) -> Self {
        let byte = |index| key.get(index).copied().unwrap_or(0);
        Head { slot: u16::from_be_bytes([byte(0), byte(1)]), database: byte(2) }
    }

    /// The first key that has this head.
    pub(crate) fn first_key(self) -> [u8; 3] {
        let [high, low] = self.slot.to_be_bytes();
        [high, low, self.database]
    }
}

/// The counters of one arc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    keys: BTreeMap<Head, i64>,
    expiries: BTreeMap<(u8, u16), i64>,
}

impl Tally {
    /// Adds what a note says about a key of `head`.
    pub(crate) fn apply(&mut self, head: Head, note: &Note) {
        if note.keys != 0 {
            add(&mut self.keys, head, i64::from(note.keys));
        }
        if note.expiry_out != note.expiry_in {
            for (bucket, change) in [(note.expiry_out, -1), (note.expiry_in, 1)] {
                if bucket.0 != 0 {
                    add(&mut self.expiries, (head.database, bucket.0), change);
                }
            }
        }
    }

    /// Zeroes the counters of every head in `[from, to)`, and the sums of every database that has no counter left;
    /// gives back what went, per database.
    pub(crate) fn zero(&mut self, from: &[u8], to: &[u8]) -> BTreeMap<u8, i64> {
        let mut gone = BTreeMap::new();
        self.keys.retain(|head, count| {
            let hit = head.first_key().as_slice() >= from && head.first_key().as_slice() < to;
            if hit {
                *gone.entry(head.database).or_insert(0) += *count;
            }
            !hit
        });
        let keys = &self.keys;
        self.expiries.retain(|(database, _), _| keys.keys().any(|head| head.database == *database));
        gone
    }

    /// Keys of a slot and database.
    pub(crate) fn keys(&self, head: Head) -> u64 {
        self.keys.get(&head).map_or(0, |count| (*count).max(0).cast_unsigned())
    }

    /// Keys per database.
    pub(crate) fn databases(&self) -> BTreeMap<u8, i64> {
        let mut sums = BTreeMap::new();
        self.keys.iter().for_each(|(head, count)| *sums.entry(head.database).or_insert(0) += count);
        sums
    }

    /// The expiry sums of a database.
    pub(crate) fn expiries(&self, database: u8) -> Vec<(Bucket, u64)> {
        let of_database = self.expiries.range((database, 0)..=(database, u16::MAX));
        of_database.map(|((_, bucket), count)| (Bucket(*bucket), (*count).max(0).cast_unsigned())).collect()
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.expiries.is_empty()
    }

    fn encode(&self, arc: usize, out: &mut Vec<u8>) {
        put_varint(out, arc as u64);
        put_varint(out, self.keys.len() as u64);
        for (head, count) in &self.keys {
            put_u16(out, head.slot);
            out.push(head.database);
            put_varint(out, count.cast_unsigned());
        }
        put_varint(out, self.expiries.len() as u64);
        for ((database, bucket), count) in &self.expiries {
            out.push(*database);
            put_u16(out, *bucket);
            put_varint(out, count.cast_unsigned());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut tally = Tally::default();
        for _ in 0..reader.varint()? {
            let head = Head { slot: reader.u16()?, database: reader.u8()? };
            tally.keys.insert(head, reader.varint()?.cast_signed());
        }
        for _ in 0..reader.varint()? {
            let sum = (reader.u8()?, reader.u16()?);
            tally.expiries.insert(sum, reader.varint()?.cast_signed());
        }
        Ok(tally)
    }
}

fn add<K: Ord + Copy>(counts: &mut BTreeMap<K, i64>, key: K, change: i64) {
    let count = counts.entry(key).or_insert(0);
    *count += change;
    if *count == 0 {
        counts.remove(&key);
    }
}

/// The tallies of all arcs at the end of a log generation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// The log generation.
    pub(crate) generation: u64,
    /// Arcs that count anything.
    pub(crate) tallies: Vec<(usize, Tally)>,
}

/// Encodes the tallies at the end of `generation`; the iterator gives them from arc 0 on.
pub(crate) fn encode<'a>(generation: u64, tallies: impl Iterator<Item = &'a Tally>) -> Vec<u8> {
    let counting: Vec<_> = tallies.enumerate().filter(|(_, tally)| !tally.is_empty()).collect();
    let mut out = vec![VERSION];
    put_varint(&mut out, generation);
    put_varint(&mut out, counting.len() as u64);
    counting.into_iter().for_each(|(arc, tally)| tally.encode(arc, &mut out));
    out
}

/// Decodes what `encode` wrote; `None` if it is not of this version or does not fit.
pub(crate) fn decode(bytes: &[u8]) -> Option<Saved> {
    let mut reader = Reader::new(bytes);
    if reader.u8().ok()? != VERSION {
        return None;
    }
    let mut saved = Saved { generation: reader.varint().ok()?, tallies: Vec::new() };
    for _ in 0..reader.varint().ok()? {
        let arc = usize::try_from(reader.varint().ok()?).ok()?;
        saved.tallies.push((arc, Tally::decode(&mut reader).ok()?));
    }
    reader.end().ok()?;
    Some(saved)
}

#[cfg(test)]
mod tests {
    use super::{Head, Saved, Tally, decode, encode};
    use crate::storage::note::{Bucket, Note};

    fn note(keys: i8, expiry_out: u16, expiry_in: u16) -> Note {
        Note { keys, expiry_out: Bucket(expiry_out), expiry_in: Bucket(expiry_in), tree: None }
    }

    #[test]
    fn a_tally_reads_back_and_forgets_zeros() {
        let (mut tally, head) = (Tally::default(), Head { slot: 3, database: 1 });
        tally.apply(head, &note(1, 0, 9));
        tally.apply(Head { slot: 4, database: 0 }, &note(2, 0, 0));
        let bytes = encode(7, [&Tally::default(), &tally].into_iter());
        assert_eq!(decode(&bytes), Some(Saved { generation: 7, tallies: vec![(1, tally.clone())] }));
        (0..bytes.len()).for_each(|len| assert_eq!(decode(&bytes[..len]), None));
        tally.apply(head, &note(-1, 9, 0));
        assert_eq!((tally.keys(head), tally.expiries(1)), (0, vec![]));
        assert_eq!(tally.databases().into_iter().collect::<Vec<_>>(), [(0, 2)]);
    }

    #[test]
    fn a_dropped_range_counts_nothing() {
        let mut tally = Tally::default();
        for (slot, database) in [(3, 0), (3, 1), (4, 0)] {
            tally.apply(Head { slot, database }, &note(1, 0, 5));
        }
        let gone = tally.zero(&[0, 3, 0], &[0, 4, 0]);
        assert_eq!(gone.into_iter().collect::<Vec<_>>(), [(0, 1), (1, 1)]);
        assert_eq!((tally.expiries(0).len(), tally.expiries(1).len()), (1, 0));
    }
}
