//! When something in an arc expires at the earliest: so that an arc is not read before something in it is due.
//!
//! Only in memory: after a start nothing is known, and the sums of the engine say which arcs to read. A bound is lowered by
//! writes under the lock of the arc's shard, and raised by the one reader of the arc, which takes it first and puts back
//! what it learned: what was written before the taking is read, what is written after it lowers the bound by itself.
//!
//! Invariant: no version of the arc that may be reaped expires before the bound, except while the reader has taken it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::ArcId;

/// The earliest expiry in each arc, or a time before it, in milliseconds since the Unix epoch.
#[derive(Debug)]
pub(super) struct DueTimes {
    bounds: Box<[AtomicU64]>,
}

/// Nothing is known: as if something had always been due.
pub(super) const UNKNOWN: u64 = 0;
/// Nothing expires.
const NEVER: u64 = u64::MAX;

impl DueTimes {
    /// Nothing is known of any arc.
    pub(super) fn unknown(arcs: u16) -> Self {
        DueTimes { bounds: (0..arcs).map(|_| AtomicU64::new(UNKNOWN)).collect() }
    }

    /// Something in `arc` may expire at `at_ms`.
    #[inline]
    pub(super) fn lower(&self, arc: ArcId, at_ms: u64) {
        // A load is cheaper than a change, and most writes expire later than something else.
        if let Some(bound) = self.bounds.get(usize::from(arc.0)).filter(|bound| bound.load(Ordering::Relaxed) > at_ms) {
            bound.fetch_min(at_ms, Ordering::Relaxed);
        }
    }

    /// The bound of `arc`.
    pub(super) fn of(&self, arc: ArcId) -> u64 {
        self.bounds.get(usize::from(arc.0)).map_or(NEVER, |bound| bound.load(Ordering::Relaxed))
    }

    /// Takes the bound of `arc` away: whoever does reads the arc and says what it found, or lowers it to [`UNKNOWN`].
    pub(super) fn take(&self, arc: ArcId) {
        if let Some(bound) = self.bounds.get(usize::from(arc.0)) {
            bound.store(NEVER, Ordering::Relaxed);
        }
    }
}
