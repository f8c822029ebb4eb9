//! A consistent copy of a store: what it was at one stamp, while writes, flushes and compaction go on.
//!
//! Taking a snapshot is quick and pins what it names: the view keeps its tables, open files keep the log's segments although
//! a flush removes their names. Copying takes its time afterwards, without a lock. Tables get a second name where the copy
//! is on the same filesystem; the log is copied up to the stamp, because a start cuts segments.
//!
//! Invariant: all that was appended before the snapshot was taken is in the copy, and of later writes none, or all up to one.
//! Left out: the ledger, and verifying the copy; the caller does both (`replica::write_snapshot`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Disk, File, FileLock, OpenMode};
use crate::storage::copies::{copy, link_or_copy};
use crate::storage::error::Error;
use crate::storage::inspection::lock;
use crate::storage::log::{bytes_up_to, segment_generation};
use crate::storage::manifest::{self, ManifestFile, State, read_tally, tally_path, write_tally};
use crate::storage::table::table_path;
use crate::storage::tally;
use crate::storage::view::View;
use crate::types::Stamp;

/// A store at one stamp, ready to be copied.
pub struct Snapshot {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    state: State,
    tally: Option<Vec<u8>>,
    segments: Vec<Segment>,
    /// Where the log ends; everything there is if nobody writes.
    end: Option<Stamp>,
    _pins: Pins,
}

struct Segment {
    name: String,
    path: PathBuf,
    file: Box<dyn File>,
}

/// What keeps the files of a snapshot.
pub(crate) enum Pins {
    /// The view of a running store.
    View {
        /// Keeps the tables.
        _view: Arc<View>,
    },
    /// A stopped store is kept stopped.
    Lock {
        /// Keeps processes out.
        _lock: Box<dyn FileLock>,
    },
}

impl Snapshot {
    /// The store in `dir`, which no process has open, nor will while this lives.
    ///
    /// # Errors
    /// `Locked`; `Corrupt` or `FutureFormat` if the manifest or the tally cannot be read; what the disk says.
    pub fn of_stopped(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Snapshot, Error> {
        let pins = Pins::Lock { _lock: lock(&**disk, dir)? };
        let state = manifest::read_state(&**disk, dir)?;
        Snapshot::pin((disk, dir), (state, None), pins)
    }

    /// The store in `dir` as `state` says, with its log up to `end`; neither a flush nor a drop of ranges is under way.
    pub(crate) fn pin(
        (disk, dir): (&Arc<dyn Disk>, &Path),
        (state, end): (State, Option<Stamp>),
        pins: Pins,
    ) -> Result<Snapshot, Error> {
        let tally = state.tally.map(|number| read_tally(&**disk, &tally_path(dir, number))).transpose()?;
        let senseless = || Error::corrupt(dir, 0, "the tally of the last flush makes no sense");
        let flushed = tally.as_ref().map(|bytes| tally::decode(bytes).ok_or_else(senseless)).transpose()?;
        let flushed = flushed.map_or(0, |saved| saved.generation);
        let mut segments = Vec::new();
        for name in disk.list(dir).map_err(|source| Error::io(dir, source))? {
            if segment_generation(&name).is_some_and(|generation| generation > flushed) {
                let path = dir.join(&name);
                let file = disk.open(&path, OpenMode::Read).map_err(|source| Error::io(&path, source))?;
                segments.push(Segment { name, path, file });
            }
        }
        let (disk, dir) = (Arc::clone(disk), dir.to_owned());
        Ok(Snapshot { disk, dir, state, tally, segments, end, _pins: pins })
    }

    /// The disk that the store is on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Writes the store into the directory `to`, which exists and is empty. Durable on return but for the name of `to`.
    ///
    /// # Errors
    /// What the disk says; what was copied so far stays.
    pub fn copy_to(&self, to: &Path) -> Result<(), Error> {
        let disk = &*self.disk;
        for number in self.state.tables.keys() {
            link_or_copy(disk, &table_path(&self.dir, *number), &table_path(to, *number))?;
        }
        for Segment { name, path, file } in &self.segments {
            let bytes = match self.end {
                Some(end) => bytes_up_to((&**file, path), end)?,
                None => file.len().map_err(|source| Error::io(path, source))?,
            };
            if bytes > 0 {
                copy(disk, (&**file, path), &to.join(name), bytes)?;
            }
        }
        let mut state = self.state.clone();
        if let (Some(number), Some(tally)) = (state.tally, &self.tally) {
            write_tally(disk, &tally_path(to, number), tally)?;
        }
        let number = state.next_number;
        state.next_number += 1;
        ManifestFile::create(&self.disk, to, (number, &state)).map(|_| ())
    }
}
