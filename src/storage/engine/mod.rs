//! The engine's facade: what `replica` calls. Every operation is in a file of its own; this one has what they share.
//!
//! Memory first, then tables: a flush installs its tables in the view before the memtable goes, so a key that is looked up
//! in memory and then in the view taken after is never missed.
//!
//! Invariant: nothing here waits for a device under a shard's lock, and `read`, `update`, `begin`, `commit`, `write_out`
//! never wait for one at all: `Cold` and `Stalled` are answers.
//! Lock order: shards in ascending order, then the log's (see `log`). The flush and drop locks come before shards.
//! Left out: versions, expiry, who owns which arc.

mod commit;
mod drop;
mod flush;
mod open;
mod read;
mod scan;
mod snapshot;
mod spare;
mod stats;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::env::{Env, FileLock, Wake};
use crate::storage::draft::Fetched;
use crate::storage::error::Error;
use crate::storage::filter::Filter;
use crate::storage::log::Log;
use crate::storage::memtable::Shard;
use crate::storage::note::Bucket;
use crate::storage::options::{Durability, Options};
use crate::storage::tables::Tables;
use crate::storage::tally::Head;
use crate::storage::view::{Lookup, Value, View};
use crate::types::{ArcId, Database, Slot, Stamp};

use crate::storage::engine::flush::Flusher;

pub(crate) use crate::storage::engine::open::LOCK;
pub(crate) use crate::storage::engine::spare::NAME as SPARE;

pub use crate::storage::engine::drop::Gate;
pub use crate::storage::engine::read::See;
pub use crate::storage::engine::scan::SeeEntry;
pub use crate::storage::engine::stats::Stats;
pub use crate::storage::engine::write::Change;
pub(crate) use crate::storage::engine::write::{Insert, growth};

/// Called after each sync with the new durable stamp.
pub type DurableHook = Arc<dyn Fn(Stamp) + Send + Sync>;

/// How long background work waits before it tries again what found no space.
const RETRY: Duration = Duration::from_millis(250);

/// A store in one directory. Closed by [`Engine::close`]; dropped without it, it ends as a crash would, losing nothing
/// that was durable.
pub struct Engine {
    shared: Arc<Shared>,
}

/// What the facade and the driven threads share.
pub(crate) struct Shared {
    // Fixed after construction.
    env: Env,
    options: Options,
    slot_shift: u32,
    filter: Arc<dyn Filter>,
    _lock: Box<dyn FileLock>,
    wakes: OnceLock<Wakes>,
    // Synchronises itself.
    pub(crate) log: Log,
    tables: Tables,
    database_keys: Box<[AtomicI64]>,
    closing: AtomicBool,
    /// Records at which the commit thread wants to be woken.
    commit_target: AtomicU64,
    stalls: AtomicU64,
    slow_downs: AtomicU64,
    // Guarded.
    shards: Box<[Slotted]>,
    hook: RwLock<Option<DurableHook>>,
    flusher: Mutex<Flusher>,
    dropping: Mutex<()>,
    last_error: Mutex<Option<String>>,
}

/// A shard on cache lines of its own.
#[repr(align(128))]
struct Slotted(Mutex<Shard>);

struct Wakes {
    commit: Arc<dyn Wake>,
    flush: Arc<dyn Wake>,
    compaction: Arc<dyn Wake>,
}

/// What the tables say of a key, without waiting.
pub(crate) enum Known<'a> {
    /// What was fetched is still so.
    Fetched(Option<&'a [u8]>),
    /// A cached block has it.
    Cached(Value),
    /// No table has it.
    Absent,
    /// Only a device can tell.
    Cold,
}

impl Known<'_> {
    /// The record; outer `None` if only a device can tell.
    pub(crate) fn record(&self) -> Option<Option<&[u8]>> {
        match self {
            Known::Fetched(value) => Some(*value),
            Known::Cached(value) => Some(Some(value)),
            Known::Absent => Some(None),
            Known::Cold => None,
        }
    }
}

impl Shared {
    /// Index of the shard that `key` lies in; keys past the last slot lie in the last.
    #[inline]
    pub(crate) fn shard_index(&self, key: &[u8]) -> usize {
        (usize::from(Head::of(key).slot) >> self.slot_shift).min(self.shards.len() - 1)
    }

