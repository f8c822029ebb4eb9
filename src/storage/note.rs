//! What one log record changes besides its key: counters, expiry sums, the tree. Replay rebuilds them from notes alone,
//! without reading a table.
//!
//! ```text
//! flags u8: bits 0-1 keys (0: none, 1: +1, 2: -1, 3: the i8 that follows) | bit 2 expiry_out | bit 3 expiry_in | bit 4 tree
//! [keys i8] [expiry_out u16] [expiry_in u16] [leaf u8, hash u64, count i8]           little endian, at most 16 bytes
//! ```
//!
//! Invariant: bits 5-7 of the flags are zero in a note; the log uses bit 7 for records without a key.
//! Left out: what a bucket means (the owner of the values knows) and the trees themselves (carried, not kept yet).

use crate::codec::{DecodeError, Reader, put_u16, put_u64};

/// Number of an expiry sum, chosen by the owner of the values; 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(pub u16);

/// What a write changes in its arc's tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeChange {
    /// The leaf.
    pub leaf: u8,
    /// What is folded into the leaf's hash by XOR.
    pub hash: u64,
    /// Change of the leaf's count.
    pub count: i8,
}

/// What a write changes besides its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Change of the number of keys of the key's slot and database.
    pub keys: i8,
    /// The expiry sum that loses one.
    pub expiry_out: Bucket,
    /// The expiry sum that gains one.
    pub expiry_in: Bucket,
    /// Change of the arc's tree.
    pub tree: Option<TreeChange>,
}

const KEYS_UP: u8 = 1;
const KEYS_DOWN: u8 = 2;
const KEYS_FOLLOW: u8 = 3;
const EXPIRY_OUT: u8 = 1 << 2;
const EXPIRY_IN: u8 = 1 << 3;
const TREE: u8 = 1 << 4;
const KNOWN: u8 = KEYS_FOLLOW | EXPIRY_OUT | EXPIRY_IN | TREE;

impl Note {
    /// Whether counters or sums change.
    #[inline]
    pub(crate) fn counts(&self) -> bool {
        self.keys != 0 || self.expiry_out != self.expiry_in
    }

    /// Appends the note.
    #[inline]
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let keys = match self.keys {
            0 => 0,
            1 => KEYS_UP,
            -1 => KEYS_DOWN,
            _ => KEYS_FOLLOW,
        };
        let flag = |set, bit| if set { bit } else { 0 };
        let expiry = flag(self.expiry_out.0 != 0, EXPIRY_OUT) | flag(self.expiry_in.0 != 0, EXPIRY_IN);
        out.push(keys | expiry | flag(self.tree.is_some(), TREE));
        if keys == KEYS_FOLLOW {
            out.push(self.keys.cast_unsigned());
        }
        for bucket in [self.expiry_out, self.expiry_in].into_iter().filter(|bucket| bucket.0 != 0) {
            put_u16(out, bucket.0);
        }
        if let Some(tree) = self.tree {
            out.push(tree.leaf);
            put_u64(out, tree.hash);
            out.push(tree.count.cast_unsigned());
        }
    }

    /// Reads a note; `None` if a flag is unknown.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Option<Note>, DecodeError> {
        let flags = reader.u8()?;
        if flags & !KNOWN != 0 {
            return Ok(None);
        }
        let keys = match flags & KEYS_FOLLOW {
            KEYS_UP => 1,
            KEYS_DOWN => -1,
            KEYS_FOLLOW => reader.u8()?.cast_signed(),
            _ => 0,
        };
        let expiry_out = Bucket(if flags & EXPIRY_OUT != 0 { reader.u16()? } else { 0 });
        let expiry_in = Bucket(if flags & EXPIRY_IN != 0 { reader.u16()? } else { 0 });
        let tree = match flags & TREE {
            0 => None,
            _ => Some(TreeChange { leaf: reader.u8()?, hash: reader.u64()?, count: reader.u8()?.cast_signed() }),
        };
        Ok(Some(Note { keys, expiry_out, expiry_in, tree }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Note, TreeChange};
    use crate::codec::Reader;

    #[test]
    fn a_note_reads_back_and_stays_within_16_bytes() {
        let tree = Some(TreeChange { leaf: 200, hash: u64::MAX - 5, count: -2 });
        for keys in [0, 1, -1, 2, -128, 127] {
            for (expiry_out, expiry_in) in [(0, 0), (7, 0), (0, 65_535), (1, 2)] {
                for tree in [None, tree] {
                    let note = Note { keys, expiry_out: Bucket(expiry_out), expiry_in: Bucket(expiry_in), tree };
                    let mut bytes = Vec::new();
                    note.encode(&mut bytes);
                    assert!(bytes.len() <= 16, "{note:?}");
                    let mut reader = Reader::new(&bytes);
                    assert_eq!((Note::decode(&mut reader), reader.remaining()), (Ok(Some(note)), 0));
                }
            }
        }
        assert_eq!(Note::decode(&mut Reader::new(&[0x20])), Ok(None));
    }
}
