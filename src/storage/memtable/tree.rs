//! One shard's entries of one generation in key order: leaves of at most 32 entries behind a sorted directory.
//!
//! Keys are compared by their first 8 bytes, and only on a tie by the bytes of the entry. What a probe of a large memtable
//! costs is the cache lines that it must wait for one after the other: one of the directory, those of a leaf's prefixes,
//! which are counted through and not bisected so that they are fetched together, one of the entry, and the entry's bytes.
//! Entries are replaced in place and never removed one by one, so that neither inner nodes nor rebalancing are needed. A
//! `BTreeSet` would find an entry but not let it be replaced without a second probe; a `BTreeMap` would need one allocation
//! for the key and one for the value.
//!
//! Invariant: leaves are never empty; the directory holds the prefix of each leaf's first entry.
//! Left out: locks, and which generation the entries belong to.

use crate::codec::{Reader, put_bytes, varint_len};
use crate::types::Stamp;

/// Entries that a leaf has room for.
const LEAF_ENTRIES: usize = 32;

/// Memory of an entry besides its bytes: prefix, box, stamp, slack of leaves and allocator.
pub(crate) const ENTRY_OVERHEAD: u64 = 64;

/// A key with its record, as one allocation: key length (varint), key, record.
#[derive(Debug)]
pub(crate) struct Entry {
    bytes: Box<[u8]>,
    stamp: Stamp,
}

impl Entry {
    /// An entry of a key and its record.
    pub(crate) fn of(key: &[u8], value: &[u8], stamp: Stamp) -> Self {
        let mut bytes = Vec::with_capacity(varint_len(key.len() as u64) + key.len() + value.len());
        put_bytes(&mut bytes, key);
        bytes.extend_from_slice(value);
        Entry { bytes: bytes.into_boxed_slice(), stamp }
    }

    /// An entry of bytes that a draft made.
    #[inline]
    pub(crate) fn new(bytes: Box<[u8]>, stamp: Stamp) -> Self {
        Entry { bytes, stamp }
    }

    /// When it was written.
    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Key and record.
    #[inline]
    pub(crate) fn parts(&self) -> (&[u8], &[u8]) {
        split_entry(&self.bytes)
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        self.parts().0
    }

    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        self.parts().1
    }

    /// Memory that it takes.
    #[inline]
    pub(crate) fn footprint(&self) -> u64 {
        self.bytes.len() as u64 + ENTRY_OVERHEAD
    }
}

/// Key and record of an entry's bytes.
#[inline]
pub(crate) fn split_entry(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut reader = Reader::new(bytes);
    let key = reader.prefixed().expect("an entry's bytes begin with its key");
    (key, reader.rest())
}

/// A key prepared for comparisons.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'a> {
    prefix: u64,
    key: &'a [u8],
}

impl<'a> Probe<'a> {
    #[inline]
    pub(crate) fn new(key: &'a [u8]) -> Self {
        let prefix = match key.first_chunk::<8>() {
            Some(head) => u64::from_be_bytes(*head),
            None => {
                let mut head = [0; 8];
                head.iter_mut().zip(key).for_each(|(byte, of_key)| *byte = *of_key);
                u64::from_be_bytes(head)
            }
        };
        Probe { prefix, key }
    }

    #[inline]
    pub(crate) fn key(&self) -> &'a [u8] {
        self.key
    }
}

/// Where an entry is, or where it would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    leaf: usize,
    index: usize,
}

impl Place {
    /// Before the first entry.
    pub(crate) const BEFORE: Place = Place { leaf: 0, index: usize::MAX };

    /// The place after this one, to be passed to [`Tree::at`].
    pub(crate) fn next(self) -> Self {
        Place { leaf: self.leaf, index: self.index.wrapping_add(1) }
    }
}

/// What a search ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The key's entry is here.
    At(Place),
    /// The key has no entry; it would go here.
    Not(Place),
}

#[derive(Debug)]
struct Leaf {
    count: usize,
    prefixes: [u64; LEAF_ENTRIES],
    entries: [Option<Entry>; LEAF_ENTRIES],
}

/// A leaf in the directory.
#[derive(Debug)]
struct Listed {
    first: u64,
    leaf: Box<Leaf>,
}

/// Entries in key order.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    leaves: Vec<Listed>,
}

