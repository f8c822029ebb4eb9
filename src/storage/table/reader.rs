//! Reads table files: point lookups through filter, two-level index and data block, from cache or device.
//!
//! Invariant: with [`Reads::Cached`] nothing waits for a device; what would need to is answered as cold. A table is opened
//! only by a reader that may wait, because opening looks names up.
//! Invariant: a file is removed only after the last handle to it went, and never by the thread that drops the handle (a
//! reader): its number goes to `garbage`, which flush and compaction collect.
//! A lookup allocates nothing but what goes into the cache.

use std::cell::RefCell;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;

use crate::env::{Disk, File, OpenMode};
use crate::storage::cache::{BlockCache, BlockKey, Cached};
use crate::storage::error::Error;
use crate::storage::table::block;
use crate::storage::table::bloom::{Bloom, KeyHash};
use crate::storage::table::entries::Entries;
use crate::storage::table::fence::Fence;
use crate::storage::table::format::{
    BadFooter, BlockKind, BlockPlace, FOOTER_BYTES, FORMAT_VERSION, Footer, Properties,
};
use crate::storage::table::open_tables::OpenTables;
use crate::storage::table::part::{Held, IndexPart, Kept, Part, decode_fence};

/// Whether a reader may wait for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Only what is in memory, ours or the machine's.
    Cached,
    /// Whatever it takes.
    Blocking,
}

/// A value inside a cached block.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    block: Arc<[u8]>,
    range: Range<usize>,
}

impl Deref for Value {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.block.get(self.range.clone()).unwrap_or(&[])
    }
}

/// What a lookup found.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The newest value.
    Found(Value),
    /// No table has the key.
    Absent,
    /// Only a read that may wait can tell. Never answered to one that may.
    Cold,
}

/// What all tables of an engine share.
pub(crate) struct TableContext {
    /// Where the files are.
    pub(crate) disk: Arc<dyn Disk>,
    /// The directory of the files.
    pub(crate) dir: PathBuf,
    /// Blocks and filters in memory.
    pub(crate) cache: BlockCache,
    /// Bounds the open files.
    pub(crate) open_tables: OpenTables,
    /// Numbers of tables whose files nobody can read any more.
    pub(crate) garbage: Mutex<Vec<u64>>,
}

/// A table file, open or not.
pub(crate) struct TableFile {
    number: u64,
    bytes: u64,
    path: PathBuf,
    context: Arc<TableContext>,
    open: ArcSwapOption<OpenTable>,
    used: AtomicBool,
    obsolete: AtomicBool,
}

/// What is kept of an open table.
struct OpenTable {
    file: Box<dyn File>,
    filters: Fence<Part<Bloom>>,
    index: Fence<Part<IndexPart>>,
    properties: Properties,
    context: Arc<TableContext>,
}

impl Drop for OpenTable {
    fn drop(&mut self) {
        let filters: usize = self.filters.items().iter().map(Part::pinned_bytes).sum();
        let index: usize = self.index.items().iter().map(Part::pinned_bytes).sum();
        if filters + index > 0 {
            self.context.cache.unpin(filters + index);
        }
    }
}

