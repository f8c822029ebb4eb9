//! The commit log's bytes.
//!
//! ```text
//! segment = header | frames, each starting at a multiple of 8 | zeros (reserved space)
//! header  = "annulog" 0 | format version u32 | 0 u32 | generation u64                                      24 bytes
//! frame   = length of the records u32 | CRC-64 u64 | first stamp u64 | durable_before u64 | records        28 bytes + records
//! record  = note | key length varint | key | value length varint | value          or the one byte 0x80: only a position
//! ```
//!
//! All fixed integers are little endian. The CRC covers the length and all that follows the CRC. A stamp is the number of
//! record bytes that precede a position since the data directory was made: a record's stamp is that of its end, a frame's
//! first stamp is the end of the frame before it, in whichever segment that is. `durable_before` is the position known to
//! be on stable storage when the frame was written: damage below it is corruption, damage above it a torn tail.
//!
//! Invariant: the records of a frame are applied all or none.

use std::path::{Path, PathBuf};

use crate::codec::{Crc64, DecodeError, Reader, put_varint, varint_len};
use crate::storage::memtable::split_entry;
use crate::storage::note::Note;

/// Bytes before a segment's first frame.
pub(crate) const SEGMENT_HEADER: usize = 24;
/// Bytes before a frame's records.
pub(crate) const FRAME_HEADER: usize = 28;
/// Frames start at multiples of this.
pub(crate) const FRAME_ALIGN: usize = 8;
/// Format version of the segments that this release writes.
pub(crate) const VERSION: u32 = 1;
/// A record that only takes a position.
pub(crate) const MARKER: u8 = 0x80;

const MAGIC: &[u8; 8] = b"annulog\0";
const PREFIX: &str = "log-";

/// Name of the segment of a generation.
pub(crate) fn segment_name(generation: u64) -> String {
    format!("{PREFIX}{generation:016x}")
}

/// The segment's path.
pub(crate) fn segment_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(segment_name(generation))
}

/// The generation of a segment with this name.
pub(crate) fn segment_generation(name: &str) -> Option<u64> {
    let generation = u64::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok()?;
    (segment_name(generation) == name).then_some(generation)
}

/// A segment's first bytes.
pub(crate) fn segment_header(generation: u64) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&generation.to_le_bytes());
    out
}

/// What a segment's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A segment of this generation.
    Good,
    /// A later release wrote it.
    Future(u32),
    /// Not a header of this generation.
    Bad,
}

/// Judges a segment's first bytes.
pub(crate) fn judge_header(bytes: &[u8], generation: u64) -> Header {
    let mut reader = Reader::new(bytes);
    let fields =
        (|| -> Result<_, DecodeError> { Ok((reader.array::<8>()?, reader.u32()?, reader.u32()?, reader.u64()?)) })();
    match fields {
        Ok((magic, VERSION, 0, number)) if magic == *MAGIC && number == generation => Header::Good,
        Ok((magic, version, ..)) if magic == *MAGIC && version > VERSION && version < 1 << 16 => {
            Header::Future(version)
        }
        _ => Header::Bad,
    }
}

/// What stands in a frame's header besides the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) length: u32,
    pub(crate) first: u64,
    pub(crate) durable_before: u64,
}

impl FrameHead {
    /// Bytes from the frame's start to the next frame's.
    pub(crate) fn stride(&self) -> usize {
        (FRAME_HEADER + self.length as usize).next_multiple_of(FRAME_ALIGN)
    }

    /// Stamp of the end of its last record.
    pub(crate) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.length))
    }
}

/// Completes a frame: `frame` holds `FRAME_HEADER` bytes of room and the records; it is padded to the alignment.
///
/// # Panics
/// If the records are 4 GB or more: the buffer's limit is far below.
pub(crate) fn seal_frame(frame: &mut Vec<u8>, first: u64, durable_before: u64) {
    let length = u32::try_from(frame.len() - FRAME_HEADER).expect("a frame is below 4 GB");
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[12..20].copy_from_slice(&first.to_le_bytes());
    frame[20..28].copy_from_slice(&durable_before.to_le_bytes());
    let crc = frame_crc(&frame[..4], &frame[12..]);
    frame[4..12].copy_from_slice(&crc.to_le_bytes());
    frame.resize(frame.len().next_multiple_of(FRAME_ALIGN), 0);
}

fn frame_crc(length: &[u8], rest: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(length);
    crc.update(rest);
    crc.value()
}

/// Reads a frame's header without checking it.
pub(crate) fn read_head(bytes: &[u8]) -> Result<FrameHead, DecodeError> {
    let mut reader = Reader::new(bytes);
    let length = reader.u32()?;
    let _crc = reader.u64()?;
    Ok(FrameHead { length, first: reader.u64()?, durable_before: reader.u64()? })
}

