//! One file of the log: made ahead of its generation, with its space reserved in steps.
//!
//! Invariant: a segment's header and name are durable before a frame is written to it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::env::{Disk, File, OpenMode};
use crate::storage::error::Error;
use crate::storage::log::format::{segment_header, segment_path};

/// An open file of the log.
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) generation: u64,
    file: Box<dyn File>,
    reserved: AtomicU64,
}

impl Segment {
    /// Makes the segment of `generation` with room for `reserve` bytes. Nothing is left behind if it fails.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, generation: u64, reserve: u64) -> Result<Self, Error> {
        let path = segment_path(dir, generation);
        let file = disk.open(&path, OpenMode::CreateNew).map_err(|source| Error::io(&path, source))?;
        let filled = (|| {
            file.reserve(reserve)?;
            file.write_at(&segment_header(generation), 0)?;
            file.sync()?;
            disk.sync_dir(dir)
        })();
        match filled {
            Ok(()) => Ok(Segment { path, generation, file, reserved: AtomicU64::new(reserve) }),
            Err(source) => {
                drop(file);
                let error = Error::io(&path, source);
                // The first error is the one to tell; what stays behind has no frames and is taken as empty.
                let _ = disk.remove(&path);
                Err(error)
            }
        }
    }

    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        self.file.write_at(bytes, offset).map_err(|source| Error::io(&self.path, source))
    }

    /// Cuts off a frame that was not written whole.
    pub(crate) fn cut(&self, offset: u64) -> Result<(), Error> {
        self.reserved.store(offset, Ordering::Relaxed);
        self.file.truncate(offset).map_err(|source| Error::io(&self.path, source))
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync().map_err(|source| Error::io(&self.path, source))
    }

    /// Reserves space up to `bytes` in all.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), Error> {
        self.file.reserve(bytes).map_err(|source| Error::io(&self.path, source))?;
        self.reserved.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes that are reserved.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }
}
