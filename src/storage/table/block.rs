//! A block as it is stored: checksum, header, contents compressed or raw. The layout stands in `format.rs`.
//!
//! Invariant: contents are handed out only after the checksum of the stored bytes matched, and nothing is allocated for a
//! length before that.
//! zstd contexts live as long as their thread: making one costs as much as compressing a block of 4 KB.

use std::cell::RefCell;
use std::sync::Arc;

use zstd::bulk::{Compressor, Decompressor};

use crate::codec::{Reader, crc64};
use crate::storage::table::format::{BLOCK_HEADER_BYTES, BlockKind, MAX_CONTENT_BYTES};

/// How contents are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// As they are.
    Raw,
    /// By zstd at this level, unless that saves under a tenth.
    Zstd(i32),
}

const RAW: u8 = 0;
const ZSTD: u8 = 1;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Appends `contents` as a block to `out`; answers the block's length.
///
/// # Panics
/// If `contents` are longer than any block may be.
pub(crate) fn seal(kind: BlockKind, contents: &[u8], compression: Compression, out: &mut Vec<u8>) -> u32 {
    assert!(contents.len() <= MAX_CONTENT_BYTES, "a block holds at most {MAX_CONTENT_BYTES} bytes");
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    let packed = match compression {
        Compression::Raw => None,
        Compression::Zstd(level) => compress(contents, level),
    };
    out.extend_from_slice(&[kind as u8, if packed.is_some() { ZSTD } else { RAW }]);
    out.extend_from_slice(&(contents.len() as u32).to_le_bytes());
    match packed {
        Some(packed) => SCRATCH.with_borrow(|scratch| out.extend_from_slice(&scratch[..packed])),
        None => out.extend_from_slice(contents),
    }
    let crc = crc64(&out[start + 8..]).to_le_bytes();
    out[start..start + 8].copy_from_slice(&crc);
    (out.len() - start) as u32
}

/// The contents of a stored block of the given kind.
///
/// # Errors
/// Says what is wrong with the bytes.
pub(crate) fn open(stored: &[u8], kind: BlockKind) -> Result<Arc<[u8]>, &'static str> {
    if stored.len() < BLOCK_HEADER_BYTES {
        return Err("a block is shorter than its header");
    }
    let mut reader = Reader::new(stored);
    let short = |_| "a block is shorter than its header";
    let crc = reader.u64().map_err(short)?;
    if stored.get(8..).map(crc64) != Some(crc) {
        return Err("the checksum of a block does not match");
    }
    if reader.u8().map_err(short)? != kind as u8 {
        return Err("a block is of another kind than its place says");
    }
    let compression = reader.u8().map_err(short)?;
    let len = reader.u32().map_err(short)? as usize;
    match compression {
        RAW if reader.remaining() == len => Ok(Arc::from(reader.rest())),
        RAW => Err("a block has another length than it says"),
        ZSTD if len <= MAX_CONTENT_BYTES => decompress(reader.rest(), len),
        ZSTD => Err("a block says that it is longer than any block may be"),
        _ => Err("a block is compressed in an unknown way"),
    }
}

/// Length as stored of a block whose header names that compression and contents of `len` bytes, if what follows the header
/// begins with `body`; `None` if that cannot be told.
pub(crate) fn stored_len(compression: u8, len: u32, body: &[u8]) -> Option<u32> {
    let body = match compression {
        RAW => len,
        ZSTD => u32::try_from(zstd::zstd_safe::find_frame_compressed_size(body).ok()?).ok()?,
        _ => return None,
    };
    body.checked_add(BLOCK_HEADER_BYTES as u32)
}

/// Compresses into the scratch buffer; its length, or `None` if that saves under a tenth.
fn compress(contents: &[u8], level: i32) -> Option<usize> {
    let most = contents.len() - contents.len() / 10;
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::new(level).ok();
        }
        let compressor = slot.as_mut()?;
        compressor.set_compression_level(level).ok()?;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            // A destination of just the length that is worth it: zstd gives up as soon as it is full.
            scratch.reserve(most);
            let packed = compressor.compress_to_buffer(contents, scratch).ok()?;
            (packed < most).then_some(packed)
        })
    })
}

fn decompress(packed: &[u8], len: usize) -> Result<Arc<[u8]>, &'static str> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Decompressor::new().ok();
        }
        let decompressor = slot.as_mut().ok_or("no memory to decompress a block")?;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            scratch.reserve(len);
            let found =
                decompressor.decompress_to_buffer(packed, scratch).map_err(|_| "a block does not decompress")?;
            if found != len {
                return Err("a block has another length than it says");
            }
            Ok(Arc::from(&scratch[..]))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Compression, open, seal};
    use crate::storage::table::format::{BLOCK_HEADER_BYTES, BlockKind};

    fn check(contents: &[u8], compression: Compression) -> usize {
        let mut out = b"before".to_vec();
        let len = seal(BlockKind::Data, contents, compression, &mut out) as usize;
        assert_eq!(out.len(), 6 + len);
        assert_eq!(open(&out[6..], BlockKind::Data).as_deref(), Ok(contents));
        assert!(open(&out[6..], BlockKind::Index).is_err(), "another kind");
        len
    }

    #[test]
    fn contents_read_back() {
        let noise: Vec<u8> =
            (0..512u64).flat_map(|i| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes()).to_le_bytes()).collect();
        for contents in [&b""[..], b"x", &[7; 4096], &noise] {
            check(contents, Compression::Raw);
            check(contents, Compression::Zstd(1));
            check(contents, Compression::Zstd(3));
        }
        assert!(check(&[7; 4096], Compression::Zstd(1)) < 100);
        assert_eq!(check(&noise, Compression::Zstd(1)), BLOCK_HEADER_BYTES + 4096, "raw if nothing is saved");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_shows() {
        for compression in [Compression::Raw, Compression::Zstd(1)] {
            let mut stored = Vec::new();
            seal(BlockKind::Data, &b"annulus ".repeat(20), compression, &mut stored);
            for bit in 0..stored.len() * 8 {
                stored[bit / 8] ^= 1 << (bit % 8);
                assert!(open(&stored, BlockKind::Data).is_err(), "bit {bit}");
                stored[bit / 8] ^= 1 << (bit % 8);
            }
            for len in 0..stored.len() {
                assert!(open(&stored[..len], BlockKind::Data).is_err(), "cut at {len}");
            }
        }
    }
}
