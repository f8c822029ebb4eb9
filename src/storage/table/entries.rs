//! Prefix-compressed entries: the contents of data, index and fence blocks. The layout stands in `format.rs`.
//!
//! Invariant: reading never panics whatever the bytes are: what does not fit is [`Damaged`].
//! A search builds no key: it carries how many bytes of the target the entry before it shares, and a key's shared length
//! alone tells most often on which side of the target it lies.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::codec::{DecodeError, Reader, put_varint};
use crate::storage::table::format::RESTART_ENTRIES;

/// Contents of a block whose checksum matched but that are not entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

impl From<DecodeError> for Damaged {
    fn from(_: DecodeError) -> Self {
        Damaged
    }
}

/// Gathers entries in ascending key order.
#[derive(Debug, Default)]
pub(crate) struct EntriesBuilder {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    last_key: Vec<u8>,
    since_restart: usize,
}

impl EntriesBuilder {
    /// Whether no entry was added since the start or the last [`Self::clear`].
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Length that [`Self::finish`] would give now.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + 4 * self.restarts.len() + 4
    }

    /// Adds an entry; `key` is above all keys before it.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        let mut shared = 0;
        if self.bytes.is_empty() || self.since_restart == RESTART_ENTRIES {
            self.restarts.push(self.bytes.len() as u32);
            self.since_restart = 0;
        } else {
            shared = common_len(&self.last_key, key);
        }
        self.since_restart += 1;
        put_varint(&mut self.bytes, shared as u64);
        put_varint(&mut self.bytes, (key.len() - shared) as u64);
        put_varint(&mut self.bytes, value.len() as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        self.bytes.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
    }

    /// Appends the tail; the whole contents. [`Self::clear`] begins the next block.
    pub(crate) fn finish(&mut self) -> &[u8] {
        for restart in &self.restarts {
            self.bytes.extend_from_slice(&restart.to_le_bytes());
        }
        self.bytes.extend_from_slice(&(self.restarts.len() as u32).to_le_bytes());
        &self.bytes
    }

    /// Forgets all entries and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.restarts.clear();
        self.last_key.clear();
        self.since_restart = 0;
    }
}

/// Bytes that `a` and `b` have in common at their start.
#[inline]
pub(crate) fn common_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// How the key made of `kept` and `suffix` compares to `bound`.
fn compare(kept: &[u8], suffix: &[u8], bound: &[u8]) -> Ordering {
    let (head, rest) = bound.split_at(kept.len().min(bound.len()));
    kept.cmp(head).then_with(|| suffix.cmp(rest))
}

/// One entry as it lies in the contents.
#[derive(Clone, Debug)]
struct RawEntry {
    shared: usize,
    suffix: Range<usize>,
    value: Range<usize>,
}

/// Contents to search in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries<'a> {
    entries: &'a [u8],
    restarts: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Splits contents into entries and restarts.
    ///
    /// # Errors
    /// If the tail does not fit.
    #[inline]
    pub(crate) fn new(contents: &'a [u8]) -> Result<Self, Damaged> {
        let (body, count) = contents.split_last_chunk::<4>().ok_or(Damaged)?;
        let restarts = (u32::from_le_bytes(*count) as usize).checked_mul(4).ok_or(Damaged)?;
        let split = body.len().checked_sub(restarts).ok_or(Damaged)?;
        let (entries, restarts) = body.split_at_checked(split).ok_or(Damaged)?;
        if restarts.is_empty() != entries.is_empty() {
            return Err(Damaged);
        }
        Ok(Entries { entries, restarts })
    }

    /// Where the value of exactly `key` lies in the contents.
    ///
    /// # Errors
    /// If an entry on the way is damaged.
    pub(crate) fn find(&self, target: &[u8]) -> Result<Option<Range<usize>>, Damaged> {
        let Some(restart) = self.restart_before(target)? else { return Ok(None) };
        let end = self.restart_offset(restart + 1).unwrap_or(self.entries.len());
        let mut offset = self.restart_offset(restart).ok_or(Damaged)?;
        let mut matched = 0;
        while offset < end {
            let entry = self.entry(offset)?;
            offset = entry.value.end;
            match entry.shared.cmp(&matched) {
                // It shares with its predecessor the very byte in which that lies below the target.
                Ordering::Greater => {}
                // It lies above its predecessor in a byte that the predecessor has in common with the target.
                Ordering::Less => break,
                Ordering::Equal => {
                    let suffix = self.entries.get(entry.suffix).ok_or(Damaged)?;
                    let rest = target.get(matched..).ok_or(Damaged)?;
                    let common = common_len(suffix, rest);
                    match suffix.get(common).cmp(&rest.get(common)) {
                        Ordering::Less => {}
                        Ordering::Equal => return Ok(Some(entry.value)),
                        Ordering::Greater => break,
                    }
                    matched += common;
                }
            }
        }
        Ok(None)
    }

    /// The last restart whose key is not above `target`.
    fn restart_before(&self, target: &[u8]) -> Result<Option<usize>, Damaged> {
        let (mut low, mut high) = (0, self.restarts.len() / 4);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry(self.restart_offset(middle).ok_or(Damaged)?)?;
            if entry.shared != 0 {
                return Err(Damaged);
            }
            if self.entries.get(entry.suffix).ok_or(Damaged)? <= target {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.checked_sub(1))
    }

    #[inline]
    fn restart_offset(&self, index: usize) -> Option<usize> {
        let bytes = self.restarts.get(4 * index..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    }

    #[inline]
    fn entry(&self, offset: usize) -> Result<RawEntry, Damaged> {
        let mut reader = Reader::new(self.entries.get(offset..).ok_or(Damaged)?);
        let shared = reader.varint()?;
        let suffix = reader.varint()?;
        let value = reader.varint()?;
        let start = offset + reader.offset();
        let left = reader.remaining() as u64;
        if shared > u64::from(u32::MAX) || suffix > left || value > left - suffix {
            return Err(Damaged);
        }
        let middle = start + suffix as usize;
        Ok(RawEntry { shared: shared as usize, suffix: start..middle, value: middle..middle + value as usize })
    }
}

