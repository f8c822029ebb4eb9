//! Memory becomes tables: the flush thread, which also keeps space ready for the log, and the compaction thread.
//!
//! A flush writes the frozen entries of one generation, oldest first, in the order of the shards, which is the order of
//! keys. The tables, the tally of the generation's end and the new start of the log are one manifest edit; then the frozen
//! memtable and its segments go.
//!
//! Invariant: frozen entries stay in memory until the view has their tables. Those of the last flush stay longer, for
//! lookups, unless the flush is behind and their memory counts.

use std::sync::Arc;

use parking_lot::MutexGuard;

use crate::env::Step;
use crate::storage::cursor::Cursor;
use crate::storage::engine::spare::Spare;
use crate::storage::engine::{Engine, RETRY, Shared};
use crate::storage::error::Error;
use crate::storage::log::{Debt, Finished};
use crate::storage::memtable::{Entry, Frozen, Keep, Place, Tree};
use crate::storage::tables::{Compactor, Flush, FlushEnd, Progress};
use crate::storage::tally;
use crate::types::Stamp;

/// The flush thread's state.
pub(crate) struct Flusher {
    current: Option<(Finished, Flush)>,
    pub(crate) spare: Spare,
}

impl Engine {
    /// Freezes the memtable and flushes all that is frozen. May wait: only on the pool.
    ///
    /// # Errors
    /// The disk is full or failed.
    pub fn freeze(&self) -> Result<(), Error> {
        let shared = &*self.shared;
        let mut flusher = shared.flusher.lock();
        let mut wants_rotation = true;
        loop {
            shared.make_space(&mut flusher)?;
            // Rotation may have to wait for the oldest of too many frozen memtables.
            wants_rotation = wants_rotation && !shared.log.with_buffer(|buffer| !buffer.is_used() || buffer.rotate());
            match shared.flush_step(&mut flusher)? {
                Progress::Done if wants_rotation => {}
                Progress::Done => return Ok(()),
                Progress::Again => {}
            }
        }
    }
}

impl Flusher {
    pub(crate) fn new(spare: Spare) -> Self {
        Flusher { current: None, spare }
    }
}

impl Shared {
    /// One unit of the flush thread.
    pub(crate) fn flush_thread(&self) -> Step {
        if self.is_closing() {
            return Step::Done;
        }
        if self.log.failure().is_some() {
            return Step::Idle;
        }
        let mut flusher = self.flusher.lock();
        let space = self.make_space(&mut flusher);
        match self.flush_step(&mut flusher) {
            Ok(Progress::Again) => Step::Again,
            Ok(Progress::Done) if space.is_ok() => Step::Idle,
            _ => Step::After(RETRY),
        }
    }

    fn make_space(&self, flusher: &mut MutexGuard<'_, Flusher>) -> Result<(), Error> {
        if !self.log.wants_space() {
            return Ok(());
        }
        let made = self.log.make_space().inspect_err(|error| self.background_failed(error));
        if made.is_ok() && flusher.current.is_none() {
            self.log.with_buffer(|buffer| buffer.troubles().background_full = false);
        }
        made
    }

    /// Flushes a little. `Done`: nothing waits for its flush.
    fn flush_step(&self, flusher: &mut MutexGuard<'_, Flusher>) -> Result<Progress, Error> {
        if self.log.with_buffer(|buffer| buffer.wants_release()) {
            self.release_kept();
        }
        if flusher.current.is_none() {
            let Some(finished) = self.log.with_buffer(|buffer| buffer.oldest_finished()) else {
                return Ok(Progress::Done);
            };
            flusher.current = Some((finished, self.begin_flush(finished)));
        }
        let Some((finished, flush)) = flusher.current.as_mut() else { return Ok(Progress::Done) };
        let finished = *finished;
        match flush.step() {
            Ok(Progress::Again) => {}
            Ok(Progress::Done) => {
                flusher.current = None;
                self.end_flush(finished, flusher)?;
            }
            Err(error) => {
                flusher.current = None;
                if matches!(error, Error::Full { .. }) {
                    flusher.spare.release();
                }
                self.background_failed(&error);
                return Err(error);
            }
        }
        Ok(Progress::Again)
    }

