//! One shard's entries of one generation in key order: leaves of at most 64 entries behind a sorted directory.
//!
//! Keys are compared by their first 8 bytes, kept beside each other per leaf, and only on a tie by the bytes of the entry:
//! a probe touches a few cache lines and one entry. Entries are replaced in place and never removed one by one, so that
//! neither inner nodes nor rebalancing are needed. A `BTreeSet` would find an entry but not let it be replaced without a
//! second probe; a `BTreeMap` would need one allocation for the key and one for the value.
//!
//! Invariant: leaves are never empty; the directory holds the prefix of each leaf's first entry.
//! Left out: locks, and which generation the entries belong to.

use crate::codec::{Reader, put_bytes, varint_len};
use crate::types::Stamp;

/// Entries at which a leaf is split.
const LEAF_ENTRIES: usize = 64;

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

#[derive(Debug, Default)]
struct Leaf {
    prefixes: Vec<u64>,
    entries: Vec<Entry>,
}

/// Entries in key order.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    firsts: Vec<u64>,
    leaves: Vec<Leaf>,
}

impl Tree {
    pub(crate) fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Searches a key.
    #[inline]
    pub(crate) fn find(&self, probe: &Probe<'_>) -> Found {
        let mut leaf = self.firsts.partition_point(|first| *first < probe.prefix);
        if self.firsts.get(leaf) == Some(&probe.prefix) {
            let ties = self.firsts[leaf..].partition_point(|first| *first == probe.prefix);
            leaf += self.leaves[leaf..leaf + ties].partition_point(|leaf| leaf.entries[0].key() <= probe.key);
        }
        let leaf = leaf.saturating_sub(1);
        let Some(Leaf { prefixes, entries }) = self.leaves.get(leaf) else {
            return Found::Not(Place { leaf: 0, index: 0 });
        };
        let mut index = prefixes.partition_point(|prefix| *prefix < probe.prefix);
        let ties = prefixes[index..].partition_point(|prefix| *prefix == probe.prefix);
        let searched = entries[index..index + ties].binary_search_by(|entry| entry.key().cmp(probe.key));
        index += searched.unwrap_or_else(|index| index);
        let place = Place { leaf, index };
        if searched.is_ok() { Found::At(place) } else { Found::Not(place) }
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
            Found::At(place) => Some(&self.leaves[place.leaf].entries[place.index]),
            Found::Not(_) => None,
        }
    }

    /// The entry at `place`, or the first of the next leaf past a leaf's end; moves `place` there.
    #[inline]
    pub(crate) fn at(&self, place: &mut Place) -> Option<&Entry> {
        if self.leaves.get(place.leaf)?.entries.len() <= place.index {
            *place = Place { leaf: place.leaf + 1, index: 0 };
        }
        self.leaves.get(place.leaf)?.entries.get(place.index)
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
            Found::At(place) => Some(std::mem::replace(&mut self.leaves[place.leaf].entries[place.index], entry)),
            Found::Not(place) => {
                self.insert(place, probe.prefix, entry);
                None
            }
        }
    }

    /// Keeps only the entries that `keep` wants, and adds the rest to `out`.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Entry) -> bool, out: &mut Vec<Entry>) {
        let old = std::mem::take(self);
        for entry in old.leaves.into_iter().flat_map(|leaf| leaf.entries) {
            if keep(&entry) {
                let prefix = Probe::new(entry.key()).prefix;
                let leaf = self.leaves.len().saturating_sub(1);
                let index = self.leaves.last().map_or(0, |leaf| leaf.entries.len());
                self.insert(Place { leaf, index }, prefix, entry);
            } else {
                out.push(entry);
            }
        }
    }

    fn insert(&mut self, Place { leaf, index }: Place, prefix: u64, entry: Entry) {
        if self.leaves.is_empty() {
            self.leaves.push(Leaf::default());
            self.firsts.push(prefix);
        }
        let full = &mut self.leaves[leaf];
        full.prefixes.insert(index, prefix);
        full.entries.insert(index, entry);
        if index == 0 {
            self.firsts[leaf] = prefix;
        }
        if full.entries.len() >= LEAF_ENTRIES {
            // Ascending inserts leave full leaves behind.
            let keep = if index + 1 == LEAF_ENTRIES { LEAF_ENTRIES - 1 } else { LEAF_ENTRIES / 2 };
            let right = Leaf { prefixes: full.prefixes.split_off(keep), entries: full.entries.split_off(keep) };
            self.firsts.insert(leaf + 1, right.prefixes[0]);
            self.leaves.insert(leaf + 1, right);
        }
    }
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
