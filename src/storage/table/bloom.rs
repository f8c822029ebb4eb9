//! Filters: whether a block of keys may hold a key, at 10.5 bits a key and about 1 % of false answers.
//!
//! A filter is made of lines of 32 bytes. The upper half of a key's hash picks its line, the lower half one bit in each of
//! the line's eight words: a probe waits for one cache line and needs no division (6 ns). The filter of releases before
//! took seven lines and seven divisions (60 ns), which was most of what a lookup of an absent key cost; tables that have it
//! are still read.
//!
//! Invariant: a filter is built with the exact number of its keys. The bytes begin with a tag that tells the kind.
//! Source: Putze, Sanders, Singler, Cache-, Hash- and Space-Efficient Bloom Filters; the factors are those of Apache
//! Parquet's specification. Old ones: Almeida et al., Scalable Bloom Filters (crate growable-bloom-filter).

use std::fmt;

use growable_bloom_filter::GrowableBloom;
use xxhash_rust::xxh3::xxh3_64;

use crate::storage::table::format::{FILTER_GROWABLE, FILTER_LINES};

/// Bits of a filter for every two keys.
const BITS_OF_TWO_KEYS: usize = 21;
/// Bytes of a line.
const LINE_BYTES: usize = 32;
/// What the hash is multiplied by for the bit of each word.
const FACTORS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// What filters see of a key. Computed once per lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// The hash of `key`.
    #[inline]
    pub(crate) fn of(key: &[u8]) -> Self {
        KeyHash(xxh3_64(key))
    }

    /// Which of `lines` lines is the key's.
    #[inline]
    fn line(self, lines: usize) -> usize {
        (((self.0 >> 32) * lines as u64) >> 32) as usize
    }

    /// The key's bit in each word of its line.
    #[inline]
    fn bits(self) -> [u32; 8] {
        FACTORS.map(|factor| 1 << ((self.0 as u32).wrapping_mul(factor) >> 27))
    }
}

/// Half a cache line, never across two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(32))]
struct Line([u32; 8]);

/// A filter of one block of keys.
pub(crate) struct Bloom(Kind);

enum Kind {
    Lines(Box<[Line]>),
    Growable { filter: Box<GrowableBloom>, bytes: usize },
}

impl Bloom {
    /// The contents of a filter block over `keys`.
    pub(crate) fn encode(keys: &[KeyHash]) -> Vec<u8> {
        let bits = keys.len() * BITS_OF_TWO_KEYS / 2;
        let mut lines = vec![Line::default(); bits.div_ceil(8 * LINE_BYTES).max(1)];
        for key in keys {
            let line = key.line(lines.len());
            lines[line].0.iter_mut().zip(key.bits()).for_each(|(word, bit)| *word |= bit);
        }
        let mut out = Vec::with_capacity(1 + lines.len() * LINE_BYTES);
        out.push(FILTER_LINES);
        lines.iter().flat_map(|line| line.0).for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        out
    }

    /// Reads the contents of a filter block.
    ///
    /// # Errors
    /// Says what is wrong with the bytes.
    pub(crate) fn decode(contents: &[u8]) -> Result<Self, &'static str> {
        match contents.split_first() {
            Some((&FILTER_LINES, rest)) => match rest.as_chunks::<LINE_BYTES>() {
                ([], _) | (_, [_, ..]) => Err("a filter has another length than one of lines"),
                (lines, []) => Ok(Bloom(Kind::Lines(lines.iter().map(read_line).collect()))),
            },
            Some((&FILTER_GROWABLE, rest)) => {
                let filter = postcard::from_bytes(rest).map_err(|_| "a filter does not decode")?;
                Ok(Bloom(Kind::Growable { filter: Box::new(filter), bytes: contents.len() }))
            }
            _ => Err("a filter is of an unknown kind"),
        }
    }

    /// Whether the key may be among those that the filter was built of: `false` is certain.
    #[inline]
    pub(crate) fn may_hold(&self, key: KeyHash) -> bool {
        match &self.0 {
            Kind::Lines(lines) => lines.get(key.line(lines.len())).is_none_or(|line| {
                let missing = line.0.iter().zip(key.bits()).fold(0, |missing, (word, bit)| missing | (bit & !word));
                missing == 0
            }),
            Kind::Growable { filter, .. } => filter.contains(key.0),
        }
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Kind::Lines(lines) => lines.len() * LINE_BYTES,
            Kind::Growable { bytes, .. } => *bytes,
        }
    }
}

fn read_line(bytes: &[u8; LINE_BYTES]) -> Line {
    let mut line = Line::default();
    let (words, _) = bytes.as_chunks::<4>();
    line.0.iter_mut().zip(words).for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
    line
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bloom({} bytes)", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{Bloom, KeyHash};

    #[test]
    fn a_filter_knows_its_keys_and_few_others() {
        for count in [0u64, 1, 2, 100, 20_000, 65_536] {
            let hash = |key: u64| KeyHash::of(&key.to_be_bytes());
            let keys: Vec<_> = (0..count).map(hash).collect();
            let contents = Bloom::encode(&keys);
            assert!(contents.len() as u64 <= 40 + count * 21 / 16, "{count} keys take {} bytes", contents.len());
            let bloom = Bloom::decode(&contents).expect("just encoded");
            assert!(keys.iter().all(|key| bloom.may_hold(*key)), "every key of {count}");
            let wrong = (count..count + 20_000).filter(|key| bloom.may_hold(hash(*key))).count();
            assert!(wrong < 300, "{wrong} of 20000 with {count} keys");
        }
        assert!(Bloom::decode(&[]).is_err());
        assert!(Bloom::decode(&[9, 1, 2]).is_err());
        assert!(Bloom::decode(&[1, 2]).is_err());
        assert!(Bloom::decode(&[2]).is_err());
        assert!(Bloom::decode(&[2; 32]).is_err());
        assert!(Bloom::decode(&[2; 33]).is_ok());
    }
}