    #[inline]
    pub(crate) fn shard(&self, index: usize) -> &Mutex<Shard> {
        &self.shards[index].0
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.tables.view()
    }

    /// What the tables say of a key that memory does not know. Must be called after memory was looked at.
    pub(crate) fn consult<'a>(&self, key: &[u8], fetched: Option<&'a Fetched>) -> Result<Known<'a>, Error> {
        let view = self.tables.glance();
        if let Some(fetched) = fetched
            && fetched.view == view.id()
            && fetched.key == key
        {
            return Ok(Known::Fetched(fetched.value.as_deref()));
        }
        Ok(match view.get_cached(key)? {
            Lookup::Found(value) => Known::Cached(value),
            Lookup::Absent => Known::Absent,
            Lookup::Cold => Known::Cold,
        })
    }

    pub(crate) fn wake_flush(&self) {
        if let Some(wakes) = self.wakes.get() {
            wakes.flush.wake();
        }
    }

    fn wake_commit(&self) {
        if let Some(wakes) = self.wakes.get() {
            wakes.commit.wake();
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Ends writing for good and remembers why.
    pub(crate) fn poison(&self, error: &Error) {
        self.note_error(error);
        self.log.poison(error);
    }

    fn note_error(&self, error: &Error) {
        *self.last_error.lock() = Some(error.to_string());
    }

    #[inline]
    pub(crate) fn count_keys(&self, database: u8, change: i64) {
        if change != 0 {
            self.database_keys[usize::from(database)].fetch_add(change, Ordering::Relaxed);
        }
    }

    fn durable(&self) -> Stamp {
        Stamp(if self.options.durability == Durability::Sync { self.log.synced() } else { self.log.written() })
    }
}

impl Engine {
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Stamp of the last record that was appended.
    #[must_use]
    pub fn appended(&self) -> Stamp {
        Stamp(self.shared.log.appended())
    }

    /// Everything up to here counts as done: synced at [`Durability::Sync`], handed to the operating system at the others.
    #[must_use]
    pub fn durable(&self) -> Stamp {
        self.shared.durable()
    }

    /// Keys of a slot and database.
    #[must_use]
    pub fn key_count(&self, slot: Slot, database: Database) -> u64 {
        let head = Head { slot: slot.0, database: database.0 };
        self.shared.shard(self.shared.shard_index(&head.first_key())).lock().tally().keys(head)
    }

    /// Keys of a database.
    #[must_use]
    pub fn database_count(&self, database: Database) -> u64 {
        let count = self.shared.database_keys[usize::from(database.0)].load(Ordering::Relaxed);
        count.max(0).cast_unsigned()
    }

    /// The expiry sums of a database in an arc.
    ///
    /// # Panics
    /// If the layout has no such arc.
    #[must_use]
    pub fn expiry_counts(&self, arc: ArcId, database: Database) -> Vec<(Bucket, u64)> {
        self.shared.shard(usize::from(arc.0)).lock().tally().expiries(database.0)
    }

    /// Databases that have keys in an arc.
    ///
    /// # Panics
    /// If the layout has no such arc.
    #[must_use]
    pub fn databases_of(&self, arc: ArcId) -> Vec<Database> {
        self.shared.shard(usize::from(arc.0)).lock().tally().databases().into_keys().map(Database).collect()
    }

    /// Why writing has ended for good, if it has: the disk failed, or a sync did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.log.failure().map(str::to_owned)
    }

    /// How long a batch that wrote should wait before it is answered, because background work is behind; `None` if it is
    /// not. Asked once per batch, and counted.
    #[inline]
    #[must_use]
    pub fn slow_down(&self) -> Option<Duration> {
        let pause = self.shared.log.debt().pause();
        if pause.is_some() {
            self.shared.slow_downs.fetch_add(1, Ordering::Relaxed);
        }
        pause
    }

    /// Whether writes are refused now: the disk is full, or writing has ended.
    ///
    /// # Errors
    /// The reason.
    pub fn writable(&self) -> Result<(), Error> {
        self.shared.log.refusal().map_or(Ok(()), Err)
    }
}

impl Drop for Engine {
    /// Lets the driven threads end by themselves.
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        if let Some(wakes) = self.shared.wakes.get() {
            [&wakes.commit, &wakes.flush, &wakes.compaction].into_iter().for_each(|wake| wake.wake());
        }
    }
}