thread_local! {
    static STORED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl TableFile {
    /// The file of table `number`, `bytes` long; nothing is read yet.
    pub(crate) fn new(context: &Arc<TableContext>, number: u64, bytes: u64) -> Self {
        TableFile {
            number,
            bytes,
            path: table_path(&context.dir, number),
            context: Arc::clone(context),
            open: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            obsolete: AtomicBool::new(false),
        }
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the table says of itself; may wait.
    pub(crate) fn properties(self: &Arc<Self>) -> Result<Properties, Error> {
        Ok(self.open_now()?.properties.clone())
    }

    /// Looks `key` up.
    pub(crate) fn get(self: &Arc<Self>, key: &[u8], hash: KeyHash, reads: Reads) -> Result<Lookup, Error> {
        let open = self.opened(reads)?;
        let Some(open) = open.as_deref() else { return Ok(Lookup::Cold) };
        if let Some(part) = open.filters.floor(key) {
            match self.part(open, part, reads)? {
                None => return Ok(Lookup::Cold),
                Some(filter) if !filter.may_hold(hash) => return Ok(Lookup::Absent),
                Some(_) => {}
            }
        }
        let Some(part) = open.index.floor(key) else { return Ok(Lookup::Absent) };
        let Some(index) = self.part(open, part, reads)? else { return Ok(Lookup::Cold) };
        let Some(place) = index.floor(key).copied() else { return Ok(Lookup::Absent) };
        let Some(data) = self.block(open, place, reads)? else { return Ok(Lookup::Cold) };
        let damaged = |_| self.corrupt(place.offset, "a data block holds no entries");
        let found = Entries::new(&data).and_then(|entries| entries.find(key)).map_err(damaged)?;
        Ok(found.map_or(Lookup::Absent, |range| Lookup::Found(Value { block: data, range })))
    }

    /// Opens the table for a walk over its data blocks.
    pub(crate) fn walk(self: &Arc<Self>) -> Result<TableWalk, Error> {
        let (table, open) = (Arc::clone(self), self.open_now()?);
        Ok(TableWalk { table, open, next_part: 0, part: None, next: 0 })
    }

    /// Says that no newer view names the file: it is removed once the last handle goes.
    pub(crate) fn retire(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// Whether the table was used since the last call.
    pub(crate) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Closes the file; the next reader that may wait opens it again.
    pub(crate) fn close(&self) {
        self.open.store(None);
    }

    /// The open table; empty if it is closed and opening is not allowed.
    #[inline]
    fn opened(self: &Arc<Self>, reads: Reads) -> Result<Guard<Option<Arc<OpenTable>>>, Error> {
        // A store only when it changes something: cores that read the same table would fight for the line.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        let open = self.open.load();
        match (&*open, reads) {
            (None, Reads::Blocking) => Ok(Guard::from_inner(Some(self.open_file()?))),
            _ => Ok(open),
        }
    }

    fn open_now(self: &Arc<Self>) -> Result<Arc<OpenTable>, Error> {
        let open = self.opened(Reads::Blocking)?;
        Ok(Guard::into_inner(open).expect("a reader that may wait gets the table"))
    }

    #[cold]
    fn open_file(self: &Arc<Self>) -> Result<Arc<OpenTable>, Error> {
        let file = self.context.disk.open(&self.path, OpenMode::Read).map_err(|source| self.io(source))?;
        let bytes = file.len().map_err(|source| self.io(source))?;
        if bytes != self.bytes {
            return Err(self.corrupt(bytes.min(self.bytes), "the file has another length than the manifest says"));
        }
        let mut footer = [0; FOOTER_BYTES];
        let offset = bytes.checked_sub(FOOTER_BYTES as u64);
        let offset = offset.ok_or_else(|| self.corrupt(0, "the file is shorter than a table's footer"))?;
        file.read_at(&mut footer, offset).map_err(|source| self.io(source))?;
        let footer = Footer::decode(&footer).map_err(|bad| match bad {
            BadFooter::Damaged(what) => self.corrupt(offset, what),
            BadFooter::Future(version) => {
                Error::FutureFormat { path: self.path.clone(), version, supported: FORMAT_VERSION }
            }
        })?;
        let contents = self.read(&*file, footer.properties, (BlockKind::Properties, Reads::Blocking))?;
        let properties = contents.and_then(|contents| Properties::decode(&contents).ok());
        let properties =
            properties.ok_or_else(|| self.corrupt(footer.properties.offset, "the properties do not decode"))?;
        let filters = self.fence(&*file, footer.filters)?;
        let index = self.fence(&*file, footer.index)?;
        let open = Arc::new(OpenTable { file, filters, index, properties, context: Arc::clone(&self.context) });
        self.open.store(Some(Arc::clone(&open)));
        self.context.open_tables.opened(self);
        Ok(open)
    }

    fn fence<T>(&self, file: &dyn File, place: BlockPlace) -> Result<Fence<Part<T>>, Error> {
        let Some(contents) = self.read(file, place, (BlockKind::Fence, Reads::Blocking))? else {
            return Ok(Fence::new());
        };
        decode_fence(contents, Part::new).map_err(|what| self.corrupt(place.offset, what))
    }

    #[inline]
    fn part<'a, T: Kept>(
        &self,
        open: &'a OpenTable,
        part: &'a Part<T>,
        reads: Reads,
    ) -> Result<Option<Held<'a, T>>, Error> {
        match part.kept.get() {
            Some(kept) => Ok(Some(Held::Pinned(kept))),
            None => Ok(self.load_part(open, part, reads)?.map(Held::Shared)),
        }
    }

    /// A part that is not pinned: from the cache or the file; pinned from now on if there is room.
    #[cold]
    fn load_part<T: Kept>(&self, open: &OpenTable, part: &Part<T>, reads: Reads) -> Result<Option<Arc<T>>, Error> {
        let key = BlockKey { table: self.number, offset: part.place.offset };
        let cached = self.context.cache.get(&key).and_then(T::of_cached);
        let found = match cached {
            Some(found) => found,
            None => {
                let Some(contents) = self.read(&*open.file, part.place, (T::KIND, reads))? else { return Ok(None) };
                let decoded = T::decode(contents).map_err(|what| self.corrupt(part.place.offset, what))?;
                let decoded = Arc::new(decoded);
                if !self.pin(part, &decoded) {
                    self.context.cache.insert(key, T::to_cached(&decoded));
                }
                decoded
            }
        };
        Ok(Some(found))
    }

    /// Keeps a part with its open table: `false` if too much is kept so already.
    fn pin<T: Kept>(&self, part: &Part<T>, decoded: &Arc<T>) -> bool {
        let bytes = decoded.bytes();
        let pinned = self.context.cache.pin(bytes);
        if pinned && part.kept.set(Arc::clone(decoded)).is_err() {
            // Another reader was faster.
            self.context.cache.unpin(bytes);
        }
        pinned
    }

    #[inline]
    fn block(&self, open: &OpenTable, place: BlockPlace, reads: Reads) -> Result<Option<Arc<[u8]>>, Error> {
        let key = BlockKey { table: self.number, offset: place.offset };
        if let Some(Cached::Block(block)) = self.context.cache.get(&key) {
            return Ok(Some(block));
        }
        let Some(contents) = self.read(&*open.file, place, (BlockKind::Data, reads))? else { return Ok(None) };
        self.context.cache.insert(key, Cached::Block(Arc::clone(&contents)));
        Ok(Some(contents))
    }

    /// Reads a block from the file, past the cache; `None` if that would wait and must not.
    fn read(&self, file: &dyn File, place: BlockPlace, how: (BlockKind, Reads)) -> Result<Option<Arc<[u8]>>, Error> {
        self.check_place(place)?;
        STORED.with_borrow_mut(|stored| {
            stored.resize(place.bytes as usize, 0);
            match how.1 {
                Reads::Blocking => file.read_at(stored, place.offset).map_err(|source| self.io(source))?,
                Reads::Cached => {
                    if !file.read_if_cached(stored, place.offset).map_err(|source| self.io(source))? {
                        return Ok(None);
                    }
                }
            }
            block::open(stored, how.0).map(Some).map_err(|what| self.corrupt(place.offset, what))
        })
    }

    /// A place comes from a checked block, but what it says may still lie outside of the file.
    fn check_place(&self, place: BlockPlace) -> Result<(), Error> {
        match place.offset.checked_add(u64::from(place.bytes)) {
            Some(end) if end <= self.bytes => Ok(()),
            _ => Err(self.corrupt(place.offset, "a block lies outside of the file")),
        }
    }

    #[cold]
    fn corrupt(&self, offset: u64, what: &'static str) -> Error {
        Error::corrupt(&self.path, offset, what)
    }

    #[cold]
    fn io(&self, source: std::io::Error) -> Error {
        Error::io(&self.path, source)
    }
}

impl Drop for TableFile {
    fn drop(&mut self) {
        if *self.obsolete.get_mut() {
            self.context.garbage.lock().push(self.number);
        }
    }
}

/// Name of the file of table `number` in `dir`.
pub(crate) fn table_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.table"))
}

