//! A file that only takes space: given up when a flush or compaction finds none, so that they can end and free more.
//!
//! Left out: making it durable. After a crash it is made anew.

use std::path::PathBuf;
use std::sync::Arc;

use crate::env::{Disk, OpenMode};

/// Name of the file.
pub(crate) const NAME: &str = "spare";
/// It is not made where less than this many times its size is free.
const ROOM: u64 = 16;

/// The spare file.
pub(crate) struct Spare {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    bytes: u64,
    held: bool,
}

impl Spare {
    /// Takes space of `bytes`, if there is plenty.
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, bytes: u64) -> Self {
        let mut spare = Spare { disk, dir, bytes, held: false };
        spare.release();
        spare.restore();
        spare
    }

    /// Gives the space up: whether there was any.
    pub(crate) fn release(&mut self) -> bool {
        let gone = self.disk.remove(&self.dir.join(NAME)).is_ok();
        self.held = false;
        gone
    }

    /// Takes the space again, if there is plenty. Its lack is no error: it shows when the file would be needed.
    pub(crate) fn restore(&mut self) {
        if self.held || self.disk.free_bytes(&self.dir).is_ok_and(|free| free < self.bytes.saturating_mul(ROOM)) {
            return;
        }
        let path = self.dir.join(NAME);
        let made = self.disk.open(&path, OpenMode::CreateNew).and_then(|file| file.reserve(self.bytes));
        self.held = made.is_ok();
        if !self.held {
            self.release();
        }
    }
}
