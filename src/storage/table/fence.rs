//! A sorted list of first keys, searched for the item that a key falls to.
//!
//! Invariant: keys are ascending. The first 8 bytes of each stand in an array of their own, which decides nearly every
//! search (slot, database and hash of a key are 7 bytes) without a look at the keys. The keys themselves lie one behind the
//! other: an allocation for each would take more memory than they do.

use std::mem::size_of;

/// Items by the key where each begins.
#[derive(Clone, Debug)]
pub(crate) struct Fence<T> {
    prefixes: Vec<u64>,
    /// Where each key ends in `keys`.
    ends: Vec<u32>,
    keys: Vec<u8>,
    items: Vec<T>,
}

impl<T> Fence<T> {
    /// A fence without items.
    pub(crate) fn new() -> Self {
        Fence { prefixes: Vec::new(), ends: Vec::new(), keys: Vec::new(), items: Vec::new() }
    }

    /// Adds the item that begins at `key`, which is above all before it.
    ///
    /// # Panics
    /// If the keys take 4 GB together: they come from blocks that may not be as long.
    pub(crate) fn push(&mut self, key: &[u8], item: T) {
        self.prefixes.push(prefix(key));
        self.keys.extend_from_slice(key);
        self.ends.push(u32::try_from(self.keys.len()).expect("the keys of a fence are below 4 GB"));
        self.items.push(item);
    }

    /// Gives back memory that no item needs.
    pub(crate) fn shrink(&mut self) {
        self.prefixes.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.keys.shrink_to_fit();
        self.items.shrink_to_fit();
    }

    /// The items in order.
    #[inline]
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.items.len() * (size_of::<u64>() + size_of::<u32>() + size_of::<T>()) + self.keys.len()
    }

    /// Index of the last item that begins at or before `key`.
    #[inline]
    pub(crate) fn floor_index(&self, key: &[u8]) -> Option<usize> {
        let probe = prefix(key);
        let mut after = self.prefixes.partition_point(|prefix| *prefix < probe);
        while self.prefixes.get(after) == Some(&probe) && self.key(after) <= key {
            after += 1;
        }
        after.checked_sub(1)
    }

    /// The last item that begins at or before `key`.
    #[inline]
    pub(crate) fn floor(&self, key: &[u8]) -> Option<&T> {
        self.items.get(self.floor_index(key)?)
    }

    fn key(&self, index: usize) -> &[u8] {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| *end as usize);
        let start = index.checked_sub(1).map_or(0, end);
        self.keys.get(start..end(index)).unwrap_or(&[])
    }
}

/// The first 8 bytes of a key, zeros behind a shorter one: ordered as the keys are, but for ties.
#[inline]
pub(crate) fn prefix(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => key.iter().rev().fold(0, |prefix, byte| (prefix >> 8) | (u64::from(*byte) << 56)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fence, prefix};

    #[test]
    fn the_prefix_of_a_short_key_is_padded() {
        assert_eq!(prefix(b"ab"), u64::from_be_bytes(*b"ab\0\0\0\0\0\0"));
        assert_eq!(prefix(b"abcdefghij"), u64::from_be_bytes(*b"abcdefgh"));
    }

    #[test]
    fn the_floor_is_the_last_item_at_or_before() {
        let keys: [&[u8]; 7] = [b"b", b"b\0", b"bb", b"cccccccc", b"cccccccc\0", b"ccccccccd", b"d"];
        let mut fence = Fence::new();
        for (index, key) in keys.iter().enumerate() {
            fence.push(key, index);
        }
        let probes: [&[u8]; 9] = [b"", b"a", b"b", b"b\0\0", b"c", b"cccccccc", b"ccccccccc", b"cccccccce", b"z"];
        for probe in keys.iter().chain(&probes) {
            let wanted = keys.iter().rposition(|key| key <= probe);
            assert_eq!(fence.floor(probe).copied(), wanted, "{probe:?}");
        }
        assert_eq!(Fence::<u8>::new().floor(b"a"), None);
    }
}
