//! Opening and closing: lock, tables, replay, threads; and back.
//!
//! Invariant: a failed open changes nothing but what a later open may redo.

use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::{io, iter};

use parking_lot::{Mutex, RwLock};

use crate::env::{Disk, Env, FileLock, Priority};
use crate::storage::engine::commit::Committer;
use crate::storage::engine::flush::Flusher;
use crate::storage::engine::spare::Spare;
use crate::storage::engine::{Engine, Shared, Slotted, Wakes};
use crate::storage::error::Error;
use crate::storage::filter::Filter;
use crate::storage::log::{Cut, Flushed, Log, Replayed, Write, replay};
use crate::storage::memtable::{Entry, Probe, Shard};
use crate::storage::options::Options;
use crate::storage::tables::{RangeDrop, Recovered, Tables};
use crate::storage::tally::{self, Head, Saved};

/// File whose lock keeps a second process out.
pub(crate) const LOCK: &str = "lock";
/// Largest spare file.
const SPARE_BYTES: u64 = 64 << 20;

impl Engine {
    /// Opens the store in `options.dir`, or makes it. `filter` judges entries that compaction passes.
    ///
    /// # Errors
    /// `Locked` if it is open already; `Corrupt` if something that was durable cannot be read; `FutureFormat`; what the
    /// disk says.
    pub fn open(env: &Env, options: Options, filter: Arc<dyn Filter>) -> Result<Engine, Error> {
        let disk = &env.disk;
        make_dir(&**disk, &options.dir)?;
        let lock = lock(&**disk, &options)?;
        let (tables, recovered) = Tables::open(env, &options)?;
        let (memory, replayed) = Memory::recover(&**disk, &options, recovered)?;
        let database_keys = memory.database_keys();
        let log = Log::begin(Arc::clone(disk), &options, replayed, memory.bytes)?;
        let spare = Spare::new(Arc::clone(disk), options.dir.clone(), options.memtable_bytes.min(SPARE_BYTES));
        let shared = Arc::new(Shared {
            env: env.clone(),
            slot_shift: options.layout.slots_per_arc().trailing_zeros(),
            options,
            filter,
            _lock: lock,
            wakes: OnceLock::new(),
            log,
            tables,
            database_keys,
            closing: AtomicBool::new(false),
            commit_target: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            slow_downs: AtomicU64::new(0),
            shards: memory.shards.into_iter().map(|shard| Slotted(Mutex::new(shard))).collect(),
            hook: RwLock::new(None),
            flusher: Mutex::new(Flusher::new(spare)),
            dropping: Mutex::new(()),
            last_error: Mutex::new(None),
        });
        shared.start();
        Ok(Engine { shared })
    }

    /// Writes everything out, syncs it and ends the threads. What is in memory stays in the log.
    ///
    /// # Errors
    /// As [`Engine::write_out`]; the threads have ended all the same.
    pub fn close(self) -> Result<(), Error> {
        // The last frame rests on the one before it: damage to any record is told from a torn tail from now on.
        let synced = self.shared.log.sync().and_then(|_| {
            self.shared.log.append_marker();
            self.shared.log.sync()
        });
        self.shared.closing.store(true, Ordering::Release);
        if let Some(wakes) = self.shared.wakes.get() {
            for wake in [&wakes.commit, &wakes.flush, &wakes.compaction] {
                wake.wake();
                wake.join();
            }
        }
        synced.map(|_| ())
    }
}

/// Makes the directory with a name that outlives a crash.
fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => dir,
    };
    disk.make_dir(dir).and_then(|()| disk.sync_dir(parent)).map_err(|source| Error::io(dir, source))
}

fn lock(disk: &dyn Disk, options: &Options) -> Result<Box<dyn FileLock>, Error> {
    let path = options.dir.join(LOCK);
    disk.lock(&path).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => Error::Locked { path },
        _ => Error::io(&path, source),
    })
}

