//! A node's local truth: applies operations to records in the engine, answers reads, pages through keys, reaps what
//! expired and purges what nobody needs to remember.
//!
//! Values of the engine are encoded records ([`crate::causality`]); keys are cell addresses (see `key`). A write draws its
//! dot, plans the new record from the old one and encodes it, all under the key's lock inside `Engine::update`.
//!
//! Invariant: a reply's position covers everything the reply shows, a version as well as a tombstone.
//! Invariant: dots are drawn under the lock of their shard, after every time in the record's context.
//! Invariant: versions at or below the flush time of their database are never seen, wherever they still lie.
//! Expiry is judged at the greater of the wall clock and the hybrid clock, so it never goes back.

mod apply;
mod cells;
mod expiry;
mod failure;
mod flush;
mod key;
mod locked;
mod operation;
mod page;
mod site;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use apply::{Applied, Scratch, Workspace};
pub use expiry::bucket_of;
pub use failure::Failure;
pub use key::{CellKey, decode_key};
pub use locked::{KeySet, Locked, Locking, WatchedKey};
pub use operation::{
    Action, Answer, Change, Current, Draft, Effect, Examine, Existed, Fingerprint, Found, Inputs, Operand, Operation,
    Outcome, PageLimit, PageRequest, Params,
};
pub use page::{Page, PageOrder};

use crate::causality::{Actor, Hlc, Time};
use crate::env::{Clock, Random};
use crate::ledger::Ledger;
use crate::storage::{Engine, Fetched};
use crate::types::{ArcId, ArcLayout, DATABASES, Database, Stamp};

/// What a replica is made with.
pub struct ReplicaOptions {
    /// The name under which this life of this node writes.
    pub actor: Actor,
    /// How slots form arcs.
    pub layout: ArcLayout,
    /// Longest key and value together, in bytes.
    pub max_pair_bytes: usize,
}

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
    // Per arc: no version of this replica is newer. Raised under the arc's shard lock.
    newest: Vec<AtomicU64>,
    // Per arc: every member has fenced at this time.
    purge_floors: Vec<AtomicU64>,
    flushing: parking_lot::Mutex<()>,
}

/// What a replica works with.
pub struct ReplicaParts {
    /// Where records are kept.
    pub engine: Arc<Engine>,
    /// Where flush times and purge floors are kept.
    pub ledger: Ledger,
    /// The node's clock for dots.
    pub hlc: Arc<Hlc>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// For RANDOMKEY.
    pub random: Arc<dyn Random>,
}

impl Replica {
    /// Opens the replica over an engine that has recovered, and completes flushes that a crash interrupted.
    ///
    /// # Errors
    /// The store's failure.
    pub fn open(parts: ReplicaParts, options: ReplicaOptions) -> Result<Replica, Failure> {
        let arcs = usize::from(options.layout.arcs());
        let facts = parts.ledger.facts();
        let last = parts.hlc.last();
        let replica = Replica {
            flush_times: std::array::from_fn(|database| AtomicU64::new(facts.flush(Database(database as u8)).time.0)),
            newest: (0..arcs).map(|_| AtomicU64::new(last.0)).collect(),
            purge_floors: (0..arcs).map(|arc| AtomicU64::new(facts.arc(ArcId(arc as u16)).floor.0)).collect(),
            engine: parts.engine,
            ledger: parts.ledger,
            hlc: parts.hlc,
            clock: parts.clock,
            random: parts.random,
            options,
            flushing: parking_lot::Mutex::default(),
        };
        replica.complete_flushes()?;
        Ok(replica)
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

    /// Longest key and value together, in bytes.
    #[must_use]
    pub fn max_pair_bytes(&self) -> usize {
        self.options.max_pair_bytes
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

    /// Reads what `keys` (engine keys) hold in tables; may wait for the disk, so only for the pool.
    ///
    /// # Errors
    /// The store's failure.
    pub fn fetch(&self, mut keys: Vec<Vec<u8>>) -> Result<Vec<Fetched>, Failure> {
        Ok(self.engine.fetch(&mut keys)?)
    }

    /// The time at which expiry is judged, in milliseconds since the Unix epoch.
    #[inline]
    fn expiry_ms(&self, now_ms: u64) -> u64 {
        now_ms.max(self.hlc.last().wall_ms())
    }

    #[inline]
    fn flush_time(&self, database: Database) -> Time {
        Time(self.flush_times[usize::from(database.0 % DATABASES)].load(Ordering::Acquire))
    }

    #[inline]
    fn purge_floor(&self, arc: ArcId) -> Time {
        self.purge_floors.get(usize::from(arc.0)).map_or(Time::ZERO, |floor| Time(floor.load(Ordering::Acquire)))
    }
}