/// A walk over the entries of one block.
#[derive(Debug, Default)]
pub(crate) struct EntriesCursor {
    contents: Option<Arc<[u8]>>,
    next: usize,
    end: usize,
    key: Vec<u8>,
    value: Range<usize>,
}

impl EntriesCursor {
    /// Goes before the first entry of `contents`.
    ///
    /// # Errors
    /// If the tail of the contents does not fit.
    pub(crate) fn open(&mut self, contents: Arc<[u8]>) -> Result<(), Damaged> {
        self.end = Entries::new(&contents)?.entries.len();
        self.contents = Some(contents);
        self.next = 0;
        self.key.clear();
        self.value = 0..0;
        Ok(())
    }

    /// Goes before the first entry of `contents` whose key is not below `from`.
    ///
    /// # Errors
    /// If an entry on the way is damaged.
    pub(crate) fn open_at(&mut self, contents: Arc<[u8]>, from: &[u8]) -> Result<(), Damaged> {
        let entries = Entries::new(&contents)?;
        let restart = entries.restart_before(from)?.unwrap_or(0);
        let start = entries.restart_offset(restart).unwrap_or(0);
        self.open(contents)?;
        self.next = start;
        while let Some(entry) = self.peek()? {
            let kept = self.key.get(..entry.shared).ok_or(Damaged)?;
            let order = compare(kept, self.slice(&entry.suffix), from);
            if order != Ordering::Less {
                break;
            }
            self.take(&entry);
        }
        Ok(())
    }

    /// Goes to the next entry: `false` at the end.
    ///
    /// # Errors
    /// If the entry is damaged.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool, Damaged> {
        let Some(entry) = self.peek()? else { return Ok(false) };
        if entry.shared > self.key.len() {
            return Err(Damaged);
        }
        self.take(&entry);
        Ok(true)
    }

    /// Key of the current entry.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Value of the current entry.
    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        self.slice(&self.value)
    }

    #[inline]
    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.contents.as_ref().and_then(|contents| contents.get(range.clone())).unwrap_or(&[])
    }

    #[inline]
    fn peek(&self) -> Result<Option<RawEntry>, Damaged> {
        let Some(contents) = &self.contents else { return Ok(None) };
        if self.next >= self.end {
            return Ok(None);
        }
        let entries = contents.get(..self.end).ok_or(Damaged)?;
        Entries { entries, restarts: &[] }.entry(self.next).map(Some)
    }

    #[inline]
    fn take(&mut self, entry: &RawEntry) {
        self.next = entry.value.end;
        self.value = entry.value.clone();
        self.key.truncate(entry.shared);
        if let Some(suffix) = self.contents.as_ref().and_then(|contents| contents.get(entry.suffix.clone())) {
            self.key.extend_from_slice(suffix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Entries, EntriesBuilder, EntriesCursor};
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

    fn build(map: &BTreeMap<Vec<u8>, Vec<u8>>) -> Arc<[u8]> {
        let mut builder = EntriesBuilder::default();
        builder.add(b"left over", b"");
        builder.clear();
        for (key, value) in map {
            builder.add(key, value);
        }
        let len = builder.len();
        let contents: Arc<[u8]> = Arc::from(builder.finish());
        assert_eq!(contents.len(), len);
        contents
    }

    fn walk(cursor: &mut EntriesCursor) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        while cursor.advance().expect("sound entries") {
            found.push((cursor.key().to_vec(), cursor.value().to_vec()));
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn searches_agree_with_a_map(
            keys in proptest::collection::btree_set(proptest::collection::vec(0u8..3, 0..6), 0..80),
            probes in proptest::collection::vec(proptest::collection::vec(0u8..3, 0..7), 0..40),
        ) {
            let keys: BTreeSet<Vec<u8>> = keys;
            let map: BTreeMap<_, _> = keys.iter().map(|key| (key.clone(), [&key[..], b"="].concat())).collect();
            let contents = build(&map);
            let entries = Entries::new(&contents).expect("sound");
            let mut cursor = EntriesCursor::default();
            for probe in probes.iter().chain(&keys) {
                let find = entries.find(probe).expect("sound").map(|value| contents[value].to_vec());
                prop_assert_eq!(find.as_ref(), map.get(probe));
                cursor.open_at(Arc::clone(&contents), probe).expect("sound");
                let tail: Vec<_> = map.range(probe.clone()..).map(|(key, value)| (key.clone(), value.clone())).collect();
                prop_assert_eq!(walk(&mut cursor), tail);
            }
        }

        #[test]
        fn any_bytes_are_searched_without_a_panic(bytes in any::<Vec<u8>>(), key in any::<Vec<u8>>()) {
            let contents: Arc<[u8]> = Arc::from(&bytes[..]);
            if let Ok(entries) = Entries::new(&contents) {
                let _ = entries.find(&key);
            }
            let mut cursor = EntriesCursor::default();
            if cursor.open_at(Arc::clone(&contents), &key).is_ok() {
                while let Ok(true) = cursor.advance() {}
            }
            if cursor.open(contents).is_ok() {
                while let Ok(true) = cursor.advance() {}
            }
        }
    }
}
