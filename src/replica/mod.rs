//! A node's local truth: applies operations to records in the engine, answers reads, pages through keys, reaps what
//! expired and purges what nobody needs to remember.
//!
//! Values of the engine are encoded records ([`crate::causality`]); keys are cell addresses (see `key`). A write draws its
//! dot, plans the new record from the old one and encodes it, all under the key's lock inside `Engine::update`.
//!
//! Invariant: a reply's position covers everything the reply shows, a version as well as a tombstone.
//! Invariant: dots are drawn under the lock of their shard, after every time in the record's context.
//! Invariant: versions at or below the flush time of their database are never seen, wherever they still lie.
//! Expiry is judged at the greater of the wall clock and the hybrid clock, so it never goes back behind a write.
//! Background work: [`Replica::workers`].

mod answer;
mod apply;
mod cells;
mod covered;
mod due;
mod expiry;
mod failure;
mod floors;
mod flush;
mod key;
mod locked;
mod member;
mod operation;
mod page;
mod purger;
mod reaper;
mod recount;
mod site;
mod snapshot;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use apply::{Applied, Scratch, Workspace};
pub use expiry::bucket_of;
pub use failure::Failure;
pub use floors::PurgeFloors;
pub use key::{CellKey, decode_key};
pub use locked::{Compared, KeySet, Locked, Locking, WatchedKey};
pub use member::{Origin, Replication, Shown, Taken, put_record};
pub use operation::{
    Action, Answer, Change, Current, Draft, Effect, Examine, Existed, Fingerprint, Found, Inputs, Operand, Operation,
    Outcome, PageLimit, PageRequest, Params,
};
pub use page::{Page, PageOrder};
pub use purger::Purger;
pub use reaper::Reaper;
pub use recount::recount;
pub use snapshot::write_snapshot;

use crate::causality::{Actor, Hlc, Time};
use crate::env::{Clock, Random};
use crate::ledger::Ledger;
use crate::replica::due::DueTimes;
use crate::storage::{Engine, Fetched};
use crate::types::{ArcLayout, DATABASES, Database, Stamp};
use crate::worker::Worker;

/// Keys of a long list that are fetched together.
const FETCH_CHUNK: usize = 64;
/// Bytes of values after which no more of a list is fetched.
const FETCH_BYTES: usize = 4 << 20;

/// What a replica is made with.
pub struct ReplicaOptions {
    /// The name under which this life of this node writes.
    pub actor: Actor,
    /// How slots form arcs.
    pub layout: ArcLayout,
    /// Longest key and value together, in bytes.
    pub max_pair_bytes: usize,
}

/// How far an expiry, or the time of a write, has to lie behind the clock before anything is taken away because of it: far
/// more than clocks may differ.
const GRACE_MS: u64 = 10_000;

/// A node's records.
pub struct Replica {
    engine: Arc<Engine>,
    ledger: Ledger,
    hlc: Arc<Hlc>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    options: ReplicaOptions,
    // Per database: versions at or below this time were flushed. Written under `flushing`, read without a lock.
    flush_times: [AtomicU64; DATABASES as usize],
    // Per arc: no dot that this life drew is later. Raised under the arc's shard lock.
    newest: Vec<AtomicU64>,
    floors: Arc<PurgeFloors>,
    due_times: DueTimes,
    // Versions and flushed records taken out.
    reaped: AtomicU64,
    // Records out of which an expired version was taken, by the reaper or by a write that came first.
    expired: AtomicU64,
    flushing: parking_lot::Mutex<()>,
}

/// What a replica works with.
pub struct ReplicaParts {
    /// Where records are kept.
    pub engine: Arc<Engine>,
    /// Where flush times and purge floors are kept.
    pub ledger: Ledger,
    /// The floors that the engine's filter goes by, made from this ledger.
    pub floors: Arc<PurgeFloors>,
    /// The node's clock for dots.
    pub hlc: Arc<Hlc>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// For RANDOMKEY.
    pub random: Arc<dyn Random>,
}

