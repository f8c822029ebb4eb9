//! How a hint lies in its engine.
//!
//! ```text
//! key     node u16 BE, its bytes swapped | database u8 | key
//! value   kept at, u64 (milliseconds since the Unix epoch) | record      nothing at all: the hint has gone
//! ```
//!
//! All hints of a node are one run of keys. The engine shards its memory by the first two bytes: with the low byte in front,
//! nodes with neighbouring numbers lie in shards of their own.
//!
//! The engine forgets nothing by itself: a hint that has gone is an empty value until compaction reaches the bottom with it.

use crate::codec::put_u64;
use crate::storage::{Depth, Filter, Judgement, ScanRange};
use crate::types::{Database, NodeNumber};

/// Bytes before the key.
const HEAD_BYTES: usize = 3;
/// Bytes before the record.
const KEPT_BYTES: usize = 8;

/// The engine's key of a hint.
pub(super) fn place_of(node: NodeNumber, database: Database, key: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(HEAD_BYTES + key.len());
    place.extend_from_slice(&node.0.to_le_bytes());
    place.push(database.0);
    place.extend_from_slice(key);
    place
}

/// Whose hint lies at a place, and for which database and key; `None` if it is no such place.
pub(super) fn parts_of(place: &[u8]) -> Option<(NodeNumber, Database, &[u8])> {
    match place {
        [low, high, database, key @ ..] => {
            Some((NodeNumber(u16::from_le_bytes([*low, *high])), Database(*database), key))
        }
        _ => None,
    }
}

/// Where all hints of a node lie.
pub(super) fn range_of(node: NodeNumber) -> ScanRange {
    let from = node.0.to_le_bytes().to_vec();
    let to = [&from[..], &[u8::MAX]].concat();
    ScanRange { from, to }
}

/// Where all hints lie.
pub(super) fn everything() -> ScanRange {
    ScanRange { from: Vec::new(), to: vec![u8::MAX; HEAD_BYTES] }
}

/// A hint's value, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept<'a> {
    /// When something was last added to it.
    pub(super) at_ms: u64,
    /// The encoded record.
    pub(super) record: &'a [u8],
}

impl<'a> Kept<'a> {
    /// Reads a value; `None` if the hint has gone.
    pub(super) fn decode(value: &'a [u8]) -> Option<Self> {
        let (at_ms, record) = value.split_first_chunk::<KEPT_BYTES>()?;
        Some(Kept { at_ms: u64::from_le_bytes(*at_ms), record })
    }

    /// Appends the value.
    pub(super) fn put(&self, value: &mut Vec<u8>) {
        put_u64(value, self.at_ms);
        value.extend_from_slice(self.record);
    }

    /// Bytes of the value.
    pub(super) fn len(&self) -> usize {
        KEPT_BYTES + self.record.len()
    }
}

/// Lets compaction drop hints that have gone.
pub(super) struct DropGone;

impl Filter for DropGone {
    fn judge(&self, _: &[u8], value: &[u8], _: Depth) -> Judgement {
        if value.is_empty() { Judgement::Drop } else { Judgement::Keep }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, everything, parts_of, place_of, range_of};
    use crate::types::{Database, NodeNumber};

    #[test]
    fn a_place_reads_back_and_lies_in_the_range_of_its_node() {
        for node in [0, 1, 2, 255, 256, 300, u16::MAX].map(NodeNumber) {
            for (database, key) in [(0, &b""[..]), (15, &[0xff; 40]), (3, b"key")] {
                let place = place_of(node, Database(database), key);
                assert_eq!(parts_of(&place), Some((node, Database(database), key)));
                let holds = |number: u16| {
                    let range = range_of(NodeNumber(number));
                    range.from <= place && place < range.to
                };
                assert_eq!((0..=u16::MAX).filter(|number| holds(*number)).collect::<Vec<_>>(), [node.0]);
                assert!(place < everything().to);
            }
        }
        assert_eq!(parts_of(b"no"), None);
    }

    #[test]
    fn a_value_reads_back_and_an_empty_one_has_gone() {
        let kept = Kept { at_ms: u64::MAX - 7, record: b"record" };
        let mut value = Vec::new();
        kept.put(&mut value);
        assert_eq!((Kept::decode(&value), value.len()), (Some(kept), kept.len()));
        assert_eq!((Kept::decode(b""), Kept::decode(b"short")), (None, None));
    }
}