    fn begin_flush(&self, finished: Finished) -> Flush {
        let Finished { generation, end, .. } = finished;
        let mut frozen: Vec<Frozen> = Vec::with_capacity(self.shards.len());
        for index in 0..self.shards.len() {
            let mut shard = self.shard(index).lock();
            shard.rotate(generation + 1);
            frozen.push(shard.frozen(generation).expect("a rotated shard has every unflushed generation").clone());
        }
        let tally = tally::encode(generation, frozen.iter().map(|frozen| &*frozen.tally));
        let trees = frozen.into_iter().map(|frozen| frozen.tree).filter(|tree| !tree.is_empty()).collect();
        let end = FlushEnd { max_stamp: Stamp(end), flushed_to: Stamp(end), tally };
        self.tables.flush(Box::new(Trees::new(trees)), end)
    }

    fn end_flush(&self, finished: Finished, flusher: &mut MutexGuard<'_, Flusher>) -> Result<(), Error> {
        let stays = self.log.with_buffer(|buffer| {
            buffer.troubles().background_full = false;
            buffer.flushed()
        });
        let keep = if stays { Keep::Last } else { Keep::Nothing };
        for index in 0..self.shards.len() {
            let gone = self.shard(index).lock().forget(finished.generation, keep);
            drop(gone);
        }
        self.watch_tables();
        // The segment may still be written to if nobody has written out the generation's last records.
        self.log.write_out()?;
        self.log.remove_up_to(finished.generation).inspect_err(|error| self.note_error(error))?;
        flusher.spare.restore();
        if let Some(wakes) = self.wakes.get() {
            wakes.compaction.wake();
        }
        Ok(())
    }

    /// Gives up what was kept for lookups.
    fn release_kept(&self) {
        for index in 0..self.shards.len() {
            let gone = self.shard(index).lock().release();
            drop(gone);
        }
        self.log.with_buffer(|buffer| buffer.released());
    }

    /// Lets writes wait, or go on, by how far compaction is behind.
    fn watch_tables(&self) {
        let (runs, stop) = (self.tables.glance().level0_runs(), self.options.stop_runs);
        let debt = Debt::of(runs, self.options.level0_runs.midpoint(stop), stop);
        self.log.with_buffer(|buffer| {
            buffer.troubles().tables_behind = runs >= stop;
            buffer.troubles().tables_debt = debt;
        });
    }

    fn background_failed(&self, error: &Error) {
        if matches!(error, Error::Full { .. }) {
            self.note_error(error);
            self.log.with_buffer(|buffer| buffer.troubles().background_full = true);
        } else {
            self.poison(error);
        }
    }

    /// One unit of the compaction thread.
    pub(crate) fn compaction_thread(&self, compactor: &mut Compactor) -> Step {
        if self.is_closing() {
            return Step::Done;
        }
        if self.log.failure().is_some() {
            return Step::Idle;
        }
        let step = compactor.step();
        self.watch_tables();
        match step {
            Ok(Progress::Again) => compactor.pause().map_or(Step::Again, Step::After),
            Ok(Progress::Done) => Step::Idle,
            Err(error @ Error::Full { .. }) => {
                self.note_error(&error);
                self.flusher.lock().spare.release();
                Step::After(RETRY)
            }
            Err(error) => {
                self.poison(&error);
                Step::Idle
            }
        }
    }
}

/// Trees one behind the other, as one cursor.
struct Trees {
    trees: Vec<Arc<Tree>>,
    index: usize,
    place: Place,
}

impl Trees {
    fn new(trees: Vec<Arc<Tree>>) -> Self {
        Trees { trees, index: 0, place: Place::BEFORE }
    }

    fn entry(&self) -> &Entry {
        let tree = self.trees.get(self.index);
        tree.and_then(|tree| tree.at(&mut { self.place })).expect("the cursor stands on an entry")
    }
}

impl Cursor for Trees {
    fn advance(&mut self) -> Result<bool, Error> {
        self.place = self.place.next();
        while let Some(tree) = self.trees.get(self.index) {
            if tree.at(&mut self.place).is_some() {
                return Ok(true);
            }
            self.index += 1;
            self.place = Place::BEFORE.next();
        }
        Ok(false)
    }

    fn key(&self) -> &[u8] {
        self.entry().key()
    }

    fn value(&self) -> &[u8] {
        self.entry().value()
    }
}
