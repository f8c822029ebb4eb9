//! Writes one table file from entries in ascending key order.
//!
//! Invariant: nothing of the file is read back before `finish` has synced it; its name is durable only after the caller has
//! synced the directory. Data is synced each megabyte, so that a flush never delays a commit by a long sync.
//! Index blocks and filters are kept until the end (about 2 % of the data) so that they lie side by side.

use std::path::{Path, PathBuf};

use crate::env::{Disk, File, OpenMode};
use crate::storage::error::Error;
use crate::storage::table::block::{Compression, seal};
use crate::storage::table::bloom::{Bloom, KeyHash};
use crate::storage::table::entries::{EntriesBuilder, common_len};
use crate::storage::table::format::{BlockKind, BlockPlace, FILTER_KEYS, Footer, Properties};
use crate::types::Stamp;

/// Bytes gathered before a write.
const WRITE_BYTES: usize = 256 << 10;
/// Bytes written before a sync.
const SYNC_BYTES: u64 = 1 << 20;

/// How a table is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableOptions {
    /// The level that the table is for.
    pub(crate) level: u8,
    /// How data and index blocks are compressed.
    pub(crate) compression: Compression,
    /// Contents of a data or index block, about.
    pub(crate) block_bytes: usize,
}

/// A finished file.
#[derive(Debug)]
pub(crate) struct Written {
    /// Length of the file.
    pub(crate) bytes: u64,
    /// What it holds.
    pub(crate) properties: Properties,
}

/// A table in the making.
pub(crate) struct TableWriter {
    path: PathBuf,
    options: TableOptions,
    out: Output,
    data: EntriesBuilder,
    data_first: Vec<u8>,
    index: EntriesBuilder,
    index_first: Vec<u8>,
    hashes: Vec<KeyHash>,
    filter_first: Vec<u8>,
    index_blocks: Vec<Deferred>,
    filter_blocks: Vec<Deferred>,
    first: Vec<u8>,
    last: Vec<u8>,
    keys: u64,
}

/// A block that is written behind the data.
struct Deferred {
    first: Vec<u8>,
    stored: Vec<u8>,
}

impl TableWriter {
    /// Begins the file `path`, which must not exist.
    pub(crate) fn create(disk: &dyn Disk, path: &Path, options: TableOptions) -> Result<Self, Error> {
        let file = disk.open(path, OpenMode::CreateNew).map_err(|source| Error::io(path, source))?;
        Ok(TableWriter {
            path: path.to_owned(),
            options,
            out: Output { file, buffer: Vec::with_capacity(WRITE_BYTES + options.block_bytes), offset: 0, synced: 0 },
            data: EntriesBuilder::default(),
            data_first: Vec::new(),
            index: EntriesBuilder::default(),
            index_first: Vec::new(),
            hashes: Vec::new(),
            filter_first: Vec::new(),
            index_blocks: Vec::new(),
            filter_blocks: Vec::new(),
            first: Vec::new(),
            last: Vec::new(),
            keys: 0,
        })
    }

    /// Length of the file if it ended now, but for index and filters.
    pub(crate) fn len(&self) -> u64 {
        self.out.position() + self.data.len() as u64
    }

    /// The key added last.
    pub(crate) fn last_key(&self) -> &[u8] {
        &self.last
    }