impl Replica {
    /// Opens the replica over an engine that has recovered.
    #[must_use]
    pub fn open(parts: ReplicaParts, options: ReplicaOptions) -> Replica {
        let arcs = options.layout.arcs();
        let facts = parts.ledger.facts();
        // No dot may lie below what was closed or flushed, whatever the clock was made with.
        parts.hlc.pass(facts.hlc_floor);
        // Earlier lives may have left anything in any arc, up to now.
        let now = parts.hlc.reading(parts.clock.wall_ms());
        Replica {
            flush_times: std::array::from_fn(|database| AtomicU64::new(facts.flush(Database(database as u8)).time.0)),
            newest: (0..arcs).map(|_| AtomicU64::new(now.0)).collect(),
            floors: parts.floors,
            due_times: DueTimes::unknown(arcs),
            reaped: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            engine: parts.engine,
            ledger: parts.ledger,
            hlc: parts.hlc,
            clock: parts.clock,
            random: parts.random,
            options,
            flushing: parking_lot::Mutex::default(),
        }
    }

    /// The work to be done in the background: expiry, and purging at each interval, which is only for a node that is alone.
    /// One of several cannot know by itself that all the others have a delete.
    #[must_use]
    pub fn workers(replica: &Arc<Replica>, purge_interval: Option<Duration>) -> Vec<Box<dyn Worker>> {
        let mut workers: Vec<Box<dyn Worker>> = vec![Box::new(Reaper::new(Arc::clone(replica)))];
        if let Some(interval) = purge_interval {
            workers.push(Box::new(Purger::new(Arc::clone(replica), interval)));
        }
        workers
    }

    /// The time at which a batch that begins at the wall time `wall_ms` is carried out: what it computes expiries from and
    /// judges them at. Never behind the times of writes: while the wall clock is behind them, it stands still.
    #[inline]
    #[must_use]
    pub fn now_ms(&self, wall_ms: u64) -> u64 {
        wall_ms.max(self.hlc.last().wall_ms())
    }

    /// The engine, for its statistics.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// How slots form arcs.
    #[must_use]
    pub fn layout(&self) -> ArcLayout {
        self.options.layout
    }

    /// Why the node has to stop, if it has: the engine failed, or nobody knows what the ledger has on disk.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let of_ledger = || self.ledger.is_poisoned().then(|| "a write of the ledger failed half way".to_owned());
        self.engine.failure().or_else(of_ledger)
    }

    /// Longest key and value together, in bytes.
    #[must_use]
    pub fn max_pair_bytes(&self) -> usize {
        self.options.max_pair_bytes
    }

    /// Keys that went because they expired, since the start: each counts when its value is taken out.
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// The position that everything this replica has shown so far lies below.
    #[must_use]
    pub fn shown(&self) -> Stamp {
        self.engine.appended()
    }

    /// Number of keys of a database, expired ones included until they are reaped.
    #[must_use]
    pub fn count(&self, database: Database) -> u64 {
        self.engine.database_count(database)
    }

    /// Reads what `keys` (engine keys) hold in tables, sorted; may wait for the disk, so only for the pool.
    ///
    /// # Errors
    /// The store's failure.
    pub fn fetch(&self, mut keys: Vec<Vec<u8>>) -> Result<Vec<Fetched>, Failure> {
        Ok(self.engine.fetch(&mut keys)?)
    }

    /// As [`Replica::fetch`], but stops once what it has is large: at least the first key is there, and others in their
    /// order. They are different keys.
    ///
    /// # Errors
    /// The store's failure, at any of the keys.
    pub fn fetch_some(&self, keys: &[Vec<u8>]) -> Result<Vec<Fetched>, Failure> {
        let (mut fetched, mut bytes) = (Vec::new(), 0);
        for chunk in keys.chunks(FETCH_CHUNK) {
            let some = self.fetch(chunk.to_vec())?;
            bytes += some.iter().map(Fetched::value_bytes).sum::<usize>();
            fetched.extend(some);
            if bytes >= FETCH_BYTES {
                break;
            }
        }
        fetched.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        Ok(fetched)
    }

    #[inline]
    fn flush_time(&self, database: Database) -> Time {
        Time(self.flush_times[usize::from(database.0 % DATABASES)].load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests;
