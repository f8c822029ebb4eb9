//! What the engine tells of itself, for INFO and metrics.

use std::sync::atomic::Ordering;

use crate::storage::engine::Engine;

/// The engine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of the active memtable.
    pub memtable_bytes: u64,
    /// Memtables that wait for their flush.
    pub frozen_memtables: usize,
    /// Bytes of the log's buffer that are not written.
    pub log_buffer_bytes: usize,
    /// Syncs of the log.
    pub syncs: u64,
    /// Writes that were answered with a stall.
    pub stalls: u64,
    /// The last error of background work or of a sync.
    pub last_error: Option<String>,
}

impl Engine {
    /// What the engine tells of itself.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &*self.shared;
        let (memtable_bytes, frozen_memtables, log_buffer_bytes) =
            shared.log.with_buffer(|buffer| (buffer.memory(), buffer.finished(), buffer.pending()));
        Stats {
            memtable_bytes,
            frozen_memtables,
            log_buffer_bytes,
            syncs: shared.log.syncs(),
            stalls: shared.stalls.load(Ordering::Relaxed),
            last_error: shared.last_error.lock().clone(),
        }
    }
}
