//! The format of a manifest: a header, then frames, each an edit of what the store consists of.
//!
//! ```text
//! header   0  "annulusM"                                u64
//!          8  format version                            u32
//!         12  CRC-64 of bytes 0 to 12                   u64
//!
//! frame    0  length of the edit                        u32
//!          4  CRC-64 of the length, the offset, the edit u64
//!         12  offset of the frame in the file           u64
//!         20  edit
//!
//! edit     parts, each a tag u8 and:
//!          1 add     level u8 | run | number | bytes | keys | cleaned (varints) | greatest stamp u64
//!                    | first, last key (prefixed)
//!          2 remove  number (varint)
//!          3 trim    number (varint) | first key (prefixed)
//!          4 tally   number (varint)
//!          5 flushed stamp u64
//!          6 drop    number (varint) | stamp u64 | from, to (prefixed)
//!          7 next    number (varint)
//! ```
//!
//! A frame names its own offset, so that a sound frame behind a damaged one can be told from bytes that look like one.
//! The first frame of a file holds everything; the file is durable before `CURRENT` names it.

use crate::codec::{Crc64, DecodeError, Reader, crc64, put_bytes, put_u32, put_u64, put_varint};
use crate::storage::drops::{NumberedDrop, RangeDrop};
use crate::storage::table::TableInfo;
use crate::types::Stamp;

/// Format version of manifests that this release writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// Length of the header.
pub(crate) const HEADER_BYTES: usize = 20;
/// Bytes of a frame before its edit.
pub(crate) const FRAME_HEADER_BYTES: usize = 20;
const MAGIC: [u8; 8] = *b"annulusM";

const ADD: u8 = 1;
const REMOVE: u8 = 2;
const TRIM: u8 = 3;
const TALLY: u8 = 4;
const FLUSHED: u8 = 5;
const DROP: u8 = 6;
const NEXT: u8 = 7;

/// A table and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The level.
    pub(crate) level: u8,
    /// The run: of two runs of level 0 or 1 the one with the greater number is newer; 0 in deeper levels.
    pub(crate) run: u64,
    /// The table.
    pub(crate) info: TableInfo,
}

/// One change, durable as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Numbers of tables that no longer count.
    pub(crate) removed: Vec<u64>,
    /// Tables of which nothing below the key counts any more.
    pub(crate) trimmed: Vec<(u64, Vec<u8>)>,
    /// New tables.
    pub(crate) added: Vec<Placed>,
    /// New drops.
    pub(crate) drops: Vec<NumberedDrop>,
    /// The file of the newest tally.
    pub(crate) tally: Option<u64>,
    /// Every log entry below it is in tables.
    pub(crate) flushed_to: Option<Stamp>,
    /// No file has this number or a greater one.
    pub(crate) next_number: u64,
}

impl Edit {
    /// Appends the edit's parts.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for number in &self.removed {
            out.push(REMOVE);
            put_varint(out, *number);
        }
        for (number, first) in &self.trimmed {
            out.push(TRIM);
            put_varint(out, *number);
            put_bytes(out, first);
        }
        for placed in &self.added {
            out.push(ADD);
            placed.encode(out);
        }
        for drop in &self.drops {
            out.push(DROP);
            put_varint(out, drop.number);
            put_u64(out, drop.drop.stamp.0);
            put_bytes(out, &drop.drop.from);
            put_bytes(out, &drop.drop.to);
        }
        if let Some(number) = self.tally {
            out.push(TALLY);
            put_varint(out, number);
        }
        if let Some(stamp) = self.flushed_to {
            out.push(FLUSHED);
            put_u64(out, stamp.0);
        }
        out.push(NEXT);
        put_varint(out, self.next_number);
    }

    /// Reads parts up to the end of `bytes`.
    ///
    /// # Errors
    /// If a part does not decode or is of an unknown kind.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut edit = Edit::default();
        while !reader.is_empty() {
            let offset = reader.offset();
            match reader.u8()? {
                ADD => edit.added.push(Placed::decode(&mut reader)?),
                REMOVE => edit.removed.push(reader.varint()?),
                TRIM => edit.trimmed.push((reader.varint()?, reader.prefixed()?.to_vec())),
                TALLY => edit.tally = Some(reader.varint()?),
                FLUSHED => edit.flushed_to = Some(Stamp(reader.u64()?)),
                DROP => {
                    let number = reader.varint()?;
                    let stamp = Stamp(reader.u64()?);
                    let (from, to) = (reader.prefixed()?.to_vec(), reader.prefixed()?.to_vec());
                    edit.drops.push(NumberedDrop { number, drop: RangeDrop { from, to, stamp } });
                }
                NEXT => edit.next_number = reader.varint()?,
                _ => return Err(DecodeError::Trailing { offset, remaining: bytes.len() - offset }),
            }
        }
        Ok(edit)
    }
}