impl Leaf {
    fn new() -> Box<Self> {
        Box::new(Leaf { count: 0, prefixes: [0; LEAF_ENTRIES], entries: [const { None }; LEAF_ENTRIES] })
    }

    #[inline]
    fn prefixes(&self) -> &[u64] {
        &self.prefixes[..self.count]
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)?.as_ref()
    }

    fn is_before(&self, index: usize, key: &[u8]) -> bool {
        self.get(index).is_some_and(|entry| entry.key() < key)
    }

    fn insert(&mut self, index: usize, prefix: u64, entry: Entry) {
        self.prefixes.copy_within(index..self.count, index + 1);
        self.prefixes[index] = prefix;
        self.entries[index..=self.count].rotate_right(1);
        self.entries[index] = Some(entry);
        self.count += 1;
    }

    /// Moves the entries from `keep` on into a leaf of their own.
    fn split(&mut self, keep: usize) -> Box<Leaf> {
        let mut right = Leaf::new();
        right.count = self.count - keep;
        right.prefixes[..right.count].copy_from_slice(&self.prefixes[keep..self.count]);
        right.entries[..right.count].swap_with_slice(&mut self.entries[keep..self.count]);
        self.count = keep;
        right
    }
}

impl Tree {
    pub(crate) fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Searches a key.
    #[inline]
    pub(crate) fn find(&self, probe: &Probe<'_>) -> Found {
        let mut place = self.leaves.partition_point(|listed| listed.first < probe.prefix);
        if self.leaves.get(place).is_some_and(|listed| listed.first == probe.prefix) {
            place += self.tied_leaves(place, probe);
        }
        let place = place.saturating_sub(1);
        let Some(Listed { leaf, .. }) = self.leaves.get(place) else {
            return Found::Not(Place { leaf: 0, index: 0 });
        };
        // Counted, not bisected: the loads do not wait for each other.
        let index = leaf.prefixes().iter().map(|prefix| usize::from(*prefix < probe.prefix)).sum();
        if leaf.prefixes().get(index) != Some(&probe.prefix) {
            return Found::Not(Place { leaf: place, index });
        }
        match leaf.get(index).map(|entry| entry.key() == probe.key) {
            Some(true) => Found::At(Place { leaf: place, index }),
            _ => find_among_ties(leaf, Place { leaf: place, index }, probe),
        }
    }

    /// Of the leaves from `start` on whose first entries tie with the probe, those that begin at or before its key.
    fn tied_leaves(&self, start: usize, probe: &Probe<'_>) -> usize {
        let rest = &self.leaves[start..];
        let ties = rest.partition_point(|listed| listed.first == probe.prefix);
        rest[..ties].partition_point(|listed| listed.leaf.get(0).is_some_and(|entry| entry.key() <= probe.key))
    }

    /// The first entry not below a key.
    pub(crate) fn seek(&self, probe: &Probe<'_>) -> Place {
        match self.find(probe) {
            Found::At(place) | Found::Not(place) => place,
        }
    }

    /// The entry of a key.
    #[inline]
    pub(crate) fn get(&self, probe: &Probe<'_>) -> Option<&Entry> {
        match self.find(probe) {
            Found::At(place) => self.leaves[place.leaf].leaf.get(place.index),
            Found::Not(_) => None,
        }
    }

    /// The entry at `place`, or the first of the next leaf past a leaf's end; moves `place` there.
    #[inline]
    pub(crate) fn at(&self, place: &mut Place) -> Option<&Entry> {
        if self.leaves.get(place.leaf)?.leaf.count <= place.index {
            *place = Place { leaf: place.leaf + 1, index: 0 };
        }
        self.leaves.get(place.leaf)?.leaf.get(place.index)
    }

    /// All entries from `place` on.
    pub(crate) fn iter_from(&self, mut place: Place) -> impl Iterator<Item = &Entry> {
        std::iter::from_fn(move || {
            let entry = self.at(&mut place);
            place = place.next();
            entry
        })
    }

    /// Puts `entry` where a search for its key ended.
    #[inline]
    pub(crate) fn put(&mut self, found: Found, probe: &Probe<'_>, entry: Entry) -> Option<Entry> {
        match found {
            Found::At(place) => self.leaves[place.leaf].leaf.entries[place.index].replace(entry),
            Found::Not(place) => {
                self.insert(place, probe.prefix, entry);
                None
            }
        }
    }