    /// Adds an entry; `key` is above all before it.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if self.keys == 0 {
            self.first.extend_from_slice(key);
        } else {
            assert!(*key > *self.last, "keys of a table ascend");
        }
        if self.data.is_empty() {
            put_separator(&mut self.data_first, &self.last, key);
        }
        if self.hashes.is_empty() {
            put_separator(&mut self.filter_first, &self.last, key);
        }
        self.hashes.push(KeyHash::of(key));
        self.data.add(key, value);
        self.keys += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
        if self.hashes.len() == FILTER_KEYS {
            self.close_filter();
        }
        if self.data.len() >= self.options.block_bytes {
            self.close_data()?;
        }
        Ok(())
    }

    /// Writes the rest and makes it durable.
    ///
    /// # Panics
    /// If nothing was added.
    pub(crate) fn finish(mut self, max_stamp: Stamp) -> Result<Written, Error> {
        assert!(self.keys > 0, "a table has at least one key");
        self.close_data()?;
        self.close_index();
        self.close_filter();
        let raw = |kind, contents: &[u8], out: &mut Output| out.block(kind, contents, Compression::Raw);
        let filters = fence(&mut self.out, std::mem::take(&mut self.filter_blocks));
        let index = fence(&mut self.out, std::mem::take(&mut self.index_blocks));
        let filters = raw(BlockKind::Fence, &filters, &mut self.out);
        let index = raw(BlockKind::Fence, &index, &mut self.out);
        let properties =
            Properties { level: self.options.level, keys: self.keys, max_stamp, first: self.first, last: self.last };
        let place = raw(BlockKind::Properties, &properties.encode(), &mut self.out);
        let footer = Footer { filters, index, properties: place };
        self.out.buffer.extend_from_slice(&footer.encode());
        self.out.write(&self.path)?;
        self.out.file.sync().map_err(|source| Error::io(&self.path, source))?;
        Ok(Written { bytes: self.out.offset, properties })
    }

    fn close_data(&mut self) -> Result<(), Error> {
        if self.data.is_empty() {
            return Ok(());
        }
        let place = self.out.block(BlockKind::Data, self.data.finish(), self.options.compression);
        self.data.clear();
        if self.index.is_empty() {
            self.index_first.clear();
            self.index_first.extend_from_slice(&self.data_first);
        }
        let mut value = Vec::with_capacity(16);
        place.encode(&mut value);
        self.index.add(&self.data_first, &value);
        if self.index.len() >= self.options.block_bytes {
            self.close_index();
        }
        self.out.write_if_full(&self.path)
    }

    fn close_index(&mut self) {
        if self.index.is_empty() {
            return;
        }
        let mut stored = Vec::new();
        seal(BlockKind::Index, self.index.finish(), self.options.compression, &mut stored);
        self.index.clear();
        self.index_blocks.push(Deferred { first: self.index_first.clone(), stored });
    }

    fn close_filter(&mut self) {
        if self.hashes.is_empty() {
            return;
        }
        let mut stored = Vec::new();
        seal(BlockKind::Filter, &Bloom::encode(&self.hashes), Compression::Raw, &mut stored);
        self.hashes.clear();
        self.filter_blocks.push(Deferred { first: self.filter_first.clone(), stored });
    }
}

/// Writes the deferred blocks; the contents of the fence that names them.
fn fence(out: &mut Output, blocks: Vec<Deferred>) -> Vec<u8> {
    let mut fence = EntriesBuilder::default();
    let mut value = Vec::with_capacity(16);
    for block in blocks {
        let place = BlockPlace { offset: out.position(), bytes: block.stored.len() as u32 };
        out.buffer.extend_from_slice(&block.stored);
        value.clear();
        place.encode(&mut value);
        fence.add(&block.first, &value);
    }
    fence.finish().to_vec()
}

/// The shortest key above `before` and not above `key`.
fn put_separator(out: &mut Vec<u8>, before: &[u8], key: &[u8]) {
    let len = common_len(before, key) + 1;
    out.clear();
    out.extend_from_slice(key.get(..len).unwrap_or(key));
}

/// The file and what is not written to it yet.
struct Output {
    file: Box<dyn File>,
    buffer: Vec<u8>,
    offset: u64,
    synced: u64,
}

impl Output {
    fn position(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    fn block(&mut self, kind: BlockKind, contents: &[u8], compression: Compression) -> BlockPlace {
        let offset = self.position();
        let bytes = seal(kind, contents, compression, &mut self.buffer);
        BlockPlace { offset, bytes }
    }

    fn write_if_full(&mut self, path: &Path) -> Result<(), Error> {
        if self.buffer.len() < WRITE_BYTES {
            return Ok(());
        }
        self.write(path)?;
        if self.offset - self.synced >= SYNC_BYTES {
            self.file.sync().map_err(|source| Error::io(path, source))?;
            self.synced = self.offset;
        }
        Ok(())
    }

    fn write(&mut self, path: &Path) -> Result<(), Error> {
        self.file.write_at(&self.buffer, self.offset).map_err(|source| Error::io(path, source))?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
