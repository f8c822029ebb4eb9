//! What is on disk at one moment: the runs of level 0 and level 1, one run per deeper level, the drops in force.
//!
//! Invariant: a view never changes, and the files that it names stay while it lives. Runs are asked newest first: level 0 by
//! falling number, level 1 by falling number, then each deeper level; the first that has the key has its newest entry.

use std::sync::Arc;

use crate::storage::cursor::Cursor;
use crate::storage::drops::Drops;
use crate::storage::error::Error;
use crate::storage::merge::Merge;
use crate::storage::run::{Probe, Run, RunCursor};
use crate::storage::table::{Access, KeyHash, Reads, Span};

pub(crate) use crate::storage::table::{Lookup, Value};

/// Levels from 0 to the deepest; a level of fanout 8 below 8 GB each holds more than any disk.
pub(crate) const LEVELS: usize = 8;

/// The tables at one moment.
pub(crate) struct View {
    pub(crate) id: u64,
    /// Runs by level; of levels 0 and 1 newest first, of deeper ones at most one.
    pub(crate) levels: [Vec<Run>; LEVELS],
    pub(crate) drops: Arc<Drops>,
}

/// What one level holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelStats {
    /// Sorted runs.
    pub runs: usize,
    /// Table files.
    pub tables: usize,
    /// Bytes of the files.
    pub bytes: u64,
    /// Keys in the files, superseded ones included.
    pub keys: u64,
}

impl View {
    /// Differs from the id of every other view of this process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Looks `key` up without waiting for a device.
    #[inline]
    pub(crate) fn get_cached(&self, key: &[u8]) -> Result<Lookup, Error> {
        self.lookup(&Probe { key, hash: KeyHash::of(key), reads: Reads::Cached })
    }

    /// Looks `key` up; may wait.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        match self.lookup(&Probe { key, hash: KeyHash::of(key), reads: Reads::Blocking })? {
            Lookup::Found(value) => Ok(Some(value)),
            Lookup::Absent | Lookup::Cold => Ok(None),
        }
    }

    /// The newest entries of `[from, to)` in order, drops applied; may wait.
    pub(crate) fn cursor(&self, from: &[u8], to: &[u8]) -> Box<dyn Cursor> {
        let span = Span { from, to: Some(to) };
        let cursor = |run: &Run| -> Option<Box<dyn Cursor>> {
            let tables = run.overlapping(span);
            (!tables.is_empty())
                .then(|| Box::new(RunCursor::new(tables, &self.drops, (span, Access::Scan))) as Box<dyn Cursor>)
        };
        Box::new(Merge::new(self.runs().filter_map(cursor).collect()))
    }

    /// Number of runs of level 0, by which writes are slowed down and stalled.
    pub(crate) fn level0_runs(&self) -> usize {
        self.levels[0].len()
    }

    /// All runs, newest first.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.levels.iter().flatten()
    }

    /// What each level holds.
    pub(crate) fn stats(&self) -> [LevelStats; LEVELS] {
        self.levels.each_ref().map(|runs| {
            let tables = || runs.iter().flat_map(Run::tables);
            LevelStats {
                runs: runs.len(),
                tables: tables().count(),
                bytes: tables().map(|table| table.info.bytes).sum(),
                keys: tables().map(|table| table.info.keys).sum(),
            }
        })
    }

    #[inline]
    fn lookup(&self, probe: &Probe<'_>) -> Result<Lookup, Error> {
        for run in self.runs() {
            match run.get(probe, &self.drops)? {
                Lookup::Absent => {}
                found => return Ok(found),
            }
        }
        Ok(Lookup::Absent)
    }
}