    /// Keeps only the entries that `keep` wants, and adds the rest to `out`.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Entry) -> bool, out: &mut Vec<Entry>) {
        let old = std::mem::take(self);
        for entry in old.leaves.into_iter().flat_map(|listed| listed.leaf.entries).flatten() {
            if keep(&entry) {
                let prefix = Probe::new(entry.key()).prefix;
                let leaf = self.leaves.len().saturating_sub(1);
                let index = self.leaves.last().map_or(0, |listed| listed.leaf.count);
                self.insert(Place { leaf, index }, prefix, entry);
            } else {
                out.push(entry);
            }
        }
    }

    fn insert(&mut self, Place { leaf: place, index }: Place, prefix: u64, entry: Entry) {
        if self.leaves.is_empty() {
            self.leaves.push(Listed { first: prefix, leaf: Leaf::new() });
        }
        let listed = &mut self.leaves[place];
        listed.leaf.insert(index, prefix, entry);
        listed.first = listed.leaf.prefixes[0];
        if listed.leaf.count == LEAF_ENTRIES {
            // Ascending inserts leave full leaves behind.
            let keep = if index + 1 == LEAF_ENTRIES { LEAF_ENTRIES - 1 } else { LEAF_ENTRIES / 2 };
            let leaf = listed.leaf.split(keep);
            self.leaves.insert(place + 1, Listed { first: leaf.prefixes[0], leaf });
        }
    }
}

/// Searches on among the entries of a leaf that tie with the probe, the first of which stands at `place`.
fn find_among_ties(leaf: &Leaf, mut place: Place, probe: &Probe<'_>) -> Found {
    while leaf.prefixes().get(place.index) == Some(&probe.prefix) && leaf.is_before(place.index, probe.key) {
        place.index += 1;
    }
    let is_there = leaf.get(place.index).is_some_and(|entry| entry.key() == probe.key);
    if is_there { Found::At(place) } else { Found::Not(place) }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Found, Place, Probe, Tree};
    use crate::types::Stamp;
    use std::collections::BTreeMap;

    fn put(tree: &mut Tree, key: &[u8], value: u64) {
        let probe = Probe::new(key);
        let found = tree.find(&probe);
        let old = tree.put(found, &probe, Entry::of(key, &value.to_le_bytes(), Stamp(value)));
        assert_eq!(old.is_some(), matches!(found, Found::At(_)));
    }

    fn check(make_key: impl Fn(u64) -> Vec<u8>) {
        let (mut tree, mut model) = (Tree::default(), BTreeMap::new());
        let mut state = 7u64;
        for round in 0..5_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = make_key(state >> 33);
            put(&mut tree, &key, round);
            model.insert(key, round);
        }
        let start = Place::BEFORE.next();
        let walked: Vec<_> = tree.iter_from(start).map(|entry| (entry.key().to_vec(), entry.stamp().0)).collect();
        assert_eq!(walked, model.clone().into_iter().collect::<Vec<_>>());
        for probe in (0..3_000).map(make_key) {
            assert_eq!(tree.get(&Probe::new(&probe)).map(|entry| entry.stamp().0), model.get(&probe).copied());
            let next = model.range(probe.clone()..).next().map(|(key, _)| key.as_slice());
            assert_eq!(tree.at(&mut tree.seek(&Probe::new(&probe))).map(Entry::key), next);
        }
        let mut gone = Vec::new();
        tree.retain(|entry| entry.stamp().0 % 3 == 0, &mut gone);
        model.retain(|_, stamp| *stamp % 3 == 0);
        assert_eq!(
            tree.iter_from(start).map(|entry| entry.stamp().0).collect::<Vec<_>>(),
            model.into_values().collect::<Vec<_>>()
        );
        assert!(gone.iter().all(|entry| entry.stamp().0 % 3 != 0));
    }

    #[test]
    fn equals_an_ordered_map_whatever_the_keys() {
        check(|random| (random % 2_000).to_be_bytes().to_vec());
        check(|random| format!("the same first bytes {}", random % 1_500).into_bytes());
        check(|random| vec![0; (random % 40) as usize]);
        check(|random| random.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[..(random % 9) as usize].to_vec());
    }
}