impl Shared {
    fn start(self: &Arc<Self>) {
        let pool = &self.env.pool;
        let mut committer = Committer::new(Arc::clone(self));
        let flushing = Arc::clone(self);
        let compacting = Arc::clone(self);
        let mut compactor = self.tables.compactor(Arc::clone(&self.filter));
        let wakes = Wakes {
            commit: pool.drive("commit", Priority::Normal, Box::new(move || committer.step())),
            flush: pool.drive("flush", Priority::Low, Box::new(move || flushing.flush_thread())),
            compaction: pool.drive(
                "compaction",
                Priority::Low,
                Box::new(move || compacting.compaction_thread(&mut compactor)),
            ),
        };
        // Steps taken before this line found nobody to wake; each looks for itself what there is to do.
        let _ = self.wakes.set(wakes);
    }
}

/// Memory as it is rebuilt.
struct Memory {
    shards: Vec<Shard>,
    slot_shift: u32,
    bytes: u64,
}

impl Memory {
    fn recover(disk: &dyn Disk, options: &Options, recovered: Recovered) -> Result<(Self, Replayed), Error> {
        let saved = match recovered.tally {
            None => Saved::default(),
            Some(bytes) => tally::decode(&bytes)
                .ok_or_else(|| Error::corrupt(&options.dir, 0, "the tally of the last flush makes no sense"))?,
        };
        let flushed = Flushed { generation: saved.generation, to: recovered.flushed_to };
        let arcs = usize::from(options.layout.arcs());
        let mut memory = Memory {
            shards: iter::repeat_with(Shard::default).take(arcs).collect(),
            slot_shift: options.layout.slots_per_arc().trailing_zeros(),
            bytes: 0,
        };
        for (arc, tally) in saved.tallies {
            let shard = memory.shards.get_mut(arc);
            *shard
                .ok_or_else(|| Error::corrupt(&options.dir, 0, "the tally names an arc that the layout has not"))?
                .tally_mut() = tally;
        }
        let mut drops = recovered.drops;
        drops.retain(|drop| drop.stamp > flushed.to);
        drops.sort_by_key(|drop| drop.stamp);
        let mut drops = drops.into_iter().peekable();
        let replayed = replay(disk, &options.dir, flushed, &mut |write| {
            while let Some(drop) = drops.next_if(|drop| drop.stamp <= write.stamp) {
                memory.apply_drop(drop);
            }
            memory.apply(&write);
        })?;
        if let Some(Cut { path, offset, bytes }) = &replayed.cut {
            tracing::warn!(
                file = %path.display(), offset, bytes,
                "the log could not be read at this place and was cut there; nothing proves that what was cut was durable, \
                 but what follows the damage is sound: a power loss leaves this behind, and so does a damaged disk"
            );
        }
        drops.for_each(|drop| memory.apply_drop(drop));
        memory.shards.iter_mut().for_each(|shard| shard.begin(replayed.next_generation));
        Ok((memory, replayed))
    }

    fn index_of(&self, key: &[u8]) -> usize {
        (usize::from(Head::of(key).slot) >> self.slot_shift).min(self.shards.len() - 1)
    }

    fn shard_of(&mut self, key: &[u8]) -> &mut Shard {
        let index = self.index_of(key);
        &mut self.shards[index]
    }

    fn apply(&mut self, write: &Write<'_>) {
        let entry = Entry::of(write.key, write.value, write.stamp);
        let grown = entry.footprint();
        let probe = Probe::new(write.key);
        let shard = self.shard_of(write.key);
        let found = shard.look(&probe).found;
        let old = shard.put(0, found, &probe, entry);
        if write.note.counts() {
            shard.tally_mut().apply(Head::of(write.key), &write.note);
        }
        self.bytes = self.bytes + grown - old.map_or(0, |old| old.footprint());
    }

    fn apply_drop(&mut self, drop: RangeDrop) {
        let drop = Arc::new(drop);
        let shards = self.index_of(&drop.from)..=self.index_of(&drop.to);
        for shard in self.shards.get_mut(shards).unwrap_or_default() {
            shard.tally_mut().zero(&drop.from, &drop.to);
            let gone = shard.apply_drop(&drop);
            self.bytes -= gone.iter().map(Entry::footprint).sum::<u64>();
        }
    }

    fn database_keys(&self) -> Box<[AtomicI64]> {
        let counts: Box<[AtomicI64]> = iter::repeat_with(AtomicI64::default).take(256).collect();
        for (database, keys) in self.shards.iter().flat_map(|shard| shard.tally().databases()) {
            counts[usize::from(database)].fetch_add(keys, Ordering::Relaxed);
        }
        counts
    }
}
