//! The worker that raises purge floors, so that tombstones and the names of former lives can go.
//!
//! This node is the only member of its arcs, so a round is short: T = the clock less [`GRACE_MS`]; the clock passes T; the
//! gate of each arc is taken once, so that every own write with a dot up to T is in the log; the log is synced; then close,
//! fence and floor are T in the ledger, in one durable step, and only then is the floor shown to writes and to compaction.
//! There is nobody to exchange with or to vote.
//!
//! Invariant: after a round no write of this node, in this life or a later one, gets a dot up to T: the ledger's clock floor
//! is part of the same step.
//! Invariant: a round takes only arcs that were written to since their floor was set; with none there is no round.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::causality::Time;
use crate::replica::{Failure, GRACE_MS, Replica};
use crate::types::ArcId;
use crate::worker::{Field, Work, Worker};

/// How long after a failed round the next one begins, at most.
const RETRY: Duration = Duration::from_secs(5);

/// Raises purge floors in the background.
pub struct Purger {
    replica: Arc<Replica>,
    interval: Duration,
    rounds: u64,
    arcs_purged: u64,
    failures: u64,
}

impl Purger {
    /// A purger for `replica` that begins a round each `interval`, the first at once: what earlier lives left is old.
    #[must_use]
    pub fn new(replica: Arc<Replica>, interval: Duration) -> Self {
        Purger { replica, interval, rounds: 0, arcs_purged: 0, failures: 0 }
    }
}

impl Worker for Purger {
    fn name(&self) -> &'static str {
        "purge"
    }

    fn work(&mut self) -> Work {
        match self.replica.raise_floors() {
            Ok(arcs) => {
                self.rounds += u64::from(arcs > 0);
                self.arcs_purged += arcs as u64;
                Work::Idle(self.interval)
            }
            Err(failure) => {
                tracing::warn!(%failure, "purge floors could not be raised");
                self.failures += 1;
                Work::Idle(self.interval.min(RETRY))
            }
        }
    }

    fn status(&self) -> Vec<Field> {
        let field = |name, value| Field { name, value };
        vec![field("rounds", self.rounds), field("arcs_purged", self.arcs_purged), field("failures", self.failures)]
    }
}

impl Replica {
    /// One round over all arcs that were written to; how many they were. Waits for the disk.
    fn raise_floors(&self) -> Result<usize, Failure> {
        let now_ms = self.now_ms(self.clock.wall_ms());
        let time = Time::from_ms(now_ms.saturating_sub(GRACE_MS));
        let is_behind = |(arc, newest): &(ArcId, Time)| {
            let floor = self.floors.of(*arc);
            floor < *newest && floor < time
        };
        let newest = self.newest.iter().map(|newest| Time(newest.load(Ordering::Acquire)));
        let arcs: Vec<ArcId> = (0..).map(ArcId).zip(newest).filter(is_behind).map(|(arc, _)| arc).collect();
        if arcs.is_empty() {
            return Ok(0);
        }
        self.hlc.pass(time);
        // Whoever drew a dot up to T did so under the lock of its arc's shard, and has appended once that was taken.
        arcs.iter().for_each(|arc| drop(self.engine.databases_of(*arc)));
        self.engine.sync_to(self.engine.appended())?;
        self.ledger.update(|facts| {
            for arc in &arcs {
                facts.close(*arc, time);
                facts.raise_floor(*arc, time);
            }
        })?;
        arcs.iter().for_each(|arc| self.floors.raise(*arc, time));
        Ok(arcs.len())
    }
}
