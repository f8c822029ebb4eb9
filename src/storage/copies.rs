//! Copies of files beside the store: by a second name where the filesystem has them, else byte by byte.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::env::{Disk, File, OpenMode};
use crate::storage::error::Error;

/// Bytes copied at once.
const CHUNK: usize = 1 << 20;

/// Makes `to` a second name, or else a synced copy, of the file `from`, which nobody writes to any more.
pub(crate) fn link_or_copy(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), Error> {
    match disk.link(from, to) {
        Err(error) if is_impossible(&error) => {
            let file = disk.open(from, OpenMode::Read).map_err(|source| Error::io(from, source))?;
            let bytes = file.len().map_err(|source| Error::io(from, source))?;
            copy(disk, (&*file, from), to, bytes)
        }
        linked => linked.map_err(|source| Error::io(from, source)),
    }
}

/// Whether second names cannot be had, as against a disk that fails.
fn is_impossible(error: &io::Error) -> bool {
    use ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
}

/// Makes the file `to` of the first `bytes` bytes of an open file, synced.
pub(crate) fn copy(disk: &dyn Disk, (file, from): (&dyn File, &Path), to: &Path, bytes: u64) -> Result<(), Error> {
    let reading = |source| Error::io(from, source);
    let writing = |source| Error::io(to, source);
    let out = disk.open(to, OpenMode::CreateNew).map_err(writing)?;
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset < bytes {
        let count = (bytes - offset).min(CHUNK as u64) as usize;
        let part = chunk.get_mut(..count).unwrap_or_default();
        file.read_at(part, offset).map_err(reading)?;
        out.write_at(part, offset).map_err(writing)?;
        offset += count as u64;
    }
    out.sync().map_err(writing)
}
