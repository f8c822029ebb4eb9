//! The file of a tally: opaque bytes of the engine, saved with each flush.
//!
//! ```text
//!  0  "annulusC"                       u64
//!  8  format version                   u32
//! 12  CRC-64 of bytes 0 to 12 and all from 20 on   u64
//! 20  the tally
//! ```

use std::path::{Path, PathBuf};

use crate::codec::{Crc64, Reader, put_u32, put_u64};
use crate::env::{Disk, OpenMode};
use crate::storage::error::Error;
use crate::storage::manifest::file::write_new;

const FORMAT_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"annulusC";
const HEADER_BYTES: usize = 20;
/// Longest tally that is read: 16,384 slots of 16 databases take a few megabytes at most.
const MAX_TALLY_BYTES: u64 = 1 << 30;

/// Path of tally `number`.
pub(crate) fn tally_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.tally"))
}

/// Writes a tally; its name is durable once the directory is synced.
pub(crate) fn write_tally(disk: &dyn Disk, path: &Path, tally: &[u8]) -> Result<(), Error> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + tally.len());
    bytes.extend_from_slice(&MAGIC);
    put_u32(&mut bytes, FORMAT_VERSION);
    let crc = checksum(&bytes, tally);
    put_u64(&mut bytes, crc);
    bytes.extend_from_slice(tally);
    write_new(disk, path, &bytes).map(|_| ())
}

/// Reads a tally back.
pub(crate) fn read_tally(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Error> {
    let io = |source| Error::io(path, source);
    let file = disk.open(path, OpenMode::Read).map_err(io)?;
    let len = file.len().map_err(io)?;
    if len > MAX_TALLY_BYTES {
        return Err(Error::corrupt(path, 0, "a tally is never this long"));
    }
    let mut bytes = vec![0; len as usize];
    file.read_at(&mut bytes, 0).map_err(io)?;
    let (version, tally) = decode(&bytes).ok_or_else(|| Error::corrupt(path, 0, "the tally is damaged"))?;
    if version != FORMAT_VERSION {
        return Err(Error::FutureFormat { path: path.to_owned(), version, supported: FORMAT_VERSION });
    }
    Ok(tally.to_vec())
}

fn decode(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut reader = Reader::new(bytes);
    let magic: [u8; 8] = reader.array().ok()?;
    let version = reader.u32().ok()?;
    let crc = reader.u64().ok()?;
    let tally = reader.rest();
    (magic == MAGIC && checksum(bytes.get(..12)?, tally) == crc).then_some((version, tally))
}

fn checksum(head: &[u8], tally: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(head);
    crc.update(tally);
    crc.value()
}
