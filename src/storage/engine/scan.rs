//! `scan`: one page of a range in key order, the newest record of each key.
//!
//! Memory is copied first, shard by shard and at most a page of it; then the tables are read for the part of the range that
//! was copied, without any lock. A key's memory is thus looked at before the view is taken, as for a read. A short page
//! must not look into all shards, most of which are far behind its end: it begins with a few, and four times as many if
//! those were not enough.

use std::cmp::Ordering;

use crate::storage::cursor::Cursor;
use crate::storage::draft::{ScanLimit, ScanRange};
use crate::storage::engine::{Engine, Shared};
use crate::storage::error::Error;
use crate::storage::memtable::{Entry, Probe, Shard};

/// Shards that a page looks into at first, at least.
const FIRST_SHARDS: usize = 4;
/// A page looks into a shard more for each so many entries that it may have.
const SHARD_ENTRIES: usize = 64;

/// Is shown a key and its record.
pub type SeeEntry<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

impl Engine {
    /// Shows a page of the range to `see`, in key order, and answers where to go on: `None` if the range is exhausted. A
    /// page may be empty although the range goes on. May wait: only on the pool.
    ///
    /// # Errors
    /// A table could not be read.
    pub fn scan(&self, range: &ScanRange, limit: ScanLimit, see: SeeEntry<'_>) -> Result<Option<Vec<u8>>, Error> {
        let mut page = Page { limit, entries: 0, bytes: 0 };
        let mut part = range.clone();
        let mut shards = FIRST_SHARDS.max(limit.entries / SHARD_ENTRIES);
        while part.from < part.to {
            let memory = self.shared.copy_memory(&part, limit, shards);
            if let Some(next) = self.shared.show_part(&part, &memory, &mut page, see)? {
                return Ok(Some(next));
            }
            part.from = memory.end;
            if page.is_full() && part.from < part.to {
                return Ok(Some(part.from));
            }
            shards = shards.saturating_mul(4);
        }
        Ok(None)
    }
}

/// What a page may hold and what it holds.
struct Page {
    limit: ScanLimit,
    entries: usize,
    bytes: usize,
}

impl Page {
    fn is_full(&self) -> bool {
        self.entries > 0 && (self.entries >= self.limit.entries || self.bytes >= self.limit.bytes)
    }
}

/// A copy of the newest entries in memory from the range's first key up to `end`.
struct Copied {
    bytes: Vec<u8>,
    /// Where each entry's key begins, its value begins, and it ends.
    entries: Vec<(usize, usize, usize)>,
    end: Vec<u8>,
}

impl Copied {
    fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let (key, value, end) = *self.entries.get(index)?;
        Some((self.bytes.get(key..value)?, self.bytes.get(value..end)?))
    }

    fn push(&mut self, entry: &Entry) {
        let (key, value) = entry.parts();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.entries.push((start, start + key.len(), self.bytes.len()));
    }

    fn is_full(&self, limit: ScanLimit) -> bool {
        !self.entries.is_empty() && (self.entries.len() >= limit.entries || self.bytes.len() >= limit.bytes)
    }
}

impl Shared {
    /// Copies from at most `shards` shards.
    fn copy_memory(&self, range: &ScanRange, limit: ScanLimit, shards: usize) -> Copied {
        let mut copied = Copied { bytes: Vec::new(), entries: Vec::new(), end: range.to.clone() };
        let (first, last) = (self.shard_index(&range.from), self.shard_index(&range.to));
        let end = first.saturating_add(shards);
        if end <= last {
            // The least key of a shard: its first slot.
            copied.end = ((end << self.slot_shift) as u16).to_be_bytes().to_vec();
        }
        for index in first..=last.min(end - 1) {
            if let Some(next) = copy_shard(&self.shard(index).lock(), range, limit, &mut copied) {
                copied.end = next;
                break;
            }
        }
        copied
    }

    /// Shows the page the part of the range that memory was copied of; the next key if that fills the page.
    fn show_part(
        &self,
        part: &ScanRange,
        memory: &Copied,
        page: &mut Page,
        see: SeeEntry<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let tables = self.view().cursor(&part.from, &memory.end);
        let mut merge = Merge { tables: Source::begin(tables)?, memory, next: 0 };
        while let Some((key, value)) = merge.current() {
            if page.is_full() {
                return Ok(Some(key.to_vec()));
            }
            see(key, value);
            page.entries += 1;
            page.bytes += key.len() + value.len();
            merge.advance()?;
        }
        Ok(None)
    }
}

/// Copies a shard's part of the range; if the page is full before its end, answers the first key that was not copied.
fn copy_shard(shard: &Shard, range: &ScanRange, limit: ScanLimit, copied: &mut Copied) -> Option<Vec<u8>> {
    let start = Probe::new(&range.from);
    let in_range = |entry: &&Entry| entry.key() < range.to.as_slice();
    let mut walks: Vec<_> =
        shard.trees().map(|tree| tree.iter_from(tree.seek(&start)).take_while(in_range).peekable()).collect();
    loop {
        // Newest first: of equal keys, `min_by` keeps the first.
        let heads = walks.iter_mut().filter_map(|walk| walk.peek().copied());
        let entry = heads.min_by(|a, b| a.key().cmp(b.key()))?;
        if copied.is_full(limit) {
            return Some(entry.key().to_vec());
        }
        for walk in &mut walks {
            walk.next_if(|other| other.key() == entry.key());
        }
        copied.push_unless_dropped(shard, entry);
    }
}

impl Copied {
    /// A dropped entry is left out: the tables do not show what is older than the drop either.
    fn push_unless_dropped(&mut self, shard: &Shard, entry: &Entry) {
        if !shard.is_dropped(entry) {
            self.push(entry);
        }
    }
}

/// A cursor that knows whether it stands on an entry.
struct Source {
    cursor: Box<dyn Cursor>,
    is_there: bool,
}

impl Source {
    fn begin(mut cursor: Box<dyn Cursor>) -> Result<Self, Error> {
        let is_there = cursor.advance()?;
        Ok(Source { cursor, is_there })
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.is_there = self.cursor.advance()?;
        Ok(())
    }
}

struct Merge<'a> {
    tables: Source,
    memory: &'a Copied,
    next: usize,
}

impl Merge<'_> {
    /// How memory's next key stands to the tables' next.
    fn order(&self) -> Option<Ordering> {
        match (self.memory.get(self.next), self.tables.is_there) {
            (Some((key, _)), true) => Some(key.cmp(self.tables.cursor.key())),
            (Some(_), false) => Some(Ordering::Less),
            (None, true) => Some(Ordering::Greater),
            (None, false) => None,
        }
    }

    fn current(&self) -> Option<(&[u8], &[u8])> {
        match self.order()? {
            Ordering::Greater => Some((self.tables.cursor.key(), self.tables.cursor.value())),
            _ => self.memory.get(self.next),
        }
    }

    fn advance(&mut self) -> Result<(), Error> {
        let Some(order) = self.order() else { return Ok(()) };
        if order != Ordering::Greater {
            self.next += 1;
        }
        if order != Ordering::Less {
            self.tables.advance()?;
        }
        Ok(())
    }
}
