//! FLUSHDB and FLUSHALL: a flush time per database, by definition newer than everything it deletes.
//!
//! The ranges stand still while the flush time T is chosen above every dot in them, made durable, shown to readers and
//! writers, and passed by the clock; then they are dropped as a whole, with their counters. So every write before is gone
//! and every write after has a dot above T. What lies at or below T is hidden even where it is not dropped yet: a restart in
//! between finds the flush marked as not carried out and takes the records out one by one.

use std::sync::atomic::Ordering;

use crate::causality::Time;
use crate::replica::apply::Applied;
use crate::replica::cells::Single;
use crate::replica::operation::Outcome;
use crate::replica::site::Site;
use crate::replica::{Failure, Replica};
use crate::storage::{ScanLimit, ScanRange};
use crate::types::{DATABASES, Database, SLOTS, Slot};

/// Records walked by one call of the engine.
const WALK: ScanLimit = ScanLimit { entries: 256, bytes: 1 << 20 };

impl Replica {
    /// Deletes everything in `databases`; waits for the disk, so only for the pool.
    ///
    /// # Errors
    /// The store's failure. Once the flush time is durable the data is hidden, whatever fails later.
    pub fn flush(&self, databases: &[Database]) -> Result<(), Failure> {
        let _one_at_a_time = self.flushing.lock();
        let ranges = self.flushed_ranges(databases);
        let mut decided = Ok(Time::ZERO);
        self.engine.drop_ranges(&ranges, &mut || {
            decided = self.decide_flush(databases);
            decided.is_ok()
        })?;
        self.finish_flush(databases, decided?)
    }

    /// Chooses the flush time and makes it known: durably, then to readers, then to the clock. Runs in the gate of the
    /// ranges, so no version in them is newer and none is being written.
    fn decide_flush(&self, databases: &[Database]) -> Result<Time, Failure> {
        let newest = self.newest.iter().map(|newest| Time(newest.load(Ordering::Acquire))).max().unwrap_or(Time::ZERO);
        let time = Time::from_ms(self.clock.wall_ms()).max(self.hlc.last()).max(newest).after();
        self.ledger.update(|facts| databases.iter().for_each(|database| facts.start_flush(*database, time)))?;
        for database in databases {
            self.flush_times[usize::from(database.0)].store(time.0, Ordering::Release);
        }
        self.hlc.pass(time);
        Ok(time)
    }

    fn finish_flush(&self, databases: &[Database], time: Time) -> Result<(), Failure> {
        self.ledger.update(|facts| databases.iter().for_each(|database| facts.finish_flush(*database, time)))?;
        Ok(())
    }

    /// Completes flushes that a crash or a full disk interrupted, record by record: newer ones may lie beside them.
    pub(super) fn complete_flushes(&self) -> Result<(), Failure> {
        let facts = self.ledger.facts();
        for database in (0..DATABASES).map(Database) {
            let flush = facts.flush(database);
            if !flush.is_carried_out {
                for range in self.flushed_ranges(&[database]) {
                    self.walk(&range)?;
                }
                self.finish_flush(&[database], flush.time)?;
            }
        }
        Ok(())
    }

    /// Ranges that hold what is flushed: all slots as one if no other database has keys, else each slot that has some.
    fn flushed_ranges(&self, databases: &[Database]) -> Vec<ScanRange> {
        let others = (0..DATABASES).map(Database).filter(|database| !databases.contains(database));
        if others.map(|other| self.count(other)).sum::<u64>() == 0 {
            let bound = |slot: u16| slot.to_be_bytes().to_vec();
            return vec![ScanRange { from: bound(0), to: bound(SLOTS) }];
        }
        let mut ranges = Vec::new();
        for slot in 0..SLOTS {
            for database in databases.iter().filter(|database| self.engine.key_count(Slot(slot), **database) > 0) {
                let bound = |database: u8| [&slot.to_be_bytes()[..], &[database]].concat();
                ranges.push(ScanRange { from: bound(database.0), to: bound(database.0 + 1) });
            }
        }
        ranges
    }

    /// Takes flushed versions out of the records of a range that also holds newer ones.
    fn walk(&self, range: &ScanRange) -> Result<(), Failure> {
        let mut rest = ScanRange { from: range.from.clone(), to: range.to.clone() };
        loop {
            let mut keys = Vec::new();
            let next = self.engine.scan(&rest, WALK, &mut |key, _| keys.push(key.to_vec()))?;
            for key in keys {
                self.settle(&key, 0)?;
            }
            match next {
                Some(next) => rest.from = next,
                None => return Ok(()),
            }
        }
    }

    /// Takes expired and flushed versions out of the record at the engine key `key`; may wait for the disk.
    pub(super) fn settle(&self, key: &[u8], until_ms: u64) -> Result<Outcome, Failure> {
        let mut fetched = Vec::new();
        loop {
            let mut cells = Single { engine: &self.engine, fetched: &fetched };
            match Site::new(self, &mut cells, key, self.clock.wall_ms()).settle(until_ms)? {
                Applied::Done { outcome, .. } => return Ok(outcome),
                Applied::Cold => fetched = self.fetch(vec![key.to_vec()])?,
                _ => return Err(Failure::Busy { waited_ms: 0 }),
            }
        }
    }
}
