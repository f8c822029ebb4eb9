//! The engine's settings, handed in explicitly.

use std::path::PathBuf;

use crate::types::ArcLayout;

/// When a write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on stable storage.
    Sync,
    /// Once the operating system has it; synced every second.
    EverySec,
    /// Once the operating system has it.
    None,
}

/// The engine's settings. Tests make the sizes tiny.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where all files are.
    pub dir: PathBuf,
    /// When a write counts as done.
    pub durability: Durability,
    /// How slots form arcs: one memtable shard per arc.
    pub layout: ArcLayout,
    /// Size at which the memtable is frozen.
    pub memtable_bytes: u64,
    /// Frozen memtables beyond which writes stall.
    pub frozen_memtables: usize,
    /// Log bytes after which the memtable is frozen too.
    pub segment_bytes: u64,
    /// Limit of the log's buffer.
    pub log_buffer_bytes: usize,
    /// Size of a table's block before compression.
    pub block_bytes: usize,
    /// Limit of the cache of decompressed blocks.
    pub cache_bytes: u64,
    /// Limit of open table files.
    pub open_tables: usize,
    /// Size at which a table is cut.
    pub table_bytes: u64,
    /// Runs of level 0 that start its compaction.
    pub level0_runs: usize,
    /// Runs of level 1 that start its compaction.
    pub level1_runs: usize,
    /// How much larger each deeper level is.
    pub fanout: u64,
    /// Runs of level 0 at which writes stall.
    pub stop_runs: usize,
}

impl Options {
    /// The usual settings for `dir`.
    #[must_use]
    pub fn new(dir: PathBuf, durability: Durability) -> Self {
        Options {
            dir,
            durability,
            layout: ArcLayout::default(),
            memtable_bytes: 64 << 20,
            frozen_memtables: 4,
            segment_bytes: 256 << 20,
            log_buffer_bytes: 8 << 20,
            block_bytes: 4096,
            cache_bytes: 128 << 20,
            open_tables: 1024,
            table_bytes: 32 << 20,
            level0_runs: 4,
            level1_runs: 4,
            fanout: 8,
            stop_runs: 12,
        }
    }
}
