//! What a change hands to the engine and what it gets back: the words of the facade.

use crate::codec::{put_bytes, varint_len};
use crate::storage::note::Note;
use crate::types::Stamp;

/// The next record of a key, written by the change under the key's lock.
pub struct Draft<'a> {
    key: &'a [u8],
    entry: Vec<u8>,
    /// What the write changes besides its key.
    pub note: Note,
}

/// What a change decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The record stays as it is.
    Keep,
    /// The draft replaces the record.
    Put,
}

/// What came of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Update {
    /// The change ran. The stamp of what was written, or for [`Verdict::Keep`] of what was seen.
    Done(Stamp),
    /// Nothing ran: only a device knows the record. Fetch it and try again.
    Cold,
    /// Nothing was changed: the engine is behind with its background work. Try again a little later.
    Stalled,
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Read {
    /// The record was shown. Its stamp if it is still in memory, else 0 (it is durable).
    Done(Stamp),
    /// Nothing was shown: only a device knows the record. Fetch it and try again.
    Cold,
}

/// A key's record as the tables had it at one moment; of use while they have not changed since.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) view: u64,
}

impl Fetched {
    /// The key that was asked for.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Length of the record that was there.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Vec::len)
    }
}

/// A range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRange {
    /// First key.
    pub from: Vec<u8>,
    /// First key past the range.
    pub to: Vec<u8>,
}

/// How much one page of a scan holds at most; a page always holds at least one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimit {
    /// Number of entries.
    pub entries: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

impl<'a> Draft<'a> {
    /// An empty draft for `key`.
    #[inline]
    pub(crate) fn new(key: &'a [u8]) -> Self {
        Draft { key, entry: Vec::new(), note: Note::default() }
    }

    /// The vector to append a record of exactly `len` bytes to. It holds the key already, in one allocation with the
    /// record, so nothing but appending is allowed. A second call starts afresh.
    #[inline]
    pub fn value(&mut self, len: usize) -> &mut Vec<u8> {
        self.entry = Vec::with_capacity(varint_len(self.key.len() as u64) + self.key.len() + len);
        put_bytes(&mut self.entry, self.key);
        &mut self.entry
    }

    /// The record as it was appended; empty before [`Draft::value`].
    #[must_use]
    pub fn record(&self) -> &[u8] {
        let head = varint_len(self.key.len() as u64) + self.key.len();
        self.entry.get(head..).unwrap_or(&[])
    }

    /// The entry's bytes: key length, key, record.
    #[inline]
    pub(crate) fn into_entry(mut self) -> (Box<[u8]>, Note) {
        if self.entry.is_empty() {
            self.value(0);
        }
        debug_assert!(self.entry.len() >= varint_len(self.key.len() as u64) + self.key.len(), "the key was cut off");
        (self.entry.into_boxed_slice(), self.note)
    }
}
