//! Bloom filters: whether a block of keys may hold a key, at about 10 bits a key and under 1 % of false answers.
//!
//! Invariant: a filter is built with the exact number of its keys; one that grows answers wrongly four times as often.
//! The bytes begin with a tag, so that another kind of filter can follow without a new format of tables.
//! Source: Almeida et al., Scalable Bloom Filters (crate growable-bloom-filter; a probe costs about 60 ns).

use std::fmt;

use growable_bloom_filter::GrowableBloom;
use xxhash_rust::xxh3::xxh3_64;

use crate::storage::table::format::FILTER_GROWABLE;

/// Share of wrong "may hold" answers that a filter is built for.
const FALSE_RATE: f64 = 0.01;

/// Keys that a filter is built for at least: slices of a few bits would answer wrongly too often.
const LEAST_KEYS: usize = 64;

/// What filters see of a key. Computed once per lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// The hash of `key`.
    #[inline]
    pub(crate) fn of(key: &[u8]) -> Self {
        KeyHash(xxh3_64(key))
    }
}

/// A filter of one block of keys.
pub(crate) struct Bloom {
    filter: GrowableBloom,
    bytes: usize,
}

impl Bloom {
    /// The contents of a filter block over `keys`.
    pub(crate) fn encode(keys: &[KeyHash]) -> Vec<u8> {
        let mut filter = GrowableBloom::new(FALSE_RATE, keys.len().max(LEAST_KEYS));
        for key in keys {
            filter.insert(key.0);
        }
        let out = vec![FILTER_GROWABLE];
        postcard::to_extend(&filter, out).expect("a vector takes any number of bytes")
    }

    /// Reads the contents of a filter block.
    ///
    /// # Errors
    /// Says what is wrong with the bytes.
    pub(crate) fn decode(contents: &[u8]) -> Result<Self, &'static str> {
        match contents.split_first() {
            Some((&FILTER_GROWABLE, rest)) => {
                let filter = postcard::from_bytes(rest).map_err(|_| "a filter does not decode")?;
                Ok(Bloom { filter, bytes: contents.len() })
            }
            _ => Err("a filter is of an unknown kind"),
        }
    }

    /// Whether the key may be among those that the filter was built of: `false` is certain.
    #[inline]
    pub(crate) fn may_hold(&self, key: KeyHash) -> bool {
        self.filter.contains(key.0)
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bloom({} bytes)", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bloom, KeyHash};

    #[test]
    fn a_filter_knows_its_keys_and_few_others() {
        for count in [0u64, 1, 2, 100, 20_000] {
            let hash = |key: u64| KeyHash::of(&key.to_be_bytes());
            let keys: Vec<_> = (0..count).map(hash).collect();
            let contents = Bloom::encode(&keys);
            assert!(contents.len() as u64 <= 160 + count * 11 / 8, "{count} keys take {} bytes", contents.len());
            let bloom = Bloom::decode(&contents).expect("just encoded");
            assert!(keys.iter().all(|key| bloom.may_hold(*key)), "every key of {count}");
            let wrong = (count..count + 10_000).filter(|key| bloom.may_hold(hash(*key))).count();
            assert!(wrong < 200, "{wrong} of 10000 with {count} keys");
        }
        assert!(Bloom::decode(&[]).is_err());
        assert!(Bloom::decode(&[9, 1, 2]).is_err());
        assert!(Bloom::decode(&[1, 2]).is_err());
    }
}
