//! One arc's part of the memtable: the active entries, the frozen ones that wait for their flush, the arc's tally.
//!
//! Rotation is lazy: the log begins a new generation for all shards at once, and a shard freezes what it has when the first
//! record of the new generation reaches it, or when the flush visits it. It keeps a copy of its tally then: that of the
//! end of the generation, which the flush saves.
//!
//! The entries of the last flushed generation stay as long as memory allows: they equal what the newest table has, and a
//! lookup in a tree costs a fraction of one through filter, index and block.
//!
//! Invariant: an entry of a newer generation is newer; an entry in memory is as new as any in a table.
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
    /// The last flushed generation: for lookups only, since the tables have it too.
    kept: Option<Arc<Tree>>,
    tally: Arc<Tally>,
    drops: Vec<(u64, Arc<RangeDrop>)>,
    dropping: bool,
}

/// What becomes of a generation that was flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The last one stays for lookups.
    Last,
    /// Its memory is needed.
    Nothing,
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
            Found::Not(_) => self.older().find_map(|tree| tree.get(probe)),
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

    /// What lookups search behind the active entries, the newest first.
    fn older(&self) -> impl Iterator<Item = &Tree> {
        self.frozen.iter().rev().map(|frozen| &frozen.tree).chain(&self.kept).map(Arc::as_ref)
    }

    /// All entries of all generations that no table has yet, the newest generation first.
    pub(crate) fn trees(&self) -> impl Iterator<Item = &Tree> {
        std::iter::once(&self.active).chain(self.frozen.iter().rev().map(|frozen| frozen.tree.as_ref()))
    }

    /// Forgets what tables hold by now, everything up to `generation`, or keeps the newest of it for lookups. What may be
    /// freed is given back.
    pub(crate) fn forget(&mut self, generation: u64, keep: Keep) -> Vec<Arc<Tree>> {
        let flushed = self.frozen.iter().take_while(|frozen| frozen.generation <= generation).count();
        // Entries that a drop hides must not come back once the drop is forgotten.
        let may_keep = keep == Keep::Last && self.drops.is_empty();
        let oldest = generation + 1;
        self.drops.retain(|(of, _)| *of > oldest);
        let mut gone: Vec<_> = self.frozen.drain(..flushed).map(|frozen| frozen.tree).collect();
        let kept = gone.pop_if(|_| may_keep);
        gone.extend(std::mem::replace(&mut self.kept, kept));
        gone
    }

    /// Gives up what was kept for lookups.
    pub(crate) fn release(&mut self) -> Option<Arc<Tree>> {
        self.kept.take()
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

    /// Holds writes back until [`Shard::end_drop`].
    pub(crate) fn begin_drop(&mut self) {
        self.dropping = true;
    }

    /// Lets writes in again: the drop is done or given up.
    pub(crate) fn end_drop(&mut self) {
        self.dropping = false;
    }

    /// Drops a range; gives back the entries that went at once.
    pub(crate) fn apply_drop(&mut self, drop: &Arc<RangeDrop>) -> Vec<Entry> {
        let mut gone = Vec::new();
        self.active.retain(|entry| !covers(drop, entry.key(), entry.stamp()), &mut gone);
        self.kept = None;
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

#[cfg(test)]
mod tests {
    use super::{Keep, Shard};
    use crate::storage::memtable::{Entry, Probe};
    use crate::storage::tables::RangeDrop;
    use crate::types::Stamp;
    use std::sync::Arc;

    fn put(shard: &mut Shard, generation: u64, stamp: u64) {
        let probe = Probe::new(b"k");
        let found = shard.look(&probe).found;
        shard.put(generation, found, &probe, Entry::of(b"k", b"v", Stamp(stamp)));
    }

    /// Stamp of what a lookup finds in memory.
    fn look(shard: &Shard) -> Option<u64> {
        shard.look(&Probe::new(b"k")).record.flatten().map(|entry| entry.stamp().0)
    }

    #[test]
    fn the_last_flushed_generation_stays_until_the_next_or_until_its_memory_is_needed() {
        let mut shard = Shard::default();
        put(&mut shard, 0, 1);
        put(&mut shard, 1, 2);
        shard.rotate(2);
        assert!(shard.forget(0, Keep::Last).is_empty());
        assert_eq!(look(&shard), Some(2), "a frozen entry is newer than a kept one");
        assert_eq!(shard.forget(1, Keep::Last).len(), 1, "what was kept before goes");
        assert_eq!((look(&shard), shard.trees().count()), (Some(2), 1), "scans read it from the tables");
        assert!(shard.release().is_some());
        assert_eq!(look(&shard), None);
        put(&mut shard, 2, 3);
        shard.rotate(3);
        assert_eq!((shard.forget(2, Keep::Nothing).len(), look(&shard)), (1, None));
    }

    #[test]
    fn what_a_drop_took_does_not_come_back_with_what_is_kept() {
        let drop = Arc::new(RangeDrop { from: b"a".to_vec(), to: b"z".to_vec(), stamp: Stamp(9) });
        let mut shard = Shard::default();
        put(&mut shard, 0, 1);
        shard.rotate(1);
        shard.apply_drop(&drop);
        shard.forget(0, Keep::Last);
        assert_eq!(look(&shard), None, "dropped while it was frozen");
        put(&mut shard, 1, 2);
        shard.rotate(2);
        shard.forget(1, Keep::Last);
        assert_eq!(look(&shard), Some(2));
        shard.apply_drop(&drop);
        assert_eq!(look(&shard), None, "dropped while it was kept");
    }
}
