//! `drop_range`: everything in a range goes at once, without time per key.
//!
//! 1. writes to the shards of the range wait (`Stalled`), and a marker takes a position in the log: the drop's stamp;
//! 2. the log is synced up to it, so that no later record can get a stamp below it after a crash;
//! 3. the manifest names the drop, durably;
//! 4. memory drops its entries below the stamp, the counters of the range become zero, writes go on.
//!
//! Invariant: until step 3 nothing has changed; after it, replay and tables know the drop. A write that saw the range empty
//! is therefore never durable without the drop.

use std::sync::Arc;

use crate::storage::engine::{Engine, Shared};
use crate::storage::error::Error;
use crate::storage::tables::RangeDrop;
use crate::types::Stamp;

impl Engine {
    /// Drops everything in `[from, to)`, a union of whole (slot, database) runs, that was appended before; zeroes its
    /// counters. Durable on return. May wait: only on the pool.
    ///
    /// # Errors
    /// The disk is full or failed; nothing was dropped unless writing has ended for good.
    pub fn drop_range(&self, from: &[u8], to: &[u8]) -> Result<Stamp, Error> {
        let shared = &*self.shared;
        let _one = shared.dropping.lock();
        if from >= to {
            return Ok(self.appended());
        }
        if let Some(refusal) = shared.log.refusal() {
            return Err(refusal);
        }
        let shards = shared.shard_index(from)..=shared.shard_index(to);
        shards.clone().for_each(|index| shared.shard(index).lock().set_dropping(true));
        let done = shared.drop_durably(from, to);
        for index in shards {
            let mut shard = shared.shard(index).lock();
            let gone = done.as_ref().map(|(drop, generation)| {
                // What is of finished generations is frozen, so that their saved tallies do not know the drop.
                shard.rotate(*generation);
                shared.zero_counters(&mut shard, drop);
                shard.apply_drop(drop)
            });
            shard.set_dropping(false);
            std::mem::drop(shard);
            std::mem::drop(gone);
        }
        done.map(|(drop, _)| drop.stamp)
    }
}

impl Shared {
    fn drop_durably(&self, from: &[u8], to: &[u8]) -> Result<(Arc<RangeDrop>, u64), Error> {
        let marker = self.log.append_marker();
        self.log.sync()?;
        let drop = RangeDrop { from: from.to_vec(), to: to.to_vec(), stamp: Stamp(marker.stamp) };
        let named = self.tables.drop_range(drop.clone());
        named.inspect_err(|error| {
            if !matches!(error, Error::Full { .. }) {
                self.poison(error);
            }
        })?;
        Ok((Arc::new(drop), marker.generation))
    }

    fn zero_counters(&self, shard: &mut crate::storage::memtable::Shard, drop: &RangeDrop) {
        for (database, keys) in shard.tally_mut().zero(&drop.from, &drop.to) {
            self.count_keys(database, -keys);
        }
    }
}
