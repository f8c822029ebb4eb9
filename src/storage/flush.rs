//! Writes a frozen memtable into level 0, in units.
//!
//! Invariant: tables, tally and the position from which the log is replayed become durable in one edit; until then nothing
//! counts, and what a flush that fails leaves behind is removed by it or by the next open.

use std::sync::Arc;

use crate::storage::cursor::Cursor;
use crate::storage::drops::Age;
use crate::storage::error::Error;
use crate::storage::manifest::{Edit, Placed, tally_path, write_tally};
use crate::storage::table::{Compression, RunWriter};
use crate::storage::tables::{Progress, Shared};
use crate::types::Stamp;

/// Bytes of entries that one step writes.
const STEP_BYTES: u64 = 256 << 10;

/// What a flush says about its entries as a whole.
#[derive(Debug)]
pub(crate) struct FlushEnd {
    /// Stamp of the newest entry.
    pub(crate) max_stamp: Stamp,
    /// Where replay of the log may start once the flush is durable.
    pub(crate) flushed_to: Stamp,
    /// The tally as of `flushed_to`, saved as it is.
    pub(crate) tally: Vec<u8>,
}

/// A flush in progress.
pub(crate) struct Flush {
    shared: Arc<Shared>,
    run: u64,
    entries: Box<dyn Cursor>,
    writer: Option<RunWriter>,
    end: FlushEnd,
}

impl Flush {
    pub(crate) fn new(shared: &Arc<Shared>, entries: Box<dyn Cursor>, end: FlushEnd) -> Self {
        // Numbered before its tables, so that runs of level 0 are numbered in the order of their flushes.
        let run = shared.next_number();
        let age = Age { max_stamp: end.max_stamp, cleaned: 0 };
        let writer = shared.run_writer((0, Compression::Raw), age);
        Flush { shared: Arc::clone(shared), run, entries, writer: Some(writer), end }
    }

    /// Writes about 256 KB. `Done`: the entries are durable and in the view, and calling again does nothing.
    pub(crate) fn step(&mut self) -> Result<Progress, Error> {
        let Some(writer) = &mut self.writer else { return Ok(Progress::Done) };
        let mut bytes = 0;
        while bytes < STEP_BYTES {
            if !self.entries.advance()? {
                return self.finish();
            }
            writer.add(self.entries.key(), self.entries.value())?;
            bytes += (self.entries.key().len() + self.entries.value().len()) as u64;
        }
        Ok(Progress::Again)
    }

    fn finish(&mut self) -> Result<Progress, Error> {
        let Some(writer) = self.writer.take() else { return Ok(Progress::Done) };
        let placed = |info| Placed { level: 0, run: self.run, info };
        let added = writer.finish()?.into_iter().map(placed).collect();
        let number = self.shared.next_number();
        let edit = Edit { added, tally: Some(number), flushed_to: Some(self.end.flushed_to), ..Edit::default() };
        let disk = &*self.shared.context().disk;
        let path = tally_path(&self.shared.context().dir, number);
        if let Err(error) = write_tally(disk, &path, &self.end.tally) {
            self.shared.discard(&edit);
            return Err(error);
        }
        self.shared.commit(edit)?;
        Ok(Progress::Done)
    }
}