/// The records of a frame whose bytes, from its start, are `bytes`; `None` if the checksum does not fit.
pub(crate) fn open_frame(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    let length = reader.array::<4>().ok()?;
    let crc = reader.u64().ok()?;
    let covered = reader.bytes(16 + u32::from_le_bytes(length) as usize).ok()?;
    (frame_crc(&length, covered) == crc).then(|| covered.get(16..).unwrap_or(&[]))
}

/// Appends a record whose entry has the bytes `entry`.
#[inline]
pub(crate) fn put_record(out: &mut Vec<u8>, note: &Note, entry: &[u8]) {
    let (key, value) = split_entry(entry);
    let head = varint_len(key.len() as u64) + key.len();
    note.encode(out);
    out.extend_from_slice(&entry[..head]);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// One record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// A key's new value.
    Put { note: Note, key: &'a [u8], value: &'a [u8] },
    /// Only a position.
    Marker,
}

/// Reads one record; `None` if its kind is unknown.
pub(crate) fn read_record<'a>(reader: &mut Reader<'a>) -> Result<Option<Record<'a>>, DecodeError> {
    let mut ahead = *reader;
    if ahead.u8()? == MARKER {
        *reader = ahead;
        return Ok(Some(Record::Marker));
    }
    let Some(note) = Note::decode(reader)? else { return Ok(None) };
    Ok(Some(Record::Put { note, key: reader.prefixed()?, value: reader.prefixed()? }))
}

#[cfg(test)]
mod tests {
    use super::{
        FRAME_ALIGN, FRAME_HEADER, FrameHead, Header, MARKER, Record, judge_header, open_frame, put_record, read_head,
        read_record, seal_frame, segment_generation, segment_header, segment_name,
    };
    use crate::codec::{Reader, put_bytes};
    use crate::storage::note::{Bucket, Note};

    #[test]
    fn a_frame_reads_back_and_any_flipped_bit_is_seen() {
        let (mut entry, mut frame) = (Vec::new(), vec![0; FRAME_HEADER]);
        put_bytes(&mut entry, b"key");
        entry.extend_from_slice(b"value");
        let note = Note { keys: 1, ..Note::default() };
        put_record(&mut frame, &note, &entry);
        frame.push(MARKER);
        let length = (frame.len() - FRAME_HEADER) as u32;
        seal_frame(&mut frame, 77, 70);
        let head = FrameHead { length, first: 77, durable_before: 70 };
        assert_eq!((read_head(&frame), head.stride(), frame.len() % FRAME_ALIGN), (Ok(head), frame.len(), 0));
        let mut reader = Reader::new(open_frame(&frame).unwrap());
        assert_eq!(read_record(&mut reader), Ok(Some(Record::Put { note, key: b"key", value: b"value" })));
        assert_eq!((read_record(&mut reader), reader.is_empty()), (Ok(Some(Record::Marker)), true));
        for bit in 0..(FRAME_HEADER + length as usize) * 8 {
            frame[bit / 8] ^= 1 << (bit % 8);
            assert!(open_frame(&frame).is_none(), "bit {bit}");
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(open_frame(&[0; 64]).is_none());
    }

    /// A segment of format version 1, as hexadecimal digits: what this release wrote once, every later one reads.
    const GOLDEN: &str = include_str!("../../../tests/data/log-1.txt");

    #[test]
    fn the_format_is_the_one_of_the_golden_file() {
        let mut segment = segment_header(5);
        let (mut first, mut second) = (vec![0; FRAME_HEADER], vec![0; FRAME_HEADER]);
        let note = Note { keys: 1, expiry_in: Bucket(7), ..Note::default() };
        put_record(&mut first, &note, b"\x03keyvalue");
        put_record(&mut first, &Note::default(), b"\x03key");
        let end = 100 + (first.len() - FRAME_HEADER) as u64;
        seal_frame(&mut first, 100, 90);
        second.push(MARKER);
        seal_frame(&mut second, end, end);
        segment.extend([first, second].concat());
        let hex: String = segment.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN.split_whitespace().collect::<String>());
    }

    #[test]
    fn segments_know_their_generation() {
        assert_eq!(segment_generation(&segment_name(0xabc)), Some(0xabc));
        assert!(
            ["log-", "log-1", "log-00000000000000AB", "lock"].iter().all(|name| segment_generation(name).is_none())
        );
        let mut header = segment_header(5);
        assert_eq!((judge_header(&header, 5), judge_header(&header, 6)), (Header::Good, Header::Bad));
        header[8] = 9;
        assert_eq!((judge_header(&header, 5), judge_header(&header[..9], 5)), (Header::Future(9), Header::Bad));
    }
}
