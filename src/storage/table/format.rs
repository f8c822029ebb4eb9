//! The format of a table file: constants, byte diagrams, footer, properties. Reader and writer share this file.
//!
//! ```text
//! file        data block .. | filter block .. | index block .. | filter fence | index fence | properties | footer
//!
//! block       0  CRC-64 of all that follows           u64
//!             8  kind (data 1, index 2, filter 3, fence 4, properties 5)   u8
//!             9  compression (none 0, zstd 1)         u8
//!            10  length of the contents               u32
//!            14  contents, compressed or raw
//!
//! entries     the contents of data, index and fence blocks:
//! entry       varint shared | varint suffix length | varint value length | suffix | value
//! tail        offset of each restart u32 .. | number of restarts u32
//!
//! filter      contents: tag u8 | the filter (tag 2: lines of eight u32; tag 1, only read: growable-bloom-filter by postcard)
//!
//! properties  contents: level u8 | keys varint | greatest stamp u64 | first key prefixed | last key prefixed
//!
//! footer      0  CRC-64 of bytes 8 to 56              u64
//!             8  filter fence, index fence, properties: offset u64, length u32 each
//!            44  format version                       u32
//!            48  "annulusT"                           u64
//! ```
//!
//! Keys share a prefix with the key before them, except at a restart (every 16 entries), where `shared` is 0. The two-level
//! index: an index block names data blocks, the index fence names index blocks; the filter fence names filter blocks, each
//! made of 65,536 keys in order. Their keys are the shortest ones that lie above the last key before a block and not above
//! its first key; their values are a block's place: varint offset | varint length.
//!
//! Invariant: every byte of a file lies under a checksum. Integers are little endian.

use crate::codec::{DecodeError, Reader, crc64, put_bytes, put_u32, put_u64, put_varint};
use crate::types::Stamp;

/// Format version of tables that this release writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// Last 8 bytes of every table.
const MAGIC: [u8; 8] = *b"annulusT";
/// Length of the footer.
pub(crate) const FOOTER_BYTES: usize = 56;
/// Bytes before a block's contents.
pub(crate) const BLOCK_HEADER_BYTES: usize = 14;
/// Entries from one restart to the next.
pub(crate) const RESTART_ENTRIES: usize = 16;
/// Keys of one filter block.
pub(crate) const FILTER_KEYS: usize = 65_536;
/// Longest contents of a block: far above any pair, far below what an allocation could fail on.
pub(crate) const MAX_CONTENT_BYTES: usize = 1 << 30;
/// Filter made by growable-bloom-filter 2, written by postcard 1: read, no longer written.
pub(crate) const FILTER_GROWABLE: u8 = 1;
/// Filter of lines of eight words.
pub(crate) const FILTER_LINES: u8 = 2;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BlockKind {
    /// Keys and values.
    Data = 1,
    /// Places of data blocks.
    Index = 2,
    /// A bloom filter.
    Filter = 3,
    /// Places of index or filter blocks.
    Fence = 4,
    /// What is known of the table as a whole.
    Properties = 5,
}

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockPlace {
    /// Offset of its header.
    pub(crate) offset: u64,
    /// Length as stored, header included.
    pub(crate) bytes: u32,
}

impl BlockPlace {
    /// Appends the place as the value of a fence or index entry.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        put_varint(out, self.offset);
        put_varint(out, u64::from(self.bytes));
    }

    /// Reads the value of a fence or index entry.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let offset = reader.varint()?;
        let at = reader.offset();
        let bytes = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Varint { offset: at })?;
        reader.end()?;
        Ok(BlockPlace { offset, bytes })
    }
}

/// The last bytes of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Names the filter blocks.
    pub(crate) filters: BlockPlace,
    /// Names the index blocks.
    pub(crate) index: BlockPlace,
    /// The properties block.
    pub(crate) properties: BlockPlace,
}

/// Why bytes are no footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadFooter {
    /// The bytes do not fit; says what.
    Damaged(&'static str),
    /// A later release wrote the table, in this version of the format.
    Future(u32),
}

