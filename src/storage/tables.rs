//! All tables of a data directory: the view of what is on disk, and the ways it changes (flush, compaction, range drops).
//!
//! Invariant: every change is one manifest edit, durable before the new view is installed.
//! Left out: memory and the log, which the engine keeps.

use std::sync::Arc;

use crate::env::Env;
use crate::storage::cursor::Cursor;
use crate::storage::error::Error;
use crate::storage::filter::Filter;
use crate::storage::options::Options;
use crate::storage::view::View;
use crate::types::Stamp;

/// All keys of `[from, to)` in tables whose newest entry is older than `stamp` are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeDrop {
    /// First key of the range.
    pub(crate) from: Vec<u8>,
    /// First key past the range.
    pub(crate) to: Vec<u8>,
    /// Above the stamp of every entry that is to go, not above that of any later one.
    pub(crate) stamp: Stamp,
}

/// What an open of the tables found for the rest of the engine.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The tally saved by the last flush; `None` before the first.
    pub(crate) tally: Option<Vec<u8>>,
    /// Drops that entries of the log may still fall under: those with a stamp below the drop's are gone.
    pub(crate) drops: Vec<RangeDrop>,
    /// Every log entry below it is in tables.
    pub(crate) flushed_to: Stamp,
}

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

/// How far a stepped job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// One unit was done, more are left.
    Again,
    /// Nothing is left to do.
    Done,
}

/// All tables of a data directory; a cheap handle.
#[derive(Clone)]
pub(crate) struct Tables {}

/// A flush in progress.
pub(crate) struct Flush {}

/// Compaction's driver: owned by one thread.
pub(crate) struct Compactor {}

impl Tables {
    /// Opens what `options.dir` holds (an empty directory is a new store) and removes what no edit names.
    pub(crate) fn open(env: &Env, options: &Options) -> Result<(Tables, Recovered), Error> {
        let _ = (env, options);
        Ok((Tables {}, Recovered::default()))
    }

    /// What is on disk now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::new(View {})
    }

    /// Starts to write `entries` (newest per key, ascending) into level 0. An empty cursor writes only the edit.
    pub(crate) fn flush(&self, entries: Box<dyn Cursor>, end: FlushEnd) -> Flush {
        unimplemented!("{} {:?}", entries.key().len(), end)
    }

    /// Hides the range durably.
    pub(crate) fn drop_range(&self, drop: RangeDrop) -> Result<(), Error> {
        unimplemented!("{:?}", drop)
    }

    /// Compaction's driver; there is at most one at a time.
    pub(crate) fn compactor(&self, filter: Arc<dyn Filter>) -> Compactor {
        let _ = filter;
        Compactor {}
    }
}

impl Flush {
    /// Writes about 256 KB. `Done`: the entries are durable and in the view.
    pub(crate) fn step(&mut self) -> Result<Progress, Error> {
        unimplemented!()
    }
}

impl Compactor {
    /// Does one bounded unit. `Done`: nothing needs compaction now.
    pub(crate) fn step(&mut self) -> Result<Progress, Error> {
        Ok(Progress::Done)
    }
}
