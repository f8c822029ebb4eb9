//! `drop_ranges`: everything in some ranges goes at once, without time per key.
//!
//! 1. all writes wait (`Stalled`), in other ranges too, and the caller's gate decides, with no write under way: what it
//!    decides is known to every later write, and no write that began before can still end after it;
//! 2. a marker takes a position in the log: the drop's stamp; the log is synced up to it, so that no later record can get a
//!    stamp below it after a crash;
//! 3. the manifest names all drops in one edit, durably;
//! 4. memory drops its entries below the stamp, the counters of the ranges become zero, writes go on.
//!
//! Invariant: until step 3 nothing has changed; after it, replay and tables know the drop. A write that saw a range empty
//! is therefore never durable without the drop.

use std::sync::Arc;

use crate::storage::draft::ScanRange;
use crate::storage::engine::{Engine, Shared};
use crate::storage::error::Error;
use crate::storage::memtable::Shard;
use crate::storage::tables::RangeDrop;
use crate::types::Stamp;

/// Asked once while no write is under way: which ranges are to be dropped, each a union of whole (slot, database) runs.
pub type Gate<'a> = &'a mut dyn FnMut() -> Vec<ScanRange>;

impl Engine {
    /// Drops everything that was appended before in the ranges that `gate` says, and zeroes their counters. Durable on
    /// return. May wait: only on the pool.
    ///
    /// # Errors
    /// The disk is full or failed; nothing was dropped unless writing has ended for good.
    pub fn drop_ranges(&self, gate: Gate<'_>) -> Result<(), Error> {
        let shared = &*self.shared;
        let _one = shared.dropping.lock();
        if let Some(refusal) = shared.log.refusal() {
            return Err(refusal);
        }
        shared.shards.iter().for_each(|shard| shard.0.lock().begin_drop());
        let ranges = gate();
        let done = if ranges.is_empty() { Ok(None) } else { shared.drop_durably(&ranges).map(Some) };
        for (index, shard) in shared.shards.iter().enumerate() {
            let mut shard = shard.0.lock();
            let gone = done.as_ref().ok().and_then(Option::as_ref).map(|(drops, generation)| {
                // What is of finished generations is frozen, so that their saved tallies do not know the drop.
                shard.rotate(*generation);
                let of_shard = drops.iter().filter(|(from, to, _)| (*from..=*to).contains(&index));
                let apply = |(_, _, drop): &Numbered| {
                    shared.zero_counters(&mut shard, drop);
                    shard.apply_drop(drop)
                };
                of_shard.flat_map(apply).collect::<Vec<_>>()
            });
            shard.end_drop();
            // What goes is freed without the lock.
            std::mem::drop(shard);
            std::mem::drop(gone);
        }
        done.map(|_| ())
    }
}

/// A drop with the first and last shard that it lies in.
type Numbered = (usize, usize, Arc<RangeDrop>);

impl Shared {
    fn shards_of(&self, range: &ScanRange) -> std::ops::RangeInclusive<usize> {
        self.shard_index(&range.from)..=self.shard_index(&range.to)
    }

    fn drop_durably(&self, ranges: &[ScanRange]) -> Result<(Vec<Numbered>, u64), Error> {
        let marker = self.log.append_marker();
        self.log.sync()?;
        let dropped = |range: &ScanRange| RangeDrop {
            from: range.from.clone(),
            to: range.to.clone(),
            stamp: Stamp(marker.stamp),
        };
        let drops: Vec<RangeDrop> = ranges.iter().map(dropped).collect();
        self.tables.drop_ranges(&drops).inspect_err(|error| {
            if !matches!(error, Error::Full { .. }) {
                self.poison(error);
            }
        })?;
        let numbered = |(range, drop)| {
            let shards = self.shards_of(range);
            (*shards.start(), *shards.end(), Arc::new(drop))
        };
        let drops = ranges.iter().zip(drops).map(numbered).collect();
        Ok((drops, marker.generation))
    }

    fn zero_counters(&self, shard: &mut Shard, drop: &RangeDrop) {
        for (database, keys) in shard.tally_mut().zero(&drop.from, &drop.to) {
            self.count_keys(database, -keys);
        }
    }
}