impl Placed {
    fn encode(&self, out: &mut Vec<u8>) {
        let info = &self.info;
        out.push(self.level);
        for number in [self.run, info.number, info.bytes, info.keys, info.cleaned] {
            put_varint(out, number);
        }
        put_u64(out, info.max_stamp.0);
        put_bytes(out, &info.first);
        put_bytes(out, &info.last);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let level = reader.u8()?;
        let run = reader.varint()?;
        let info = TableInfo {
            number: reader.varint()?,
            bytes: reader.varint()?,
            keys: reader.varint()?,
            cleaned: reader.varint()?,
            max_stamp: Stamp(reader.u64()?),
            first: reader.prefixed()?.to_vec(),
            last: reader.prefixed()?.to_vec(),
        };
        Ok(Placed { level, run, info })
    }
}

/// The bytes of a header.
pub(crate) fn header() -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put_u32(&mut out, FORMAT_VERSION);
    let crc = crc64(&out);
    put_u64(&mut out, crc);
    out
}

/// The version that a header names; `None` if the bytes begin with no sound header.
pub(crate) fn header_version(bytes: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(bytes);
    let magic: [u8; 8] = reader.array().ok()?;
    let version = reader.u32().ok()?;
    let crc = reader.u64().ok()?;
    (magic == MAGIC && bytes.get(..12).map(crc64) == Some(crc)).then_some(version)
}

/// Appends `edit` as the frame that stands at `offset` of its file.
pub(crate) fn put_frame(out: &mut Vec<u8>, offset: u64, edit: &Edit) {
    let mut body = Vec::new();
    edit.encode(&mut body);
    let len = u32::try_from(body.len()).expect("an edit is far below 4 GB: tables are 32 MB each");
    put_u32(out, len);
    put_u64(out, frame_crc(len, offset, &body));
    put_u64(out, offset);
    out.append(&mut body);
}

/// The edit of the frame at `offset` of a file's bytes; `None` if no sound frame stands there.
pub(crate) fn frame_at(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes.get(offset..)?);
    let len = reader.u32().ok()?;
    let crc = reader.u64().ok()?;
    let own = reader.u64().ok()?;
    if own != offset as u64 {
        return None;
    }
    let body = reader.bytes(len as usize).ok()?;
    (frame_crc(len, own, body) == crc).then_some(body)
}

fn frame_crc(len: u32, offset: u64, body: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(&len.to_le_bytes());
    crc.update(&offset.to_le_bytes());
    crc.update(body);
    crc.value()
}

#[cfg(test)]
mod tests {
    use super::{Edit, HEADER_BYTES, Placed, frame_at, header, header_version, put_frame};
    use crate::storage::drops::{NumberedDrop, RangeDrop};
    use crate::storage::table::TableInfo;
    use crate::types::Stamp;

    fn edit() -> Edit {
        let info = TableInfo {
            number: 300,
            bytes: 1 << 40,
            keys: 7,
            cleaned: 150,
            max_stamp: Stamp(9),
            first: b"a".to_vec(),
            last: b"b".to_vec(),
        };
        Edit {
            removed: vec![1, 200],
            trimmed: vec![(3, b"x".to_vec())],
            added: vec![Placed { level: 1, run: 44, info }],
            drops: vec![NumberedDrop {
                number: 150,
                drop: RangeDrop { from: b"c".to_vec(), to: b"d".to_vec(), stamp: Stamp(5) },
            }],
            tally: Some(12),
            flushed_to: Some(Stamp(u64::MAX)),
            next_number: 301,
        }
    }

    #[test]
    fn edits_read_back_and_cuts_show() {
        for edit in [edit(), Edit::default()] {
            let mut bytes = Vec::new();
            edit.encode(&mut bytes);
            assert_eq!(Edit::decode(&bytes), Ok(edit));
        }
        assert!(Edit::decode(&[99]).is_err());
        assert!(Edit::decode(&[1, 0, 0]).is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_frame_shows() {
        let mut bytes = vec![0; 5];
        put_frame(&mut bytes, 5, &edit());
        let body = frame_at(&bytes, 5).expect("sound").to_vec();
        assert_eq!(Edit::decode(&body), Ok(edit()));
        assert!(frame_at(&bytes[1..], 4).is_none(), "at another offset");
        for bit in 40..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(frame_at(&bytes, 5).is_none(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_shows() {
        let mut bytes = header();
        assert_eq!((bytes.len(), header_version(&bytes)), (HEADER_BYTES, Some(1)));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(header_version(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