impl Footer {
    /// The footer's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(FOOTER_BYTES);
        for place in [self.filters, self.index, self.properties] {
            put_u64(&mut body, place.offset);
            put_u32(&mut body, place.bytes);
        }
        put_u32(&mut body, FORMAT_VERSION);
        body.extend_from_slice(&MAGIC);
        let mut out = crc64(&body).to_le_bytes().to_vec();
        out.append(&mut body);
        out
    }

    /// Reads a footer.
    pub(crate) fn decode(bytes: &[u8; FOOTER_BYTES]) -> Result<Self, BadFooter> {
        if !bytes.ends_with(&MAGIC) {
            return Err(BadFooter::Damaged("the file does not end as a table does"));
        }
        let mut reader = Reader::new(bytes);
        let mut read = || -> Result<(u64, Footer, u32), DecodeError> {
            let crc = reader.u64()?;
            let mut place = || Ok(BlockPlace { offset: reader.u64()?, bytes: reader.u32()? });
            let footer = Footer { filters: place()?, index: place()?, properties: place()? };
            Ok((crc, footer, reader.u32()?))
        };
        let (crc, footer, version) = read().map_err(|_| BadFooter::Damaged("the footer is too short"))?;
        if bytes.get(8..).map(crc64) != Some(crc) {
            return Err(BadFooter::Damaged("the checksum of the footer does not match"));
        }
        // After the checksum, so that a flipped bit of the version is not taken for a later release's.
        if version != FORMAT_VERSION {
            return Err(BadFooter::Future(version));
        }
        Ok(footer)
    }
}

/// What is known of a table as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Properties {
    /// The level that the table was written for.
    pub(crate) level: u8,
    /// Number of keys.
    pub(crate) keys: u64,
    /// Stamp above which no entry is.
    pub(crate) max_stamp: Stamp,
    /// Least key.
    pub(crate) first: Vec<u8>,
    /// Greatest key.
    pub(crate) last: Vec<u8>,
}

impl Properties {
    /// The contents of the properties block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.level];
        put_varint(&mut out, self.keys);
        put_u64(&mut out, self.max_stamp.0);
        put_bytes(&mut out, &self.first);
        put_bytes(&mut out, &self.last);
        out
    }

    /// Reads the contents of a properties block.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let properties = Properties {
            level: reader.u8()?,
            keys: reader.varint()?,
            max_stamp: Stamp(reader.u64()?),
            first: reader.prefixed()?.to_vec(),
            last: reader.prefixed()?.to_vec(),
        };
        reader.end()?;
        Ok(properties)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadFooter, BlockPlace, FOOTER_BYTES, Footer, Properties};
    use crate::codec::crc64;
    use crate::types::Stamp;

    fn footer() -> Footer {
        let place = |offset, bytes| BlockPlace { offset, bytes };
        Footer { filters: place(1, 2), index: place(u64::MAX, 4), properties: place(5, u32::MAX) }
    }

    #[test]
    fn a_footer_reads_back_and_every_flipped_bit_shows() {
        let bytes: [u8; FOOTER_BYTES] = footer().encode().try_into().expect("its length is fixed");
        assert_eq!(Footer::decode(&bytes), Ok(footer()));
        for bit in 0..FOOTER_BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Footer::decode(&damaged), Err(BadFooter::Damaged(_))), "bit {bit}");
        }
    }

    #[test]
    fn a_later_version_is_named() {
        let mut bytes: [u8; FOOTER_BYTES] = footer().encode().try_into().expect("its length is fixed");
        bytes[44] = 9;
        let crc = crc64(&bytes[8..]).to_le_bytes();
        bytes[..8].copy_from_slice(&crc);
        assert_eq!(Footer::decode(&bytes), Err(BadFooter::Future(9)));
    }

    #[test]
    fn properties_read_back() {
        let all = Properties { level: 3, keys: 300, max_stamp: Stamp(7), first: b"a".to_vec(), last: b"zz".to_vec() };
        let bytes = all.encode();
        assert_eq!(Properties::decode(&bytes), Ok(all));
        for len in 0..bytes.len() {
            assert!(Properties::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }
}
