//! FLUSHDB and FLUSHALL: a flush time per database, by definition newer than everything it deletes.
//!
//! While no write is under way the flush time T is chosen above every dot, passed by the clock, made durable and shown to
//! readers and writers; then the ranges are dropped as a whole, with their counters. So every write before is gone, every
//! write after has a dot above T, and none that saw something older can end after it. What lies at or below T is hidden even
//! where it is not dropped yet: an interruption in between leaves the flush marked as not carried out, and the reaper takes
//! the records out one by one, because newer ones may lie beside them by then.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use crate::causality::Time;
use crate::replica::apply::Applied;
use crate::replica::cells::Single;
use crate::replica::key::range_end;
use crate::replica::operation::Outcome;
use crate::replica::site::Site;
use crate::replica::{Failure, Replica};
use crate::storage::ScanRange;
use crate::types::{DATABASES, Database, SLOTS, Slot};

/// A flush that is decided and was not carried out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unfinished {
    /// What was flushed.
    pub(super) database: Database,
    /// Up to when.
    pub(super) time: Time,
}

impl Replica {
    /// Deletes everything in `databases`; waits for the disk, so only for the pool.
    ///
    /// # Errors
    /// The store's failure. Once the flush time is durable the data is hidden, whatever fails later.
    pub fn flush(&self, databases: &[Database]) -> Result<(), Failure> {
        let _one_at_a_time = self.flushing.lock();
        let mut decided = Ok(Time::ZERO);
        self.engine.drop_ranges(&mut || {
            decided = self.decide_flush(databases);
            // In the gate too: what holds keys, and whether other databases do, must not change before the drop.
            decided.as_ref().map_or(Vec::new(), |_| self.ranges_of(databases))
        })?;
        self.finish_flush(databases, decided?)
    }

    /// Carries out the flushes that the cluster has agreed on: versions up to the time of their database are superseded. What
    /// was carried out before changes nothing. Waits for the disk, so only for the pool.
    ///
    /// Arcs that hold nothing newer are dropped as ranges; what lies in the others is hidden at once, and the reaper takes it
    /// out record by record.
    ///
    /// # Errors
    /// The store's failure. Once the flush time is durable the data is hidden, whatever fails later.
    pub fn adopt_flushes(&self, flushes: impl IntoIterator<Item = (Database, Time)>) -> Result<(), Failure> {
        let _one_at_a_time = self.flushing.lock();
        let facts = self.ledger.facts();
        let is_new = |(database, time): &(Database, Time)| *time > facts.flush(*database).time;
        let flushes: Vec<(Database, Time)> = flushes.into_iter().filter(is_new).collect();
        if flushes.is_empty() {
            return Ok(());
        }
        let mut decided = Ok(());
        let mut walked = BTreeSet::new();
        self.engine.drop_ranges(&mut || {
            decided = self.show_flushes(&flushes);
            if decided.is_ok() { self.droppable(&flushes, &mut walked) } else { Vec::new() }
        })?;
        decided?;
        for (database, time) in flushes.into_iter().filter(|(database, _)| !walked.contains(database)) {
            self.finish_flush(&[database], time)?;
        }
        Ok(())
    }

    /// Makes flush times known: to the clock, durably, then to readers. Runs in the engine's gate.
    fn show_flushes(&self, flushes: &[(Database, Time)]) -> Result<(), Failure> {
        flushes.iter().for_each(|(_, time)| self.hlc.pass(*time));
        self.ledger.update(|facts| flushes.iter().for_each(|(database, time)| facts.start_flush(*database, *time)))?;
        for (database, time) in flushes {
            self.flush_times[usize::from(database.0)].store(time.0, Ordering::Release);
        }
        Ok(())
    }

    /// The runs of flushed databases in arcs that hold nothing newer; databases that lie elsewhere too go into `walked`.
    fn droppable(&self, flushes: &[(Database, Time)], walked: &mut BTreeSet<Database>) -> Vec<ScanRange> {
        let mut ranges = Vec::new();
        for slot in (0..SLOTS).map(Slot) {
            let arc = self.options.layout.arc_of(slot);
            let newest = self.newest.get(usize::from(arc.0)).map_or(0, |newest| newest.load(Ordering::Acquire));
            for (database, time) in flushes.iter().filter(|(database, _)| self.engine.key_count(slot, *database) > 0) {
                if newest <= time.0 {
                    let from = [&slot.0.to_be_bytes()[..], &[database.0]].concat();
                    ranges.push(ScanRange { from, to: range_end(slot.0, *database) });
                } else {
                    walked.insert(*database);
                }
            }
        }
        ranges
    }