/// Hands out the data blocks of a table in order.
pub(crate) struct TableWalk {
    table: Arc<TableFile>,
    open: Arc<OpenTable>,
    next_part: usize,
    part: Option<Arc<IndexPart>>,
    /// Index in `part` of the block that is handed out next.
    next: usize,
}

impl TableWalk {
    /// Goes before the block where `from` would be.
    pub(crate) fn seek(&mut self, from: &[u8]) -> Result<(), Error> {
        self.next_part = self.open.index.floor_index(from).unwrap_or(0);
        self.open_part()?;
        self.next = self.part.as_ref().and_then(|part| part.floor_index(from)).unwrap_or(0);
        Ok(())
    }

    /// Place of the next data block; `None` behind the last.
    pub(crate) fn next_place(&mut self) -> Result<Option<BlockPlace>, Error> {
        loop {
            let place = self.part.as_ref().and_then(|part| part.items().get(self.next));
            if let Some(place) = place.copied() {
                self.next += 1;
                return Ok(Some(place));
            }
            if !self.open_part()? {
                return Ok(None);
            }
        }
    }

    /// Goes before the first block of the next part of the index: `false` behind the last.
    fn open_part(&mut self) -> Result<bool, Error> {
        (self.part, self.next) = (None, 0);
        let Some(part) = self.open.index.items().get(self.next_part) else { return Ok(false) };
        self.next_part += 1;
        self.part = match part.kept.get() {
            Some(kept) => Some(Arc::clone(kept)),
            None => self.table.load_part(&self.open, part, Reads::Blocking)?,
        };
        Ok(self.part.is_some())
    }

