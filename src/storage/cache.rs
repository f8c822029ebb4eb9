//! The cache of what was read from tables: decompressed data blocks, parts of indexes, filters.
//!
//! Every lookup asks filters and indexes, so these are *pinned* to their open table while they take no more than half of
//! the limit: found without a lookup here, and never pushed out by a block of data (measured: a tenth of the cost of an
//! absent key, half of that of a hot one). What is beyond that competes like the data.
//!
//! Invariant: bounded in bytes, what is pinned included; a table's number is never given again within a process, so that
//! an entry can never be taken for another table's.

use std::sync::Arc;

use foldhash::fast::FixedState;
use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::storage::table::{Bloom, IndexPart};

/// Bytes that an entry costs beside its contents.
const ENTRY_BYTES: u64 = 96;
/// Expected bytes of an entry, by which the cache sizes its table.
const TYPICAL_BYTES: u64 = 4096;

/// Names a block: the table's number and the block's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockKey {
    /// The table's number.
    pub(crate) table: u64,
    /// The block's offset in it.
    pub(crate) offset: u64,
}

/// What was read.
#[derive(Clone, Debug)]
pub(crate) enum Cached {
    /// Contents of a data block.
    Block(Arc<[u8]>),
    /// Places of data blocks.
    Index(Arc<IndexPart>),
    /// A filter.
    Filter(Arc<Bloom>),
}

#[derive(Clone)]
struct Bytes;

impl Weighter<BlockKey, Cached> for Bytes {
    fn weight(&self, _: &BlockKey, cached: &Cached) -> u64 {
        let contents = match cached {
            Cached::Block(block) => block.len(),
            Cached::Index(index) => index.bytes(),
            Cached::Filter(filter) => filter.bytes(),
        };
        contents as u64 + ENTRY_BYTES
    }
}

/// The cache; shared by all tables of an engine.
pub(crate) struct BlockCache {
    // Table numbers and offsets are no client's choice, so a fixed hash serves.
    cache: Cache<BlockKey, Cached, Bytes, FixedState>,
    limit: u64,
    pinned: Mutex<u64>,
}

impl BlockCache {
    /// A cache of at most `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity((bytes / TYPICAL_BYTES).max(16) as usize)
            .weight_capacity(bytes)
            .build()
            .expect("both capacities are set");
        let cache = Cache::with_options(options, Bytes, FixedState::default(), DefaultLifecycle::default());
        BlockCache { cache, limit: bytes, pinned: Mutex::new(0) }
    }

    /// Takes `bytes` out of the cache's limit for something that an open table keeps: `false` if that would be too much.
    pub(crate) fn pin(&self, bytes: usize) -> bool {
        let mut pinned = self.pinned.lock();
        let sum = pinned.saturating_add(bytes as u64);
        if sum > self.limit / 2 {
            return false;
        }
        *pinned = sum;
        self.cache.set_capacity(self.limit - sum);
        true
    }

    /// Gives back what was pinned.
    pub(crate) fn unpin(&self, bytes: usize) {
        let mut pinned = self.pinned.lock();
        *pinned = pinned.saturating_sub(bytes as u64);
        self.cache.set_capacity(self.limit - *pinned);
    }

    /// What was kept under `key`.
    #[inline]
    pub(crate) fn get(&self, key: &BlockKey) -> Option<Cached> {
        self.cache.get(key)
    }

    /// Keeps `cached` until others need the room.
    pub(crate) fn insert(&self, key: BlockKey, cached: Cached) {
        self.cache.insert(key, cached);
    }

    /// Bytes in use.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.cache.weight() + *self.pinned.lock()
    }

    /// Most bytes that may be in use.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockCache, BlockKey, Cached};
    use std::sync::Arc;

    #[test]
    fn the_cache_stays_below_its_limit() {
        let cache = BlockCache::new(1 << 20);
        for offset in 0..2000 {
            cache.insert(BlockKey { table: 1, offset }, Cached::Block(Arc::from([7; 4000])));
            assert!(cache.used_bytes() <= cache.limit_bytes());
        }
        let kept = (0..2000).filter(|&offset| cache.get(&BlockKey { table: 1, offset }).is_some()).count();
        assert!((100..=262).contains(&kept), "{kept} blocks of 4000 bytes are in 1 MB");
        assert!(cache.get(&BlockKey { table: 2, offset: 0 }).is_none());
    }

    #[test]
    fn what_is_pinned_takes_from_the_rest_and_at_most_half() {
        let cache = BlockCache::new(1 << 20);
        let fill = || {
            (0..2000).for_each(|offset| cache.insert(BlockKey { table: 1, offset }, Cached::Block([7; 4000].into())))
        };
        fill();
        assert!(cache.used_bytes() > 900_000);
        assert!(cache.pin(400_000));
        assert!(!cache.pin(200_000), "more than half");
        assert!(cache.used_bytes() <= cache.limit_bytes() + 16, "{}", cache.used_bytes());
        fill();
        assert!(cache.used_bytes() <= cache.limit_bytes() + 16, "{}", cache.used_bytes());
        cache.unpin(400_000);
        assert!(cache.pin(500_000));
    }
}
