//! A sorted list of first keys, searched for the item that a key falls to.
//!
//! Invariant: keys are ascending. The first 8 bytes of each stand in an array of their own, which decides nearly every
//! search (slot, database and hash of a key are 7 bytes) without a dereference.

/// Items by the key where each begins.
#[derive(Clone, Debug)]
pub(crate) struct Fence<T> {
    prefixes: Vec<u64>,
    keys: Vec<Box<[u8]>>,
    items: Vec<T>,
}

impl<T> Fence<T> {
    /// A fence without items.
    pub(crate) fn new() -> Self {
        Fence { prefixes: Vec::new(), keys: Vec::new(), items: Vec::new() }
    }

    /// Adds the item that begins at `key`, which is above all before it.
    pub(crate) fn push(&mut self, key: &[u8], item: T) {
        self.prefixes.push(prefix(key));
        self.keys.push(Box::from(key));
        self.items.push(item);
    }

    /// The items in order.
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    /// Index of the last item that begins at or before `key`.
    #[inline]
    pub(crate) fn floor_index(&self, key: &[u8]) -> Option<usize> {
        let probe = prefix(key);
        let low = self.prefixes.partition_point(|prefix| *prefix < probe);
        let same = self.prefixes.get(low..).unwrap_or(&[]).iter().take_while(|prefix| **prefix == probe).count();
        let ties = self.keys.get(low..low + same).unwrap_or(&[]);
        (low + ties.partition_point(|first| &**first <= key)).checked_sub(1)
    }

    /// The last item that begins at or before `key`.
    #[inline]
    pub(crate) fn floor(&self, key: &[u8]) -> Option<&T> {
        self.items.get(self.floor_index(key)?)
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