    /// Chooses the flush time and makes it known: durably, then to readers, then to the clock. Runs in the engine's gate, so
    /// no version is newer and none is being written.
    fn decide_flush(&self, databases: &[Database]) -> Result<Time, Failure> {
        let newest = self.newest.iter().map(|newest| Time(newest.load(Ordering::Acquire))).max().unwrap_or(Time::ZERO);
        let time = Time::from_ms(self.clock.wall_ms()).max(self.hlc.last()).max(newest).after();
        // First of all: a write of the ledger that fails half way may be found by the next start, and must not flush then
        // what was written after it.
        self.hlc.pass(time);
        self.ledger.update(|facts| databases.iter().for_each(|database| facts.start_flush(*database, time)))?;
        for database in databases {
            self.flush_times[usize::from(database.0)].store(time.0, Ordering::Release);
        }
        Ok(time)
    }

    /// Marks a flush as carried out.
    pub(super) fn finish_flush(&self, databases: &[Database], time: Time) -> Result<(), Failure> {
        self.ledger.update(|facts| databases.iter().for_each(|database| facts.finish_flush(*database, time)))?;
        Ok(())
    }

    /// A flush that a crash or a full disk interrupted, if there is one; none while one is under way.
    pub(super) fn unfinished_flush(&self) -> Option<Unfinished> {
        let _none_under_way = self.flushing.try_lock()?;
        let facts = self.ledger.facts();
        let mut flushes = facts.flushes.iter().filter(|(_, flush)| !flush.is_carried_out);
        flushes.next().map(|(database, flush)| Unfinished { database: *database, time: flush.time })
    }

    /// Ranges that hold `databases`: all slots as one if no other database has keys, else each run that has some.
    pub(super) fn ranges_of(&self, databases: &[Database]) -> Vec<ScanRange> {
        let others = (0..DATABASES).map(Database).filter(|database| !databases.contains(database));
        if others.map(|other| self.count(other)).sum::<u64>() == 0 {
            let bound = |slot: u16| slot.to_be_bytes().to_vec();
            return vec![ScanRange { from: bound(0), to: bound(SLOTS) }];
        }
        self.runs((0..SLOTS).map(Slot), databases)
    }

    /// The runs of `databases` in `slots` that have keys.
    pub(super) fn runs(&self, slots: impl Iterator<Item = Slot>, databases: &[Database]) -> Vec<ScanRange> {
        let mut ranges = Vec::new();
        for slot in slots {
            for database in databases.iter().filter(|database| self.engine.key_count(slot, **database) > 0) {
                let from = [&slot.0.to_be_bytes()[..], &[database.0]].concat();
                ranges.push(ScanRange { from, to: range_end(slot.0, *database) });
            }
        }
        ranges
    }

    /// Takes expired and flushed versions out of the records at the engine keys `keys`, which it removes one by one as they
    /// are done; may wait for the disk.
    ///
    /// # Errors
    /// [`Failure::Busy`] if the store has no room at the moment: the rest is still in `keys`. The store's failure.
    pub(super) fn settle_all(&self, keys: &mut Vec<Vec<u8>>, until_ms: u64) -> Result<(), Failure> {
        let mut fetched = Vec::new();
        while let Some(key) = keys.last() {
            let mut cells = Single { engine: &self.engine, fetched: &fetched };
            match Site::new(self, &mut cells, key, self.clock.wall_ms()).settle(until_ms)? {
                Applied::Done { outcome, .. } => {
                    self.reaped.fetch_add(u64::from(matches!(outcome, Outcome::Written)), Ordering::Relaxed);
                    keys.pop();
                }
                Applied::Cold => fetched = self.fetch(keys.clone())?,
                Applied::Failed { failure, .. } => return Err(failure),
                Applied::Busy | Applied::Global => return Err(Failure::Busy { waited_ms: 0 }),
            }
        }
        Ok(())
    }
}