    /// The data block at `place` if it is in the cache.
    pub(crate) fn cached(&self, place: BlockPlace) -> Option<Arc<[u8]>> {
        match self.table.context.cache.get(&BlockKey { table: self.table.number, offset: place.offset }) {
            Some(Cached::Block(block)) => Some(block),
            _ => None,
        }
    }

    /// Keeps the data block at `place` in the cache.
    pub(crate) fn keep(&self, place: BlockPlace, block: &Arc<[u8]>) {
        let key = BlockKey { table: self.table.number, offset: place.offset };
        self.table.context.cache.insert(key, Cached::Block(Arc::clone(block)));
    }

    /// Fills `stored` with the file's bytes from `place` on: that block, and up to `ahead` bytes in all of what follows.
    pub(crate) fn read_ahead(&self, place: BlockPlace, ahead: usize, stored: &mut Vec<u8>) -> Result<(), Error> {
        self.table.check_place(place)?;
        let left = self.table.bytes - place.offset;
        let len = left.min(ahead.max(place.bytes as usize) as u64);
        stored.resize(len as usize, 0);
        self.open.file.read_at(stored, place.offset).map_err(|source| self.table.io(source))
    }

    /// The contents of the data block at `place`, given its stored bytes.
    pub(crate) fn contents(&self, place: BlockPlace, stored: &[u8]) -> Result<Arc<[u8]>, Error> {
        block::open(stored, BlockKind::Data).map_err(|what| self.table.corrupt(place.offset, what))
    }

    /// The error for a data block at `place` whose contents are no entries.
    pub(crate) fn damaged(&self, place: BlockPlace) -> Error {
        self.table.corrupt(place.offset, "a data block holds no entries")
    }
}
