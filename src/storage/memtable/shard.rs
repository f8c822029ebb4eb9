//! One arc's part of the memtable: the active entries, the frozen ones that wait for their flush, the arc's tally.
//!
//! Rotation is lazy: the log begins a new generation for all shards at once, and a shard freezes what it has when the first
//! record of the new generation reaches it, or when the flush visits it. It keeps a copy of its tally then: that of the
//! end of the generation, which the flush saves.
//!
//! Invariant: an entry of a newer generation is newer; an entry in memory is newer than any in a table.
//! Invariant: entries below a drop's stamp are gone from `active` at once; frozen entries are hidden until they are gone.
//! Left out: the lock around it, and the log.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::storage::memtable::tree::{Entry, Found, Probe, Tree};
use crate::storage::tables::RangeDrop;
use crate::storage::tally::Tally;
use crate::types::Stamp;

/// The entries of a finished generation.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    /// The generation.
    pub(crate) generation: u64,
    /// Its entries.
    pub(crate) tree: Arc<Tree>,
    /// The tally at its end.
    pub(crate) tally: Arc<Tally>,
}

/// One arc's part of the memtable.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    generation: u64,
    active: Tree,
    frozen: VecDeque<Frozen>,
    tally: Arc<Tally>,
    drops: Vec<(u64, Arc<RangeDrop>)>,
    dropping: bool,
}

/// What memory knows about a key, and where an entry for it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    /// Where to put its next entry.
    pub(crate) found: Found,
    /// Its newest record in memory; `Some(None)` if that was dropped, `None` if memory does not know the key.
    pub(crate) record: Option<Option<&'a Entry>>,
}

impl Shard {
    /// Looks `probe` up in all generations.
    #[inline]
    pub(crate) fn look(&self, probe: &Probe<'_>) -> Look<'_> {
        let found = self.active.find(probe);
        let entry = match found {
            Found::At(place) => self.active.at(&mut { place }),
            Found::Not(_) => self.frozen.iter().rev().find_map(|frozen| frozen.tree.get(probe)),
        };
        Look { found, record: entry.map(|entry| (!self.is_dropped(entry)).then_some(entry)) }
    }

    /// Puts an entry of `generation` where a look found its place; the entry that it replaces in memory of the same
    /// generation is given back, to be freed without the lock.
    #[inline]
    pub(crate) fn put(&mut self, generation: u64, found: Found, probe: &Probe<'_>, entry: Entry) -> Option<Entry> {
        if generation == self.generation {
            return self.active.put(found, probe, entry);
        }
        self.rotate(generation);
        let found = self.active.find(probe);
        self.active.put(found, probe, entry)
    }

    /// Begins `generation`, freezing what is of older ones.
    pub(crate) fn rotate(&mut self, generation: u64) {
        while self.generation < generation {
            let tree = Arc::new(std::mem::take(&mut self.active));
            self.frozen.push_back(Frozen { generation: self.generation, tree, tally: self.tally.clone() });
            self.generation += 1;
        }
    }

    /// Says which generation the entries so far belong to: replay gathers them in the first after it.
    pub(crate) fn begin(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// Memory of the active entry at `found`.
    #[inline]
    pub(crate) fn footprint_at(&self, found: Found) -> u64 {
        match found {
            Found::At(place) => self.active.at(&mut { place }).map_or(0, Entry::footprint),
            Found::Not(_) => 0,
        }
    }

    /// What was frozen at the end of `generation`.
    pub(crate) fn frozen(&self, generation: u64) -> Option<&Frozen> {
        self.frozen.iter().find(|frozen| frozen.generation == generation)
    }

    /// All entries of all generations, the newest generation first.
    pub(crate) fn trees(&self) -> impl Iterator<Item = &Tree> {
        std::iter::once(&self.active).chain(self.frozen.iter().rev().map(|frozen| frozen.tree.as_ref()))
    }

    /// Forgets what tables hold by now: everything up to `generation`.
    pub(crate) fn forget(&mut self, generation: u64) -> Vec<Frozen> {
        let flushed = self.frozen.iter().take_while(|frozen| frozen.generation <= generation).count();
        let oldest = generation + 1;
        self.drops.retain(|(of, _)| *of > oldest);
        self.frozen.drain(..flushed).collect()
    }

    /// The arc's tally.
    #[inline]
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The arc's tally, to be changed.
    #[inline]
    pub(crate) fn tally_mut(&mut self) -> &mut Tally {
        Arc::make_mut(&mut self.tally)
    }

    /// Whether a range of the shard is about to be dropped: writes wait.
    #[inline]
    pub(crate) fn is_dropping(&self) -> bool {
        self.dropping
    }

    /// Holds writes back until the drop is done or given up.
    pub(crate) fn set_dropping(&mut self, dropping: bool) {
        self.dropping = dropping;
    }

    /// Drops a range; gives back the entries that went at once.
    pub(crate) fn apply_drop(&mut self, drop: &Arc<RangeDrop>) -> Vec<Entry> {
        let mut gone = Vec::new();
        self.active.retain(|entry| !covers(drop, entry.key(), entry.stamp()), &mut gone);
        if !self.frozen.is_empty() {
            self.drops.push((self.generation, drop.clone()));
        }
        gone
    }

    /// Drops that frozen entries may fall under.
    pub(crate) fn drops(&self) -> impl Iterator<Item = &Arc<RangeDrop>> {
        self.drops.iter().map(|(_, drop)| drop)
    }

    /// Whether a drop took the entry.
    #[inline]
    pub(crate) fn is_dropped(&self, entry: &Entry) -> bool {
        !self.drops.is_empty() && self.drops().any(|drop| covers(drop, entry.key(), entry.stamp()))
    }
}

/// Whether `drop` takes an entry of `key` written at `stamp`.
pub(crate) fn covers(drop: &RangeDrop, key: &[u8], stamp: Stamp) -> bool {
    stamp < drop.stamp && key >= drop.from.as_slice() && key < drop.to.as_slice()
}
