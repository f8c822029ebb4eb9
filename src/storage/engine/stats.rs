//! What the engine tells of itself, for INFO and metrics.

use std::sync::atomic::Ordering;

use crate::storage::engine::Engine;
use crate::storage::view::LevelStats;

/// The engine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes that the entries of the active memtable take.
    pub memtable_bytes: u64,
    /// Memtables that wait for their flush.
    pub frozen_memtables: usize,
    /// Bytes that their entries take.
    pub frozen_bytes: u64,
    /// Bytes of the last flushed memtable, while it stays for lookups.
    pub kept_bytes: u64,
    /// Bytes of the log's buffer that are not written.
    pub log_buffer_bytes: usize,
    /// Files of the log.
    pub log_segments: usize,
    /// Syncs of the log.
    pub syncs: u64,
    /// Writes that were answered with a stall.
    pub stalls: u64,
    /// Batches of writes that were asked to wait a little.
    pub slow_downs: u64,
    /// How far flush or compaction is behind: 0 while writes go at full speed, 100 where they stop.
    pub debt_percent: u64,
    /// Bytes of tables that wait in levels that are to be compacted.
    pub compaction_bytes: u64,
    /// Bytes of cached blocks.
    pub cache_bytes: u64,
    /// Limit of the cache.
    pub cache_limit_bytes: u64,
    /// What each level of tables holds.
    pub levels: Vec<LevelStats>,
    /// The last error of background work or of a sync.
    pub last_error: Option<String>,
}

impl Engine {
    /// What the engine tells of itself.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &*self.shared;
        let (cache_bytes, cache_limit_bytes) = shared.tables.cache_bytes();
        let of_buffer = shared.log.with_buffer(|buffer| Stats {
            memtable_bytes: buffer.memory(),
            frozen_memtables: buffer.finished(),
            frozen_bytes: buffer.finished_memory(),
            kept_bytes: buffer.kept(),
            log_buffer_bytes: buffer.pending(),
            ..Stats::default()
        });
        Stats {
            log_segments: shared.log.segments(),
            syncs: shared.log.syncs(),
            stalls: shared.stalls.load(Ordering::Relaxed),
            slow_downs: shared.slow_downs.load(Ordering::Relaxed),
            debt_percent: u64::from(shared.log.debt().0) * 100 / u64::from(u8::MAX),
            compaction_bytes: shared.tables.compaction_bytes(),
            cache_bytes,
            cache_limit_bytes,
            levels: shared.view().stats().to_vec(),
            last_error: shared.last_error.lock().clone(),
            ..of_buffer
        }
    }
}
