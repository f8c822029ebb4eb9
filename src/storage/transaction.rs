//! Several keys changed as one: `begin` locks their shards, changes are staged, `commit` logs them in one frame.
//!
//! Invariant: shards are locked in ascending order and stay locked until the end, so that nobody sees a part.
//! Invariant: all records go to the log under one hold of its buffer: they are in one frame, and survive a crash all or none.

use parking_lot::MutexGuard;

use crate::storage::draft::{Draft, Fetched, Verdict};
use crate::storage::engine::{Change, Engine, Insert, See, Shared, growth};
use crate::storage::error::Error;
use crate::storage::memtable::{Probe, Shard, split_entry};
use crate::storage::note::Note;
use crate::types::Stamp;

/// What came of the wish to begin.
#[must_use]
pub enum Begin<'a> {
    /// The keys are locked.
    Ready(Transaction<'a>),
    /// Only a device knows the record of some key. Fetch the keys and try again.
    Cold,
    /// The engine is behind with its background work. Try again a little later.
    Stalled,
}

/// Some keys, locked. Dropped without `commit`, it has changed nothing.
pub struct Transaction<'a> {
    shared: &'a Shared,
    shards: Vec<(usize, MutexGuard<'a, Shard>)>,
    keys: Vec<Key>,
    staged: Vec<Staged>,
}

/// One of the keys, with what it has now.
struct Key {
    bytes: Vec<u8>,
    /// What the tables have, if memory does not know the key.
    table_record: Option<Vec<u8>>,
    /// The last of its changes, as an index of those staged.
    newest: Option<usize>,
}

struct Staged {
    entry: Box<[u8]>,
    note: Note,
    growth: i64,
}

impl Engine {
    /// Locks `keys`, if all of them can be read without waiting; `fetched` is sorted, as [`Engine::fetch`] gives it.
    ///
    /// # Errors
    /// As [`Engine::update`].
    pub fn begin(&self, keys: &[&[u8]], fetched: &[Fetched]) -> Result<Begin<'_>, Error> {
        let shared = self.shared();
        if let Some(held) = shared.hold_back() {
            return held.map(|_| Begin::Stalled);
        }
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut shards: Vec<(usize, MutexGuard<'_, Shard>)> = Vec::new();
        for key in &sorted {
            let index = shared.shard_index(key);
            if shards.last().is_none_or(|(last, _)| *last != index) {
                shards.push((index, shared.shard(index).lock()));
            }
        }
        if shards.iter().any(|(_, shard)| shard.is_dropping()) {
            return Ok(Begin::Stalled);
        }
        let mut transaction =
            Transaction { shared, shards, keys: Vec::with_capacity(sorted.len()), staged: Vec::new() };
        for key in sorted {
            let mut table_record = None;
            if transaction.shard(key).look(&Probe::new(key)).record.is_none() {
                let of_key = fetched.binary_search_by(|fetched| fetched.key().cmp(key));
                let of_key = of_key.ok().and_then(|index| fetched.get(index));
                match shared.consult(key, of_key)?.record() {
                    Some(record) => table_record = record.map(<[u8]>::to_vec),
                    None => return Ok(Begin::Cold),
                }
            }
            transaction.keys.push(Key { bytes: key.to_vec(), table_record, newest: None });
        }
        Ok(Begin::Ready(transaction))
    }
}

impl Transaction<'_> {
    /// Shows the record of `key`, with the changes staged so far.
    ///
    /// # Panics
    /// If `key` is not one that the transaction began with.
    pub fn read(&self, key: &[u8], see: See<'_>) -> Stamp {
        let of = &self.keys[self.index(key)];
        let (record, stamp) = self.current(of);
        see(record);
        stamp
    }

    /// Runs `change` on the record of `key` and stages what it puts. The stamp of what it saw.
    ///
    /// # Panics
    /// If `key` is not one that the transaction began with.
    pub fn update(&mut self, key: &[u8], change: Change<'_>) -> Stamp {
        let index = self.index(key);
        let mut draft = Draft::new(key);
        let (record, stamp) = self.current(&self.keys[index]);
        if change(record, &mut draft) == Verdict::Keep {
            return stamp;
        }
        let (entry, note) = draft.into_entry();
        let shard = self.shard(key);
        let growth = growth(shard, shard.look(&Probe::new(key)).found, entry.len());
        self.keys[index].newest = Some(self.staged.len());
        self.staged.push(Staged { entry, note, growth });
        stamp
    }

    /// Makes all changes take effect. The stamp of the last, or of the newest record among the keys if there is none.
    ///
    /// # Errors
    /// None yet: what stops a commit later shows when its stamp does not become durable.
    pub fn commit(mut self) -> Result<Stamp, Error> {
        if self.staged.is_empty() {
            let newest = self.keys.iter().map(|key| self.current(key).1).max();
            return Ok(newest.unwrap_or_default());
        }
        let staged = std::mem::take(&mut self.staged);
        let mut appended = Vec::with_capacity(staged.len());
        let records = staged.iter().map(|staged| (&staged.note, &*staged.entry, staged.growth));
        let rotated = self.shared.log.append_all(records, |each| appended.push(each));
        let mut old = Vec::with_capacity(staged.len());
        for (Staged { entry, note, .. }, appended) in staged.into_iter().zip(&appended) {
            let key = split_entry(&entry).0.to_vec();
            let position = self.position(&key);
            let shard = &mut *self.shards[position].1;
            let probe = Probe::new(&key);
            let found = shard.look(&probe).found;
            old.push(self.shared.insert(shard, Insert { probe, found, bytes: entry, note, appended: *appended }));
        }
        self.shards.clear();
        drop(old);
        if rotated {
            self.shared.wake_flush();
        }
        Ok(Stamp(appended.last().map_or(0, |last| last.stamp)))
    }

    fn current<'s>(&'s self, key: &'s Key) -> (Option<&'s [u8]>, Stamp) {
        if let Some(staged) = key.newest.and_then(|index| self.staged.get(index)) {
            return (Some(split_entry(&staged.entry).1), Stamp(0));
        }
        match self.shard(&key.bytes).look(&Probe::new(&key.bytes)).record {
            Some(record) => (record.map(|entry| entry.value()), record.map_or(Stamp(0), |entry| entry.stamp())),
            None => (key.table_record.as_deref(), Stamp(0)),
        }
    }

    fn index(&self, key: &[u8]) -> usize {
        self.keys
            .binary_search_by(|other| other.bytes.as_slice().cmp(key))
            .expect("the transaction began with this key")
    }

    fn position(&self, key: &[u8]) -> usize {
        let index = self.shared.shard_index(key);
        self.shards.binary_search_by_key(&index, |(index, _)| *index).expect("the shards of all keys are locked")
    }

    fn shard(&self, key: &[u8]) -> &Shard {
        &self.shards[self.position(key)].1
    }
}
